"""Pages that are looked at learn that something changed: server-sent events.

However many pages a user has open, the database is asked once for all of them; and the more users look, the less often.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress

import structlog

from console import queries_dashboard as ask
from console.db import Members
from console.identity import Identity
from listener.errors import DatabaseTrouble, Refusal
from listener.logs import places

POLL_SECONDS = 1.0
POLLS_PER_SECOND = 50
HEARTBEAT_SECONDS = 15.0
TROUBLE_SECONDS = 5.0
MOST_STREAMS = 500
MOST_STREAMS_OF_ONE = 12

log = structlog.get_logger()


class Listener:
    """One open page; `seen` is the pulse that it was made at, until that was looked at."""

    def __init__(self, identity: Identity, seen: str | None) -> None:
        self.identity = identity
        self.seen = seen
        self.expires = float(identity.expires_at)
        self.wake = asyncio.Event()
        self.has_news = False
        self.ended: str | None = None

    def tell(self) -> None:
        self.has_news = True
        self.wake.set()

    def end(self, why: str) -> None:
        self.ended = self.ended or why
        self.wake.set()


class Watch:
    """One user whose pages are open."""

    def __init__(self) -> None:
        self.listeners: set[Listener] = set()
        self.task: asyncio.Task[None] | None = None
        self.seen: str | None = None

    @property
    def identity(self) -> Identity:
        """Of the token that counts longest."""
        return max(self.listeners, key=lambda listener: listener.expires).identity


class Streams:
    """All open pages of this process."""

    def __init__(self) -> None:
        self._watches: dict[str, Watch] = {}
        self._is_closed = False

    @property
    def count(self) -> int:
        """How many pages are connected."""
        return sum(len(watch.listeners) for watch in self._watches.values())

    async def follow(
        self, members: Members, identity: Identity, seen: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The stream of one page; it ends when the sign-in does, the membership does, or the console stops.

        A page that says at which pulse it was made also hears of what changed before the stream began.
        """
        watch = self._watches.get(identity.user_id)
        if self._is_closed or self.count >= MOST_STREAMS or (watch and len(watch.listeners) >= MOST_STREAMS_OF_ONE):
            yield event("closed", "full")
            return
        if watch is None:
            watch = self._watches[identity.user_id] = Watch()
        listener = Listener(identity, seen)
        watch.listeners.add(listener)
        if watch.task is None:
            watch.task = asyncio.create_task(self._look(members, watch))
        try:
            yield event("ready")
            while listener.ended is None:
                left = listener.expires - time.time()
                if left <= 0:
                    listener.end("expired")
                    break
                with suppress(TimeoutError):
                    await asyncio.wait_for(listener.wake.wait(), min(HEARTBEAT_SECONDS, left))
                listener.wake.clear()
                if listener.has_news:
                    listener.has_news = False
                    yield event("changed")
                elif listener.ended is None:
                    yield b": still here\n\n"
            yield event("closed", listener.ended or "")
        finally:
            watch.listeners.discard(listener)
            if not watch.listeners:
                if watch.task is not None:
                    watch.task.cancel()
                if self._watches.get(identity.user_id) is watch:
                    del self._watches[identity.user_id]

    async def _look(self, members: Members, watch: Watch) -> None:
        """Ask whether anything changed, until cancelled."""
        is_first = True
        while True:
            pause = max(POLL_SECONDS, len(self._watches) / POLLS_PER_SECOND)
            try:
                async with members.asked_by(watch.identity) as session:
                    pulse = await ask.pulse(session)
                if pulse is None:
                    for listener in watch.listeners:
                        listener.end("no_membership")
                else:
                    has_changed = pulse != watch.seen and not is_first
                    for listener in watch.listeners:
                        if has_changed or listener.seen not in (None, pulse):
                            listener.tell()
                        listener.seen = None
                watch.seen, is_first = pulse, False
            except (DatabaseTrouble, Refusal) as trouble:
                log.warning("events_interrupted", error=str(trouble))
                pause = TROUBLE_SECONDS
            except Exception as failure:  # noqa: BLE001 - else open pages would go on saying "live", and hear nothing
                log.error("events_interrupted", error=type(failure).__name__, places=places(failure))
                pause = TROUBLE_SECONDS
            await asyncio.sleep(pause)

    def close(self) -> None:
        """End all streams at once: the console stops, and browsers come back to the next one by themselves."""
        self._is_closed = True
        for watch in self._watches.values():
            for listener in watch.listeners:
                listener.end("stopping")


def event(name: str, data: str = "") -> bytes:
    """As it is written on the wire."""
    return f"event: {name}\ndata: {data}\n\n".encode()
