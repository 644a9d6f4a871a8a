"""Connecting a CRM by OAuth: a browser leaves with a state, and who comes back with it is connected once.

The console and the command use the same flow. What the browser carries (state, session secret) is kept hashed; the
PKCE verifier never leaves; the code is exchanged at most once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from pydantic import SecretStr

from listener.connections import Connected, NotConnected, find_provider, identify_if_told, store
from listener.db import Database
from listener.db.connecting import Authorization
from listener.errors import DatabaseTrouble, Refusal
from listener.settings import OAuthApp
from providers import oauth
from providers.addresses import origin_of
from providers.base import Http
from providers.config import ProviderConfig
from providers.credentials import login_at
from providers.errors import ProviderError, Unauthorized

__all__ = ["Connected", "Departure", "Flow", "NotConnected"]

LONGEST_PARAMETER = 4000
DENIED = frozenset({"access_denied", "user_denied", "consent_required", "interaction_required"})

log = structlog.get_logger()


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
        display_name, config = await find_provider(self._database, provider)
        app = self._app(provider, display_name)
        try:
            moved = login_at(config, login_url, display_name)
        except Unauthorized as error:
            raise NotConnected("invalid_request", error.message) from None
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        session_secret = session_secret or secrets.token_urlsafe(32)
        try:
            await self._database.begin_authorization(
                organization_id,
                provider,
                name,
                state_hash=_hash(state),
                session_hash=_hash(session_secret),
                verifier=verifier,
                redirect_uri=redirect_uri,
                login_url=None if moved is config else origin_of(moved.token_url),
            )
        except (Refusal, DatabaseTrouble) as trouble:
            raise NotConnected.because(trouble) from None
        url = oauth.authorization_url(
            moved, app.client_id, redirect_uri=redirect_uri, state=state, code_verifier=verifier
        )
        return Departure(url, state, session_secret)

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
        asked = await self._take(provider, state, session_secret)
        assert asked.organization_id is not None
        assert asked.name is not None
        if error in DENIED:
            raise NotConnected("access_denied")
        if error:
            raise NotConnected("connection_failed", "The CRM refused: look at the settings of the app, and begin again")
        if not code or len(code) > LONGEST_PARAMETER:
            raise NotConnected("missing_parameters")
        display_name, config = await find_provider(self._database, provider)
        try:
            moved = login_at(config, asked.login_url, display_name)
            answer = await self._exchange(moved, display_name, self._app(provider, display_name), code, asked)
            given = _credentials(answer, None if moved is config else moved)
            account = await identify_if_told(provider, moved, given, self._http, answer.account_id)
        except ProviderError as failure:
            kind, status = failure.kind.value, failure.status
            log.warning("connecting_failed", provider=provider, kind=kind, status=status, code=failure.code)
            raise NotConnected("connection_failed", failure.message) from None
        return await store(self._database, asked.organization_id, provider, display_name, asked.name, given, account)

    async def _take(self, provider: str, state: str | None, session_secret: str | None) -> Authorization:
        if not state or len(state) > LONGEST_PARAMETER:
            raise NotConnected("missing_parameters")
        # whoever has no session has none that was ever given out
        session_hash = _hash(session_secret or secrets.token_urlsafe(32))
        try:
            asked = await self._database.take_authorization(_hash(state), session_hash, provider)
        except (Refusal, DatabaseTrouble) as trouble:
            raise NotConnected.because(trouble) from None
        if asked.outcome != "ok":
            log.warning("authorization_refused", provider=provider, outcome=asked.outcome)
            raise NotConnected("expired" if asked.outcome == "expired" else "invalid_state")
        return asked

    async def _exchange(
        self, config: ProviderConfig, display_name: str, app: OAuthApp, code: str, asked: Authorization
    ) -> oauth.TokenAnswer:
        assert asked.redirect_uri is not None
        return await oauth.exchange_code(
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

    def _app(self, provider: str, display_name: str) -> OAuthApp:
        app = self._apps.get(provider)
        if app is None:
            variables = f"{provider.upper()}_CLIENT_ID and {provider.upper()}_CLIENT_SECRET"
            raise NotConnected("not_configured", f"This installation has no app of {display_name}: set {variables}")
        return app


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


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
