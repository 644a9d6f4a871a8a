"""The page that shows what the emulated CRMs contain, as people see it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import Sandbox
from tests.browser.tools import assert_accessible, assert_fits


def test_the_overview_of_filled_crms_is_accessible_and_fits_on_a_phone(page: Page, sandbox: Sandbox) -> None:
    for crm in sandbox.crms.values():
        crm.open_account({"name": "Acme, Inc."})
    page.goto(sandbox.url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("CRM sandbox")
    expect(page.get_by_role("heading", name="Acme, Inc.")).to_have_count(3)
    assert_accessible(page)
    assert_fits(page)


def test_the_overview_shows_a_new_account_by_itself(page: Page, sandbox: Sandbox) -> None:
    page.goto(sandbox.url)
    expect(page.get_by_text("No account is open yet")).to_be_visible()
    sandbox.crms["pipedrive"].open_account({"name": "Globex"})
    expect(page.get_by_role("heading", name="Globex")).to_be_visible()
