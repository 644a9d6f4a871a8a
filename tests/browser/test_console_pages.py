"""Dashboard, Contacts, Activity and Failures in a browser: everybody can use them, and they stay up to date quietly."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from tests.browser.scene import ConsoleProcess, Scene
from tests.browser.tools import Watch, assert_accessible, assert_fits, tab_to
from tests.sql.daemon import Daemon, documents, failed, synced

PAGES = ("dashboard", "contacts", "activity", "failures")


@pytest.fixture
def busy(scene: Scene) -> UUID:
    """Two connections with something of everything; returns a contact that is in the CRM."""
    integration = scene.house.integration(scene.organization, "hubspot", account_name="Acme, Inc.")
    scene.house.integration(scene.organization, "pipedrive", sync_frequency="hourly", name="A rather long name of one")
    contact = scene.reply("x", company="Société Générale des Très Longues Dénominations Internationales S.A.")
    for _ in range(3):
        scene.reply("x", last_name="Hubert-Blaine-Wolfeschlegelsteinhausenbergerdorff")
    daemon = Daemon(scene.house)
    batch = daemon.claim(integration=integration)
    outcomes = [
        synced(document, "4711")
        if UUID(document["contact_id"]) == contact
        else failed(document, "rejected", "no option " + "x" * 120, code=code, field="a_field_" + "y" * 60)
        for document, code in zip(documents(batch), ("INVALID_OPTION", *3 * ["NOBODY_KNOWS_" + "Z" * 40]), strict=True)
    ]
    daemon.finish(batch, outcomes)
    scene.house.value("select crm_sync.take_samples()")
    return contact


def test_empty_pages_say_what_to_do_next_to_everybody(signed_in: Page, console: ConsoleProcess) -> None:
    page = signed_in
    for path in PAGES:
        page.goto(f"{console.url}/{path}")
        expect(page.locator("main").get_by_role("link", name="Connect a CRM")).to_be_visible()
        assert_accessible(page)
        assert_fits(page)


def test_full_pages_are_for_everybody_and_fit_every_screen(
    signed_in: Page, console: ConsoleProcess, scene: Scene, busy: UUID
) -> None:
    page = signed_in
    entry = scene.house.value("select max(id) from public.sync_activity_logs where status = 'success'")
    scene.house.connection.execute("update crm_sync.alert_rules set threshold = 1 where name = 'failures_per_hour'")
    scene.house.value("select crm_sync.check_alerts()")
    page.goto(f"{console.url}/dashboard")
    expect(page.get_by_role("region", name="1 alert")).to_contain_text("failed within an hour")
    for path in (*PAGES, f"contacts/{busy}", f"activity/{entry}", "dashboard?range=30d"):
        page.goto(f"{console.url}/{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert_accessible(page)
        for width in (320, 375, 820, 1280):
            assert_fits(page, width)


def test_an_open_page_is_live_keeps_what_somebody_opened_and_finds_a_lost_console_again(
    signed_in: Page, console: ConsoleProcess, scene: Scene, watch: Watch, busy: UUID
) -> None:
    page = signed_in
    page.goto(f"{console.url}/dashboard")
    expect(page.locator("[data-live]")).to_have_text("Live")
    waiting = page.locator(".tile", has_text="Waiting").locator(".tile-figure")
    before = int(waiting.inner_text())
    table = page.get_by_text("The same as a table")
    tab_to(page, table)
    page.keyboard.press("Enter")
    expect(page.get_by_role("table", name=re.compile("The last 24 hours"))).to_be_visible()
    scene.reply("x")
    expect(waiting).to_have_text(str(before + 2))
    scene.house.connection.execute("update crm_sync.alert_rules set threshold = 1 where name = 'failures_per_hour'")
    scene.house.value("select crm_sync.check_alerts()")
    expect(page.get_by_role("region", name="1 alert")).to_be_visible()
    expect(page.get_by_role("region", name="1 alert").get_by_role("link")).to_contain_text(
        re.compile(r"^\s*\d+ rows of HubSpot")
    )
    expect(page.get_by_role("table", name=re.compile("The last 24 hours"))).to_be_visible()
    watch.forgive("503 (Service Unavailable)")
    page.route("**/events", lambda route: route.fulfill(status=503))
    page.evaluate("() => leave()")
    page.evaluate("() => follow()")
    expect(page.locator("[data-live]")).to_have_text("Reconnecting")
    page.unroute("**/events")
    expect(page.locator("[data-live]")).to_have_text("Live", timeout=30_000)


def test_chosen_contacts_stay_chosen_and_are_synced_by_keyboard_alone(
    signed_in: Page, console: ConsoleProcess, scene: Scene, busy: UUID
) -> None:
    page = signed_in
    page.goto(f"{console.url}/contacts")
    expect(page.locator("[data-live]")).to_have_text("Live")
    sync = page.get_by_role("button", name="Sync now")
    expect(sync).to_be_disabled()
    page.keyboard.press("/")
    page.keyboard.type("grace.1@")
    expect(page.get_by_role("link", name="Grace Hopper 1")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
    tab_to(page, page.get_by_role("checkbox", name="Choose Grace Hopper 1"))
    page.keyboard.press("Space")
    expect(page.get_by_text("1 chosen")).to_be_visible()
    scene.house.connection.execute("update public.user_integrations set account_name = 'Renamed'")
    with page.expect_response(lambda answer: "/contacts" in answer.url):
        pass
    expect(page.get_by_text("1 chosen")).to_be_visible()
    sync.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#notices")).to_contain_text("asked for")
    assert scene.house.value("select count(*) from public.sync_queue where payload ? 'requested_by'") > 0


def test_a_person_is_erased_by_keyboard_alone_and_the_page_follows_what_the_crm_does(
    signed_in: Page, console: ConsoleProcess, scene: Scene, watch: Watch, busy: UUID
) -> None:
    page, other = signed_in, watch.context.new_page()
    watch.forgive("status of 422")
    for each in (page, other):
        each.goto(f"{console.url}/contacts/{busy}")
        expect(each.locator("[data-live]")).to_have_text("Live")
    tab_to(page, page.get_by_role("link", name="Erase this person"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Erase this person")
    tab_to(page, page.get_by_role("checkbox", name="Also delete in the CRM"))
    page.keyboard.press("Space")
    tab_to(page, page.get_by_label("To confirm, type erase"))
    page.keyboard.type("all")
    page.keyboard.press("Enter")
    expect(page.get_by_text("nobody is erased by an accidental click")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Also delete in the CRM")).to_be_checked()
    assert_accessible(page)
    assert_fits(page, 320)
    page.keyboard.press("Control+a")
    page.keyboard.type("erase")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="The person is erased")).to_be_visible()
    assert_accessible(page)
    assert_fits(page, 320)
    # who looked at the person meanwhile sees no name any more
    expect(other.get_by_role("heading", level=1, name="An erased person")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Deleting in HubSpot")).to_contain_text("Asked")
    expect(page.locator("[data-live]")).to_have_text("Live")
    daemon = Daemon(scene.house)
    batch = daemon.claim()
    daemon.finish(batch, [{**synced(batch["erasures"][0]), "external_id": None}])
    expect(page.get_by_role("region", name="Deleting in HubSpot")).to_contain_text("Deleted")
    assert_accessible(page)
    assert_fits(page, 320)
    page.get_by_role("button", name="Lift the erasure").click()
    page.get_by_role("dialog").get_by_role("button", name="Lift it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Grace Hopper 1")
