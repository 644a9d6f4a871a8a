"""What the command line asks a database: questions, each one SELECT on a view of crm_sync, and the claim."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

STATUS = """
select s.organization_id, s.integration_id, s.provider, s.name, s.state, s.waiting, s.running, s.retrying, s.failed,
  s.skipped, s.oldest_wait, s.last_success, s.last_error, s.resumes_at
from crm_sync.status as s
order by s.organization_id, s.provider, s.name
"""
WORKERS = "select * from crm_sync.workers order by started_at"


def rows(url: str, query: str) -> list[dict[str, Any]]:
    """The rows of one query, as `crm_sync_reader`; raises `psycopg.Error`."""
    with psycopg.connect(url, connect_timeout=10, row_factory=dict_row) as connection:
        connection.execute("set transaction read only")
        connection.execute("set local role crm_sync_reader")
        return connection.execute(query.encode()).fetchall()


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


def _become_daemon(connection: psycopg.Connection) -> None:
    """Where we may: its login need not inherit its rights. The owner has them anyway."""
    row = connection.execute("select pg_catalog.pg_has_role('crm_sync_daemon', 'member')").fetchone()
    if row is not None and row[0]:
        connection.execute("set role crm_sync_daemon")
