"""What is done now and then, by whichever daemon comes to it first."""

from __future__ import annotations

from datetime import datetime

from listener.documents import Deletion
from listener.pool import Pool


class HousekeepingCalls(Pool):
    """The database's house kept."""

    async def adopt_orphans(self) -> int:
        answer: int = await self._value("select crm_sync.adopt_orphans()")
        return answer

    async def make_log_partitions(self) -> int:
        answer: int = await self._value("select crm_sync.make_log_partitions()")
        return answer

    async def drop_log_partitions(self) -> int:
        answer: int = await self._value("select crm_sync.drop_log_partitions()")
        return answer

    async def heal_pauses(self) -> None:
        await self._value("select crm_sync.heal_pauses()")

    async def advance_slots(self) -> None:
        await self._value("select crm_sync.advance_slots()")

    async def take_samples(self) -> None:
        await self._value("select crm_sync.take_samples()")

    async def take_tallies(self) -> None:
        await self._value("select crm_sync.take_tallies()")

    async def purge(self, since: datetime | None) -> datetime | None:
        """Purge a batch of finished rows; returns where to go on, None when there are no more."""
        answer: datetime | None = await self._value("select crm_sync.purge($1)", since)
        return answer

    async def purge_remains(self) -> int:
        answer: int = await self._value("select crm_sync.purge_remains()")
        return answer

    async def delete_disconnected(self) -> Deletion | None:
        """Delete a piece of what has been disconnected for too long; None when there is nothing (more)."""
        row = await self._row("select * from crm_sync.delete_disconnected()")
        return None if row is None else Deletion(*row.values())
