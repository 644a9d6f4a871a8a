"""The page that shows what the emulated CRMs contain, as people see it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from sandbox.app import create_app
from sandbox.server import serve
from tests.browser.scene import Sandbox
from tests.browser.tools import assert_accessible, assert_fits, tab_to
from tests.sandbox.demo_ledgers import LEDGERS
from tests.sandbox.test_overview import Still

EFFECT = {
    "at": "2026-11-22T10:00:00Z",
    "effect": "created",
    "object_type": "contacts",
    "id": "1",
    "properties": {"email": "ada@example.com", "company": "Acme GmbH", "notes": "word " * 60},
}


def test_the_overview_of_filled_crms_is_for_everybody(page: Page) -> None:
    crms = [Still(name, ledger(), effects=[EFFECT] * 30) for name, ledger in LEDGERS.items()]
    with serve(create_app(*crms)) as server:
        page.goto(server.url)
        expect(page.get_by_role("heading", level=1)).to_contain_text("CRM sandbox")
        expect(page.get_by_role("heading", name="<i>account</i>")).to_have_count(3)
        assert_accessible(page)
        assert_fits(page)
        tab_to(page, page.locator("summary", has_text="Recent effects").last)
        # the page shows the newest state every two seconds, and leaves the reader where they were
        page.evaluate("() => document.querySelector('main').classList.add('old')")
        expect(page.locator("main.old")).to_have_count(0)
        expect(page.locator("summary", has_text="Recent effects").last).to_be_focused()
        page.goto(f"{server.url}/hubspot/contacts/0/record/0-1/1")
        expect(page.get_by_role("heading", level=1)).to_have_text("ada@example.com")
        assert_accessible(page)
        assert_fits(page)
        page.goto("about:blank")  # it asks no more when the server is gone


def test_the_overview_shows_a_new_account_by_itself(page: Page, sandbox: Sandbox) -> None:
    page.goto(sandbox.url)
    expect(page.get_by_text("No account is open yet")).to_be_visible()
    sandbox.crms["pipedrive"].open_account({"name": "Globex"})
    expect(page.get_by_role("heading", name="Globex")).to_be_visible()
