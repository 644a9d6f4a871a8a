"""A database that crashes, loses connections, is full, or is migrated and operated while daemons work."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar, Literal, Self

import psycopg

from sql.migrate import MigrationError, migrate
from tests.prove.events import Event, Plan
from tests.prove.scene import Scene
from tests.prove.sql_tree import changed_tree

TRIES = 5
WRITTEN = ("sync_queue", "batches", "contact_sync_mappings", "effects", "sync_activity_logs", "lanes")


@dataclass(frozen=True)
class Crash(Event):
    name: ClassVar[str] = "crash of Postgres"
    weight: ClassVar[int] = 3
    how: Literal["postmaster", "backend", "immediate"]

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.choice(("postmaster", "backend", "immediate")))

    def strike(self, scene: Scene) -> None:
        hows: dict[str, Callable[[], None]] = {
            "postmaster": scene.postgres.kill,
            "backend": lambda: self._kill_backend(scene),
            "immediate": lambda: scene.postgres.stop("immediate"),
        }
        scene.crash(hows[self.how])

    def _kill_backend(self, scene: Scene) -> None:
        """The server then ends all others and recovers; it goes on running as far as its owner is concerned."""
        with scene.connection() as connection:
            row = connection.execute(
                "select pid from pg_stat_activity where application_name = 'crm-sync' order by random() limit 1"
            ).fetchone()
            if row is None:
                return
            os.kill(row[0], signal.SIGKILL)
            scene.wait_for(lambda: _is_broken(connection), 5.0)
        scene.wait_for(scene.answers, 10.0)

    def __str__(self) -> str:
        return {
            "postmaster": "Postgres' first process gets SIGKILL, and is started again",
            "backend": "a daemon's server process gets SIGKILL, and Postgres recovers",
            "immediate": "Postgres is stopped at once (immediate), and started again",
        }[self.how]


def _is_broken(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("select")
    except psycopg.OperationalError:
        return True
    return False


# pids first: whoever is struck is to be known before it can complain
WHOSE = "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and "
VICTIMS: dict[str, str] = {
    "daemons": WHOSE + "application_name = 'crm-sync'",
    "producers": WHOSE + "application_name = 'prove producer'",
    "watchers": WHOSE + "application_name in ('prove watch', 'prove time')",
    "operators": WHOSE + "application_name = 'prove operator'",
    "all clients": WHOSE + "backend_type = 'client backend'",
}
BUSY_SECONDS = 0.4
WAITING_SECONDS = 4.0
"""So long an operator looks for rows to act on, if there is work to do."""


@dataclass(frozen=True)
class Terminate(Event):
    """A producer's transaction fails for that reason alone, and it tries again; those who watch and operate go on."""

    name: ClassVar[str] = "pg_terminate_backend"
    weight: ClassVar[int] = 5
    counts_itself: ClassVar[bool] = True
    whose: str
    share: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        whose = chance.choice(("daemons", "daemons", "producers", "producers", *VICTIMS))
        return cls(whose, chance.choice((0.5, 1.0)) if whose in ("daemons", "producers") else 1.0)

    def strike(self, scene: Scene) -> None:
        if self.whose in ("operators", "all clients"):
            # connections of theirs last as long as an action does: several are at work, and some are struck
            for _ in range(2):
                thread = threading.Thread(target=self._operate, args=(scene,), daemon=True)
                thread.start()
                scene.workers.append(thread)
        scene.once(lambda: self._terminate(scene), BUSY_SECONDS, lambda has: scene.tell(self.name, has))

    def _operate(self, scene: Scene) -> None:
        deadline = time.monotonic() + BUSY_SECONDS
        while time.monotonic() < deadline:
            for tenant in scene.tenants:
                scene.operate("select crm_sync.retry_failed(%s), pg_sleep(0.01)", tenant.integration)

    def _terminate(self, scene: Scene) -> bool:
        pids = [pid for (pid,) in scene.ask(VICTIMS[self.whose])]
        struck = pids[: max(1, round(self.share * len(pids)))]
        scene.terminated.update(struck)
        return bool(scene.ask("select pg_terminate_backend(u) from unnest(%s::int[]) as u", [struck]))

    def __str__(self) -> str:
        return f"{self.share:.0%} of the connections of {self.whose} to Postgres are terminated"


@dataclass(frozen=True)
class DiskFull(Event):
    """As the daemons see it, for one table; `faults_disks` has disks that are full."""

    name: ClassVar[str] = "disk full for a table (53100)"
    weight: ClassVar[int] = 2
    counts_itself: ClassVar[bool] = True
    table: str
    seconds: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.choice(WRITTEN), chance.choice((0.2, 0.5, 1.0)))

    def strike(self, scene: Scene) -> None:
        with scene.connection() as connection:
            connection.execute("insert into prove.full_tables values (%s) on conflict do nothing", [self.table])
        scene.later(self.seconds, lambda: self._make_room(scene))

    def _make_room(self, scene: Scene) -> None:
        made = scene.ask(
            "with made as (delete from prove.full_tables where name = %s returning name) "
            "select r.is_called from made cross join prove.refusals as r",
            [self.table],
        )
        scene.tell(self.name, made == [(True,)])

    def __str__(self) -> str:
        return f"for {self.seconds:g} s there is no room on the disk for what the daemons write to {self.table}"


