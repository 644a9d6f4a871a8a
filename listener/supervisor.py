"""What systemd hears of us: that we are ready, that the work goes round, how it stands. Without it nobody is told."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from listener.errors import DatabaseTrouble, Refusal
from listener.journal import visible
from listener.settings import notify_socket, watchdog

if TYPE_CHECKING:
    from listener.db import Database
    from listener.documents import Headline

STATUS_SECONDS = 10.0
REST_FACTOR = 50
"""Counting a long queue may be dear: a fiftieth of the time at most."""
SILENT_SECONDS = 10.0
"""A database that says nothing for so long is called away."""
EXTEND_SECONDS = 120.0
EXTEND_AGAIN_SECONDS = 5.0
WORD_SECONDS = 1.0
"""How long a word that must not be lost may wait for systemd; the others are dropped where it does not listen."""
MOST_ROWS = 20_000
"""As many rows `crm_sync.headline` counts at most."""

log = structlog.get_logger()


class Supervisor:
    """Who started us and watches us, by sd_notify; where nobody does, every method does nothing.

    The watchdog is fed by `looked` alone, which the worker's loop calls when a try to reach the database has come to
    its end: an answer, a refusal or a lost connection. A database that is away ends every try, so we go on and wait
    for it; a loop that hangs, or a try that never ends, feeds nothing, and systemd starts us anew.

    Attributes:
        look_seconds: so often at least the loop must look at the database; infinite where no watchdog waits for it.
    """

    def __init__(self, address: str | None = None, watchdog_seconds: float | None = None) -> None:
        self._address = address
        self._watchdog_seconds = watchdog_seconds
        self.look_seconds = float("inf") if watchdog_seconds is None else watchdog_seconds / 3
        self._looked_at = self._fed_at = time.monotonic()
        self._extended_at = float("-inf")
        self._is_ready, self._status = False, "starting"
        self._away_since: datetime | None = None

    @classmethod
    def of_this_process(cls) -> Supervisor:
        """As the environment says."""
        return cls(notify_socket(), watchdog(os.getpid()))

    @property
    def is_there(self) -> bool:
        return self._address is not None

    @property
    def is_look_due(self) -> bool:
        """Whether the watchdog would like to see a round trip, whatever there is to do."""
        return time.monotonic() - self._looked_at >= self.look_seconds

    def ready(self, status: str) -> None:
        self._is_ready, self._status = True, status
        self._send(f"READY=1\nSTATUS={_one_line(status)}", seconds=WORD_SECONDS)
        self._feed()

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping", seconds=WORD_SECONDS)

    def refused(self, words: str) -> None:
        """Why we end; `systemctl status` goes on showing it."""
        self.say(words.partition("\n")[0])

    def say(self, status: str) -> None:
        self._send(f"STATUS={_one_line(status)}")

    def looked(self) -> None:
        """The database has answered."""
        if self._away_since is not None:
            self._away_since = None
            self.say(self._status)
        self._feed()

    def tried(self, *, is_lost: bool) -> None:
        """A try has come to its end, and not to a good one: it was lost, or the database said no."""
        if is_lost:
            self.waits()
        self._feed()

    def waits(self, since: datetime | None = None) -> None:
        """The database is away, and it is being waited for; a start may take as long as that lasts."""
        if self._away_since is None:
            self._away_since = since or datetime.now(UTC)
            self.say(f"waiting for the database since {self._away_since:%Y-%m-%d %H:%M:%S} UTC")
        if not self._is_ready and time.monotonic() - self._extended_at >= EXTEND_AGAIN_SECONDS:
            self._extended_at = time.monotonic()
            self._send(f"EXTEND_TIMEOUT_USEC={EXTEND_SECONDS * 1e6:.0f}")

    async def report(self, database: Database) -> None:
        """Say how much waits for how long, every ten seconds, until cancelled. Feeds no watchdog."""
        while self.is_there:
            began, began_at = time.monotonic(), datetime.now(UTC)
            asking = asyncio.create_task(database.headline(MOST_ROWS))
            try:
                if not (await asyncio.wait({asking}, timeout=SILENT_SECONDS))[0]:
                    self.waits(began_at)
                words = words_of(await asking)
            except (DatabaseTrouble, Refusal):  # of the first the worker's loop tells; a database of before has it not
                words = None
            finally:
                asking.cancel()
            if words is not None:
                self._away_since = None
                self.say(words)
            await asyncio.sleep(max(STATUS_SECONDS, REST_FACTOR * (time.monotonic() - began)))

    def _feed(self) -> None:
        self._looked_at = time.monotonic()
        # a busy loop looks a thousand times a second
        if self._watchdog_seconds is not None and self._looked_at - self._fed_at >= self._watchdog_seconds / 8:
            self._fed_at = self._looked_at
            self._send("WATCHDOG=1")

    def _send(self, state: str, seconds: float = 0.0) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(seconds)  # who does not read must not make us wait
                channel.connect(address)
                channel.send(state.encode())
        except (BlockingIOError, TimeoutError):
            log.debug("notify_dropped")
        except OSError as error:
            log.warning("notify_failed", error=type(error).__name__)


NOBODY = Supervisor()


def words_of(headline: Headline) -> str:
    """How it stands, in one line for `systemctl status`."""
    rows = f"{headline.waiting:,}" if headline.waiting <= MOST_ROWS else f"more than {MOST_ROWS:,}"
    noun = "row" if headline.waiting == 1 else "rows"
    oldest = f", oldest {_duration(headline.oldest_seconds)}" if headline.oldest_seconds is not None else ""
    words = f"working; {_count(headline.connections, 'connection')}, {rows} {noun} waiting{oldest}"
    if not headline.need_person:
        return words
    verb = "needs" if headline.need_person == 1 else "need"
    return f"{words}; {_count(headline.need_person, 'connection')} {verb} a person"


def _one_line(words: str) -> str:
    """What comes after a line end would be another message to systemd."""
    return visible(words).replace("\n", " ")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
