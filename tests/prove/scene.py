"""What a schedule plays in: daemons, CRMs, a database, and those who may do something to them."""

from __future__ import annotations

import heapq
import itertools
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from listener.errors import EX_UNAVAILABLE
from providers.base import STALE_SECONDS
from sandbox.app import Crm
from sandbox.postgres import EmbeddedPostgres
from tests.house import KEY
from tests.listener.crms import Account, Kit
from tests.listener.daemons import environment
from tests.listener.relay import Relay
from tests.nursery import Child, Nursery
from tests.prove.disks import Disks
from tests.prove.traps import Busy, Trap, owner_of

MORE_THAN_A_MOMENT = STALE_SECONDS + 0.3
QUIET_SECONDS = 3.0
LEASE_SECONDS = 5
"""A claim whose answer was lost on the way is nobody's until then; ten times shorter than usual, as is the timeout."""
LOOK_SECONDS = 0.02
SETTLING_SECONDS = 0.03
"""Until what a killed process had sent has reached the CRM or is lost."""


class Clock:
    """The CRMs' time: it may run faster than ours."""

    def __init__(self) -> None:
        self.factor = 1.0
        self._began = time.time()

    def __call__(self) -> float:
        return self._began + (time.time() - self._began) * self.factor


@dataclass
class CrmSide:
    """A CRM, and the network before it."""

    kit: Kit
    emulator: Crm
    busy: Busy
    relay: Relay


@dataclass(frozen=True)
class Tenant:
    """A connection of an organization, and the account that it leads to."""

    crm: str
    crm_side: CrmSide
    organization: UUID
    integration: int
    account: Account
    oauth: bool

    def grant_anew(self) -> None:
        """The person approves the app once more."""
        emulator: Any = self.crm_side.emulator
        account: Any = self.account
        with emulator.lock:
            emulator.grants.install(
                getattr(account, {"hubspot": "portal", "salesforce": "org"}.get(self.crm, "company"))
            )


@dataclass
class Member:
    """A place for a daemon: one after the other takes it. `relay` is its way to Postgres.

    `asleep_until` is when it may go on, by `time.monotonic`, once it was taken for dead although it is not.
    """

    number: int
    relay: Relay
    batch_size: int
    clock_shift: float = 0.0
    child: Child | None = None
    is_wanted: bool = False
    is_stopped: bool = False
    asleep_until: float = 0.0
    logs: list[Child] = field(default_factory=list)


