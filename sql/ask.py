"""Questions that the command line asks a database; each is one SELECT on a view of crm_sync."""

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
