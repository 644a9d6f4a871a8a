"""What the command line asks a database: questions, each one SELECT of crm_sync, actions, and the claim."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import DictRow, dict_row

from sql.quiet import QUIET

CONNECT_SECONDS = 10


def rows(
    url: str, query: str, parameters: Sequence[Any] | Mapping[str, Any] = (), *, connect_seconds: int = CONNECT_SECONDS
) -> list[dict[str, Any]]:
    """The rows of one query, as `crm_sync_reader`; raises `psycopg.Error`."""
    with psycopg.connect(url, connect_timeout=connect_seconds, row_factory=dict_row) as connection:
        connection.execute("set transaction read only")
        connection.execute(QUIET)
        connection.execute("set local role crm_sync_reader")
        return connection.execute(query.encode(), parameters).fetchall()


def view(
    url: str, name: str, order: str, where: Mapping[str, Any], limit: int, condition: str = "true"
) -> list[dict[str, Any]]:
    """The first rows of a view; `where` by column, None for those that do not matter. Raises `psycopg.Error`."""
    asked = {column: value for column, value in where.items() if value is not None}
    conditions = " and ".join([condition, *(f"{column} = %s" for column in asked)])
    # names, conditions and orders are ours; what comes from outside are parameters
    query = f"select * from crm_sync.{name} where {conditions} order by {order} limit %s"  # noqa: S608 - our words
    return rows(url, query, [*asked.values(), limit])


def unknown_ids(
    url: str, *, integration: int | None = None, organization: UUID | None = None, contact: UUID | None = None
) -> str | None:
    """Which of these ids nobody knows, in words, None where all are known; raises `psycopg.Error`."""
    query = "select crm_sync.unknown_ids(%s, %s, %s) as words"
    words: str | None = rows(url, query, [integration, organization, contact])[0]["words"]
    return words


class Session:
    """A connection of somebody who acts; each call is a transaction, undone with `is_rehearsal`."""

    def __init__(self, connection: psycopg.Connection[DictRow], *, is_rehearsal: bool) -> None:
        self._connection = connection
        self._is_rehearsal = is_rehearsal

    def now(self) -> datetime:
        """The server's clock."""
        row = self._connection.execute("select clock_timestamp() as now").fetchone()
        assert row is not None
        moment: datetime = row["now"]
        return moment

    def call(self, function: str, **parameters: Any) -> dict[str, Any]:
        """The first row of a function of crm_sync; parameters by name, without those that are None."""
        return self.rows(function, **parameters)[0]

    def rows(self, function: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of a function of crm_sync; parameters by name, without those that are None."""
        given = {name: value for name, value in parameters.items() if value is not None}
        query = sql.SQL("select * from {}({})").format(
            sql.Identifier("crm_sync", function),
            sql.SQL(", ").join(
                sql.SQL("{} => {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in given
            ),
        )
        with self._connection.transaction(force_rollback=self._is_rehearsal):
            return self._connection.execute(query, given).fetchall()


@contextmanager
def acting(url: str, *, is_rehearsal: bool = False, heard: Callable[[str], None] | None = None) -> Iterator[Session]:
    """Somebody who acts, under the login's own name where it has the rights, else as `crm_sync_daemon`.

    `heard` is told the notices of the functions: what they left alone, and why.
    """
    with psycopg.connect(url, connect_timeout=CONNECT_SECONDS, autocommit=True, row_factory=dict_row) as connection:
        if heard is not None:
            connection.add_notice_handler(lambda notice: heard(notice.message_primary or ""))
        row = connection.execute("select pg_catalog.pg_has_role('crm_sync_daemon', 'usage') as inherits").fetchone()
        if row is not None and not row["inherits"]:
            _become_daemon(connection)
        connection.execute(QUIET)
        yield Session(connection, is_rehearsal=is_rehearsal)


def fence_problem(url: str) -> str | None:
    """Why no daemon works on this database, None where it may; raises `psycopg.Error`."""
    with psycopg.connect(url, connect_timeout=10, autocommit=True) as connection:
        _become_daemon(connection)
        try:
            connection.execute("select crm_sync.check_fence()")
        except psycopg.Error as error:
            if error.sqlstate != "CS030":
                raise
            return ". ".join(filter(None, (error.diag.message_primary, error.diag.message_detail)))
    return None


def claim_database(url: str) -> int:
    """Make this database the one that sends; returns the generation. Raises `psycopg.Error`."""
    with psycopg.connect(url, connect_timeout=10, autocommit=True) as connection:
        _become_daemon(connection)
        row = connection.execute("select crm_sync.claim_database()").fetchone()
    assert row is not None
    return int(row[0])


def _become_daemon(connection: psycopg.Connection[Any]) -> None:
    """Where we may: its login need not inherit its rights. The owner has them anyway."""
    may = connection.execute("select 1 where pg_catalog.pg_has_role('crm_sync_daemon', 'member')").fetchone()
    if may is not None:
        connection.execute("set role crm_sync_daemon")
