"""Bring a database up to the files beside this module.

Numbered migrations are applied once, in order. Functions, triggers, views, the providers, the errors, the first claim
and the page of grants are repeatable: they are applied when they are new or have changed, and only then, because re-
creating a trigger takes a lock that blocks writers while replacing the body of a function does not. Everything happens
in one transaction, under an advisory lock that keeps two migrators apart and a lock timeout that keeps producers from
queueing up behind us.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

ROOT = Path(__file__).parent
REPEATABLE = ("functions", "triggers", "views")
LAST = ("providers.sql", "errors.sql", "claim.sql", "access.sql")
LOCK_KEY = 0x63726D5F73796E63 & 0x7FFFFFFFFFFFFFFF

LEDGER = """
create table crm_sync.applied_files (
  name text primary key,
  sha256 text not null,
  applied_at timestamptz not null default clock_timestamp()
);
comment on table crm_sync.applied_files is 'The migrator''s ledger: which file was applied in which version.';
comment on column crm_sync.applied_files.name is 'Path below sql/.';
comment on column crm_sync.applied_files.sha256 is 'Hash of the text that was applied.';
comment on column crm_sync.applied_files.applied_at is 'When.';
"""

# A producer that has inserted holds the queue and goes on to tables that a migration has locked, which waits for the
# queue: of such a deadlock the producer might be the victim. So those in the middle end first; reading goes on.
HOLD_PRODUCERS = """
do $$
begin
  if to_regclass('public.message_classifications') is not null then
    lock table public.message_classifications in share row exclusive mode;
  end if;
end;
$$;
"""

VALIDATE = """
do $$
declare
  v_function regprocedure;
begin
  perform set_config('check_function_bodies', 'on', true);
  for v_function in
    select p.oid
    from pg_catalog.pg_proc as p
    join pg_catalog.pg_language as l on l.oid = p.prolang
    where p.pronamespace = 'crm_sync'::regnamespace and l.lanname in ('sql', 'plpgsql') and p.prosqlbody is null
  loop
    execute pg_catalog.pg_get_functiondef(v_function);
  end loop;
end;
$$;
"""


class MigrationError(Exception):
    """The database was left as it was; the message says why and what to do."""


@dataclass(frozen=True)
class File:
    """One SQL file: its path below sql/, its text, and the hash the ledger remembers."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def is_migration(self) -> bool:
        return self.name.startswith("migrations/")


@dataclass(frozen=True)
class Result:
    """What a run did: the names of the files it applied, in order."""

    applied: tuple[str, ...]


def files(root: Path = ROOT) -> list[File]:
    """All files in the order in which they are applied; refuses a gap or a repetition in the migrations' numbers."""
    migrations = sorted((root / "migrations").glob("*.sql"))
    for expected, path in enumerate(migrations, start=1):
        if not re.fullmatch(rf"{expected:04d}_[a-z0-9_]+\.sql", path.name):
            raise MigrationError(f"sql/migrations/{path.name}: expected number {expected:04d} and a name in lower case")
    repeatable = [path for folder in REPEATABLE for path in sorted((root / folder).glob("*.sql"))]
    last = [root / name for name in LAST if (root / name).exists()]
    return [File(path.relative_to(root).as_posix(), path.read_text()) for path in (*migrations, *repeatable, *last)]


def install_script(root: Path = ROOT) -> str:
    """Everything as one psql script for an empty database, with the ledger filled in."""
    all_files = files(root)
    parts = ["-- pg-crm-sync, generated from sql/ by `make install-sql`: psql -1 -v ON_ERROR_STOP=1 -f install.sql\n"]
    parts.append("set check_function_bodies = off;\nset client_min_messages = warning;\n")
    for number, file in enumerate(all_files):
        parts.append(f"\n-- {file.name}\n{file.text}")
        if number == 0:
            parts.append(LEDGER)
    parts.append(VALIDATE)
    rows = ",\n".join(f"  ('{file.name}', '{file.sha256}')" for file in all_files)
    parts.append(f"\ninsert into crm_sync.applied_files (name, sha256) values\n{rows};\n")
    return "".join(parts)


