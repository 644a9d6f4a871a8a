"""Tokens of connections that have nothing to do: refreshed now and then, since refresh tokens die of disuse."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

import structlog
from pydantic import ValidationError

from listener.db import Database
from listener.documents import IdleConnection
from listener.errors import DatabaseTrouble
from listener.logs import places
from listener.settings import Settings
from listener.tokens import IntegrationTokens
from providers.config import ProviderConfig
from providers.errors import ProviderError

LOOK_SECONDS = 60.0
AT_ONCE = 4
"""Of one CRM: those of another do not wait for one that is slow."""

TokensFor = Callable[[int, str, ProviderConfig], IntegrationTokens]

log = structlog.get_logger()


class IdleTokens:
    """Keeps tokens alive; `crm_sync.idle_connections` says whose, and backs off where it comes to nothing."""

    def __init__(self, database: Database, settings: Settings, tokens_for: TokensFor) -> None:
        self._database = database
        self._apps = settings.apps
        self._tokens_for = tokens_for
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def run(self) -> None:
        """Look every minute, until cancelled."""
        while True:
            try:
                while idle := await self._database.idle_connections():
                    await asyncio.gather(*map(self._renew, idle))
            except DatabaseTrouble as trouble:
                log.warning("looking_for_idle_tokens_failed", error=str(trouble))
            await asyncio.sleep(LOOK_SECONDS)

    async def _renew(self, idle: IdleConnection) -> None:
        """Whatever happens to one, the others go on."""
        names = {"integration_id": idle.integration_id, "provider": idle.provider}
        if idle.provider not in self._apps:
            log.info("idle_token_left_alone", **names, missing=f"{idle.provider.upper()}_CLIENT_ID")
            return
        async with self._slots[idle.provider]:
            try:
                config = ProviderConfig.model_validate_json(idle.config)
                if await self._tokens_for(idle.integration_id, idle.provider, config).renew():
                    log.info("idle_token_refreshed", **names)
            except ProviderError as error:
                log.warning("idle_token_not_refreshed", **names, kind=error.kind.value, code=error.code)
            except DatabaseTrouble as trouble:
                log.warning("idle_token_not_refreshed", **names, error=str(trouble))
            except ValidationError:
                log.error("idle_token_not_refreshed", **names, error="the provider's config makes no sense")
            except Exception as failure:  # noqa: BLE001 - its message might hold a token: the type and the places do
                log.error("idle_token_not_refreshed", **names, error=type(failure).__name__, places=places(failure))
