"""Rows of the queue by the million, as the trigger and a daemon would have left them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg

ROWS = """
insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type, status, completed_at)
select l.organization_id, l.integration_id, gen_random_uuid(), l.organization_id, l.organization_id, 'contact_sync', %(status)s,
  case when %(status)s = 'completed' then now() end
from generate_series(1, %(jobs)s) as g (place)
join (select l.*, row_number() over () as place from crm_sync.lanes as l) as l
  on l.place = 1 + g.place %% (select count(*) from crm_sync.lanes)
"""
"""Of all connections in turn. Message and classification are any uuid: the queue has no foreign key, and its core does not look."""
INDEXES = """
select i.indexrelid::regclass::text, c.conname, coalesce(pg_get_constraintdef(c.oid), pg_get_indexdef(i.indexrelid))
from pg_index as i
left join pg_constraint as c on c.conindid = i.indexrelid
where i.indrelid = 'public.sync_queue'::regclass
"""

CONNECTIONS = 2


def load(url: str, waiting: int, finished: int) -> None:
    """Put in rows by the million: without indexes, which are made again behind them."""
    if not waiting + finished:
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        connection.execute("set maintenance_work_mem = '512MB'")
        indexes = connection.execute(INDEXES).fetchall()
        for name, constraint, _ in indexes:
            drop = f"alter table public.sync_queue drop constraint {constraint}" if constraint else f"drop index {name}"
            connection.execute(drop.encode())
        with ThreadPoolExecutor(CONNECTIONS) as connections:
            for status, rows in (("pending", waiting), ("completed", finished)):
                parts = [rows // CONNECTIONS] * (CONNECTIONS - 1)
                for _ in connections.map(lambda part, s=status: _insert(url, s, part), [*parts, rows - sum(parts)]):
                    pass
        for _, constraint, definition in indexes:
            add = (
                f"alter table public.sync_queue add constraint {constraint} {definition}" if constraint else definition
            )
            connection.execute(add.encode())
        connection.execute("vacuum analyze public.sync_queue")


def _insert(url: str, status: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        connection.execute(ROWS, {"status": status, "jobs": rows})
