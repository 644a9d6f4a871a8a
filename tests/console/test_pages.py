"""Dashboard, Contacts, Activity and Failures: who sees what, what they say, and that no input breaks them."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from html import unescape
from uuid import uuid4

import pytest

from tests.console.conftest import Member, member_of
from tests.console.people import Scene, notice
from tests.console.visitor import Stage
from tests.house import House
from tests.sql.daemon import Daemon

PAGES = ("/dashboard", "/contacts", "/activity", "/failures")
CANARY = "<img src=x onerror=alert(1)>\"'&{{7*7}}"
PART = {"hx-request": "true"}


async def test_a_code_that_nobody_knows_is_marked(ada: Member, scene: Scene) -> None:
    scene.house.connection.execute(
        'update public.sync_queue set failure = failure || \'{"code": "NEVER_SEEN"}\' where failure is not null'
    )
    page = (await ada.browser.get("/failures")).text
    assert "Unknown code" in page
    assert "This version does not know the code NEVER_SEEN; it is treated as rejected" in page


async def test_a_newcomer_is_told_on_each_page_what_to_do_next(ada: Member) -> None:
    for page in PAGES:
        answer = await ada.browser.get(page)
        assert answer.status_code == 200, page
        assert 'class="empty"' in answer.text, page
        assert 'href="/integrations">Connect a CRM' in answer.text, page


async def test_a_user_of_no_organization_sees_empty_pages(console: Stage) -> None:
    browser = console.browser(uuid4())
    for page in PAGES:
        assert (await browser.get(page)).status_code == 200, page


async def test_the_pages_tell_how_it_goes(ada: Member, scene: Scene) -> None:
    dashboard = (await ada.browser.get("/dashboard")).text
    assert "HubSpot" in dashboard
    assert "No daemon is running." in dashboard
    assert re.search(r'tile bad".*?tile-figure">1<', dashboard, re.S)
    contacts = (await ada.browser.get("/contacts")).text
    assert "Ada Lovelace" in contacts
    assert "HubSpot: failed" in contacts
    assert "HubSpot: synced" in contacts
    contact = (await ada.browser.get(f"/contacts/{scene.grace}")).text
    assert "4711" in contact
    assert "Contact created" in contact
    assert "Reply received" in contact
    failures = (await ada.browser.get("/failures")).text
    assert "INVALID_OPTION" in failures
    assert f'href="/integrations/{scene.integration}#mappings"' in failures
    assert "crm_sync." not in failures, "people with buttons are not told to write SQL"
    assert "whoever connected the CRM" in failures, "who must act"
    assert "Unknown code" not in failures
    activity = (await ada.browser.get("/activity")).text
    assert "Contact failed" in activity
    assert "Contact created" in activity


async def the_console_has_looked(house: House) -> None:
    """It does so when it starts, and half a minute later again."""
    async with asyncio.timeout(30):
        while not house.value("select checked_at > '-infinity' from crm_sync.alert_checks"):
            await asyncio.sleep(0.02)


async def test_the_dashboard_shows_what_alarms_the_organization_and_what_to_do(
    house: House, ada: Member, eve: Member, scene: Scene
) -> None:
    await the_console_has_looked(house)
    house.integration(eve.organization)
    assert "alerts-title" not in (await ada.browser.get("/dashboard")).text
    house.connection.execute("update crm_sync.alert_rules set threshold = 1 where name = 'failures_per_hour'")
    house.value("select crm_sync.check_alerts()")
    dashboard = (await ada.browser.get("/dashboard", headers=PART)).text
    assert f"1 row of HubSpot (connection {scene.integration}) failed within an hour" in dashboard
    assert "See what fails, correct it and try it again." in dashboard
    assert "crm_sync." not in dashboard
    assert "failed within an hour" not in (await eve.browser.get("/dashboard")).text
    house.value("select crm_sync.acknowledge(id) from crm_sync.alerts where condition = 'failures_per_hour'")
    assert "somebody takes care of it" in (await ada.browser.get("/dashboard")).text
    own = "insert into crm_sync.alert_rules (organization_id, name, condition, threshold, severity, remedy) values "
    house.connection.execute(
        own + "(%s, 'failures_per_hour', 'failures_per_hour', 1, 'critical', %s)", [ada.organization, "Ask " + CANARY]
    )
    house.value("select crm_sync.check_alerts()")
    told = (await ada.browser.get("/dashboard")).text
    assert CANARY not in told
    assert "Ask " + CANARY in unescape(told)


async def test_a_console_notices_that_no_daemon_is_alive(house: House, ada: Member, scene: Scene) -> None:
    assert scene.integration
    await the_console_has_looked(house)
    house.value("select crm_sync.check_alerts()")
    assert house.rows("select rule from crm_sync.alert_suspects") == [("no_worker_alive",)]
    house.connection.execute("update crm_sync.alert_suspects set since = since - interval '2 minutes'")
    with house.as_role("crm_sync_console"):
        assert house.value("select crm_sync.check_alerts()") == 1
    assert house.rows("select rule from crm_sync.alerts") == [("no_worker_alive",)]


async def test_what_is_loaded_again_is_the_part_and_not_the_page(ada: Member, scene: Scene) -> None:
    for page in (*PAGES, f"/contacts/{scene.ada}"):
        part = (await ada.browser.get(page, headers=PART)).text
        assert part.strip(), page
        assert "<html" not in part, page


async def test_another_organization_sees_and_changes_nothing_of_it(house: House, eve: Member, scene: Scene) -> None:
    for page in (*PAGES, "/contacts?q=ada", f"/activity?integration={scene.integration}", "/activity.csv"):
        text = (await eve.browser.get(page)).text
        for secret in ("lovelace@example.com", "Lovelace", "4711", "INVALID_OPTION", str(scene.ada)):
            assert secret not in text, (page, secret)
    hidden = [f"/contacts/{scene.ada}", f"/activity/{scene.entry('error')}", f"/activity/{scene.entry('success')}"]
    for page in hidden:
        answer, unknown = await eve.browser.get(page), await eve.browser.get(re.sub(r"[^/]+$", "999999", page))
        assert answer.status_code == unknown.status_code == 404, page
    before = house.rows("select * from public.sync_queue order by id")
    cause = {
        "integration": str(scene.integration),
        "kind": "rejected",
        "queue_type": "contact_sync",
        "code": "INVALID_OPTION",
        "field": "tier",
    }
    assert (await eve.browser.act("/sync/cause", cause)).status_code == 404
    assert (await eve.browser.act(f"/sync/integration/{scene.integration}")).status_code == 404
    organization = house.value("select organization_id from public.contacts where id = %s", scene.ada)
    assert (await eve.browser.act("/sync/contacts", {"contact": f"{organization}:{scene.ada}"})).status_code == 404
    own = await eve.browser.act("/sync/contacts", {"contact": f"{eve.organization}:{scene.ada}"})
    assert notice(own.headers)[0] == "warn"
    assert house.rows("select * from public.sync_queue order by id") == before


@pytest.mark.parametrize(
    "given",
    [
        "0",
        "-1",
        "1.5",
        "99999999999999999999999",
        "²",
        "1' or '1'='1",
        "\x00",
        "NaN",
        "../../etc/passwd",
        "%",
        "é" * 500,
    ],
)
async def test_what_makes_no_sense_is_an_empty_answer_and_no_fault(ada: Member, scene: Scene, given: str) -> None:
    assert scene
    for name in ("range", "integration", "state", "q", "status", "type", "contact", "before"):
        for page in (*PAGES, "/activity.csv"):
            answer = await ada.browser.get(page, params={name: given})
            assert answer.status_code == 200, (page, name)
    for value in (f"2026-01-01_{given}", f"{given}_1", "2026-01-01T00:00:00+00:00_9223372036854775808"):
        assert (await ada.browser.get("/activity", params={"before": value})).status_code == 200
    form = {"integration": given, "kind": given, "queue_type": given, "contact": f"{given}:{given}"}
    for path in ("/sync/cause", "/sync/contacts"):
        answer = await ada.browser.act(path, form)
        assert answer.status_code in (204, 400, 404), path
    if given.isascii() and given.isprintable() and "/" not in given and "%" not in given:
        for path in (f"/contacts/{given}", f"/activity/{given}"):
            assert (await ada.browser.get(path)).status_code == 404, path


async def test_what_a_person_or_a_crm_wrote_is_text_on_every_page(house: House, ada: Member, scene: Scene) -> None:
    contact = house.contact(
        ada.organization, "eve@example.com", first_name=CANARY, last_name=CANARY, company=CANARY, phone=CANARY
    )
    house.classify(house.message(ada.organization, contact, CANARY, CANARY), CANARY)
    daemon = Daemon(house)
    batch = daemon.claim(integration=scene.integration)
    daemon.fail(batch, "rejected", CANARY, code=CANARY, field=CANARY)
    house.connection.execute("update public.user_integrations set account_name = %s, last_error = %s", [CANARY, CANARY])
    house.connection.execute(
        "update public.sync_activity_logs set title = %(c)s, description = %(c)s, external_id = %(c)s, "
        "request_data = jsonb_build_object(%(c)s::text, %(c)s::text), "
        "response_data = jsonb_build_object('id', %(c)s::text)",
        {"c": CANARY},
    )
    pages = [*PAGES, f"/contacts/{contact}", "/contacts?q=" + "onerror", "/activity?range=90d"]
    number = scene.entry("error")
    for page in (*pages, f"/activity/{number}", f"/activity/{number}?personal=shown"):
        text = (await ada.browser.get(page)).text
        assert "<img" not in text.replace('<img src="/static/icon.svg"', ""), page
        assert "49" not in re.findall(r"&amp;(\d+)", text), page
    assert "&lt;img" in (await ada.browser.get(f"/contacts/{contact}")).text
    search = (await ada.browser.get("/contacts", params={"q": CANARY})).text
    assert "<img" not in search.replace('<img src="/static/icon.svg"', "")


async def test_chosen_contacts_are_synced_now_and_the_notice_says_which_were_not(
    house: House, ada: Member, scene: Scene
) -> None:
    mute = house.contact(ada.organization, None)
    chosen = [f"{ada.organization}:{contact}" for contact in (scene.grace, mute)]
    answer = await ada.browser.act("/sync/contacts", {"contact": chosen})
    assert answer.status_code == 204
    assert notice(answer.headers) == ("ok", "1 sync asked for. 1 not: the contact has no e-mail address.")
    assert house.value("select count(*) from public.sync_queue where payload ? 'requested_by'") == 1
    nothing = await ada.browser.act("/sync/contacts")
    assert notice(nothing.headers) == ("warn", "Choose a contact first.")


async def test_without_a_script_a_form_leads_back_to_its_page_and_nowhere_else(ada: Member, scene: Scene) -> None:
    for back, there in (("/failures", "/failures"), ("//evil.example", "/dashboard"), (f"/contacts/{scene.ada}",) * 2):
        answer = await ada.browser.post(f"/sync/integration/{scene.integration}", {"back": back})
        assert (answer.status_code, answer.headers["location"]) == (303, there)


async def test_retrying_a_group_puts_back_the_rows_that_it_counted(house: House, ada: Member, scene: Scene) -> None:
    page = (await ada.browser.get("/failures")).text
    form = page[page.index('action="/sync/cause"') :]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[: form.index("</form>")]))
    answer = await ada.browser.act("/sync/cause", {name: unescape(value) for name, value in fields.items()})
    assert notice(answer.headers) == ("ok", "1 sync on the way again.")
    assert house.value("select status from public.sync_queue where contact_id = %s", scene.ada) == "retry"
    assert "Everything arrives" not in (await ada.browser.get("/failures")).text, "it is still trying"
    batch = Daemon(house).claim(integration=scene.integration)
    Daemon(house).confirm(batch)
    assert "Everything arrives" in (await ada.browser.get("/failures", headers=PART)).text


async def test_personal_data_of_the_log_is_masked_until_somebody_asks_for_it(ada: Member, scene: Scene) -> None:
    sent, refused = f"/activity/{scene.entry('success')}", f"/activity/{scene.entry('error')}"
    masked, shown = (await ada.browser.get(sent)).text, (await ada.browser.get(sent + "?personal=shown")).text
    assert "OPEN" in masked
    assert "4711" in masked
    assert "grace@example.com" not in masked
    assert "&#34;Grace&#34;" not in masked
    assert "grace@example.com" in shown
    assert "&#34;Grace&#34;" in shown
    assert "lovelace@example.com" not in (await ada.browser.get(refused)).text
    assert "lovelace@example.com" in (await ada.browser.get(refused + "?personal=shown")).text
    for page in ("/activity", "/activity.csv"):
        assert "lovelace@example.com" not in (await ada.browser.get(page)).text, page


async def test_secrets_that_a_crm_quotes_are_never_shown(house: House, ada: Member, scene: Scene) -> None:
    house.connection.execute(
        "update public.sync_activity_logs set response_data = %s",
        [json.dumps({"access_token": "hunter2", "note": "Bearer abcdefgh12345678", "nested": [{"apiKey": "hunter2"}]})],
    )
    text = (await ada.browser.get(f"/activity/{scene.entry('error')}?personal=shown")).text
    assert "hunter2" not in text
    assert "abcdefgh12345678" not in text


async def test_the_export_makes_no_formulas_and_follows_the_filters(house: House, ada: Member, scene: Scene) -> None:
    house.connection.execute("update public.sync_activity_logs set title = '=1+1' where status = 'error'")
    answer = await ada.browser.get("/activity.csv", params={"status": "error"})
    assert answer.headers["content-type"].startswith("text/csv")
    head, *rows = list(csv.reader(io.StringIO(answer.text)))
    assert [row[head.index("title")] for row in rows] == ["'=1+1"]
    assert rows[0][head.index("contact_id")] == str(scene.ada)


async def test_the_log_is_read_page_by_page_without_a_gap_or_a_repetition(
    house: House, ada: Member, scene: Scene
) -> None:
    house.connection.execute("delete from public.sync_activity_logs")
    house.connection.execute(
        "insert into public.sync_activity_logs "
        "(organization_id, integration_id, activity_type, status, title, created_at) "
        # many in one moment: the id decides then
        "select %s, %s, 'sync_contact', 'success', 'entry ' || n, now() - (n / 60) * interval '1 minute' "
        "from generate_series(0, 129) as n",
        [ada.organization, scene.integration],
    )
    seen: list[str] = []
    page = "/activity?range=24h"
    while page:
        text = (await ada.browser.get(page)).text
        seen += re.findall(r">(entry \d+)<", text)
        older = re.search(r'href="([^"]*)">Older entries', text)
        page = unescape(older[1]) if older else ""
    assert len(seen) == len(set(seen)) == 130


async def test_the_search_says_when_it_took_too_long(
    ada: Member, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert scene
    monkeypatch.setattr("console.queries_contacts.SEARCH_MILLISECONDS", 1)
    monkeypatch.setattr(
        "console.queries_contacts.FIND", "select c.* from pg_sleep(2), crm_sync.find_contacts($1, $2, $3, $4) as c"
    )
    answer = await ada.browser.get("/contacts?q=ada")
    assert answer.status_code == 200
    assert "That took too long" in answer.text


async def test_the_chart_shows_what_was_synced_when(console: Stage, house: House, ada: Member, scene: Scene) -> None:
    house.connection.execute("delete from crm_sync.samples")
    house.connection.execute("update public.user_integrations set created_at = now() - interval '5 days'")
    house.connection.execute("update crm_sync.lanes set synced = 40")
    for ago, count in (("3 days", 10), ("2 hours", 17), ("50 minutes", 30)):
        house.connection.execute(
            "insert into crm_sync.samples values (%s, %s, now() - %s::interval, %s, 3, 1, null)",
            [ada.organization, scene.integration, ago, count],
        )
    # of the three days before: 10 were there to begin with; 7 and 13 by the samples, 10 since the last one
    day = (await ada.browser.get("/dashboard?range=24h")).text
    assert 'tile-figure">30<' in day
    figures = re.findall(r"<title>[^<]*: ([\d,]+) synced, ([\d,]+) waiting, ([\d,]+) failed</title>", day)
    drawn = figures[: len(figures) // 2]
    assert len(drawn) == 48
    assert sorted(int(each[0]) for each in drawn if each[0] != "0") == [7, 10, 13]
    stranger = member_of(console, "Other")
    house.integration(stranger.organization)
    assert 'tile-figure">0<' in (await stranger.browser.get(f"/dashboard?integration={scene.integration}")).text


async def test_the_log_of_a_connection_names_its_accounts_and_says_you_of_who_looks(ada: Member, scene: Scene) -> None:
    scene.house.connection.execute(
        "insert into public.sync_activity_logs "
        "(organization_id, integration_id, activity_type, status, title, description) "
        "values (%s, %s, 'connection', 'info', 'Connected again', %s)",
        [ada.organization, scene.integration, f"Connected again by {ada.user}, to HubSpot account (42000001)"],
    )
    page = (await ada.browser.get("/activity")).text
    assert "Connected again by you, to HubSpot account (42000001)" in page
