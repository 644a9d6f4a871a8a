"""The page on which people connect their CRMs, from the first click to the last."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.scene import ConsoleProcess, Scene
from tests.browser.tools import assert_accessible, assert_fits, tab_to, wait_until_settled
from tests.house import eventually
from tests.listener.daemons import Process

CRMS = {"hubspot": ("HubSpot", "Approve"), "salesforce": ("Salesforce", "Allow"), "pipedrive": ("Pipedrive", "Approve")}


def card(page: Page, title: str) -> Locator:
    """A provider's, with its connection if there is one."""
    return page.get_by_role("article", name=title)


@pytest.mark.parametrize("crm", CRMS)
def test_a_crm_is_connected_on_its_own_consent_page(
    signed_in: Page, console: ConsoleProcess, scene: Scene, crm: str
) -> None:
    page, (title, allow) = signed_in, CRMS[crm]
    scene.sandbox.crms[crm].open_account({"name": "Acme, Inc."})
    page.goto(f"{console.url}/integrations")
    expect(card(page, title)).to_contain_text("Not connected")
    if crm == "hubspot":  # they look alike
        assert_accessible(page)
        assert_fits(page)
    connect = card(page, title).get_by_role("button", name=f"Connect {title}")
    tab_to(page, connect)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"An app asks for access to {title}")
    page.get_by_role("button", name=allow).click()
    expect(page.locator("#outcome")).to_contain_text("is connected")
    expect(page).to_have_url(f"{console.url}/integrations")  # it is told once
    expect(card(page, title)).to_contain_text("Connected")
    assert_accessible(page)
    assert_fits(page)
    assert scene.house.rows(
        "select p.name, i.status, i.account_id is not null from public.user_integrations as i "
        "join public.integration_providers as p on p.id = i.provider_id"
    ) == [(crm, "connected", True)]


def test_a_consent_that_is_denied_connects_nothing_and_is_said(
    signed_in: Page, console: ConsoleProcess, scene: Scene
) -> None:
    page = signed_in
    page.goto(f"{console.url}/integrations")
    card(page, "HubSpot").get_by_role("button", name="Connect HubSpot").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("alert")).to_contain_text("Consent was refused")
    expect(page).to_have_url(f"{console.url}/integrations")
    assert_accessible(page)
    assert scene.house.value("select count(*) from public.user_integrations") == 0


def test_a_mapping_is_made_and_followed(
    signed_in: Page, console: ConsoleProcess, scene: Scene, daemon: Process
) -> None:
    page = signed_in
    connection, account = scene.connect("hubspot")
    scene.reply("not_interested")
    eventually(
        lambda: scene.house.value("select count(*) > 0 from crm_sync.crm_fields where integration_id = %s", connection),
        "the account's fields",
    )
    page.goto(f"{console.url}/integrations/{connection}")
    page.get_by_role("button", name="Add a rule for contacts").click()
    rule = page.get_by_role("group", name=re.compile("Rule 1"))
    rule.get_by_label("Ours", exact=True).select_option("intent")
    wait_until_settled(page)
    rule.get_by_label("HubSpot", exact=True).select_option("message")
    wait_until_settled(page)
    page.get_by_role("button", name="Save mappings").click()
    expect(page.get_by_role("status").filter(has_text=re.compile("saved", re.IGNORECASE))).to_be_visible()
    assert_accessible(page)
    assert_fits(page)
    assert scene.house.rows(
        "select r ->> 'from', r ->> 'to' from public.user_integrations as i, "
        "jsonb_array_elements(i.field_mappings -> 'contact') as r"
    ) == [("intent", "message")]
    scene.reply("question")

    def sent() -> list[str]:
        contacts = scene.sandbox.crms["hubspot"].ledger(account)["contacts"]
        return [each["properties"]["message"] for each in contacts if each["properties"].get("message")]

    assert eventually(sent, "the contact") == ["question"]


def test_a_disconnected_crm_is_revoked_and_keeps_its_settings(
    signed_in: Page, console: ConsoleProcess, scene: Scene, daemon: Process
) -> None:
    page = signed_in
    scene.connect("hubspot", sync_settings={"deal_amount": 77})
    page.goto(f"{console.url}/integrations")
    mine = card(page, "HubSpot")
    mine.get_by_text("More", exact=True).click()
    mine.get_by_role("button", name="Disconnect").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Disconnect HubSpot?")
    assert_accessible(page)
    dialog.get_by_role("button", name="Disconnect").click()
    expect(mine).to_contain_text("Disconnected")
    assert scene.house.rows(
        "select status, credentials, sync_settings ->> 'deal_amount' from public.user_integrations"
    ) == [("disconnected", None, "77")]
