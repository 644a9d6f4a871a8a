"""How Pipedrive's client speaks: its host, its token, its costs, and what it makes of odd answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from providers.account import AccountFacts
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.errors import ProviderError, Unauthorized, Unexpected
from providers.models import Batch
from providers.pipedrive import Client
from providers.pipedrive_schema import PERSON, Schema
from providers.pipedrive_wire import Wire
from providers.report import Report
from tests.providers.contract import ORGANIZATION, Budget

CONFIG = ProviderConfig(
    api_base_url="https://api.pipedrive.com",
    api_version="v2",
    auth_url="https://oauth.pipedrive.com/oauth/authorize",
    token_url="https://oauth.pipedrive.com/oauth/token",
    api_hosts=("*.pipedrive.com",),
)
PERSONAL = "0123456789abcdef" * 2 + "01234567"
KEY = "ab" * 20


class Fixed:
    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    async def current(self) -> Credentials:
        return self._credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        raise Unauthorized("no more tokens", provider="pipedrive")


def oauth_token(**more: Any) -> Credentials:
    return Credentials(access_token=SecretStr("v1:AQ"), refresh_token=SecretStr("1:2"), **more)


def client_of(
    answer: Callable[[httpx.Request], httpx.Response], credentials: Credentials
) -> tuple[Client, Budget, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(request)

    budget = Budget()
    http = httpx.AsyncClient(transport=httpx.MockTransport(handle))
    return Client(CONFIG, Fixed(credentials), budget, http), budget, seen


def wire_of(client: Client) -> Wire:
    batch = Batch(
        id=1,
        organization_id=ORGANIZATION,
        integration_id=1,
        provider="pipedrive",
        config=CONFIG,
        credentials_version=1,
        schema_ready=True,
    )
    return Wire(client.call, Report(batch), Schema(client.call))


def fields(request: httpx.Request) -> httpx.Response:
    data = [
        {"field_code": "name", "field_name": "Name", "field_type": "varchar"},
        {"field_code": KEY, "field_name": "CRM sync key", "field_type": "varchar", "is_custom_field": True},
    ]
    return httpx.Response(200, json={"success": True, "data": data, "additional_data": {"next_cursor": None}})


async def test_calls_go_to_the_companys_own_domain_with_a_bearer_token() -> None:
    client, budget, seen = client_of(fields, oauth_token(api_domain="https://acme.pipedrive.com"))
    facts = await client.ensure_schema()
    assert facts == {"person_key": KEY, "organization_key": KEY, "deal_key": KEY}
    assert {request.url.host for request in seen} == {"acme.pipedrive.com"}
    assert {request.headers["authorization"] for request in seen} == {"Bearer v1:AQ"}
    assert not any("x-api-token" in request.headers for request in seen)
    assert budget.spent == [{"core": 1, "daily": 10}] * 3


async def test_a_personal_token_has_its_own_header_and_its_own_limit() -> None:
    client, budget, seen = client_of(fields, Credentials(access_token=SecretStr(PERSONAL)))
    await client.ensure_schema()
    assert {request.headers["x-api-token"] for request in seen} == {PERSONAL}
    assert not any("authorization" in request.headers for request in seen)
    assert budget.spent == [{"static": 1, "daily": 10}] * 3


def test_a_search_costs_of_the_searches_too() -> None:
    client, _, _ = client_of(fields, oauth_token())
    assert client.costs_of("search", 20, oauth_token()) == {"core": 1, "search": 1, "daily": 20}
    assert client.costs_of("core", 5, oauth_token()) == {"core": 1, "daily": 5}


@pytest.mark.parametrize("domain", ["https://pipedrive.com.evil.example", "http://acme.pipedrive.com", "ftp://x"])
async def test_a_token_goes_nowhere_else(domain: str) -> None:
    client, _, seen = client_of(fields, oauth_token(api_domain=domain))
    with pytest.raises(Unauthorized):
        await client.ensure_schema()
    assert not seen


@pytest.mark.parametrize(
    "body", [[], {"success": True}, {"success": True, "data": "no"}, {"success": True, "data": {}}]
)
async def test_an_answer_of_another_shape_is_unexpected(body: Any) -> None:
    client, _, _ = client_of(lambda request: httpx.Response(200, json=body), oauth_token())
    with pytest.raises(Unexpected):
        await client.ensure_schema()
    with pytest.raises(Unexpected):
        await client.identify()


async def test_the_company_is_named_for_two_tokens() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/users/me"
        me = {"id": 1, "company_id": 77, "company_name": "Acme", "company_domain": "acme"}
        return httpx.Response(200, json={"success": True, "data": me})

    client, budget, _ = client_of(answer, oauth_token())
    assert await client.identify() == AccountFacts(id="77", name="Acme", url="https://acme.pipedrive.com")
    assert budget.spent == [{"core": 1, "daily": 2}]


async def test_of_two_fields_for_our_key_the_oldest_is_taken_and_fields_come_by_the_page() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        first = [{"id": 9, "field_code": "cd" * 20, "field_name": "CRM sync key", "field_type": "varchar"}]
        second = [{"id": 4, "key": "ef" * 20, "name": "CRM sync key", "field_type": "varchar"}]
        if request.url.params.get("cursor") is None:
            return httpx.Response(200, json={"data": first, "additional_data": {"next_cursor": "two"}})
        return httpx.Response(200, json={"data": second, "additional_data": {"next_cursor": None}})

    client, _, seen = client_of(answer, oauth_token())
    assert set((await client.ensure_schema()).values()) == {"ef" * 20}
    assert len(seen) == 6


async def test_a_field_that_two_make_at_once_is_one_afterwards() -> None:
    made: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            for number in (8, 7):
                code = f"{number}" * 40
                made.append({"id": number, "field_code": code, "field_name": "CRM sync key", "field_type": "varchar"})
            return httpx.Response(201, json={"success": True, "data": made[-2]})
        return httpx.Response(200, json={"success": True, "data": list(made)})

    client, _, _ = client_of(answer, oauth_token())
    assert (await client.ensure_schema())["person_key"] == "7" * 40


async def test_a_field_is_known_by_the_answer_that_made_it_where_the_list_lags_behind() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            made = {"field_code": KEY, "field_name": "CRM sync key", "field_type": "varchar", "is_custom_field": True}
            return httpx.Response(200, json={"success": True, "data": made})
        return httpx.Response(200, json={"success": True, "data": None, "additional_data": None})

    client, _, seen = client_of(answer, oauth_token())
    assert set((await client.ensure_schema()).values()) == {KEY}
    assert [request.method for request in seen] == ["GET", "POST", "GET"] * 3


@pytest.mark.parametrize("data", [None, [], {"items": []}])
async def test_a_search_that_finds_nothing_may_say_so_in_several_ways(data: Any) -> None:
    client, _, _ = client_of(lambda request: httpx.Response(200, json={"success": True, "data": data}), oauth_token())
    assert await wire_of(client).search(PERSON, "ada@example.com") == []


@pytest.mark.parametrize("body", [None, [], {}, {"data": {}}, {"data": {"items": None}}, {"data": "none"}])
async def test_what_is_no_answer_to_a_search_does_not_pass_for_an_empty_one(body: Any) -> None:
    client, _, _ = client_of(lambda request: httpx.Response(200, json=body), oauth_token())
    with pytest.raises(Unexpected):
        await wire_of(client).search(PERSON, "ada@example.com")


@pytest.mark.parametrize(
    ("path", "scope"),
    [("/api/v2/personFields", "contact-fields:full"), ("/api/v2/dealFields", "deal-fields:full")],
)
async def test_without_the_scope_the_administrator_is_told_which(path: str, scope: str) -> None:
    made: set[str] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and request.url.path == path:
            return httpx.Response(403, json={"success": False, "error": "Scope and URL mismatch", "errorCode": 403})
        if request.method == "POST":
            made.add(request.url.path)
        field = {"field_code": KEY, "field_name": "CRM sync key", "field_type": "varchar"}
        return httpx.Response(200, json={"success": True, "data": [field] if request.url.path in made else []})

    client, _, _ = client_of(answer, oauth_token())
    with pytest.raises(Unauthorized) as caught:
        await client.ensure_schema()
    assert scope in caught.value.message


class Renewable(Fixed):
    """Tokens of which the first is expired."""

    def __init__(self, *, is_dead: bool) -> None:
        super().__init__(Credentials(access_token=SecretStr("old"), refresh_token=SecretStr("1:2")))
        self.is_dead = is_dead
        self.refreshes = 0

    async def refresh(self, stale: Credentials) -> Credentials:
        self.refreshes += 1
        await asyncio.sleep(0)
        if self.is_dead:
            raise Unauthorized("the connection is dead", provider="pipedrive")
        self._credentials = oauth_token()
        return self._credentials


@pytest.mark.parametrize("is_dead", [False, True])
async def test_calls_under_way_together_refresh_their_token_once(is_dead: bool) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == "Bearer old":
            return httpx.Response(401, json={"success": False, "error": "unauthorized access"})
        return httpx.Response(200, json={"success": True, "data": {"company_id": 7}})

    tokens = Renewable(is_dead=is_dead)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        client = Client(CONFIG, tokens, Budget(), http)
        results = await asyncio.gather(*(client.identify() for _ in range(8)), return_exceptions=True)
    assert tokens.refreshes == 1
    assert {type(result) for result in results} == ({Unauthorized} if is_dead else {AccountFacts})


async def test_a_field_that_pipedrive_will_not_make_is_asked_of_an_administrator() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(400, json={"success": False, "error": "Too many custom fields"})
        return httpx.Response(200, json={"success": True, "data": []})

    client, _, _ = client_of(answer, oauth_token())
    with pytest.raises(ProviderError, match="an administrator has to make it") as caught:
        await client.ensure_schema()
    assert isinstance(caught.value, Unauthorized)
