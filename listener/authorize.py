"""Connecting a CRM by OAuth: a browser leaves with a state, and who comes back with it is connected once.

The console and the command use the same flow. What the browser carries (state, session secret) is kept hashed; the
PKCE verifier never leaves; the code is exchanged at most once.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from pydantic import SecretStr

from listener.db import Database
from listener.documents import storable
from listener.errors import DatabaseTrouble, InvalidSettings, NotYours, Refusal
from listener.settings import OAuthApp
from providers import client_for, oauth
from providers.base import Http
from providers.credentials import Credentials, account_url, host_of, login_at
from providers.errors import ProviderError, Unauthorized
from providers.models import AccountFacts, ProviderConfig

LONGEST_PARAMETER = 4000
STORE_TRIES = 5
DENIED = frozenset({"access_denied", "user_denied", "consent_required", "interaction_required"})

WORDS = {
    "access_denied": "Consent was refused in the CRM, so nothing was connected.",
    "missing_parameters": "The CRM sent the browser back without what is needed. Please begin again.",
    "invalid_state": "This answer does not belong to a connection that this browser has begun, or it was used already. "
    "Please begin again.",
    "expired": "Ten minutes have passed since the connection was begun. Please begin again.",
    "unavailable": "Our own database did not answer. Please begin again in a moment.",
}

log = structlog.get_logger()


class NotConnected(Exception):
    """Nothing was connected.

    Attributes:
        code: `access_denied`, `missing_parameters`, `invalid_state`, `expired`, `connection_failed`, `not_configured`,
            `unknown_provider`, `not_allowed`, `invalid_request` or `unavailable`.
        words: what to tell the user; they hold nothing that came with the browser.
    """

    def __init__(self, code: str, words: str | None = None) -> None:
        self.code = code
        self.words = words or WORDS[code]
        super().__init__(self.words)


@dataclass(frozen=True)
class Departure:
    """Where to send the browser, and what it must still have when it comes back.

    Attributes:
        url: the CRM's consent page.
        state: also in `url`; for a caller that recognises its own answer.
        session_secret: for a cookie of this browser (`HttpOnly`, `Secure`, `SameSite=Lax`), or a process's memory.
    """

    url: str = field(repr=False)
    state: str = field(repr=False)
    session_secret: str = field(repr=False)


@dataclass(frozen=True)
class Connected:
    """A connection that was made, or renewed.

    Attributes:
        account: None when the CRM did not say it just now: the daemon asks again before it sends anything.
        is_other_account: the ids that we hold are of another account; nothing is sent until a person has decided.
    """

    integration_id: int
    organization_id: UUID
    provider: str
    display_name: str
    name: str
    is_new: bool
    is_other_account: bool
    account: AccountFacts | None


class Flow:
    """`database` asks for whoever is to connect: an operator, or `Database.on_behalf_of` a user.

    `apps` are our registrations with the CRMs; `http` carries the calls.
    """

    def __init__(self, database: Database, apps: Mapping[str, OAuthApp], http: Http) -> None:
        self._database = database
        self._apps = apps
        self._http = http

    async def begin(
        self,
        organization_id: UUID,
        provider: str,
        *,
        redirect_uri: str,
        name: str = "default",
        login_url: str | None = None,
        session_secret: str | None = None,
    ) -> Departure:
        """Remember who leaves, for ten minutes; raises `NotConnected`.

        `redirect_uri` must be registered with the app, one for each CRM where there is a choice. `login_url` is a
        user's own word: a Salesforce sandbox or My Domain. A browser that has a session secret from an earlier
        departure keeps it, so that two may be under way at once.
        """
        display_name, config = await self._provider(provider)
        app = self._app(provider, display_name)
        try:
            config = login_at(config, login_url, display_name)
        except Unauthorized as error:
            raise NotConnected("invalid_request", error.message) from None
        departure_state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        secret = session_secret or secrets.token_urlsafe(32)
        try:
            await self._database.begin_authorization(
                organization_id,
                provider,
                name,
                state_hash=_hash(departure_state),
                session_hash=_hash(secret),
                verifier=verifier,
                redirect_uri=redirect_uri,
                login_url=_origin_of(config.token_url) if login_url and login_url.strip() else None,
            )
        except NotYours as refusal:
            raise NotConnected("not_allowed", _first_line(refusal)) from None
        except InvalidSettings as refusal:
            raise NotConnected("invalid_request", _first_line(refusal)) from None
        except DatabaseTrouble as trouble:
            raise NotConnected("unavailable") from trouble
        url = oauth.authorization_url(
            config, app.client_id, redirect_uri=redirect_uri, state=departure_state, code_verifier=verifier
        )
        return Departure(url, departure_state, secret)

    async def finish(
        self,
        provider: str,
        *,
        code: str | None,
        state: str | None,
        session_secret: str | None,
        error: str | None = None,
    ) -> Connected:
        """Connect who has come back with what the CRM gave the browser; raises `NotConnected`.

        `provider` is the one whose redirect URI was called, `error` what the CRM says instead of a code. Whatever
        comes of it, the state is used up.
        """
        if not state or len(state) > LONGEST_PARAMETER:
            raise NotConnected("missing_parameters")
        try:
            asked = await self._database.take_authorization(_hash(state), _hash(session_secret or ""), provider)
        except DatabaseTrouble as trouble:
            raise NotConnected("unavailable") from trouble
        if asked.outcome != "ok" or not session_secret:
            log.warning("authorization_refused", provider=provider, outcome=asked.outcome)
            raise NotConnected("expired" if asked.outcome == "expired" else "invalid_state")
        assert asked.organization_id is not None
        assert asked.redirect_uri is not None
        assert asked.name is not None
        if error:
            raise (
                NotConnected("access_denied")
                if error in DENIED
                else NotConnected(
                    "connection_failed",
                    "The CRM refused the connection. Please begin again, or look at the app's settings.",
                )
            )
        if not code or len(code) > LONGEST_PARAMETER:
            raise NotConnected("missing_parameters")
        display_name, config = await self._provider(provider)
        app = self._app(provider, display_name)
        try:
            config = login_at(config, asked.login_url, display_name)
            answer = await oauth.exchange_code(
                config,
                app.client_id,
                app.client_secret,
                SecretStr(code),
                self._http,
                redirect_uri=asked.redirect_uri,
                code_verifier=asked.verifier if config.pkce else None,
                client_auth=config.client_auth,
                provider=display_name,
            )
            given = _credentials(answer, config if asked.login_url else None)
            for url in (answer.instance_url, answer.api_domain):
                if url is not None:
                    host_of(url, config, display_name)
            account = await identify(provider, config, given, self._http, known_id=answer.account_id)
        except ProviderError as failure:
            log.warning(
                "connecting_failed",
                provider=provider,
                kind=failure.kind.value,
                status=failure.status,
                code=failure.code,
            )
            raise NotConnected("connection_failed", _sentence(failure.message)) from None
        return await self.store(asked.organization_id, provider, asked.name, given, account)

    async def store(
        self, organization_id: UUID, provider: str, name: str, given: Mapping[str, Any], account: AccountFacts | None
    ) -> Connected:
        """Make or renew a connection with these credentials; raises `NotConnected`.

        A database that goes away meanwhile is tried again: a code cannot be exchanged twice.
        """
        display_name, _ = await self._provider(provider)
        known = None if account is None else json.dumps(storable(account.model_dump()))
        for attempt in range(1, STORE_TRIES + 1):
            try:
                integration_id, is_new, is_other = await self._database.connect_integration(
                    organization_id, provider, name, json.dumps(dict(given)), known
                )
                break
            except NotYours as refusal:
                raise NotConnected("not_allowed", _first_line(refusal)) from None
            except InvalidSettings as refusal:
                raise NotConnected("invalid_request", _first_line(refusal)) from None
            except Refusal as refusal:
                log.error("connection_not_stored", provider=provider, error=type(refusal).__name__)
                raise NotConnected("unavailable", "The connection could not be stored; see the log.") from refusal
            except DatabaseTrouble as trouble:
                log.warning("storing_connection_again", provider=provider, error=str(trouble), attempt=attempt)
                if attempt == STORE_TRIES or not trouble.is_lost:
                    raise NotConnected("unavailable") from trouble
                await asyncio.sleep(0.2 * 2**attempt)
        log.info(
            "connected", provider=provider, integration_id=integration_id, is_new=is_new, is_other_account=is_other
        )
        return Connected(integration_id, organization_id, provider, display_name, name, is_new, is_other, account)

    async def _provider(self, name: str) -> tuple[str, ProviderConfig]:
        try:
            found = await self._database.oauth_provider(name)
        except DatabaseTrouble as trouble:
            raise NotConnected("unavailable") from trouble
        if found is None:
            raise NotConnected("unknown_provider", "There is no such CRM, or it is switched off.")
        return found

    def _app(self, provider: str, display_name: str) -> OAuthApp:
        app = self._apps.get(provider)
        if app is None:
            raise NotConnected(
                "not_configured",
                f"This installation has no app of {display_name}: set {provider.upper()}_CLIENT_ID and "
                f"{provider.upper()}_CLIENT_SECRET.",
            )
        return app


async def identify(
    provider: str, config: ProviderConfig, given: Mapping[str, Any], http: Http, *, known_id: str | None = None
) -> AccountFacts | None:
    """The account that credentials lead to; by `known_id` alone, or None, where the CRM does not say it just now.

    Raises `Unauthorized` for credentials that the CRM does not accept.
    """
    credentials = Credentials.model_validate(given)
    client = client_for(provider)(config, _Given(credentials, provider), _Unlimited(), http)
    try:
        found = await client.identify()
        return found.model_copy(update={"url": account_url(found.url, config, provider)})
    except Unauthorized as error:
        if error.status == 401:
            raise
        reason: ProviderError = error
    except ProviderError as error:
        reason = error
    log.info("account_not_named", provider=provider, kind=reason.kind.value, status=reason.status, code=reason.code)
    try:
        return None if known_id is None else AccountFacts(id=known_id)
    except ValueError:
        return None


class _Given:
    """Credentials of this moment, which nobody refreshes."""

    def __init__(self, credentials: Credentials, provider: str) -> None:
        self._credentials = credentials
        self._provider = provider

    async def current(self) -> Credentials:
        return self._credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        raise Unauthorized(f"{self._provider} does not accept this token", provider=self._provider, status=401)


class _Unlimited:
    """One call before there is a connection: it has no budget yet."""

    async def spend(self, costs: Mapping[str, int]) -> None:
        return

    def observe(self, limit: str, used: int, maximum: int) -> None:
        return


def _credentials(answer: oauth.TokenAnswer, moved: ProviderConfig | None) -> dict[str, Any]:
    """As they are stored; `moved` is the config where the user logs in elsewhere, and refreshes must go there too."""
    found = {
        "access_token": answer.access_token.get_secret_value(),
        "refresh_token": answer.refresh_token.get_secret_value() if answer.refresh_token else None,
        "expires_at": answer.expires_at,
        "instance_url": answer.instance_url,
        "api_domain": answer.api_domain,
        "token_url": moved.token_url if moved else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _origin_of(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.split('/')[0]}"


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _first_line(refusal: Refusal) -> str:
    return _sentence(str(refusal).splitlines()[0])


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:].rstrip(".") + "."
