from __future__ import annotations

import base64
import hashlib
import logging
import time
from collections.abc import Callable
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from providers import oauth
from providers.config import ProviderConfig
from providers.errors import ProviderError, RateLimited, Unauthorized, Unavailable, Unexpected

CONFIG = ProviderConfig(
    api_base_url="http://crm.test",
    api_version="1",
    auth_url="http://crm.test/authorize",
    token_url="http://crm.test/token",
    revoke_url="http://crm.test/revoke",
)
CLIENT_SECRET = SecretStr("client-secret-7")
OLD = SecretStr("old-refresh-7")
GOOD = {"access_token": "new-access", "expires_in": 1800, "token_type": "bearer"}
Handler = Callable[[httpx.Request], httpx.Response]


def answering(status: int, body: object = None, **more: object) -> Handler:
    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(body, str):
            return httpx.Response(status, text=body, headers=more.get("headers"))  # type: ignore[arg-type]
        return httpx.Response(status, json=body, headers=more.get("headers"))  # type: ignore[arg-type]

    return handle


async def refresh(handler: Handler, client_auth: oauth.ClientAuth = "body") -> oauth.TokenAnswer:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        return await oauth.refresh(CONFIG, "app", CLIENT_SECRET, OLD, http, client_auth=client_auth, provider="acme")


async def refusal(handler: Handler) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await refresh(handler)
    return caught.value


async def test_credentials_travel_in_the_body_or_in_basic_and_never_in_the_url() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=GOOD)

    await refresh(handle)
    await refresh(handle, client_auth="basic")
    forms = [parse_qs(request.content.decode()) for request in seen]
    common = {"grant_type": ["refresh_token"], "refresh_token": ["old-refresh-7"]}
    assert forms == [{**common, "client_id": ["app"], "client_secret": ["client-secret-7"]}, common]
    assert "authorization" not in seen[0].headers
    assert seen[1].headers["authorization"] == "Basic " + base64.b64encode(b"app:client-secret-7").decode()
    assert {str(request.url) for request in seen} == {"http://crm.test/token"}


async def test_an_answer_without_a_refresh_token_keeps_the_old_one() -> None:
    answer = await refresh(answering(200, GOOD))
    assert answer.refresh_token == OLD
    assert answer.access_token.get_secret_value() == "new-access"


async def test_a_rotated_refresh_token_replaces_the_old_one() -> None:
    answer = await refresh(answering(200, {**GOOD, "refresh_token": "newer"}))
    assert answer.refresh_token is not None
    assert answer.refresh_token.get_secret_value() == "newer"


async def test_a_life_in_seconds_becomes_a_moment() -> None:
    before = time.time()
    answer = await refresh(answering(200, GOOD))
    assert answer.expires_at is not None
    assert before + 1800 <= answer.expires_at <= time.time() + 1800


async def test_a_crm_that_tells_no_life_leaves_the_moment_open() -> None:
    answer = await refresh(
        answering(200, {"access_token": "x", "instance_url": "https://acme.test", "scope": "refresh_token api"})
    )
    assert answer.expires_at is None
    assert answer.instance_url == "https://acme.test"
    assert answer.scopes == ("refresh_token", "api")


async def test_the_account_and_its_scopes_are_kept_in_each_crms_own_spelling() -> None:
    hubspot = await refresh(answering(200, {**GOOD, "hub_id": 7, "scopes": ["oauth", "crm"]}))
    assert (hubspot.account_id, hubspot.scopes) == ("7", ("oauth", "crm"))
    pipedrive = await refresh(answering(200, {**GOOD, "scope": "base,deals:full", "api_domain": "https://a.test"}))
    assert (pipedrive.api_domain, pipedrive.scopes) == ("https://a.test", ("base", "deals:full"))


@pytest.mark.parametrize(
    "body",
    [
        {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token", "error": "invalid_grant"},
        {"status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token"},
        {"error": "invalid_grant", "error_description": "expired access/refresh token"},
        {"success": False, "error": "Invalid grant: refresh_token is invalid", "message": "…"},
    ],
)
async def test_a_dead_connection_asks_for_a_new_one(body: dict[str, object]) -> None:
    error = await refusal(answering(400, body))
    assert isinstance(error, Unauthorized)
    assert "must be made again" in error.message


async def test_a_refused_installation_points_at_its_own_secret() -> None:
    error = await refusal(answering(401, {"error": "invalid_client"}))
    assert isinstance(error, Unauthorized)
    assert "client id and secret" in error.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"message": "oops"}),
        (503, "<html>down</html>"),
        (200, "<html>log in</html>"),
        (403, "<html>blocked</html>"),
        (404, "<html>gone</html>"),
        (302, ""),
    ],
)
async def test_trouble_on_the_way_does_not_end_a_connection(status: int, body: object) -> None:
    assert isinstance(await refusal(answering(status, body)), Unavailable)


