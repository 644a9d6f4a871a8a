"""Disks that are really full: that of the data, and that of the log."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Self

import psycopg

from tests.prove.events import Event, Plan
from tests.prove.scene import Scene

MOST_SWITCHES = 20
SPILL = "insert into prove.spilled select repeat(md5(i::text), 60) from generate_series(1, 20000) as i"
SWITCH = "select pg_logical_emit_message(false, 'prove', 'full'), pg_switch_wal()"


@dataclass(frozen=True)
class DataFull(Event):
    """No table of the database can grow: not the daemons' and not the producers', who are told so."""

    name: ClassVar[str] = "disk of the data full (ENOSPC)"
    counts_itself: ClassVar[bool] = True
    needs_small_disk: ClassVar[bool] = True
    seconds: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.choice((0.3, 0.6, 1.0)))

    def strike(self, scene: Scene) -> None:
        if scene.disks is None:
            scene.ask("insert into prove.full_tables values ('') on conflict do nothing")
            scene.later(self.seconds, lambda: _make_room(scene))
            return
        disks, began = scene.disks, time.monotonic()
        disks.fill(disks.data)
        try:
            # takes what is free in the files that there are
            with scene.connection() as connection:
                connection.execute(SPILL.encode())
        except psycopg.errors.DiskFull:
            disks.fill(disks.data)
            scene.tell(self.name)
        scene.later(self.seconds, lambda: self._free(scene, began))

    def _free(self, scene: Scene, began: float) -> None:
        assert scene.disks is not None
        scene.disks.free()
        scene.fulls.append((began, time.monotonic() + 0.3))

    def __str__(self) -> str:
        return f"for {self.seconds:g} s there is no room on the disk of the data"


@dataclass(frozen=True)
class LogFull(Event):
    """Postgres gives up (PANIC), cannot recover, and is started again when there is room."""

    name: ClassVar[str] = "disk of the log full (PANIC)"
    counts_itself: ClassVar[bool] = True
    needs_small_disk: ClassVar[bool] = True
    seconds: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.choice((0.0, 0.3, 0.8)))

    def strike(self, scene: Scene) -> None:
        if scene.disks is None:
            scene.crash(lambda: scene.postgres.stop("immediate"))
        else:
            scene.crash(lambda: self._fill(scene))

    def _fill(self, scene: Scene) -> None:
        assert scene.disks is not None
        scene.disks.fill(scene.disks.log)
        try:
            with scene.connection() as connection:
                for _ in range(MOST_SWITCHES):
                    connection.execute(SWITCH)
        except psycopg.OperationalError:
            scene.tell(self.name)
        time.sleep(self.seconds)
        scene.disks.free()
        if scene.postgres.running:  # it may recover by itself, or be just giving up
            scene.wait_for(lambda: not scene.postgres.running or scene.answers(), 10.0)

    def __str__(self) -> str:
        return f"there is no room on the disk of the log, until {self.seconds:g} s after Postgres has given up"


def _make_room(scene: Scene) -> None:
    scene.ask("delete from prove.full_tables where name = ''")
