"""How somebody comes into the console with a link, and out of it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.scene import ConsoleProcess, Scene
from tests.browser.tools import Watch, assert_accessible, assert_fits, tab_to


def test_a_link_signs_its_user_in_after_a_click_and_signing_out_forgets_them(
    page: Page, console: ConsoleProcess, scene: Scene
) -> None:
    page.goto(console.link())
    expect(page).to_have_url(f"{console.url}/sign-in")  # the token is no longer in the address
    expect(page.get_by_text(f"This link signs you in as {scene.email}")).to_be_visible()
    assert_accessible(page)
    assert_fits(page)
    tab_to(page, page.get_by_role("button", name="Sign in"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{console.url}/dashboard")
    expect(page.get_by_role("banner")).to_contain_text(scene.email)
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{console.url}/dashboard")
    expect(page).to_have_url(re.compile("/sign-in"))


def test_a_token_that_is_not_ours_signs_nobody_in(page: Page, console: ConsoleProcess, watch: Watch) -> None:
    watch.forgive("status of 401")
    link = console.link()
    page.goto(f"{link[:-8]}{'AAAAAAAA' if not link.endswith('AAAAAAAA') else 'BBBBBBBB'}")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not signed in")
    assert_accessible(page)
