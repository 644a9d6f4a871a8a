"""That a daemon is there, whether it sleeps, and what it waits for before it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from listener.pool import Pool

EXACT_ROUND_TRIP = timedelta(seconds=1)


class Beat(NamedTuple):
    """What a sign of life brought back: whether the database knows us, and by how much our clock is ahead of its.

    `clock_offset` is None where the round trip took too long to say.
    """

    is_known: bool
    clock_offset: timedelta | None


class PresenceCalls(Pool):
    """Signs of life, and the doorbell."""

    async def register(
        self, worker_id: UUID, host: str, pid: int, version: str, listening: bool, schema_version: int
    ) -> None:
        await self._value(
            "select crm_sync.register_worker($1, $2, $3, $4, $5, $6)",
            *(worker_id, host, pid, version, listening, schema_version),
        )

    async def unregister(self, worker_id: UUID) -> None:
        await self._value("select crm_sync.unregister_worker($1)", worker_id)

    async def beat(self, worker_id: UUID, clock_offset: timedelta | None = None) -> Beat:
        """Give a sign of life, with the offset that the beat before has measured, and measure it anew."""
        sent = datetime.now(UTC)
        row = await self._row(
            "select crm_sync.beat($1, $2) as is_known, clock_timestamp() as at", worker_id, clock_offset
        )
        took = datetime.now(UTC) - sent
        # the database looked at its clock somewhere between: the middle is wrong by half of the way at most
        is_exact = timedelta(0) <= took <= EXACT_ROUND_TRIP
        return Beat(row["is_known"], sent + took / 2 - row["at"] if is_exact else None)

    async def arm(self, worker_id: UUID) -> None:
        await self._value("select crm_sync.arm_worker($1)", worker_id)

    async def disarm(self, worker_id: UUID) -> None:
        await self._value("select crm_sync.disarm_worker($1)", worker_id)

    async def ring_worker(self, worker_id: UUID) -> None:
        await self._value("select crm_sync.ring_worker($1)", worker_id)

    async def current_xmax(self) -> str:
        answer: str = await self._value("select crm_sync.current_xmax()")
        return answer

    async def older_transactions_run(self, xid: str) -> bool:
        answer: bool = await self._value("select crm_sync.older_transactions_run($1)", xid)
        return answer
