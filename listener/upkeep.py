"""What goes on beside the work: signs of life, leases that are renewed, and the database's house kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from uuid import UUID

import structlog

from listener.db import Database
from listener.errors import DatabaseTrouble
from listener.settings import Settings

BEAT_SECONDS = 20.0
BEAT_AGAIN_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 60.0
TALLY_SECONDS = 5.0
PURGE_PAUSE_SECONDS = 0.05
DELETE_SECONDS = 20.0

log = structlog.get_logger()


class Held(NamedTuple):
    """A batch that is under way; its documents are its carrier's, and gone as soon as he is done with them."""

    id: int
    integration_id: int
    rows: int


class Upkeep:
    """The background of one worker; `running` is the worker's own, and holds what is under way."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        worker_id: UUID,
        running: dict[asyncio.Task[None], Held],
        announce: Callable[[], Awaitable[None]],
        check_fence: Callable[[], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._database = database
        self._worker_id = worker_id
        self._running = running
        self._announce = announce
        self._check_fence = check_fence

    async def beat(self) -> None:
        """Renew the leases well before they end, and show that we are alive, until cancelled.

        Raises `Fenced` as soon as the database turns out to be another one than we started with.
        """
        every = min(BEAT_SECONDS, self._settings.lease_seconds / 3)
        pause = every
        offset = None
        while True:
            await asyncio.sleep(pause)
            try:
                await self._check_fence()
                await self._renew_leases()
                is_known, offset = await self._database.beat(self._worker_id, offset)
                if not is_known:
                    await self._announce()
                pause = every
            except DatabaseTrouble as trouble:
                pause = min(BEAT_AGAIN_SECONDS, every)
                log.warning("beat_failed", error=str(trouble), retry_in_seconds=pause)

    async def _renew_leases(self) -> None:
        """A batch that is no longer ours is given up: somebody else is at it, and what we would say of it is void."""
        running = dict(self._running)
        if not running:
            return
        held = await self._database.extend_leases(
            self._worker_id, [batch.id for batch in running.values()], self._settings.lease_seconds
        )
        for task, batch in running.items():
            if batch.id not in held and task in self._running:
                log.warning("lease_lost", integration_id=batch.integration_id, batch_id=batch.id)
                task.cancel()

    async def keep_house(self) -> None:
        """Once a minute adopt, make, move on and purge what the database wants treated so, until cancelled."""
        while True:
            begun = time.monotonic()
            # each by itself: what fails for one must not let the others wait
            for chore in (
                self._database.make_log_partitions,
                self._database.advance_slots,
                self._database.heal_pauses,
                self._database.take_samples,
                self._adopt_orphans,
                self._drop_log_partitions,
                self._delete_disconnected,
                self._purge_remains,
                self._purge,
            ):
                try:
                    await chore()
                except DatabaseTrouble as trouble:
                    log.warning("housekeeping_failed", chore=chore.__name__.lstrip("_"), error=str(trouble))
            await asyncio.sleep(HOUSEKEEPING_SECONDS - (time.monotonic() - begun))

    async def count(self) -> None:
        """Every few seconds count what is too much to be counted whenever somebody asks, until cancelled."""
        while True:
            try:
                await self._database.take_tallies()
            except DatabaseTrouble as trouble:
                log.warning("housekeeping_failed", chore="take_tallies", error=str(trouble))
            await asyncio.sleep(TALLY_SECONDS)

    async def _adopt_orphans(self) -> None:
        while await self._database.adopt_orphans():
            pass

    async def _drop_log_partitions(self) -> None:
        while await self._database.drop_log_partitions():
            pass

    async def _delete_disconnected(self) -> None:
        """A large connection goes piece by piece; the next round goes on where this one ends."""
        begun = time.monotonic()
        while time.monotonic() - begun < DELETE_SECONDS and (piece := await self._database.delete_disconnected()):
            if piece.is_gone:
                log.info("connection_deleted", integration_id=piece.integration_id, provider=piece.provider)
            await asyncio.sleep(PURGE_PAUSE_SECONDS)

    async def _purge_remains(self) -> None:
        while await self._database.purge_remains():
            await asyncio.sleep(PURGE_PAUSE_SECONDS)

    async def _purge(self) -> None:
        """For as long as the next round is not due, which goes on where this one ends."""
        begun, reached = time.monotonic(), None
        while time.monotonic() - begun < HOUSEKEEPING_SECONDS:
            reached = await self._database.purge(reached)
            if reached is None:
                break
            await asyncio.sleep(PURGE_PAUSE_SECONDS)
