"""A contact's page: what is held of a person, sending them again, erasing them, and lifting that."""

from __future__ import annotations

import re
from html import unescape
from uuid import uuid4

import pytest

from tests.console.conftest import Member, member_of
from tests.console.people import Scene, notice
from tests.console.visitor import Stage
from tests.house import House
from tests.sql.daemon import Daemon, failed, synced

PART = {"hx-request": "true"}
NAMES = ("Grace", "grace@example.com", "Navy")


def words(page: str) -> str:
    """What a reader of the page reads."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split())


async def test_the_page_says_what_is_held_of_somebody_and_until_when(ada: Member, scene: Scene) -> None:
    page = words((await ada.browser.get(f"/contacts/{scene.grace}")).text)
    assert "What is held here Rows Since At the latest until" in page
    assert re.search(r"Queue What was to be sent .*? 2 HubSpot 2 just now in 13 d", page)
    assert re.search(r"Records The fields .*? 1 HubSpot 1 just now as long as the contact", page)
    assert re.search(r"Log Each time the fields .*? 2 HubSpot 2 just now in 89 d", page)
    assert "Erase this person…" in page


async def test_who_is_of_another_organization_or_of_none_is_the_same_page_that_is_not_there(
    house: House, ada: Member, eve: Member, scene: Scene
) -> None:
    before = house.rows("select * from public.sync_queue order by id")
    for ending in ("", "/erase"):
        foreign, unknown = [await eve.browser.get(f"/contacts/{each}{ending}") for each in (scene.grace, uuid4())]
        assert (foreign.status_code, unknown.status_code) == (404, 404)
        assert "There is no such page." in foreign.text
        assert words(foreign.text) == words(unknown.text)
    done = [
        await eve.browser.post(f"/contacts/{scene.grace}/erase", {"confirm": "erase"}),
        await eve.browser.post(f"/contacts/{scene.grace}/lift-erasure"),
        await eve.browser.act("/sync/contact", {"contact": str(scene.grace)}),
    ]
    assert [answer.status_code for answer in done] == [404, 404, 404]
    assert house.rows("select * from public.sync_queue order by id") == before
    assert house.value("select count(*) from crm_sync.erasures") == 0


async def test_somebody_is_sent_again_in_full_to_one_crm(house: House, ada: Member, scene: Scene) -> None:
    other = house.integration(ada.organization, "pipedrive")
    page = (await ada.browser.get(f"/contacts/{scene.grace}")).text
    assert page.count('action="/sync/contact"') == 2
    form = {"contact": str(scene.grace), "integration": str(other)}
    answer = await ada.browser.act("/sync/contact", form)
    assert notice(answer.headers) == ("ok", "1 sync asked for: the CRM is looked into first.")
    assert house.rows("select integration_id, uncertain from public.sync_queue where completed_at is null") == [
        (other, True)
    ]
    timeline = words((await ada.browser.get(f"/contacts/{scene.grace}")).text)
    assert "The contact waits to be sent · Pipedrive" in timeline
    mute = house.contact(ada.organization, None)
    assert (await ada.browser.act("/sync/contact", {"contact": str(mute)})).status_code == 422
    assert (await ada.browser.act("/sync/contact", {**form, "integration": "x"})).status_code == 400


async def test_the_timeline_is_read_page_by_page(house: House, ada: Member, scene: Scene) -> None:
    house.connection.execute(
        "insert into public.sync_activity_logs "
        "(organization_id, integration_id, activity_type, status, title, contact_id, created_at) "
        "select %s, %s, 'sync_contact', 'success', 'entry ' || n, %s, now() - n * interval '1 minute' "
        "from generate_series(1, 110) as n",
        [ada.organization, scene.integration, scene.grace],
    )
    seen: list[int] = []
    page = f"/contacts/{scene.grace}"
    while page:
        text = (await ada.browser.get(page)).text
        seen += map(int, re.findall(r">entry (\d+)<", text))
        older = re.search(r'href="([^"]*)">Older<', text)
        page = unescape(older[1]) if older else ""
    assert seen == list(range(1, 111))


async def test_nobody_is_erased_without_the_word_that_confirms_it(house: House, ada: Member, scene: Scene) -> None:
    path = f"/contacts/{scene.grace}/erase"
    form = words((await ada.browser.get(path)).text)
    for said in ("Removed here 2 rows of the queue", "HubSpot deletes the contact for good", "What stays", "Grace"):
        assert said in form
    for given, problem in (
        ({}, "Type the word “erase”"),
        ({"confirm": "yes", "reason": "request of 3 May", "in_crm": "on"}, "Type the word “erase”"),
        ({"confirm": "erase", "words": "short\n"}, "a word to look for has at least 6 characters"),
        ({"confirm": "erase", "reason": "x" * 501}, "a reason has up to 500 characters"),
    ):
        answer = await ada.browser.post(path, given)
        assert answer.status_code == 422
        assert problem in words(answer.text)
        assert f'value="{given.get("reason", "")}"' in answer.text, "what somebody has put in stays"
        assert ("checked" in answer.text) == ("in_crm" in given)
    no_token = await ada.browser.http.post(ada.browser.stage.settings.public_url + path, data={"confirm": "erase"})
    assert no_token.status_code == 403
    assert house.value("select count(*) from crm_sync.erasures") == 0


async def test_an_erased_person_is_not_named_and_the_page_tells_how_far_each_crm_is(
    house: House, ada: Member, scene: Scene
) -> None:
    twin = house.contact(ada.organization, "grace@example.com", first_name="Twin")
    house.connection.execute("update public.user_integrations set last_error = 'no: grace@example.com'")
    path = f"/contacts/{scene.grace}"
    done = await ada.browser.post(
        f"{path}/erase", {"confirm": " Erase ", "in_crm": "on", "reason": "request of 3 May", "words": "Rear Admiral"}
    )
    assert done.status_code == 200
    told = words(done.text)
    assert "Records: 1 row" in told
    assert "Words about others: 1 row" in told
    assert "HubSpot: records to be deleted there: queued" in told
    assert "Your application still has the contact." in told
    assert f'<a href="/contacts/{twin}">Twin</a>' in done.text
    open_page = await ada.browser.get(f"{path}?as=known", headers=PART)
    assert (open_page.status_code, open_page.headers["hx-refresh"]) == (204, "true"), "other open pages forget the name"

    def state(page: str) -> str:
        found = re.search(r'aria-label="Deleting in HubSpot">(.*?)</section>', page, re.S)
        assert found is not None
        return words(found[1])

    page = (await ada.browser.get(path)).text
    assert state(page) == "HubSpot Asked Is on its way."
    assert "By you" in words(page)
    assert "request of 3 May" in page
    assert "Words about others: 1 row" in page
    assert not any(name in page for name in NAMES)
    assert "Lift the erasure" in page
    assert "Erased" in words((await ada.browser.get("/contacts?q=grace")).text)
    daemon = Daemon(house)
    batch = daemon.claim(integration=scene.integration)
    refused = failed(batch["erasures"][0], "rejected", "no: grace@example.com", code="ERASURE_FORBIDDEN")
    daemon.finish(batch, [refused])
    after = (await ada.browser.get(path, headers=PART)).text
    assert state(after).startswith("HubSpot Failed Failed: no: g•••@•••.")
    assert "Who must act: " in state(after)
    assert not any(name in after for name in NAMES)
    assert "erasure sync to HubSpot" in words((await ada.browser.get("/failures")).text)
    house.value("select crm_sync.retry_failed(%s)", scene.integration)
    batch = daemon.claim(integration=scene.integration)
    daemon.finish(batch, [{**synced(batch["erasures"][0]), "external_id": None}])
    assert state((await ada.browser.get(path)).text) == "HubSpot Deleted Deleted in the CRM."


async def test_lifting_an_erasure_brings_the_page_back_and_says_so(ada: Member, scene: Scene) -> None:
    path = f"/contacts/{scene.grace}"
    await ada.browser.post(f"{path}/erase", {"confirm": "erase"})
    erased = words((await ada.browser.get(path)).text)
    assert "An erased person" in erased
    assert "No CRM was asked to delete anything." in erased
    answer = await ada.browser.post(f"{path}/lift-erasure")
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    page = words((await ada.browser.get(path)).text)
    assert "Grace" in page
    assert "by you; lifted just now by you." in page
    assert (await ada.browser.post(f"{path}/lift-erasure")).status_code == 422, "there is nothing to lift any more"


async def test_who_was_deleted_by_the_application_is_still_erased_here(
    house: House, ada: Member, eve: Member, scene: Scene
) -> None:
    house.connection.execute("delete from public.contacts where id = %s", [scene.grace])
    path = f"/contacts/{scene.grace}"
    page = (await ada.browser.get(path)).text
    assert "A deleted contact" in page
    assert "Log Each time" in words(page)
    assert "Sync" not in words(page).replace("CRM sync", "")
    assert f'href="{path}">deleted' in (await ada.browser.get("/activity")).text
    assert (await eve.browser.get(path)).status_code == 404
    assert (await ada.browser.post(f"{path}/erase", {"confirm": "erase"})).status_code == 200
    erased = words((await ada.browser.get(path)).text)
    assert "An erased person" in erased
    assert "Lift the erasure" not in erased, "nobody is there who could be sent again"


@pytest.mark.parametrize("kind", ["known", "erased"])
async def test_who_may_not_erase_is_told_who_may(house: House, ada: Member, scene: Scene, kind: str) -> None:
    path = f"/contacts/{scene.grace}"
    if kind == "erased":
        await ada.browser.post(f"{path}/erase", {"confirm": "erase"})
    house.connection.execute(
        "create or replace function crm_sync.caller_may_manage(p_organization_id uuid) returns boolean language sql "
        "stable set search_path = pg_catalog, pg_temp as 'select false'"
    )
    page = (await ada.browser.get(path)).text
    assert "Members of the person’s organization may erase them, and operators" in page
    assert "<form" not in page[page.index("<main") :].split("<dialog")[0]
    assert f"{path}/erase" not in page
    assert "You may not erase this person." in (await ada.browser.get(f"{path}/erase")).text
    assert (await ada.browser.post(f"{path}/erase", {"confirm": "erase"})).status_code == 404


async def test_a_secret_that_a_crm_quotes_is_masked_on_the_page_too(console: Stage, house: House) -> None:
    member = member_of(console, "Quoted")
    scene = Scene(house, member.organization)
    house.connection.execute(
        "update public.sync_activity_logs set description = 'said Bearer abcdefgh12345678' where contact_id = %s",
        [scene.ada],
    )
    house.connection.execute(
        "update public.sync_queue set last_error = 'said Bearer abcdefgh12345678' where contact_id = %s", [scene.ada]
    )
    page = (await member.browser.get(f"/contacts/{scene.ada}")).text
    assert page.lower().count("said ••••••") == 2
    assert "abcdefgh12345678" not in page