def migrate(url: str, root: Path = ROOT, lock_timeout: str = "5s") -> Result:
    """Bring the database at `url` up to the files below `root`.

    Args:
        url: a superuser's or an owner's connection string.
        root: where the files are.
        lock_timeout: how long to wait for a table that a running transaction holds, before giving up unharmed.

    Raises:
        MigrationError: nothing was changed; the message says what to do.
    """
    wanted = files(root)
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise MigrationError(f"the database cannot be reached: {_first_line(error)}") from None
    with connection:
        connection.execute(
            "select set_config('lock_timeout', '0', false), set_config('statement_timeout', '0', false), "
            "set_config('client_min_messages', 'warning', false)"
        )
        with suppress(psycopg.Error):  # not every system can
            # a server notices late that a migrator was killed, and holds its locks for as long
            connection.execute("select set_config('client_connection_check_interval', '1s', false)")
        with suppress(psycopg.Error):  # only a superuser may
            # of a deadlock with a daemon the daemon is the victim, and tries again
            connection.execute("select set_config('deadlock_timeout', '1min', false)")
        with connection.transaction():
            connection.execute("select pg_catalog.pg_advisory_xact_lock(%s)", [LOCK_KEY])
            connection.execute("select set_config('lock_timeout', %s, true)", [lock_timeout])
            connection.execute("set local check_function_bodies = off")
            applied = _ledger(connection)
            _refuse_changed_past(applied, wanted)
            todo = [file for file in wanted if applied.get(file.name) != file.sha256]
            if todo and wanted[-1].name == "access.sql" and todo[-1] is not wanted[-1]:
                todo.append(wanted[-1])
            if any(file.is_migration for file in todo):
                _hold_producers(connection)
            for file in todo:
                _apply(connection, file)
            if todo:
                _validate(connection)
    return Result(tuple(file.name for file in todo))


def _ledger(connection: psycopg.Connection) -> dict[str, str]:
    row = connection.execute("select to_regclass('crm_sync.applied_files') is not null").fetchone()
    if row is None or not row[0]:
        return {}
    return dict(connection.execute("select name, sha256 from crm_sync.applied_files").fetchall())


def _refuse_changed_past(applied: dict[str, str], wanted: list[File]) -> None:
    by_name = {file.name: file for file in wanted}
    for name, sha256 in sorted(applied.items()):
        if name not in by_name:
            raise MigrationError(
                f"the database knows sql/{name}, which this version does not have: it was migrated by a newer version, "
                "or the file was removed. Use the newer version, or restore the file; going back is not supported."
            )
        if by_name[name].is_migration and by_name[name].sha256 != sha256:
            raise MigrationError(
                f"sql/{name} was edited after it had been applied. Restore it, and put the change into a new migration."
            )
    numbers = [file.name for file in wanted if file.is_migration]
    known = [name for name in numbers if name in applied]
    if known != numbers[: len(known)]:
        missing = ", ".join(sorted(set(numbers[: len(known)]) - set(known)))
        raise MigrationError(f"migrations were applied out of order: {missing} is missing")


def _hold_producers(connection: psycopg.Connection) -> None:
    try:
        connection.execute(HOLD_PRODUCERS)
    except psycopg.errors.LockNotAvailable:
        raise MigrationError(
            "public.message_classifications is being written by a transaction that does not end. "
            "Nothing was changed; try again when it is over."
        ) from None


def _apply(connection: psycopg.Connection, file: File) -> None:
    try:
        connection.execute(file.text.encode())
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        raise MigrationError(
            f"sql/{file.name} needs a lock that another transaction holds. "
            "Nothing was changed; try again when it is over."
        ) from None
    except psycopg.Error as error:
        hint = error.diag.message_hint
        detail = error.diag.message_detail
        words = "\n".join(part for part in (_first_line(error), detail, hint) if part)
        raise MigrationError(f"sql/{file.name}: {words} ({error.sqlstate})") from error
    if file.name == "migrations/0001_foundation.sql":
        connection.execute(LEDGER.encode())
    connection.execute(
        "insert into crm_sync.applied_files (name, sha256) values (%s, %s) "
        "on conflict (name) do update set sha256 = excluded.sha256, applied_at = clock_timestamp()",
        [file.name, file.sha256],
    )


def _validate(connection: psycopg.Connection) -> None:
    try:
        connection.execute(VALIDATE)
    except psycopg.Error as error:
        raise MigrationError(
            f"the body of a function does not compile: {_first_line(error)} ({error.sqlstate})"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def pending(url: str, root: Path = ROOT) -> Iterator[str]:
    """Names of the files that `migrate` would apply."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        applied = _ledger(connection)
    return (file.name for file in files(root) if applied.get(file.name) != file.sha256)
