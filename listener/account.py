"""What is known of the account behind a connection: prepared for our keys, and described for mappings."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import structlog

from listener.db import Database
from listener.documents import storable
from listener.errors import DatabaseTrouble
from listener.logs import places
from providers.base import Client
from providers.errors import ProviderError, RateLimited, Rejected, Stopping, Unauthorized, Unavailable, Unexpected
from providers.models import Batch

FORBIDDEN = 403
AGAIN_SECONDS = 3600.0
"""After a description that failed."""
FRESH_SECONDS = 60.0
"""So long one description serves all batches that ask for one, and so far apart are those that refusals ask for."""
LONGEST_FRESH_SECONDS = 900.0
"""As long as refusals go on and descriptions find nothing new: it is the rows' fault then, and calls are scarce."""

log = structlog.get_logger()


class Account:
    """Keeps the database's knowledge of one CRM account fresh; one at a time, however many batches are under way."""

    def __init__(
        self, database: Database, client: Client, integration_id: int, provider: str, connected_version: int = 0
    ) -> None:
        self._database = database
        self._client = client
        self._names = {"integration_id": integration_id, "provider": provider}
        self._integration_id = integration_id
        self._connected_version = connected_version
        self._lock = asyncio.Lock()
        self._facts: dict[str, Any] | None = None
        self._ensured_at = float("-inf")
        self._described_at = float("-inf")
        self._describe_again_at = float("-inf")
        self._is_fresh_for = FRESH_SECONDS
        self._after_refusal_at = float("-inf")
        self._is_asked = False

    async def prepare(self, batch: Batch) -> Batch:
        """The batch as it is to be pushed: composed anew when what nobody knew of the account was found out just now.

        Raises what `Client.ensure_schema` raises as long as the account is not ready, and `Stopping` when the claim was
        lost meanwhile or the account is not the one that our ids belong to. A description that fails keeps no work from
        flowing.
        """
        if batch.schema_ready and not batch.schema_stale:
            return batch
        entered = time.monotonic()
        async with self._lock:
            if not batch.schema_ready:
                # connected anew, perhaps after somebody has mended the account: only what was learned just now counts
                if self._ensured_at < entered:
                    await self._identify()
                    await self._ensure()
                if self._described_at < entered:
                    await self._describe()
            elif entered >= self._described_at + self._is_fresh_for:
                await self._describe(ensure=True)
        if time.monotonic() < self._described_at + FRESH_SECONDS:
            # values and defaults depend on what the CRM takes: rows must not fail because of what is known by now
            again = await self._database.read_batch(batch.id)
            if again is None:
                raise Stopping
            batch = again
        if self._facts is not None:
            batch = batch.model_copy(update={"account": self._facts, "schema_ready": True})
        return batch

    async def describe_after_refusal(self) -> None:
        """The CRM has complained about a field: read its fields again, so that everybody sees what it takes now.

        At most once a minute, and less often while there is nothing new: a complaint that comes too soon waits its
        time, and further ones join it.
        """
        if self._is_asked:
            return
        self._is_asked = True
        try:
            await asyncio.sleep(self._after_refusal_at + self._is_fresh_for - time.monotonic())
        finally:
            self._is_asked = False
        self._after_refusal_at = time.monotonic()
        async with self._lock:
            try:
                await self._describe()
            except (Unauthorized, RateLimited, Stopping, DatabaseTrouble) as trouble:
                log.info("describing_put_off", **self._names, error=type(trouble).__name__)  # the next batch does it

    async def _identify(self) -> None:
        """Before anything is sent with new credentials: whether they lead to the account that our ids belong to."""
        refused: ProviderError | None = None
        try:
            found = _json((await self._client.identify()).model_dump())
        except (Rejected, Unauthorized, Unexpected) as error:
            if isinstance(error, Unauthorized) and error.status != FORBIDDEN:
                raise
            refused, found = error, _json({})
        is_known = await self._database.note_account(self._integration_id, found, self._connected_version)
        if is_known:
            return
        if refused is None or is_known is None:
            log.warning("account_is_another_one", **self._names)
            raise Stopping
        words = f"which account these credentials are for is not known, and must be: {refused.message}"
        kind = Unavailable if isinstance(refused, Unexpected) else Unauthorized
        raise kind(words, provider=refused.provider, status=refused.status, code=refused.code)

    async def _ensure(self) -> None:
        facts = await self._client.ensure_schema()
        await self._database.mark_schema_ready(self._integration_id, _json(facts), self._connected_version)
        self._facts = facts
        self._ensured_at = time.monotonic()

    async def _describe(self, *, ensure: bool = False) -> None:
        now = time.monotonic()
        if now < self._describe_again_at:
            return
        self._describe_again_at = now + AGAIN_SECONDS
        try:
            if ensure:
                await self._ensure()
            fields = await self._client.describe()
            changed = await self._database.store_crm_fields(
                self._integration_id, _json([field.model_dump() for field in fields])
            )
        except (Unauthorized, RateLimited, Stopping, asyncio.CancelledError):
            self._describe_again_at = float("-inf")
            raise
        except Exception as failure:
            if isinstance(failure, DatabaseTrouble) and failure.is_lost:
                self._describe_again_at = float("-inf")
                raise
            # its words may quote the CRM's data: the type and the places are enough to find it
            log.warning(
                "describing_failed",
                **self._names,
                error=type(failure).__name__,
                places=places(failure),
                again_in_seconds=AGAIN_SECONDS,
            )
            return
        self._is_fresh_for = FRESH_SECONDS if changed else min(2 * self._is_fresh_for, LONGEST_FRESH_SECONDS)
        self._described_at = time.monotonic()
        self._describe_again_at = float("-inf")
        log.info("described", **self._names, fields=len(fields), changed=changed)


def _json(value: Any) -> str:
    """As jsonb takes it: a CRM's labels may hold what Postgres stores in no text."""
    return json.dumps(storable(value))
