"""Connecting a CRM through the console by HTTP, with the sandbox's own consent pages."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.console.conftest import Member, member_of
from tests.console.visitor import Browser, Stage, stage, token_for
from tests.house import House
from tests.listener.browser import consent
from tests.listener.shop import Shop

CONNECT = "/api/integrations/{}/connect"
EACH = 200
CALLBACK = "/api/integrations/{}/callback"
Choices = dict[str, str]


async def leave(member: Member, shop: Shop, **asked: Any) -> str:
    answer = await member.browser.ask(CONNECT.format(shop.crm.name), asked)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["authUrl"])


def agree(shop: Shop, url: str, number: int, **changed: Any) -> Choices:
    where, query = consent(url, shop.kit.choice, number, **changed)
    assert where.endswith(CALLBACK.format(shop.crm.name))
    return query


async def come_back(browser: Browser, provider: str, query: Choices) -> Choices:
    """Where the console sends the browser, by what its address says."""
    answer = await browser.get(CALLBACK.format(provider), params=query)
    assert answer.status_code == 303, answer.text
    parts = urlsplit(answer.headers["location"])
    assert (parts.netloc, parts.path) == ("", "/integrations")
    return {name: values[0] for name, values in parse_qs(parts.query).items()}


def statuses(house: House) -> list[tuple[Any, ...]]:
    return house.rows("select organization_id, name, status from public.user_integrations order by id")


async def test_each_crm_is_connected_through_its_consent_page(each_shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), each_shop.kit.account(each_shop.crm, each_shop.url)
    query = agree(each_shop, await leave(ada, each_shop), account.number)
    outcome = await come_back(ada.browser, each_shop.crm.name, query)
    assert outcome["connected"] == each_shop.crm.name
    assert statuses(console.house) == [(ada.organization, "default", "connected")]
    page = await ada.browser.get(f"/integrations?{httpx.QueryParams(outcome)}")
    assert "is connected" in page.text
    name = console.house.value("select account_name from public.user_integrations")
    assert name is None or name in page.text


async def test_an_application_with_bearer_tokens_connects_without_a_cookie_of_its_own(
    shop: Shop, console: Stage
) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    browser = console.browser()
    answer = await browser.http.post(CONNECT.format("hubspot"), headers=console.bearer(ada.user))
    assert answer.status_code == 200
    query = agree(shop, answer.json()["authUrl"], account.number)
    assert (await come_back(browser, "hubspot", query))["connected"] == "hubspot"
    assert statuses(console.house) == [(ada.organization, "default", "connected")]


async def test_who_has_left_the_organization_meanwhile_connects_nothing(shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    console.house.connection.execute("delete from public.users where id = %s", [ada.user])
    assert (await come_back(ada.browser, "hubspot", query))["error"] == "invalid_state"
    assert statuses(console.house) == []


async def test_somebody_else_who_has_signed_in_meanwhile_at_the_same_browser_connects_nothing(
    shop: Shop, console: Stage
) -> None:
    ada, eve, account = member_of(console), member_of(console, "Evil"), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    ada.browser.http.cookies.set(console.settings.jwt_cookie, token_for(eve.user))
    assert (await come_back(ada.browser, "hubspot", query))["error"] == "invalid_state"
    assert statuses(console.house) == []


async def test_a_forged_name_of_who_left_is_nobody(shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    ada.browser.http.cookies.delete(console.settings.jwt_cookie)
    ada.browser.http.cookies.delete("crm_sync_left")
    ada.browser.http.cookies.set("crm_sync_left", f"{ada.user}.{'0' * 64}")
    assert (await come_back(ada.browser, "hubspot", query))["error"] == "invalid_state"


@pytest.mark.parametrize(
    "tossed",
    ["a=b {}", "a=b\t{}", 'a="b" {}', "a=b\x0b{}", "a=b,{}", "\xa0{}", "\x85{}", "\x1f{}", "{twice}"],
    ids=ascii,
)
async def test_cookies_that_a_subdomain_can_set_are_no_session_of_ours(
    house: House, database: str, shop: Shop, tossed: str
) -> None:
    """Else an attacker who has left for a CRM could have a victim consent and come back in the attacker's name."""
    async with stage(house, database, public_url="https://crm.example.com") as console:
        eve, account = member_of(console, "Evil"), shop.kit.account(shop.crm, shop.url)
        answer = await eve.browser.http.post(CONNECT.format("hubspot"), headers=console.bearer(eve.user))
        query = agree(shop, answer.json()["authUrl"], account.number)
        eves = [
            f"{name}={eve.browser.http.cookies[f'__Host-{name}']}" for name in ("crm_sync_session", "crm_sync_left")
        ]
        own = "; ".join(f"__Host-crm_sync_{name}=own" for name in ("session", "left"))
        if tossed == "{twice}":
            header = own + "; " + "; ".join(f"__Host-{each}" for each in eves)
        else:
            header = "; ".join(tossed.format(f"__Host-{each}") for each in eves)
        header += f"; {console.settings.jwt_cookie}={token_for(eve.user)}"
        came = await console.browser().get(
            CALLBACK.format("hubspot"), params=query, headers={"cookie": header.encode("latin-1")}
        )
        assert "error=invalid_state" in came.headers["location"]
        assert statuses(house) == []


