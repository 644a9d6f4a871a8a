"""What somebody sees of a day: a reply arrives while they look, one fails, they mend it, and it goes out."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.scene import ConsoleProcess, Scene
from tests.browser.tools import assert_accessible, assert_fits, wait_until_settled
from tests.house import eventually
from tests.listener.daemons import Process


def test_a_reply_arrives_live_one_fails_and_is_mended_and_replayed(
    signed_in: Page, console: ConsoleProcess, scene: Scene, daemon: Process
) -> None:
    page = signed_in
    connection, account = scene.connect("hubspot", sync_settings={"status_values": {"contacted": "IN_CONTACT"}})
    page.goto(f"{console.url}/contacts")
    first = scene.reply("interested", first_name="Grace", last_name="Hopper")
    # nobody reloads the page
    expect(page.get_by_role("link", name="Grace Hopper")).to_be_visible(timeout=30_000)
    eventually(lambda: scene.sandbox.crms["hubspot"].ledger(account)["contacts"], "the contact in the CRM")
    page.goto(f"{console.url}/contacts/{first}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Grace Hopper")
    assert_accessible(page)
    assert_fits(page)

    page.goto(f"{console.url}/failures")
    expect(page.get_by_role("heading", name="a setting leads nowhere")).to_be_visible()
    scene.reply("question", first_name="Edsger", last_name="Dijkstra")
    retry = page.get_by_role("button", name=re.compile("^Retry"))
    expect(retry).to_be_visible(timeout=30_000)
    assert_accessible(page)
    assert_fits(page)
    scene.house.connection.execute(
        "update public.user_integrations set sync_settings = sync_settings || '{\"status_values\": {}}' where id = %s",
        [connection],
    )
    retry.click()
    wait_until_settled(page)
    expect(page.get_by_role("heading", name="Everything arrives")).to_be_visible(timeout=30_000)

    for path in ("dashboard", "activity"):
        page.goto(f"{console.url}/{path}")
        expect(page.get_by_role("heading", level=1)).to_have_text(path.title())
        assert_accessible(page)
        assert_fits(page)
