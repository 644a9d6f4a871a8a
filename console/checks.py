"""Asks a CRM whether a connection works; nothing is changed by it but a token that had to be refreshed anyway."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass

import structlog

from console.context import Console
from console.identity import Identity
from listener.budget import IntegrationBudget
from listener.errors import DatabaseTrouble, Refusal
from listener.tokens import IntegrationTokens
from providers import client_for
from providers.account import AccountFacts
from providers.credentials import Credentials, account_url
from providers.errors import Paused, ProviderError

PATIENCE_SECONDS = 30.0

log = structlog.get_logger()
_refreshes: set[asyncio.Task[Credentials]] = set()
"""Refreshes under way: they end even when nobody waits for them any more."""


@dataclass(frozen=True)
class Checked:
    """What a CRM said.

    Attributes:
        words: for people.
        code: `ok`, or what kind of failure it was.
    """

    code: str
    words: str
    account: AccountFacts | None = None

    @property
    def is_ok(self) -> bool:
        return self.code == "ok"


async def check(console: Console, identity: Identity, integration_id: int, provider: str) -> Checked:
    """Ask for the account behind a connection of this user; the database looks whose it is."""
    database = console.secrets.on_behalf_of(identity.claims)
    try:
        await database.check_fence(None)  # a copy of a database must not refresh the original's tokens
        found = await database.oauth_provider(provider)
        if found is None:
            return Checked("unknown_provider", "This CRM is switched off here.")
        display_name, config = found
        app = console.settings.common.apps.get(provider)
        tokens = IntegrationTokens(database, integration_id, provider, config, app, console.http, _keep)
        budget = IntegrationBudget(database, integration_id, provider, asyncio.Event())
        async with asyncio.timeout(PATIENCE_SECONDS):
            account = await client_for(provider)(config, tokens, budget, console.http).identify()
    except ProviderError as failure:
        log.info("check_failed", integration_id=integration_id, provider=provider, kind=failure.kind.value)
        return Checked(failure.kind.value, failure.message[:1].upper() + failure.message[1:].rstrip(".") + ".")
    except (Paused, TimeoutError, LookupError) as reason:
        return _without_answer(reason, display_name)
    except (Refusal, DatabaseTrouble) as trouble:
        log.warning("check_impossible", integration_id=integration_id, error=type(trouble).__name__)
        return Checked("unavailable", "The connection's credentials cannot be read just now; see the console's log.")
    account = account.model_copy(update={"url": account_url(account.url, config, provider)})
    return Checked("ok", f"{display_name} answers: {account.words}.", account)


def _without_answer(reason: Exception, crm: str) -> Checked:
    if isinstance(reason, Paused):
        return Checked("paused", "The connection is paused, so nothing was asked. Resume it first.")
    if isinstance(reason, TimeoutError):
        return Checked("unavailable", f"{crm} did not answer within {PATIENCE_SECONDS:.0f} seconds.")
    return Checked("unknown_provider", "This version does not know this CRM.")


def _keep(refresh: Coroutine[object, object, Credentials]) -> asyncio.Task[Credentials]:
    task = asyncio.create_task(refresh)
    _refreshes.add(task)
    task.add_done_callback(_refreshes.discard)
    return task
