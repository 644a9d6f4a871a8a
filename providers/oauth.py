"""OAuth 2 as the CRMs speak it: a code for tokens, a refresh token for newer ones, and the end of a connection.

Nothing but HTTP: who may refresh when, and where tokens are kept, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from typing import Any, Literal
from urllib.parse import quote, urlencode

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr

from providers.answers import ENCODING, TooLargeError, json_object, read_bounded
from providers.codes import OwnCode, of_network, of_status
from providers.config import ProviderConfig
from providers.credentials import is_sendable
from providers.errors import ProviderError, RateLimited, Unauthorized, Unavailable, Unexpected
from providers.ratelimit import policy_wait, retry_after

ClientAuth = Literal["body", "basic"]
# What a description says more exactly than the code it comes with.
SAID = (
    (re.compile(r"already (?:been )?(?:exchanged|used)", re.IGNORECASE), OwnCode.ALREADY_EXCHANGED),
    (re.compile(r"^expired authorization code$|^authorization_code has expired$"), OwnCode.CODE_EXPIRED),
    (re.compile(r"^authentication failure", re.IGNORECASE), OwnCode.AUTHENTICATION_FAILURE),
)
# The standard's codes, where a CRM gives them in words.
STANDARD = ("invalid grant", "invalid client", "invalid request", "unsupported grant type", "missing parameter")
DEAD = frozenset(
    {
        *("invalid_grant", "BAD_REFRESH_TOKEN", "BAD_AUTH_CODE", "inactive_user"),
        *(OwnCode.ALREADY_EXCHANGED, OwnCode.CODE_EXPIRED, OwnCode.AUTHENTICATION_FAILURE),
    }
)
IDENTITY = re.compile(r"/id/(00D[0-9A-Za-z]{12,15})/")
"""Salesforce names the user who consented, and the organization, by a URL."""
LONGEST_ANSWER = 1024 * 1024
LONGEST_LIFE = 10**10


class TokenAnswer(BaseModel):
    """What a token endpoint gave.

    Attributes:
        refresh_token: the one to keep: the new one, or the old one where the CRM sent none.
        expires_at: Unix time; None where the CRM does not tell.
        scopes: as granted; empty where the CRM does not tell.
        account_id: HubSpot's `hub_id`, Salesforce's organization.
    """

    model_config = ConfigDict(frozen=True)

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()
    instance_url: str | None = None
    api_domain: str | None = None
    account_id: str | None = None


def authorization_url(
    config: ProviderConfig, client_id: str, *, redirect_uri: str, state: str, code_verifier: str | None = None
) -> str:
    """Where a browser is sent so that its user may consent; `code_verifier` stays with us, its hash goes along."""
    query = {"response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "state": state}
    if config.scope_in_url:
        query["scope"] = " ".join(config.scopes)
    if config.pkce and code_verifier is not None:
        digest = hashlib.sha256(code_verifier.encode()).digest()
        query["code_challenge"] = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        query["code_challenge_method"] = "S256"
    return f"{config.auth_url}{'&' if '?' in config.auth_url else '?'}{urlencode(query, quote_via=quote)}"


async def refresh(
    config: ProviderConfig,
    client_id: str,
    client_secret: SecretStr,
    refresh_token: SecretStr,
    http: httpx.AsyncClient,
    *,
    client_auth: ClientAuth = "body",
    provider: str = "the CRM",
) -> TokenAnswer:
    """Newer tokens for a connection.

    Raises `Unauthorized` when the connection is dead and must be made again, `Unavailable` when nothing can be said.
    """
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token.get_secret_value()}
    body = await _post(config.token_url, form, config, client_id, client_secret, http, client_auth, provider)
    return _answer(body, provider, kept=refresh_token)


async def exchange_code(
    config: ProviderConfig,
    client_id: str,
    client_secret: SecretStr,
    code: SecretStr,
    http: httpx.AsyncClient,
    *,
    redirect_uri: str,
    code_verifier: SecretStr | None = None,
    client_auth: ClientAuth = "body",
    provider: str = "the CRM",
) -> TokenAnswer:
    """The first tokens of a connection, for the code that the CRM sent with the browser; raises as `refresh` does."""
    form = {"grant_type": "authorization_code", "code": code.get_secret_value(), "redirect_uri": redirect_uri}
    if code_verifier is not None:
        form["code_verifier"] = code_verifier.get_secret_value()
    body = await _post(config.token_url, form, config, client_id, client_secret, http, client_auth, provider)
    return _answer(body, provider, kept=None)


async def revoke(
    config: ProviderConfig,
    client_id: str,
    client_secret: SecretStr,
    token: SecretStr,
    http: httpx.AsyncClient,
    *,
    token_type_hint: Literal["refresh_token", "access_token"] = "refresh_token",  # noqa: S107 - a kind
    client_auth: ClientAuth = "body",
    provider: str = "the CRM",
) -> bool:
    """End a connection at the CRM: True when it did, False when it knew nothing of this token (any more).

    A CRM without a `revoke_url` has no such call: False. Raises `Unavailable` when nothing can be said.
    """
    if config.revoke_url is None:
        return False
    form = {"token": token.get_secret_value(), "token_type_hint": token_type_hint}
    try:
        await _post(config.revoke_url, form, config, client_id, client_secret, http, client_auth, provider)
    except Unauthorized as error:
        if error.code in DEAD | {"invalid_token", "unsupported_token_type"}:
            return False
        raise
    return True


async def _post(
    url: str,
    form: dict[str, str],
    config: ProviderConfig,
    client_id: str,
    client_secret: SecretStr,
    http: httpx.AsyncClient,
    client_auth: ClientAuth,
    provider: str,
) -> dict[str, Any]:
    """The JSON object of a successful answer ({} for none); secrets travel in the body or in Basic, not in the URL."""
    headers = {"accept": "application/json", "accept-encoding": ENCODING}
    if client_auth == "basic":
        pair = f"{client_id}:{client_secret.get_secret_value()}".encode()
        headers["authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    else:
        form = {**form, "client_id": client_id, "client_secret": client_secret.get_secret_value()}
    try:
        response = await _answered(http, url, form, headers, config.timeout_seconds)
    except (httpx.HTTPError, TimeoutError) as error:
        raise Unavailable(
            f"the token endpoint of {provider} gave no answer ({type(error).__name__})",
            provider=provider,
            code=of_network(error),
        ) from None
    body = json_object(response)
    if response.is_success:
        if body is None and response.content:
            raise Unavailable(
                f"the token endpoint of {provider} answered with something other than JSON",
                provider=provider,
                status=response.status_code,
                code=OwnCode.NOT_JSON,
            )
        return body or {}
    raise _error(response, body or {}, provider)


def _error(response: httpx.Response, body: dict[str, Any], provider: str) -> ProviderError:
    """What a refusal means; the CRM's description is left out, since it may repeat what was sent."""
    status = response.status_code
    code = _code(body)
    wait = retry_after(response.headers)
    if status == 429:
        return RateLimited(
            f"the token endpoint of {provider} asks us to wait",
            provider=provider,
            status=status,
            code=code,
            retry_after=policy_wait(None) if wait is None else wait,
        )
    if status == 408 or status >= 500:
        return Unavailable(
            f"the token endpoint of {provider} is down (HTTP {status})",
            provider=provider,
            status=status,
            code=code,
            retry_after=wait,
        )
    if status in (400, 401, 403) and body:
        reason = (
            "the connection was ended on its side, or was never completed: it must be made again"
            if code in DEAD
            else "check the client id and secret of this installation, then make the connection again"
        )
        return Unauthorized(
            f"the CRM does not give tokens for this connection ({code or of_status(status)}): {reason}",
            provider=provider,
            status=status,
            code=code,
            correlation_id=body.get("correlationId") if isinstance(body.get("correlationId"), str) else None,
        )
    # A firewall's page or a wrong path says nothing about the connection: it must not be given up for that.
    return Unavailable(
        f"the token endpoint of {provider} answered HTTP {status}",
        provider=provider,
        status=status,
        code=code or (None if body else OwnCode.NOT_THE_API),
    )


