"""The daemon's loop: claim while there is work, sleep when there is none, and lose no wake-up in between."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from uuid import UUID, uuid4

import structlog

from listener import __version__
from listener.alerts import Alerts
from listener.carrier import Carrier
from listener.claimer import Claimer, rows_of
from listener.db import Database
from listener.doorbell import Doorbell
from listener.errors import DatabaseTrouble
from listener.idle import IdleTokens
from listener.lost_claims import LostClaims
from listener.observer import SILENT, Observer
from listener.revocations import Revocations
from listener.settings import REQUIRED_SCHEMA, Settings
from listener.supervisor import NOBODY, Supervisor
from listener.upkeep import Held, Upkeep
from providers.models import Batch

log = structlog.get_logger()

BUSY_SECONDS = 0.02
LONGEST_BUSY_SECONDS = 0.25
HEAD_START_SECONDS = 0.01
"""For the calls of what woke us: nothing else of ours competes with them so long."""
LINGER_LOOKS = 3
LINGER_SECONDS = 0.01
OLDER_SECONDS = 0.003
LONGEST_OLDER_SECONDS = 0.5
LONGEST_TROUBLE_SECONDS = 5.0
GRACE_SECONDS = 0.5
"""For each of the last words to the database, which may be away."""


class Worker:
    """Claims batches for as many integrations at once as there are slots, and hands each to the carrier."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        carrier: Carrier,
        stopping: asyncio.Event,
        on_ready: Callable[[], None] = lambda: None,
        observer: Observer = SILENT,
        supervisor: Supervisor = NOBODY,
    ) -> None:
        self.id: UUID = uuid4()
        self._settings = settings
        self._database = database
        self._carrier = carrier
        self._stopping = stopping
        self._on_ready = on_ready
        self._observer = observer
        self._supervisor = supervisor
        self._running: dict[asyncio.Task[None], Held] = {}
        self._doorbell = Doorbell(settings, database, self.id, self._announce)
        self._upkeep = Upkeep(settings, database, self.id, self._running, self._announce, self._check_fence)
        self._idle_tokens = IdleTokens(database, settings, carrier.tokens_for)
        self._revocations = Revocations(database, settings, carrier.http, self._doorbell.revocations)
        self._alerts = Alerts(database, settings, carrier.http)
        self._lost_claims = LostClaims(database, self.id, self._look_again)
        self._claimer = Claimer(
            settings, database, carrier, self.id, self._running.values(), self._doorbell.hints, self._lost_claims
        )
        self._generation: int | None = None
        self._busy_pause = BUSY_SECONDS
        self._is_announced = False
        self._is_armed = False
        self._has_outwaited = False
        self._is_ready = False

    @property
    def in_flight(self) -> int:
        """How many batches are under way."""
        return len(self._running)

    @property
    def is_listening(self) -> bool:
        """Whether a ring would be heard."""
        return self._doorbell.is_listening

    def unready_reason(self) -> str | None:
        """Why work does not flow as it should, in words for an operator; None when nothing is known against it."""
        if self._stopping.is_set():
            return "it is stopping"
        if not self._is_ready:
            return "no claim has gone through yet"
        if self._settings.listen and not self._doorbell.is_listening:
            return (
                f"the LISTEN connection is down: it polls every {self._settings.poll_seconds:g} s until that is back "
                "(set CRM_SYNC_LISTEN=false where the way to the database cannot LISTEN)"
            )
        return None

    async def run(self) -> None:
        """Work until `stopping` is set; then hand back what was not sent, within `settings.stop_seconds`.

        Raises what ended it otherwise: a `Refusal`, or a fault of ours.
        """
        beat = asyncio.create_task(self._upkeep.beat())
        duties = (
            *(self._work, self._upkeep.keep_house, self._upkeep.count),
            *(self._idle_tokens.run, self._revocations.run, self._alerts.run, self._lost_claims.run),
        )
        work = [asyncio.create_task(duty()) for duty in duties]
        if self._settings.listen:
            work.append(asyncio.create_task(self._doorbell.run()))
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({stop, beat, *work}, return_when=asyncio.FIRST_COMPLETED)
            self._stopping.set()
            await asyncio.wait(work[:1], timeout=GRACE_SECONDS)  # a claim that is under way had better arrive
        finally:
            self._stopping.set()
            await _end(stop, *work)
            await self._drain()
            await _end(beat)
            try:
                await asyncio.wait_for(self._say_goodbye(), GRACE_SECONDS)
            except (DatabaseTrouble, TimeoutError) as trouble:
                log.warning("goodbye_failed", error=type(trouble).__name__)
        for task in (beat, *work):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _work(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                if not self._is_announced:
                    await self._announce()
                await self._turn()
                pause = 0.1
            except DatabaseTrouble as trouble:
                log.warning("database_trouble", error=str(trouble), retry_in_seconds=pause)
                self._supervisor.tried(is_lost=trouble.is_lost)
                self._is_armed = False
                if trouble.is_lost:
                    self._is_announced = False  # what answers next may be another server: its fence goes before a claim
                await self._stop_or(min(pause, self._supervisor.look_seconds))
                pause = min(pause * 2, LONGEST_TROUBLE_SECONDS)

    async def _turn(self) -> None:
        """One look at the queue, and the wait that follows it."""
        self._doorbell.rung.clear()
        claimed = await self._claim_all()
        if self._running:
            await self._wait_while_busy(claimed)
        elif not claimed:
            await self._linger_then_sleep()

    async def _claim_all(self) -> int:
        """Claim until the slots are full or nothing is due; returns how many batches were claimed."""
        count = 0
        while len(self._running) < self._settings.concurrency and not self._stopping.is_set():
            if not self._is_armed:
                self._doorbell.hints.clear()  # they were for those that slept; whoever is awake serves in turn
            claim = await self._claimer.claim()
            self._supervisor.looked()
            if claim.unreadable is not None:
                log.error("batch_unreadable", batch_id=claim.unreadable.batch_id, places=claim.unreadable.places)
                await self._database.finish(claim.unreadable.batch_id, claim.unreadable.outcomes)
                continue
            if claim.batch is not None:
                count += 1
                self._start(claim.batch)
            if not self._claimer.has_more:
                break
        if self._supervisor.is_look_due:  # all slots are taken by calls that last
            await self._database.current_xmax()
            self._supervisor.looked()
        if not self._is_ready and (self._doorbell.was_tried or not self._settings.listen):
            self._is_ready = True
            self._on_ready()
        return count

    def _start(self, batch: Batch) -> None:
        task = asyncio.create_task(self._carrier.carry(batch))
        self._running[task] = Held(batch.id, batch.integration_id, rows_of(batch))
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._look_again()  # what it enqueued is due now
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("carrier_failed", error=type(error).__name__)

    def _look_again(self) -> None:
        self._doorbell.rung.set()
        self._claimer.look_again()

    async def _wait_while_busy(self, claimed: int) -> None:
        """Something is under way: look again when it ends or the bell rings, and every moment in any case."""
        if self._is_armed:
            await self._rung_within(HEAD_START_SECONDS)
            await self._disarm()
        self._busy_pause = BUSY_SECONDS if claimed else min(2 * self._busy_pause, LONGEST_BUSY_SECONDS)
        await self._rung_within(self._busy_pause)

    async def _linger_then_sleep(self) -> None:
        if self._doorbell.is_listening and not (self._is_armed and self._has_outwaited):
            for _ in range(0 if self._is_armed else LINGER_LOOKS):
                if await self._finds_work_within(LINGER_SECONDS):
                    return
            if not self._is_armed:
                await self._database.arm(self.id)
                self._is_armed, self._has_outwaited = True, False
            # whoever did not see us armed has an older transaction: look again until the last of those is over
            xid = await self._database.current_xmax()
            pause = OLDER_SECONDS
            while await self._database.older_transactions_run(xid):
                if await self._finds_work_within(min(pause, self._seconds_to_next())):
                    return
                pause = min(pause * 1.5, LONGEST_OLDER_SECONDS)
            if await self._finds_work_within(0):
                return
            self._has_outwaited = True
        await self._rung_within(self._seconds_to_next())
        self._observer.woke(by_doorbell=self._doorbell.rung.is_set())
        self._claimer.look_again()

    async def _finds_work_within(self, seconds: float) -> bool:
        """Wait, look once more, and say whether there is a reason not to sleep."""
        await self._rung_within(seconds)
        if self._is_armed and self._doorbell.rung.is_set():
            self._observer.woke(by_doorbell=True)
        self._doorbell.rung.clear()
        self._claimer.look_again()
        return await self._claim_all() > 0 or bool(self._running) or self._stopping.is_set()

    def _seconds_to_next(self) -> float:
        return self._claimer.seconds_to_next(min(self._settings.poll_seconds, self._supervisor.look_seconds))

    async def _disarm(self) -> None:
        self._is_armed = False
        await self._database.disarm(self.id)

    async def _rung_within(self, seconds: float) -> None:
        if seconds <= 0:
            return
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
        if tasks:
            await asyncio.wait(tasks, timeout=GRACE_SECONDS)
        await self._carrier.close(GRACE_SECONDS)

    async def _say_goodbye(self) -> None:
        await self._lost_claims.release()  # one that was cut off just now
        await self._database.unregister(self.id)

    async def _announce(self) -> None:
        """Say that we are here and whether we listen; a server that has forgotten us has forgotten that we sleep.

        It may also be another one, which is not ours to work for: raises `Fenced`; or one that lacks what the former
        said last, so what we know of connections is read anew.
        """
        await self._check_fence()
        self._carrier.forget()
        await self._database.register(
            self.id, socket.gethostname(), os.getpid(), __version__, self._doorbell.is_listening, REQUIRED_SCHEMA
        )
        self._is_announced = True
        self._is_armed = False
        self._doorbell.rung.set()

    async def _check_fence(self) -> None:
        self._generation = await self._database.check_fence(self._generation)


async def _end(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