class Scene:
    """The pieces, and what happens to them; events and the end of a schedule use its methods."""

    def __init__(
        self,
        postgres: EmbeddedPostgres,
        url: str,
        nursery: Nursery,
        crew: list[Member],
        folder: Path,
        disks: Disks | None = None,
    ) -> None:
        self.postgres, self.url = postgres, url
        self.disks = disks
        """Disks of the server that can be filled; None where this machine does not permit that."""
        self.crew = crew
        self.crms: dict[str, CrmSide] = {}
        self.tenants: list[Tenant] = []
        self.downs: list[tuple[float, float]] = []
        """From when to when Postgres was away, by `time.monotonic`."""
        self.fulls: list[tuple[float, float]] = []
        """From when to when the disk was full."""
        self.terminated: set[int] = set()
        """Server processes that `pg_terminate_backend` has ended."""
        self.struck: Counter[str] = Counter()
        """How many events, by their names, have met what they were to meet."""
        self.wrong: list[str] = []
        self.notes: list[str] = []
        self.workers: list[threading.Thread] = []
        """What goes on beside, and is waited for at the end."""
        self.clock = Clock()
        self.rotates = False
        self.index_lag = 0.0
        self.is_drained = False
        """Nothing is left to do, so nothing that is waited for will happen any more."""
        self.is_over = False
        self._nursery, self._folder = nursery, folder
        self._at_the_end: list[Callable[[], None]] = []
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._dead: set[int] = set()
        self._lock = threading.RLock()

    def tell(self, name: str, has_struck: bool = True) -> None:
        """An event has met what it was to meet, or has not."""
        self.struck[name] += has_struck

    def at_the_end(self, act: Callable[[], None]) -> None:
        """Do it when no fault goes on any more."""
        self._at_the_end.append(act)

    # -- daemons

    def start_daemon(self, member: Member) -> None:
        """Where the place is free: several events may want to fill it."""
        with self._lock:
            if member.child is not None:
                return
            environ = environment(
                member.relay.url,
                CRM_SYNC_BATCH_SIZE=str(member.batch_size),
                CRM_SYNC_POLL_SECONDS="0.5",
                CRM_SYNC_CONCURRENCY="3",
                CRM_SYNC_LEASE_SECONDS=str(LEASE_SECONDS),
                CRM_SYNC_LOG_LEVEL="info",
                CRM_SYNC_STOP_SECONDS="0.5",
            )
            log = self._folder / f"daemon-{member.number}-{next(self._numbers)}.log"
            member.child = self._nursery.start(environ, log, member.clock_shift)
            member.logs.append(member.child)
            member.is_wanted, member.is_stopped, member.asleep_until = True, False, 0.0

    def end_daemon(self, member: Member, number: int = signal.SIGKILL, seconds: float = 10.0) -> None:
        """Send it a signal and wait for its end; from then on others may learn of it as soon as time allows."""
        with self._lock:
            child, member.is_wanted = member.child, False
            if child is None:
                return
            if number != signal.SIGKILL:
                # awake it might still send what it was granted: not before that is no longer a moment ago
                time.sleep(max(0.0, member.asleep_until - time.monotonic()))
                child.signal(signal.SIGCONT)
            child.signal(number)
            deadline = time.monotonic() + seconds
            while not child.wait(0.05) and time.monotonic() < deadline:
                self.catch_up(time.monotonic())  # a network that it waits for is mended meanwhile
            if not child.has_ended:
                self.wrong.append(f"daemon {member.number} did not end within {seconds:g} s of signal {number}")
                child.signal(signal.SIGKILL)
                child.wait(seconds)
            member.child, member.is_stopped = None, False
        self.be_quiet()
        self._dead.add(child.pid)

    def stop_daemon(self, member: Member) -> None:
        if member.child is not None:
            member.is_stopped = True
            member.child.signal(signal.SIGSTOP)

    def continue_daemon(self, member: Member) -> None:
        if member.child is None or not member.is_stopped:
            return
        if time.monotonic() < member.asleep_until:
            self.later(member.asleep_until - time.monotonic(), lambda: self.continue_daemon(member))
        else:
            self.revive(member)
            member.child.signal(signal.SIGCONT)
            member.is_stopped = False

    def bury(self, member: Member) -> bool:
        """Others are to take it for dead although it is not, once nothing of what it sent is under way any more.

        Leases end after a minute, more than a moment after what it was granted last: it stays away that long.
        """
        child = member.child
        if child is None or not self.be_quiet(0.5) or member.child is not child:
            return False
        member.asleep_until = time.monotonic() + MORE_THAN_A_MOMENT
        self._dead.add(child.pid)
        return True

    def revive(self, member: Member) -> None:
        if member.child is not None:
            self._dead.discard(member.child.pid)

    def look_after_daemons(self) -> None:
        """As a service manager does: one that has ended is started again, and it is told why it ended."""
        with self._lock:
            for member in self.crew:
                if member.is_wanted and member.child is not None and member.child.has_ended:
                    words = [entry.get("words") or entry["event"] for entry in member.child.log[-3:]]
                    self.notes.append(f"daemon {member.number} ended by itself: {' | '.join(map(str, words))}")
                    if member.child.status != EX_UNAVAILABLE:
                        self.wrong.append(self.notes[-1])
                    member.child = None
                    self.start_daemon(member)

    # -- the CRMs

    def member_of(self, side: CrmSide, trap: Trap) -> Member | None:
        """The place of the daemon whose call was caught."""
        port = side.relay.callers.get(trap.port or 0)
        living = {child.pid: member for member in self.crew if (child := member.child) is not None}
        pid = None if port is None else owner_of(port, living)
        return None if pid is None else living[pid]

    @property
    def under_way(self) -> int:
        return sum(side.busy.count for side in self.crms.values())

    @property
    def answered(self) -> int:
        return sum(side.busy.done for side in self.crms.values())

    def be_quiet(self, seconds: float = QUIET_SECONDS) -> bool:
        """Wait until no request is under way to a CRM; False where there is always one."""
        deadline = time.monotonic() + seconds
        time.sleep(SETTLING_SECONDS)
        while self.under_way:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def wait_for(self, fact: Callable[[], bool], seconds: float, pause: float = 0.002) -> bool:
        deadline = time.monotonic() + seconds
        while not fact():
            if time.monotonic() > deadline or self.is_over:
                return False
            time.sleep(pause)
        return True

    # -- the database

    def crash(self, how: Callable[[], None]) -> None:
        """Postgres goes down, and comes again."""
        began = time.monotonic()
        try:
            how()
            if self.disks is not None:
                self.disks.free()  # it may need room to recover
            self.postgres.start()
        finally:
            self.downs.append((began, time.monotonic() + 0.3))

    def answers(self) -> bool:
        """Whether Postgres does."""
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @contextmanager
    def connection(self, role: str | None = None) -> Iterator[psycopg.Connection]:
        with psycopg.connect(
            self.url, autocommit=True, connect_timeout=5, application_name="prove operator"
        ) as connection:
            connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])
            connection.execute("set statement_timeout = '10s'")
            if role is not None:
                connection.execute(f"set role {role}".encode())
            yield connection

    def ask(self, statement: str, arguments: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
        """What it returns; nothing where the database is away."""
        try:
            with self.connection() as connection:
                return connection.execute(statement.encode(), arguments).fetchall()
        except psycopg.Error as error:
            self.notes.append(f"{statement}: {str(error).splitlines()[0]}")
            return []

    def operate(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """An operator asks for something, again where the connection was lost.

        What the database refuses is noted, and nobody's fault.
        """
        for is_last in (False, True):
            try:
                with self.connection("crm_sync_daemon") as connection:
                    return connection.execute(statement.encode(), arguments).fetchall()
            except psycopg.Error as error:
                self.notes.append(f"{statement}: {str(error).splitlines()[0]}")
                if is_last or not isinstance(error, psycopg.OperationalError):
                    break
        return []

    def reconnect(self, tenant: Tenant) -> None:
        """The person connects the CRM again."""
        tenant.grant_anew()
        with suppress(psycopg.Error), self.connection() as connection:
            connection.execute(
                "update public.user_integrations set credentials = %s, status = 'connected' where id = %s",
                [json.dumps(tenant.account.credentials(oauth=tenant.oauth)), tenant.integration],
            )

    # -- time

    def hurry(self, connection: psycopg.Connection) -> None:
        """Let the time pass that everybody waits for; not while a request is under way: it would have ended by then."""
        if self.under_way:
            return
        connection.execute(
            "update crm_sync.lanes set parked_until = null where parked_until > now() and parked_until < 'infinity'"
        )
        connection.execute(
            "update public.sync_queue set next_attempt_at = now() "
            "where completed_at is null and next_attempt_at > now()"
        )
        connection.execute(
            "update crm_sync.batches set lease_until = now() - interval '1 s' where lease_until > now() "
            "and worker_id in (select id from crm_sync.daemons where pid = any (%s))",
            [list(self._dead)],
        )
        connection.execute("select crm_sync.heal_pauses()")
        connection.execute("select crm_sync.adopt_orphans() where exists (select from crm_sync.orphans)")
        connection.execute("notify crm_sync")

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), act))

    def catch_up(self, until: float) -> None:
        """Do what was put off to before then, each at its time."""
        while self._later and self._later[0][0] <= until:
            due, _, act = heapq.heappop(self._later)
            time.sleep(max(0.0, due - time.monotonic()))
            act()
        time.sleep(max(0.0, until - time.monotonic()))

    def once(self, fact: Callable[[], bool], seconds: float, act: Callable[[bool], None]) -> None:
        """Act when a fact is there, or is not there after so long; others go on meanwhile."""
        deadline = time.monotonic() + seconds

        def look() -> None:
            is_there = fact()
            if is_there or self.is_drained or time.monotonic() > deadline:
                act(is_there)
            else:
                self.later(LOOK_SECONDS, look)

        look()

    def finish_later(self, nothing_is_left: Callable[[], bool], seconds: float) -> None:
        """Do all that was put off, at once; what waits for a fact may do so a while longer, if there is work."""
        deadline = time.monotonic() + seconds
        while True:
            due, self._later = sorted(self._later), []
            for _, _, act in due:
                act()
            if not (self._later or any(len(side.emulator.faults) for side in self.crms.values())):
                break
            self.is_drained = self.is_drained or time.monotonic() > deadline or nothing_is_left()
            if self.is_drained and not self._later:
                break
            time.sleep(LOOK_SECONDS)
        for act in self._at_the_end:
            act()