async def test_a_network_error_does_not_end_a_connection() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("…", request=request)

    assert isinstance(await refusal(handle), Unavailable)


async def test_a_token_endpoint_may_ask_to_wait() -> None:
    error = await refusal(answering(429, {"message": "slow"}, headers={"retry-after": "7"}))
    assert isinstance(error, RateLimited)
    assert error.retry_after == 7


async def test_an_answer_without_an_access_token_is_not_taken_for_one() -> None:
    assert isinstance(await refusal(answering(200, {"token_type": "bearer"})), Unexpected)


async def test_a_code_is_exchanged_with_its_verifier() -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={**GOOD, "refresh_token": "first"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        answer = await oauth.exchange_code(
            CONFIG,
            "app",
            CLIENT_SECRET,
            SecretStr("the-code"),
            http,
            redirect_uri="http://here.test/back",
            code_verifier=SecretStr("v" * 43),
        )
    assert parse_qs(seen[0].content.decode()) == {
        "grant_type": ["authorization_code"],
        "code": ["the-code"],
        "redirect_uri": ["http://here.test/back"],
        "code_verifier": ["v" * 43],
        "client_id": ["app"],
        "client_secret": ["client-secret-7"],
    }
    assert answer.refresh_token is not None


@pytest.mark.parametrize(
    ("handler", "ended"),
    [
        (answering(200, ""), True),
        (answering(400, {"error": "invalid_token"}), False),
        (answering(400, {"status": "BAD_REFRESH_TOKEN"}), False),
    ],
)
async def test_revoking_tells_whether_there_was_anything_to_end(handler: Handler, ended: bool) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as http:
        assert await oauth.revoke(CONFIG, "app", CLIENT_SECRET, OLD, http) is ended
        silent = CONFIG.model_copy(update={"revoke_url": None})
        assert await oauth.revoke(silent, "app", CLIENT_SECRET, OLD, http) is False


async def test_no_secret_is_in_an_error_or_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": "invalid_grant", "error_description": request.content.decode()})

    error = await refusal(echo)
    assert caplog.records
    for text in (caplog.text, str(error), repr(error), repr(error.__dict__), repr(await refresh(answering(200, GOOD)))):
        for secret in ("client-secret-7", "old-refresh-7", "new-access"):
            assert secret not in text


def test_the_consent_page_is_told_what_it_must_know_and_nothing_else() -> None:
    config = CONFIG.model_copy(update={"scopes": ("a", "b:c")})
    asked = {"redirect_uri": "https://us.test/back?x=1", "state": "s&t", "code_verifier": "v" * 43}

    def query(**changed: object) -> dict[str, str]:
        url = oauth.authorization_url(config.model_copy(update=changed), "app", **asked)
        assert url.startswith("http://crm.test/authorize?")
        assert "v" * 43 not in url
        return dict(parse_qsl(urlsplit(url).query))

    plain = {"response_type": "code", "client_id": "app", "redirect_uri": asked["redirect_uri"], "state": "s&t"}
    assert query() == {**plain, "scope": "a b:c"}
    assert query(scope_in_url=False) == plain
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).decode().rstrip("=")
    challenged = {"code_challenge": digest, "code_challenge_method": "S256"}
    assert query(pkce=True) == {**plain, "scope": "a b:c", **challenged}


@pytest.mark.parametrize("odd", [{"expires_in": "soon"}, {"scopes": 7}, {"instance_url": ["x"]}, {"api_domain": {}}])
async def test_a_token_answer_of_another_shape_tells_no_token(odd: dict[str, object]) -> None:
    error = await refusal(answering(200, {**GOOD, **odd}))
    assert isinstance(error, Unexpected)
    assert "new-access" not in repr(error) + str(error.__cause__)


async def test_salesforce_names_the_organization_by_a_url() -> None:
    body = {**GOOD, "id": "https://login.salesforce.com/id/00D5g000004abcDEAQ/0055g00000abcdeAAA"}
    assert (await refresh(answering(200, body))).account_id == "00D5g000004abcDEAQ"
    assert (await refresh(answering(200, {**GOOD, "id": "https://evil/"}))).account_id is None
