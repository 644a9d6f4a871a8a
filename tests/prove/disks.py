"""Two small disks for a lane's Postgres, one for data and one for the log, which can really be full.

They are mounted in a namespace of this process alone, over a folder that every system has and that is empty: when the
process ends, SIGKILL included, nothing is left of them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from sandbox.postgres import EmbeddedPostgres

CLONE_NEWNS = 0x00020000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
PLACES = (Path("/mnt"), Path("/media"), Path("/srv"), Path("/opt"))
DATA_MIB, LOG_MIB = 96, 160
LOG_SETTINGS: dict[str, Any] = {"min_wal_size": "32MB", "max_wal_size": "96MB"}
"""So that the log fits, and few old segments are kept to write on."""
TABLESPACE = "prove_small"


@dataclass(frozen=True)
class Disks:
    """The small disks: `data` is a tablespace's, `log` that of pg_wal."""

    data: Path
    log: Path

    def give(self, postgres: EmbeddedPostgres) -> None:
        """Let a server have them: its log moves, and there is a tablespace more."""
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            row = connection.execute("select current_setting('data_directory')").fetchone()
            assert row is not None
        pg_wal = Path(row[0], "pg_wal")
        owner = pg_wal.stat()
        for disk in (self.data, self.log):
            os.chown(disk, owner.st_uid, owner.st_gid)
            disk.chmod(0o700)
        postgres.stop()
        shutil.copytree(pg_wal, self.log, dirs_exist_ok=True)
        for path in self.log.rglob("*"):
            os.chown(path, owner.st_uid, owner.st_gid)
        shutil.rmtree(pg_wal)
        pg_wal.symlink_to(self.log)
        postgres.start()
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"create tablespace {TABLESPACE} location '{self.data}'".encode())

    def fill(self, disk: Path) -> None:
        """Until there is no room for a page."""
        with (disk / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(1 << 20))
        with (disk / "ballast").open("ab", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(1 << 12))

    def free(self) -> None:
        for disk in (self.data, self.log):
            (disk / "ballast").unlink(missing_ok=True)


def mount_disks() -> Disks | None:
    """Mount them for this thread and the processes that it starts; None where that is not permitted."""
    place = next((each for each in PLACES if each.is_dir() and not any(each.iterdir())), None)
    libc = ctypes.CDLL(None, use_errno=True)
    if place is None or libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
        return None
    if libc.mount(b"tmpfs", bytes(place), b"tmpfs", 0, b"size=1m,mode=755"):
        return None
    disks = Disks(place / "data", place / "log")
    for disk, mebibytes in ((disks.data, DATA_MIB), (disks.log, LOG_MIB)):
        disk.mkdir()
        if libc.mount(b"tmpfs", bytes(disk), b"tmpfs", 0, f"size={mebibytes}m,mode=755".encode()):
            return None
    return disks