def _code(body: dict[str, Any]) -> str | None:
    """HubSpot's `status`, `error` by the standard, or the same in words; what a description adds is a code of ours."""
    said = [str(body.get(name, "")) for name in ("error_description", "message", "error")]
    found = None
    for name in ("status", "error"):
        value = body.get(name)
        if isinstance(value, str) and value.replace("_", "").isalnum() and value != "error":
            found = value
            break
    if found is None:
        words = next((each for each in STANDARD if any(text.lower().startswith(each) for text in said)), None)
        found = "invalid_request" if words == "missing parameter" else words and words.replace(" ", "_")
    if found == "invalid_grant":
        parts = [part.strip() for text in said for part in text.split(":")]
        return next((own for pattern, own in SAID if any(map(pattern.search, parts))), found)
    return found


def _end_of(lasts: object) -> float | None:
    """The moment at which a life of so many seconds ends; raises `ValueError` for none that is a time."""
    if not isinstance(lasts, int | float | str) or lasts == "":
        return None
    seconds = float(lasts)
    if not abs(seconds) < LONGEST_LIFE:
        raise ValueError("no life of a token")
    return time.time() + seconds


async def _answered(
    http: httpx.AsyncClient, url: str, form: dict[str, str], headers: dict[str, str], seconds: float
) -> httpx.Response:
    """The answer with its body, of which nothing is kept where it is too large to be one; raises what httpx raises."""
    # httpx bounds each read; a body that drips in is bounded here.
    async with (
        asyncio.timeout(2 * seconds),
        http.stream("POST", url, data=form, headers=headers, timeout=seconds) as came,
    ):
        try:
            return await read_bounded(came, LONGEST_ANSWER)
        except TooLargeError:
            return httpx.Response(came.status_code, content=b"too large", request=came.request)


def _answer(body: dict[str, Any], provider: str, kept: SecretStr | None) -> TokenAnswer:
    access = body.get("access_token")
    if not isinstance(access, str) or not is_sendable(access):
        raise Unexpected(
            f"the token endpoint of {provider} answered without an access token",
            provider=provider,
            code=OwnCode.NO_ACCESS_TOKEN,
        )
    newer = body.get("refresh_token")
    lasts = body.get("expires_in")
    scopes = body.get("scopes") or str(body.get("scope") or "").replace(",", " ").split()
    account = body.get("hub_id")
    if account is None and (found := IDENTITY.search(str(body.get("id")))):
        account = found[1]
    try:
        return TokenAnswer(
            access_token=SecretStr(access),
            refresh_token=SecretStr(newer) if isinstance(newer, str) and newer else kept,
            expires_at=_end_of(lasts),
            scopes=tuple(str(scope) for scope in scopes),
            instance_url=body.get("instance_url"),
            api_domain=body.get("api_domain"),
            account_id=None if account is None else str(account),
        )
    except (TypeError, ValueError, OverflowError):
        raise Unexpected(f"the token endpoint of {provider} answered in no known form", provider=provider) from None
