"""The end of a connection at the CRM: whoever disconnects expects that its tokens open nothing any more."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import structlog
from pydantic import ValidationError

from listener.db import Database
from listener.documents import Revocation
from listener.errors import DatabaseTrouble
from listener.logs import places
from listener.settings import Settings
from providers import oauth
from providers.base import Http
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.endpoints import revoke_url_of
from providers.errors import ProviderError, Unauthorized

LOOK_SECONDS = 30.0
AT_ONCE = 4
SHORTEST_PAUSE_SECONDS = 0.1
"""Anybody may ring."""

log = structlog.get_logger()


class Ending(NamedTuple):
    """What became of a revocation, as `crm_sync.finish_revocation` takes it."""

    outcome: str
    reason: str | None = None
    retry_after: float | None = None


class Revocations:
    """Revokes what `crm_sync.claim_revocation` gives out.

    Attributes:
        rung: somebody has disconnected: look at once.
    """

    def __init__(self, database: Database, settings: Settings, http: Http, rung: asyncio.Event) -> None:
        self._database = database
        self._apps = settings.apps
        self._http = http
        self.rung = rung

    async def run(self) -> None:
        """Work off what is due, whenever it is rung and every half a minute, until cancelled."""
        while True:
            self.rung.clear()
            await asyncio.gather(*(self._work() for _ in range(AT_ONCE)))
            await asyncio.sleep(SHORTEST_PAUSE_SECONDS)
            try:
                await asyncio.wait_for(self.rung.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def _work(self) -> None:
        try:
            while (revocation := await self._database.claim_revocation()) is not None:
                ending = await self._end(revocation)
                names = {"integration_id": revocation.integration_id, "provider": revocation.provider}
                log.info("revocation", **names, outcome=ending.outcome, reason=ending.reason)
                await self._database.finish_revocation(revocation, *ending)
        except DatabaseTrouble as trouble:
            log.warning("revoking_failed", error=str(trouble))

    async def _end(self, revocation: Revocation) -> Ending:
        try:
            return await self._revoke(revocation)
        except ProviderError as error:
            return Ending("later", error.message, error.retry_after)
        except Exception as failure:  # noqa: BLE001 - its message might hold a token: the type and the places do
            log.error("revoking_failed_unexpectedly", error=type(failure).__name__, places=places(failure))
            return Ending("later", f"a fault of ours: {type(failure).__name__}")

    async def _revoke(self, revocation: Revocation) -> Ending:
        provider = revocation.provider
        try:
            config = ProviderConfig.model_validate_json(revocation.config)
            credentials = Credentials.model_validate_json(revocation.credentials)
        except ValidationError:  # its words would repeat the token
            return Ending("impossible", "the stored credentials or the provider's config make no sense")
        if credentials.refresh_token is None:
            return Ending("impossible", "the stored credentials hold no refresh token")
        try:
            url = revoke_url_of(credentials, config, provider)
        except Unauthorized as refusal:
            return Ending("impossible", refusal.message)
        if url is None:
            return Ending("impossible", f"{provider} has no call that ends a connection")
        app = self._apps.get(provider)
        if app is None:
            return Ending("later", f"without {provider.upper()}_CLIENT_ID the daemon cannot revoke its tokens")
        was_known = await oauth.revoke(
            config.model_copy(update={"revoke_url": url}),
            app.client_id,
            app.client_secret,
            credentials.refresh_token,
            self._http,
            client_auth=config.client_auth,
            provider=provider,
        )
        return Ending("revoked" if was_known else "unknown")
