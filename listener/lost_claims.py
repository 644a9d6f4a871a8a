"""Claims whose answer never came: what the server has taken for them, or takes yet, is handed back at once.

Nobody works on such a batch, and its lease would have to end first. It cannot have been sent: a batch is carried, and a
first call that was paid with its claim is made, only by who has read the answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import structlog

from listener.db import Database
from listener.errors import DatabaseTrouble
from listener.pool import STATEMENT_SECONDS

SOONEST_SECONDS = 0.1
LATEST_SECONDS = 1.0
"""Between two looks: what a server commits after its client has gone waits so long at most."""

log = structlog.get_logger()


class LostClaims:
    """The names of claims that were not answered, each until what it took is handed back or can no longer be taken.

    A server does not notice that its client has gone before it has committed, perhaps long after we have reached
    another session or another server. It ends a statement after `STATEMENT_SECONDS`; what it takes even later, because
    the claim itself was on its way for so long, waits for the end of its lease.
    """

    def __init__(self, database: Database, worker_id: UUID, on_released: Callable[[], None]) -> None:
        self._database = database
        self._worker_id = worker_id
        self._on_released = on_released
        self._lost_at: dict[UUID, float] = {}
        self._is_lost = asyncio.Event()

    @contextmanager
    def claiming(self) -> Iterator[UUID]:
        """The name for one claim, made inside; it is lost if that ends without an answer."""
        claim_id = uuid4()
        try:
            yield claim_id
        except (DatabaseTrouble, asyncio.CancelledError) as error:
            if not isinstance(error, DatabaseTrouble) or error.is_lost:  # a server that says no has undone it
                self._lost_at[claim_id] = time.monotonic()
                self._is_lost.set()
            raise

    async def run(self) -> None:
        """Hand back, again and again while any claim is lost, until cancelled."""
        pause = SOONEST_SECONDS
        while True:
            if not self._lost_at:
                self._is_lost.clear()
                await self._is_lost.wait()
                pause = SOONEST_SECONDS
            try:
                await self.release()
            except DatabaseTrouble as trouble:
                log.debug("release_failed", error=str(trouble))  # the worker's loop tells of it
            await asyncio.sleep(pause)
            pause = min(pause * 2, LATEST_SECONDS)

    async def release(self) -> None:
        """Hand back what lost claims have taken, and forget those that cannot take anything any more."""
        began = time.monotonic()
        while self._lost_at and (found := await self._database.release_claim(self._worker_id, [*self._lost_at])):
            self._lost_at.pop(found, None)
            log.warning("lost_claim_released")
            self._on_released()
        self._lost_at = {each: at for each, at in self._lost_at.items() if at + STATEMENT_SECONDS > began}
