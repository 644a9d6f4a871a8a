"""The daemon's loop: claim while there is work, sleep when there is none, and lose no wake-up in between."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import structlog

from listener import __version__
from listener.carrier import Carrier
from listener.db import TROUBLE, Claim, Database
from listener.doorbell import Doorbell
from listener.settings import Settings
from providers.models import Batch

log = structlog.get_logger()

DISCOVER_SECONDS = 0.25
BUSY_SECONDS = 0.05
LINGER_LOOKS = 3
BEAT_SECONDS = 20.0
HOUSEKEEPING_SECONDS = 60.0


class Worker:
    """Claims batches for as many integrations at once as there are slots, and hands each to the carrier."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        carrier: Carrier,
        stopping: asyncio.Event,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self.id: UUID = uuid4()
        self._settings = settings
        self._database = database
        self._carrier = carrier
        self._stopping = stopping
        self._on_ready = on_ready
        self._doorbell = Doorbell(settings, database, self.id, self._announce)
        self._running: dict[asyncio.Task[None], Batch] = {}
        self._due: deque[int] = deque()
        self._discover_at = 0.0
        self._next_due_at: datetime | None = None
        self._is_armed = False
        self._is_ready = False

    async def run(self) -> None:
        """Work until `stopping` is set; then hand back what was not sent, within `settings.stop_seconds`."""
        await self._announce(False)
        background = [asyncio.create_task(self._beat()), asyncio.create_task(self._keep_house())]
        if self._settings.listen:
            background.append(asyncio.create_task(self._doorbell.run()))
        try:
            pause = 0.1
            while not self._stopping.is_set():
                try:
                    await self._work_and_sleep()
                    pause = 0.1
                except TROUBLE as error:
                    log.warning("database_lost", error=type(error).__name__, retry_in_seconds=pause)
                    self._is_armed = False
                    await self._stop_or(pause)
                    pause = min(pause * 2, 5.0)
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._drain()
            try:
                await asyncio.wait_for(self._database.unregister(self.id), 1.0)
            except TROUBLE as error:
                log.warning("goodbye_failed", error=type(error).__name__)

    async def _work_and_sleep(self) -> None:
        while not self._stopping.is_set():
            self._doorbell.rung.clear()
            claimed = await self._claim_all()
            if not self._is_ready and (self._doorbell.is_listening or not self._settings.listen):
                self._is_ready = True
                self._on_ready()
            if self._running:
                await self._wait_while_busy(claimed)
            elif not claimed:
                await self._linger_then_sleep()

    async def _claim_all(self) -> int:
        """Claim until the slots are full or nothing is due; returns how many batches were claimed."""
        count = 0
        while len(self._running) < self._settings.concurrency and not self._stopping.is_set():
            claim = await self._claim()
            if claim.batch is not None:
                count += 1
                self._start(claim.batch)
            elif not self._due:
                break
        return count

    async def _claim(self) -> Claim:
        """Of the next integration that is known to be due; discover them anew now and then, and when none is known."""
        now = time.monotonic()
        if self._due and now < self._discover_at:
            integration_id = self._due.popleft()
            claim = await self._database.claim(
                self.id, self._settings.batch_size, self._settings.lease_seconds, [integration_id]
            )
            if claim.batch is not None:
                self._due.append(integration_id)
            return claim
        claim = await self._database.claim(self.id, self._settings.batch_size, self._settings.lease_seconds)
        # where looking is dear (an old snapshot keeps dead index entries), look less often
        elapsed = time.monotonic() - now
        self._discover_at = now + max(DISCOVER_SECONDS, 20 * elapsed)
        self._due = deque(claim.due)
        self._next_due_at = claim.next_due_at
        if claim.batch is not None:
            self._due.append(claim.batch.integration_id)
        return claim

    def _start(self, batch: Batch) -> None:
        task = asyncio.create_task(self._carrier.carry(batch))
        self._running[task] = batch
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._doorbell.rung.set()  # what it enqueued is due now
        self._discover_at = 0.0
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("carrier_failed", error=type(error).__name__)

    async def _wait_while_busy(self, claimed: int) -> None:
        """Something is under way: look again when it ends or the bell rings, and every moment in any case."""
        if self._is_armed:
            await self._disarm()
        if len(self._running) >= self._settings.concurrency:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED, timeout=BUSY_SECONDS * 10)
        elif not claimed:
            await self._rung_within(BUSY_SECONDS)

    async def _linger_then_sleep(self) -> None:
        if not self._is_armed:
            for _ in range(LINGER_LOOKS):
                await self._rung_within(0.01)
                if await self._claim_all() or self._running or self._stopping.is_set():
                    return
            await self._database.arm(self.id)
            self._is_armed = True
            # whoever did not see us armed has an older transaction: look again until the last of those is over
            xmax = await self._database.current_xmax()
            pause = 0.003
            while True:
                older = await self._database.older_transactions_run(xmax)
                self._discover_at = 0.0
                if await self._claim_all() or self._running or self._stopping.is_set():
                    return
                if not older:
                    break
                await self._rung_within(min(pause, self._seconds_to_next()))
                pause = min(pause * 1.5, 0.5)
        await self._rung_within(self._seconds_to_next())
        self._discover_at = 0.0

    def _seconds_to_next(self) -> float:
        if self._next_due_at is None:
            return self._settings.poll_seconds
        remaining = (self._next_due_at - datetime.now(UTC)).total_seconds()
        return min(self._settings.poll_seconds, max(remaining, 0.005))

    async def _disarm(self) -> None:
        self._is_armed = False
        await self._database.disarm(self.id)

    async def _rung_within(self, seconds: float) -> None:
        stop = asyncio.ensure_future(self._stopping.wait())
        rung = asyncio.ensure_future(self._doorbell.rung.wait())
        try:
            await asyncio.wait({stop, rung}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            rung.cancel()

    async def _stop_or(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _drain(self) -> None:
        """Let what is on the wire come back, then cut it off; every batch is settled either way."""
        if self._running:
            await asyncio.wait(self._running, timeout=self._settings.stop_seconds)
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _announce(self, listening: bool) -> None:
        await self._database.register(self.id, socket.gethostname(), os.getpid(), __version__, listening)

    async def _beat(self) -> None:
        """Signs of life, and leases renewed well before they end; a batch that was lost is given up."""
        every = min(BEAT_SECONDS, self._settings.lease_seconds / 3)
        while True:
            await asyncio.sleep(every)
            try:
                if not await self._database.beat(self.id):
                    await self._announce(self._doorbell.is_listening)
                    self._is_armed = False
                if self._running:
                    running = dict(self._running)
                    held = await self._database.extend_leases(
                        self.id, [batch.id for batch in running.values()], self._settings.lease_seconds
                    )
                    for task, batch in running.items():
                        if batch.id not in held and task in self._running:
                            log.warning("lease_lost", integration_id=batch.integration_id, batch_id=batch.id)
                            task.cancel()
            except TROUBLE as error:
                log.warning("beat_failed", error=type(error).__name__)

    async def _keep_house(self) -> None:
        while True:
            try:
                await self._database.make_log_partitions()
                while await self._database.adopt_orphans():
                    pass
                while await self._database.purge():
                    await asyncio.sleep(0.05)
            except TROUBLE as error:
                log.warning("housekeeping_failed", error=type(error).__name__)
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