@dataclass(frozen=True)
class Migrate(Event):
    name: ClassVar[str] = "migration while daemons run"
    counts_itself: ClassVar[bool] = True
    what: Literal["one function", "all that is repeatable"]

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.choice(("one function", "all that is repeatable")))

    def strike(self, scene: Scene) -> None:
        thread = threading.Thread(target=self._migrate, args=(scene,), daemon=True)
        thread.start()
        scene.workers.append(thread)

    def _migrate(self, scene: Scene) -> None:
        with changed_tree("settle_rows" if self.what == "one function" else None) as root:
            for _ in range(TRIES):
                try:
                    migrate(scene.url, Path(root), lock_timeout="1s")
                except (MigrationError, psycopg.OperationalError) as error:
                    scene.notes.append(f"migration: {str(error).splitlines()[0]}")
                else:
                    scene.tell(self.name)
                    return

    def __str__(self) -> str:
        return f"a migration replaces {self.what}"


@dataclass(frozen=True)
class Operate(Event):
    """An operator does what one may do."""

    name: ClassVar[str] = "operator pauses, reprioritizes, resyncs"
    weight: ClassVar[int] = 3
    act: Literal["pause", "pause_all", "reprioritize", "resync"]
    place: float
    seconds: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        acts: tuple[Literal["pause", "pause_all", "reprioritize", "resync"], ...]
        acts = ("pause", "pause", "pause_all", "reprioritize", "resync")
        return cls(chance.choice(acts), chance.random(), chance.choice((0.1, 0.3, 0.8)))

    def strike(self, scene: Scene) -> None:
        tenant = scene.tenants[int(self.place * len(scene.tenants))]
        match self.act:
            case "pause":
                scene.operate("select crm_sync.pause(%s)", tenant.integration)
                scene.later(self.seconds, lambda: self._resume(scene, tenant.integration))
            case "pause_all":
                scene.operate("select crm_sync.pause_all('provider', %s)", tenant.crm)
                scene.later(self.seconds, lambda: self._resume_all(scene, tenant.crm))
            case "reprioritize":
                scene.operate(
                    "select crm_sync.reprioritize(p_integration_id => %s, p_priority => %s)",
                    tenant.integration,
                    1 + int(self.place * 9),
                )
            case "resync":
                scene.operate(
                    "select crm_sync.resync(%s, m.contact_id) from public.contact_sync_mappings as m "
                    "where m.integration_id = %s order by m.contact_id limit 3",
                    *[tenant.integration] * 2,
                )

    def _resume_all(self, scene: Scene, crm: str) -> None:
        scene.operate("select crm_sync.resume_all('provider', %s)", crm)

    def _resume(self, scene: Scene, integration: int) -> None:
        scene.operate("select crm_sync.resume(%s)", integration)

    def __str__(self) -> str:
        words = {
            "pause": f"pauses a connection for {self.seconds:g} s",
            "pause_all": f"pauses a provider for {self.seconds:g} s",
            "reprioritize": "gives what waits on a connection another priority",
            "resync": "has contacts of a connection synced again",
        }
        return f"an operator {words[self.act]}"


@dataclass(frozen=True)
class Retry(Event):
    name: ClassVar[str] = "operator retries rows"
    counts_itself: ClassVar[bool] = True
    place: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.random())

    def strike(self, scene: Scene) -> None:
        integration = scene.tenants[int(self.place * len(scene.tenants))].integration

        def retry() -> bool:
            return scene.operate("select crm_sync.retry_failed(%s) > 0", integration) == [(True,)]

        scene.once(retry, WAITING_SECONDS, lambda has: scene.tell(self.name, has))

    def __str__(self) -> str:
        return "an operator retries what has failed, or waits for a later attempt, on a connection"


@dataclass(frozen=True)
class Cancel(Event):
    name: ClassVar[str] = "operator cancels rows"
    permits: ClassVar[frozenset[str]] = frozenset({"cancelled"})
    counts_itself: ClassVar[bool] = True
    what: Literal["all", "contact", "rows", "under way"]
    place: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.choice(("all", "contact", "rows", "under way")), chance.random())

    def strike(self, scene: Scene) -> None:
        integration = scene.tenants[int(self.place * len(scene.tenants))].integration
        scene.once(lambda: self._cancel(scene, integration), WAITING_SECONDS, lambda has: scene.tell(self.name, has))

    def _cancel(self, scene: Scene, integration: int) -> bool:
        """Whether there was something to cancel."""
        found = scene.ask(
            "select q.id, q.contact_id from public.sync_queue as q where q.integration_id = %s "
            "and q.completed_at is null and (q.batch_id is not null or not %s) order by q.id",
            [integration, self.what == "under way"],
        )
        if not found:
            return False
        ids = [id_ for id_, _ in found]
        match self.what:
            case "all":
                scene.operate("select crm_sync.cancel(%s, p_all => true)", integration)
            case "contact":
                scene.operate("select crm_sync.cancel(%s, p_contact_id => %s)", integration, found[0][1])
            case "rows" | "under way":
                chosen = ids[::3] if self.what == "rows" else ids
                scene.operate("select crm_sync.cancel(%s, p_queue_ids => %s)", integration, chosen)
        return True

    def __str__(self) -> str:
        words = {
            "all": "all that waits",
            "contact": "what waits for a contact",
            "rows": "each third row that is open",
            "under way": "what is being sent",
        }
        return f"an operator cancels {words[self.what]} on a connection"
