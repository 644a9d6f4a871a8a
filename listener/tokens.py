"""Access tokens of one integration: opened from the database, refreshed once for all daemons."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine

import structlog
from pydantic import ValidationError

from listener.db import Database
from listener.errors import CredentialsDamaged, DatabaseTrouble, KeyWrong
from listener.observer import SILENT, Observer
from listener.settings import OAuthApp
from providers import oauth
from providers.base import Http
from providers.codes import OwnCode
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.endpoints import token_url_of
from providers.errors import ProviderError, Stopping, Unauthorized, Unavailable

EXPIRES_SOON_SECONDS = 120.0
OTHER_DAEMON_SECONDS = 30.0
OTHER_DAEMON_LOOK_SECONDS = 0.1
STORE_SECONDS = 30.0

Keep = Callable[[Coroutine[object, object, Credentials]], "asyncio.Task[Credentials]"]

log = structlog.get_logger()


class IntegrationTokens:
    """`providers.base.Tokens` over `crm_sync.open_credentials`.

    `keep` starts what must go on when its caller is cancelled.
    Several batches of one daemon share it; a refresh by another daemon is noticed by the credentials' version.
    With `connected_version` it serves that connection only: once somebody has connected anew, perhaps to another
    account, it raises `Stopping`, so that no id of the old account is used with the new one's tokens.
    """

    def __init__(
        self,
        database: Database,
        integration_id: int,
        provider: str,
        config: ProviderConfig,
        app: OAuthApp | None,
        http: Http,
        keep: Keep,
        observer: Observer = SILENT,
        *,
        connected_version: int | None = None,
    ) -> None:
        self._database = database
        self._integration_id = integration_id
        self._provider = provider
        self._config = config
        self._app = app
        self._http = http
        self._keep = keep
        self._observer = observer
        self._connected_version = connected_version
        self._credentials: Credentials | None = None
        self._lock = asyncio.Lock()

    def expect_version(self, version: int) -> None:
        """The claim has seen this version: forget anything older."""
        if self._credentials is not None and self._credentials.version < version:
            self._credentials = None

    async def current(self) -> Credentials:
        credentials = self._credentials or await self._open()
        if credentials.expires_at is not None and credentials.refresh_token is not None:
            remaining = credentials.expires_at - time.time()
            if remaining < EXPIRES_SOON_SECONDS:
                return await self.refresh(credentials)
        return credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        async with self._lock:
            if self._credentials is not None and self._credentials.version > stale.version:
                return self._credentials
            deadline = time.monotonic() + OTHER_DAEMON_SECONDS
            while time.monotonic() < deadline:
                match await self._begin(stale.version):
                    case "newer":
                        return await self._open()
                    case "yours":
                        # not to be cut off half-way: a CRM that has rotated the refresh token will not do it twice
                        return await asyncio.shield(self._keep(self._refresh(stale)))
                await asyncio.sleep(OTHER_DAEMON_LOOK_SECONDS)
            raise Unavailable(
                "another daemon has been refreshing the token for too long",
                provider=self._provider,
                code=OwnCode.REFRESH_UNDER_WAY,
            )

    async def renew(self) -> bool:
        """Refresh a token that nobody has used for long; False when there is nothing to refresh it with."""
        credentials = await self._open()
        if credentials.refresh_token is None:
            await self._database.note_not_refreshable(self._integration_id, credentials.version)
            return False
        try:
            await self.refresh(credentials)
        except Unauthorized as refusal:
            # only what the CRM said of this very grant: whatever else is wrong, the connection may work for the moment
            if refusal.code in oauth.DEAD and await self._database.refuse_credentials(
                self._integration_id, credentials.version, refusal.message
            ):
                log.warning("connection_lost", integration_id=self._integration_id, provider=self._provider)
            raise
        return True

    async def _begin(self, seen_version: int) -> str:
        try:
            return await self._database.begin_refresh(self._integration_id, seen_version)
        except KeyWrong as refusal:
            raise self._without_key(refusal) from None

    def _without_key(self, refusal: KeyWrong) -> Unavailable:
        """A fault of this installation while keys are rotated, not of the connection: it passes with a restart."""
        log.error("encryption_key_missing", integration_id=self._integration_id, error=str(refusal))
        return Unavailable(
            "our own encryption key does not open what this connection was sealed with: the daemon has to be started "
            "with the key of today",
            provider=self._provider,
            code=OwnCode.OWN_KEY,
        )

    async def _open(self) -> Credentials:
        try:
            credentials = await self._database.open_credentials(self._integration_id)
        except KeyWrong as refusal:
            raise self._without_key(refusal) from None
        except CredentialsDamaged as refusal:
            raise Unauthorized(
                str(refusal).replace("\n", ". "), provider=self._provider, code=OwnCode.CREDENTIALS_DAMAGED
            ) from None
        except ValidationError as error:
            fields = ", ".join(sorted({str(detail["loc"][0]) for detail in error.errors() if detail["loc"]})) or "all"
            raise Unauthorized(
                f"the stored credentials make no sense ({fields}): connect it again",
                provider=self._provider,
                code=OwnCode.CREDENTIALS_DAMAGED,
            ) from None
        if credentials is None:
            raise Unauthorized(
                "this connection has no credentials: connect it", provider=self._provider, code=OwnCode.NO_CREDENTIALS
            )
        if self._connected_version is not None and credentials.connected_version != self._connected_version:
            raise Stopping
        self._credentials = credentials
        return credentials

    async def _refresh(self, stale: Credentials) -> Credentials:
        try:
            answer = await self._ask(stale)
        except BaseException as error:
            kind = error.kind.value if isinstance(error, ProviderError) else "failed"
            self._observer.refreshed(self._provider, kind)
            await self._database.end_refresh(self._integration_id)
            if isinstance(error, Unauthorized) and (current := await self._open()).version > stale.version:
                return current  # somebody has connected it again meanwhile: those were not refused
            raise
        self._observer.refreshed(self._provider, "refreshed")
        fresh = stale.model_copy(
            update={
                "access_token": answer.access_token,
                "refresh_token": answer.refresh_token or stale.refresh_token,
                "expires_at": answer.expires_at,
                "instance_url": answer.instance_url or stale.instance_url,
                "api_domain": answer.api_domain or stale.api_domain,
            }
        )
        version = await self._store(stale.version, fresh)
        if version is None:
            return await self._open()
        self._credentials = fresh.model_copy(update={"version": version})
        return self._credentials

    async def _ask(self, stale: Credentials) -> oauth.TokenAnswer:
        if stale.refresh_token is None:
            raise Unauthorized(
                f"{self._provider} does not accept the stored token and it has no refresh token: connect it again",
                provider=self._provider,
                status=401,
                code=OwnCode.NOT_REFRESHABLE,
            )
        if self._app is None:
            raise Unauthorized(
                f"the token has expired, and without {self._provider.upper()}_CLIENT_ID it cannot be refreshed: "
                "set it for the daemon, restart it, and let the connection try again",
                provider=self._provider,
                code=OwnCode.NO_APP,
            )
        return await oauth.refresh(
            self._config.model_copy(update={"token_url": token_url_of(stale, self._config, self._provider)}),
            self._app.client_id,
            self._app.client_secret,
            stale.refresh_token,
            self._http,
            client_auth=self._config.client_auth,
            provider=self._provider,
        )

    async def _store(self, seen_version: int, fresh: Credentials) -> int | None:
        """Committed before they are first used, and tried for a while: a rotated refresh token must not die with us.

        Returns None when somebody stored newer ones, which includes ourselves in a call whose answer was lost.
        """
        deadline = time.monotonic() + STORE_SECONDS
        pause = 0.05
        while True:
            try:
                return await self._database.store_credentials(self._integration_id, seen_version, _plaintext(fresh))
            except DatabaseTrouble as trouble:
                if time.monotonic() + pause > deadline:
                    raise
                log.warning("storing_tokens_again", integration_id=self._integration_id, error=str(trouble))
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)


def _plaintext(credentials: Credentials) -> str:
    """As it is stored, with whatever else a host application or a CRM keeps there."""
    return json.dumps(
        {
            **(credentials.model_extra or {}),
            "access_token": credentials.access_token.get_secret_value(),
            "refresh_token": credentials.refresh_token.get_secret_value() if credentials.refresh_token else None,
            "expires_at": credentials.expires_at,
            "instance_url": credentials.instance_url,
            "api_domain": credentials.api_domain,
            "token_url": credentials.token_url,
        }
    )
