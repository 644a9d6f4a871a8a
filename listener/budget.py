"""The integration's share of the CRM's rate limits, taken from the token buckets in the database."""

from __future__ import annotations

import asyncio

from listener.db import Database
from providers.errors import RateLimited, Stopping

MAX_WAIT_SECONDS = 5.0


class IntegrationBudget:
    """`providers.base.Budget` over `crm_sync.spend_budget`; raises `Stopping` once `stopping` is set."""

    def __init__(self, database: Database, integration_id: int, provider: str, stopping: asyncio.Event) -> None:
        self._database = database
        self._integration_id = integration_id
        self._provider = provider
        self._stopping = stopping

    async def spend(self, limit: str, calls: int = 1) -> None:
        if self._stopping.is_set():
            raise Stopping
        granted, wait_seconds = await self._database.spend_budget(self._integration_id, limit, calls, MAX_WAIT_SECONDS)
        if not granted:
            raise RateLimited(
                f"our budget of {self._provider}'s rate limit '{limit}' is spent for the moment",
                provider=self._provider,
                code="OWN_BUDGET",
                retry_after=wait_seconds,
            )
        if wait_seconds > 0:
            try:
                await asyncio.wait_for(self._stopping.wait(), wait_seconds)
            except TimeoutError:
                return
            raise Stopping
