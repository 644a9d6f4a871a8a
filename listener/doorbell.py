"""The LISTEN connection: it only makes the daemon fast, so it may die at any time, and heals itself."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import structlog

from listener.db import Database
from listener.errors import DatabaseTrouble
from listener.pool import TROUBLE, connect
from listener.settings import Settings

CHANNEL = "crm_sync"
DUE_CHANNEL = "crm_sync_due"
REVOCATIONS = "revocations"
MOST_HINTS = 100
MOST_DIGITS = 18
"""Anybody may notify; these fit into a bigint."""
SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 10.0

log = structlog.get_logger()


class Doorbell:
    """Sets `rung` whenever somebody rings.

    A LISTEN connection that died says nothing, which sounds exactly like a queue without work. So it is rung by
    ourselves now and then; a ring that does not arrive means a new connection.

    Attributes:
        hints: ids of integrations that somebody said have work; it may be done by now, and others may have some too.
        revocations: somebody said that there are tokens to be revoked.
        rung: somebody rang, or may have rung unheard: look at the queue. Whoever looks clears it first.
        is_listening: a ring would be heard.
        was_tried: the first attempt to listen is over, whatever came of it.
    """

    def __init__(
        self, settings: Settings, database: Database, worker_id: UUID, on_change: Callable[[], Awaitable[None]]
    ) -> None:
        self.hints: deque[int] = deque(maxlen=MOST_HINTS)
        self.revocations = asyncio.Event()
        self.rung = asyncio.Event()
        self.is_listening = False
        self.was_tried = False
        self._settings = settings
        self._database = database
        self._worker_id = worker_id
        self._on_change = on_change
        self._heard = asyncio.Event()
        self._lost = asyncio.Event()

    async def run(self) -> None:
        """Keep a LISTEN connection up until cancelled."""
        pause = SHORTEST_PAUSE_SECONDS
        while True:
            started = time.monotonic()
            try:
                await self._connect_and_listen()
            except (*TROUBLE, DatabaseTrouble) as error:
                log.warning("doorbell_lost", error=type(error).__name__, retry_in_seconds=pause)
            self.was_tried = True
            self.rung.set()  # whatever was missed is found by looking
            if time.monotonic() - started > LONGEST_PAUSE_SECONDS:
                pause = SHORTEST_PAUSE_SECONDS
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _connect_and_listen(self) -> None:
        self._lost.clear()
        connection = await connect(self._settings)
        try:
            connection.add_termination_listener(lambda *_: self._lost.set())
            await connection.add_listener(DUE_CHANNEL, self._on_hint)
            await connection.add_listener(CHANNEL, self._on_ring)
            self.is_listening = True
            await self._on_change()
            self.was_tried = True
            self.rung.set()
            await self._keep_listening()
        finally:
            connection.terminate()
            if self.is_listening:
                self.is_listening = False
                await self._on_change()

    async def _keep_listening(self) -> None:
        """Until the connection is lost; raises `ConnectionResetError`, or `TimeoutError` when it went deaf."""
        while not await _happens(self._lost, self._settings.ring_seconds):
            self._heard.clear()
            await self._database.ring_worker(self._worker_id)
            if not await _happens(self._heard, self._settings.ring_answer_seconds):
                raise TimeoutError
        raise ConnectionResetError

    def _on_ring(self, _connection: asyncpg.Connection, _pid: int, _channel: str, payload: str) -> None:
        if not payload:
            self.rung.set()
        elif payload == str(self._worker_id):
            self._heard.set()
        elif payload == REVOCATIONS:
            self.revocations.set()

    def _on_hint(self, _connection: asyncpg.Connection, _pid: int, _channel: str, payload: str) -> None:
        if payload.isdecimal() and len(payload) <= MOST_DIGITS:
            self.hints.append(int(payload))


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