async def test_who_has_signed_out_meanwhile_connects_nothing(shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    await ada.browser.post("/sign-out")
    ada.browser.http.cookies.delete(console.settings.jwt_cookie)
    assert (await come_back(ada.browser, "hubspot", query))["error"] == "invalid_state"
    assert statuses(console.house) == []


async def test_a_name_of_several_lines_is_refused(ada: Member) -> None:
    answer = await ada.browser.act("/integrations/connect", {"provider": "hubspot", "name": "a\nb\x1b[31m"})
    assert answer.status_code == 422
    assert "one line" in answer.text


async def test_a_code_that_came_back_to_another_browser_connects_nothing(shop: Shop, console: Stage) -> None:
    """An attacker's consent, given to a victim as a link: the victim's data must not go to the attacker's CRM."""
    eve, ada, account = member_of(console, "Evil"), member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(eve, shop), account.number)
    await ada.browser.get("/integrations")
    assert (await come_back(ada.browser, "hubspot", query))["error"] == "invalid_state"
    assert (await come_back(eve.browser, "hubspot", query))["error"] == "invalid_state"  # and it is used up
    assert statuses(console.house) == []


async def test_twenty_callbacks_with_one_state_connect_once(shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    outcomes = await asyncio.gather(*(come_back(ada.browser, "hubspot", query) for _ in range(20)))
    assert sorted(outcome.get("error", "connected") for outcome in outcomes) == ["connected"] + ["invalid_state"] * 19
    assert len(statuses(console.house)) == 1


async def test_refused_consent_says_so_and_uses_the_state_up(each_shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), each_shop.kit.account(each_shop.crm, each_shop.url)
    query = agree(each_shop, await leave(ada, each_shop), account.number, decision="deny")
    outcome = await come_back(ada.browser, each_shop.crm.name, query)
    assert outcome["error"] == "access_denied"
    assert "refused" in outcome["message"]
    again = await come_back(ada.browser, each_shop.crm.name, {"state": query["state"], "code": "x"})
    assert again["error"] == "invalid_state"


@pytest.mark.parametrize("missing", ["code", "state"])
async def test_a_callback_without_a_code_or_a_state_says_so(shop: Shop, console: Stage, missing: str) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    del query[missing]
    assert (await come_back(ada.browser, "hubspot", query))["error"] == "missing_parameters"
    assert statuses(console.house) == []


async def test_a_code_given_twice_is_none(shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    answer = await ada.browser.get(
        CALLBACK.format("hubspot"), params=[("state", query["state"]), ("code", query["code"]), ("code", "other")]
    )
    assert "error=missing_parameters" in answer.headers["location"]


async def test_a_wrong_code_is_a_failed_connection_in_the_crms_words(shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    outcome = await come_back(ada.browser, "hubspot", {**query, "code": "no-such-code"})
    assert outcome["error"] == "connection_failed"
    page = await ada.browser.get(f"/integrations?{httpx.QueryParams(outcome)}")
    assert "does not give tokens" in page.text


async def test_an_expired_state_says_so(shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    console.house.connection.execute("update crm_sync.authorizations set expires_at = now() - interval '1 second'")
    assert (await come_back(ada.browser, "hubspot", query))["error"] == "expired"


async def test_a_head_request_does_not_use_a_state_up(shop: Shop, console: Stage) -> None:
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    query = agree(shop, await leave(ada, shop), account.number)
    assert (await ada.browser.http.head(CALLBACK.format("hubspot"), params=query)).status_code == 405
    assert (await come_back(ada.browser, "hubspot", query))["connected"] == "hubspot"


async def test_a_thousand_states_of_every_wrong_kind_connect_nothing(
    open_shop: Callable[[str], Shop], console: Stage
) -> None:
    """Forged, replayed, expired, of another session, of another CRM: through the route, from many addresses."""
    shop, _other = open_shop("hubspot"), open_shop("pipedrive")
    ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
    user, organization = ada.user, ada.organization

    def states(count: int, session: str, expires: str = "10 minutes", used: bool = False) -> list[str]:
        """As `begin_authorization` would have left them; so many departures would only test the rate limit."""
        made = [secrets.token_urlsafe(16) for _ in range(count)]
        console.house.connection.execute(
            "insert into crm_sync.authorizations (organization_id, state_hash, session_hash, provider_id, user_id, "
            "name, sealed_verifier, redirect_uri, expires_at, used_at) select %s, sha256(convert_to(s, 'UTF8')), "
            "sha256(convert_to(%s, 'UTF8')), p.id, %s, 'default', '\\x00', 'http://127.0.0.1/x', "
            "now() + %s::interval, case when %s then now() end "
            "from unnest(%s::text[]) as s, public.integration_providers as p where p.name = 'hubspot'",
            [organization, session, str(user), expires, used, made],
        )
        return made

    await ada.browser.get("/integrations")
    session = ada.browser.session
    assert session is not None
    kinds = {
        "forged": (["x" * 10 + str(number) for number in range(EACH)], "hubspot", "invalid_state"),
        "replayed": (states(EACH, session, used=True), "hubspot", "invalid_state"),
        "expired": (states(EACH, session, expires="-1 second"), "hubspot", "expired"),
        "other session": (states(EACH, "another-browser"), "hubspot", "invalid_state"),
        "other provider": (states(EACH, session), "pipedrive", "invalid_state"),
    }
    calls = shop.crm.calls()
    visitors = [Browser(console, token_for(user)) for _ in range(34)]
    for visitor in visitors:
        visitor.http.cookies.set("crm_sync_session", session)
    given = itertools.cycle(visitors)
    for kind, (made, provider, code) in kinds.items():
        assert len(made) == EACH
        for some in range(0, EACH, 20):
            outcomes = await asyncio.gather(
                *(
                    come_back(next(given), provider, {"state": each, "code": "a-code"})
                    for each in made[some : some + 20]
                )
            )
            assert {outcome["error"] for outcome in outcomes} == {code}, kind
    assert statuses(console.house) == []
    assert shop.crm.calls() == calls
    assert console.house.value("select count(*) from crm_sync.authorizations where used_at is null") == 0
    del account


async def test_reconnecting_with_another_account_asks_and_both_answers_work(shop: Shop, console: Stage) -> None:
    ada = member_of(console)
    first, second = (shop.kit.account(shop.crm, shop.url) for _ in range(2))
    for account in (first, second):
        outcome = await come_back(ada.browser, "hubspot", agree(shop, await leave(ada, shop), account.number))
    page = (await ada.browser.get(f"/integrations?{httpx.QueryParams(outcome)}")).text
    assert "another account than before" in page
    assert "Forget the ids" in page
    number = outcome["integration"]
    answer = await ada.browser.act(f"/integrations/{number}/adopt", {"ids": "perhaps"})
    assert '"bad"' in answer.headers["hx-trigger"]
    answer = await ada.browser.act(f"/integrations/{number}/adopt", {"ids": "forget"})
    assert '"ok"' in answer.headers["hx-trigger"]
    assert console.house.value("select account_id from public.user_integrations") == str(second.number)


async def test_a_crm_without_a_client_id_is_not_begun(console: Stage, ada: Member) -> None:
    console.settings.common.apps.pop("pipedrive", None)
    answer = await ada.browser.ask(CONNECT.format("pipedrive"))
    assert (answer.status_code, answer.json()["error"]) == (409, "not_configured")
    assert "PIPEDRIVE_CLIENT_ID" in (await ada.browser.get("/integrations")).text


@pytest.mark.parametrize("provider", ["nobody", "hubspot%00", "%2e%2e", "hubspot'--"])
async def test_an_unknown_crm_is_not_begun(ada: Member, provider: str) -> None:
    answer = await ada.browser.ask(CONNECT.format(provider))
    assert answer.status_code == 404, answer.text


async def test_a_switched_off_crm_is_not_begun(console: Stage, ada: Member) -> None:
    console.house.connection.execute("update public.integration_providers set is_active = false")
    assert (await ada.browser.ask(CONNECT.format("hubspot"))).json()["error"] == "unknown_provider"
    assert "nothing to connect" in (await ada.browser.get("/integrations")).text


async def test_another_organization_cannot_be_connected(ada: Member, eve: Member, shop: Shop) -> None:
    answer = await eve.browser.ask(CONNECT.format("hubspot"), {"organization": str(ada.organization)})
    assert (answer.status_code, answer.json()["error"]) == (404, "not_allowed")


@pytest.mark.parametrize(
    "body",
    [
        [1],
        "text",
        {"name": ""},
        {"name": "x" * 201},
        {"name": "a\nb"},
        {"organization": "x"},
        {"extra": 1},
        {"name": 7},
    ],
)
async def test_a_body_that_makes_no_sense_is_refused_in_words(ada: Member, body: Any) -> None:
    answer = await ada.browser.ask(CONNECT.format("hubspot"), body)
    assert (answer.status_code, answer.json()["error"]) == (422, "refused"), answer.text


async def test_a_login_host_that_is_not_salesforces_is_refused(ada: Member) -> None:
    for host in (
        "evil.example",
        "salesforce.com.evil.example",
        "https://user@login.salesforce.com",
        "http://x.salesforce.com",
    ):
        answer = await ada.browser.ask(CONNECT.format("salesforce"), {"login_host": host})
        assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request"), host
    sandbox = await ada.browser.ask(CONNECT.format("salesforce"), {"login_host": "test.salesforce.com"})
    assert sandbox.json()["authUrl"].startswith("https://test.salesforce.com/")


async def test_the_page_sends_the_browser_to_the_crm(ada: Member, shop: Shop) -> None:
    by_script = await ada.browser.act("/integrations/connect", {"provider": "hubspot"})
    assert by_script.status_code == 204
    assert by_script.headers["hx-redirect"].startswith(shop.url)
    by_form = await ada.browser.post("/integrations/connect", {"provider": "hubspot"})
    assert 'class="button primary" href="http://127.0.0.1' in by_form.text


async def test_words_in_our_address_that_we_did_not_write_are_not_shown(ada: Member) -> None:
    for query in (
        {"error": "connection_failed", "message": "Call 0900-CANARY", "proof": "0" * 64},
        {"error": "connection_failed", "message": "Call 0900-CANARY"},
        {"error": "CANARY", "message": "CANARY"},
        {"connected": "CANARY<script>"},
        {"connected": "hubspot", "integration": "1"},
    ):
        page = await ada.browser.get("/integrations", params=query)
        assert "CANARY" not in page.text, query
        assert "is connected" not in page.text


async def test_a_return_url_gets_the_outcome(house: House, database: str, shop: Shop) -> None:
    async with stage(house, database, return_url="https://app.example.com/crm?tab=1") as console:
        ada, account = member_of(console), shop.kit.account(shop.crm, shop.url)
        query = agree(shop, await leave(ada, shop), account.number, decision="deny")
        answer = await ada.browser.get(CALLBACK.format("hubspot"), params=query)
        assert answer.headers["location"].startswith("https://app.example.com/crm?tab=1&error=access_denied&")
        assert "proof" not in answer.headers["location"]
