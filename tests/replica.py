"""A physical replica of an embedded Postgres, by streaming."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sandbox.pg_account import Account
from sandbox.postgres import FAST, EmbeddedPostgres


@contextmanager
def replica_of(primary: EmbeddedPostgres, name: str = "replica", port: int | None = None) -> Iterator[EmbeddedPostgres]:
    """A standby that streams from the primary under that name; gone at the end, with its data."""
    # where the user who runs the server may go: pytest's own folders are closed to it
    folder = Path(tempfile.mkdtemp(prefix="crm-sync-replica-"))
    try:
        password = str(conninfo_to_dict(primary.url)["password"])
        (folder / "lock").touch()
        (folder / "password").touch(0o600)
        (folder / "password").write_text(password)
        _copy(primary.url, folder / "pgdata", name)
        account = Account.choose()
        for path in (folder / "pgdata", *(folder / "pgdata").rglob("*")):
            account.own(path)
        standby = EmbeddedPostgres(folder, {**FAST, "synchronous_commit": True, "wal_keep_size": "256MB"})
        try:
            standby._port = port  # the place of another one, which is gone
            standby.start()
            yield standby
        finally:
            standby.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(url: str, target: Path, name: str) -> None:
    """What pg_basebackup does, which not every installation has: the files between the two ends of a backup."""
    with psycopg.connect(url, autocommit=True) as connection:
        (source,) = connection.execute("select current_setting('data_directory')").fetchone() or ("",)
        connection.execute("select pg_backup_start('replica', true)")
        shutil.copytree(source, target, symlinks=True, ignore=_not_of_a_backup, copy_function=_copy_if_there)
        row = connection.execute("select labelfile from pg_backup_stop(false)").fetchone()
    assert row is not None
    (target / "backup_label").write_text(row[0])
    for folder in ("pg_wal", "pg_wal/archive_status", "pg_replslot"):
        (target / folder).mkdir(exist_ok=True)
    (target / "standby.signal").touch()
    conninfo = make_conninfo(url, application_name=name).replace("'", "''")
    with (target / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"primary_conninfo = '{conninfo}'\n")


def _not_of_a_backup(folder: str, names: list[str]) -> list[str]:
    if Path(folder).name in ("pg_wal", "pg_replslot"):
        return names
    return [name for name in names if name.startswith(("postmaster.", "pgsql_tmp"))]


def _copy_if_there(source: str, target: str) -> None:
    """A server at work removes files."""
    with suppress(FileNotFoundError):
        shutil.copyfile(source, target)
