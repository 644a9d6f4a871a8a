"""Where and how a token is refreshed, CRM by CRM, and what of the stored credentials survives it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, cast
from urllib.parse import parse_qs

import httpx
import pytest
from pydantic import SecretStr

from listener.db import Database
from listener.settings import OAuthApp
from listener.tokens import IntegrationTokens
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.errors import Unauthorized

OFFICIAL = "https://login.crm.example/oauth/token"
ANSWER = {
    "access_token": "new",
    "refresh_token": "rotated",
    "expires_in": 60,
    "instance_url": "https://eu1.crm.example",
}


class FakeDatabase:
    """Holds one connection's credentials."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    async def open_credentials(self, _integration_id: int) -> Credentials:
        return Credentials.model_validate(self.document).model_copy(update={"version": 1})

    async def begin_refresh(self, _integration_id: int, _seen_version: int) -> str:
        return "yours"

    async def end_refresh(self, _integration_id: int) -> None:
        return

    async def store_credentials(self, _integration_id: int, _seen_version: int, credentials: str) -> int:
        self.document = json.loads(credentials)
        return 2


class Endpoint:
    """A token endpoint that remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json=ANSWER)


async def refresh(document: dict[str, Any], **config: Any) -> tuple[httpx.Request, dict[str, Any]]:
    """The request that refreshing these credentials makes, and what is stored afterwards."""
    database, endpoint = FakeDatabase({"access_token": "old", "refresh_token": "r", **document}), Endpoint()

    def keep(words: Coroutine[object, object, Credentials]) -> asyncio.Task[Credentials]:
        return asyncio.create_task(words)

    settings: dict[str, Any] = {
        "api_base_url": "https://api.crm.example",
        "api_version": "1",
        "auth_url": "https://login.crm.example/authorize",
        "token_url": OFFICIAL,
        "api_hosts": ["*.crm.example"],
        **config,
    }
    async with httpx.AsyncClient(transport=httpx.MockTransport(endpoint)) as http:
        tokens = IntegrationTokens(
            cast("Database", database),
            7,
            "fake",
            ProviderConfig.model_validate(settings),
            OAuthApp(client_id="id", client_secret=SecretStr("secret")),
            http,
            keep,
        )
        fresh = await tokens.refresh(await tokens.current())
    assert fresh.version == 2
    assert fresh.access_token.get_secret_value() == "new"
    (request,) = endpoint.requests
    return request, database.document


async def test_an_app_proves_itself_in_the_body_unless_the_crm_wants_basic() -> None:
    request, _ = await refresh({})
    assert "authorization" not in request.headers
    assert parse_qs(request.content.decode())["client_secret"] == ["secret"]
    request, _ = await refresh({}, client_auth="basic")
    assert request.headers["authorization"] == "Basic aWQ6c2VjcmV0"
    assert parse_qs(request.content.decode()) == {"grant_type": ["refresh_token"], "refresh_token": ["r"]}


@pytest.mark.parametrize(
    ("document", "url"),
    [
        ({}, OFFICIAL),
        ({"instance_url": "https://acme.my.crm.example"}, OFFICIAL),
        ({"token_url": "https://test.crm.example/token"}, "https://test.crm.example/token"),
        (
            {"instance_url": "https://acme--dev.sandbox.my.crm.example/"},
            "https://acme--dev.sandbox.my.crm.example/services/oauth2/token",
        ),
        (
            {"instance_url": "https://acme--dev.sandbox.my.crm.example", "token_url": "https://test.crm.example/token"},
            "https://test.crm.example/token",
        ),
    ],
)
async def test_a_connection_refreshes_where_it_was_made(document: dict[str, Any], url: str) -> None:
    request, _ = await refresh(document)
    assert str(request.url) == url


@pytest.mark.parametrize(
    "document",
    [
        {"token_url": "https://elsewhere.example/token"},
        {"token_url": "http://test.crm.example/token"},
        {"instance_url": "https://a.sandbox.elsewhere.example"},
    ],
)
async def test_a_refresh_token_goes_to_no_other_host(document: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized, match="not one of fake's"):
        await refresh(document)


async def test_what_else_was_stored_with_the_credentials_stays() -> None:
    _, stored = await refresh({"token_url": OFFICIAL, "user": {"name": "Ada"}, "hub_id": 5, "api_domain": "https://x"})
    assert stored.pop("expires_at") > 0
    assert stored == {
        "access_token": "new",
        "refresh_token": "rotated",
        "token_url": OFFICIAL,
        "instance_url": "https://eu1.crm.example",
        "api_domain": "https://x",
        "user": {"name": "Ada"},
        "hub_id": 5,
    }
