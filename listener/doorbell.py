"""The LISTEN connection: it only makes the daemon fast, so it may die at any time, and heals itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import structlog

from listener.db import CONNECTION_LOST, Database, connect
from listener.settings import Settings

CHANNEL = "crm_sync"
RING_SECONDS = 30.0
ANSWER_SECONDS = 5.0

log = structlog.get_logger()


class Doorbell:
    """Sets `rung` whenever somebody rings.

    A LISTEN connection that died says nothing, which sounds exactly like a queue without work. So it is rung by
    ourselves now and then; a ring that does not arrive means a new connection.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        worker_id: UUID,
        on_change: Callable[[bool], Awaitable[None]],
        ring_seconds: float = RING_SECONDS,
    ) -> None:
        self.rung = asyncio.Event()
        self.is_listening = False
        self._settings = settings
        self._database = database
        self._worker_id = worker_id
        self._on_change = on_change
        self._ring_seconds = ring_seconds
        self._heard = asyncio.Event()
        self._lost = asyncio.Event()

    async def run(self) -> None:
        """Keep a LISTEN connection up until cancelled."""
        pause = 0.1
        while True:
            try:
                connection = await connect(self._settings)
            except (*CONNECTION_LOST, asyncpg.PostgresError, TimeoutError) as error:
                log.warning("doorbell_connect_failed", error=type(error).__name__, retry_in_seconds=pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10.0)
                continue
            pause = 0.1
            try:
                await self._listen(connection)
            except (*CONNECTION_LOST, asyncpg.PostgresError, TimeoutError) as error:
                log.warning("doorbell_lost", error=type(error).__name__)
            finally:
                connection.terminate()
                self.is_listening = False
                self.rung.set()  # whatever was missed is found by looking

    async def _listen(self, connection: asyncpg.Connection) -> None:
        self._lost.clear()
        connection.add_termination_listener(lambda *_: self._lost.set())
        await connection.add_listener(CHANNEL, self._on_ring)
        self.is_listening = True
        await self._on_change(True)
        self.rung.set()
        while True:
            if await _happens(self._lost, self._ring_seconds):
                raise ConnectionResetError
            self._heard.clear()
            await self._database.ring_worker(self._worker_id)
            if not await _happens(self._heard, ANSWER_SECONDS):
                raise TimeoutError

    def _on_ring(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        if not payload:
            self.rung.set()
        elif payload == str(self._worker_id):
            self._heard.set()


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
