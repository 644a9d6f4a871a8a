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


def test_an_open_page_is_live_and_what_somebody_opened_stays_open(
    signed_in: Page, console: ConsoleProcess, scene: Scene, busy: UUID
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


def test_a_page_that_lost_its_console_says_so_and_finds_it_again(signed_in: Page, watch: Watch, busy: UUID) -> None:
    page = signed_in
    watch.forgive("503 (Service Unavailable)")
    expect(page.locator("[data-live]")).to_have_text("Live")
    page.route("**/events", lambda route: route.fulfill(status=503))
    page.evaluate("() => leave()")
    page.evaluate("() => follow()")
    expect(page.locator("[data-live]")).to_have_text("Reconnecting")
    page.unroute("**/events")
    expect(page.locator("[data-live]")).to_have_text("Live", timeout=30_000)
