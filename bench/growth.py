"""Sizes of the queue and of the activity log over 30 days of work, with a retention of 7 days.

Each day replies come in, are carried by the pipeline's own functions to a CRM that says yes to everything, and the house
is kept as the daemon keeps it. A day passes by moving the rows' times and the log partitions' bounds back by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from bench.cluster import Cluster, furnish

DAYS = 30
WEEK = 7
REPLIES = 600
ORGANIZATIONS = 5
CONTACTS = 200
RETENTION = "7 days"
BATCH = 500
PARTS = 4
"""In which the queue's rows are moved, with a vacuum after each: a real day leaves no second copy of them behind."""
WORKER = UUID(int=1)
KINDS = ("contacts", "deals", "activities", "tasks")

RETAIN = "update crm_sync.config set retain_finished = %(retention)s, retain_logs = %(retention)s"
RECEIVE = """
with received as (
  insert into public.inbox_messages (organization_id, contact_id, subject, body)
  select organization_id, id, 'Re: hello', 'Thank you for your message, let us talk.' from public.contacts order by random() limit %s
  returning id
)
insert into public.message_classifications (message_id, intent)
select id, case when random() < 0.25 then 'interested' else 'question' end from received
"""
CLAIM = "select batch, due from crm_sync.claim_batch(%s, %s)"
FINISH = "select crm_sync.finish_batch(%s, %s)"
CHORES = ("make_log_partitions", "drop_log_partitions", "purge_remains")
AGE_QUEUE = """
update public.sync_queue
set created_at = created_at - interval '1 day', scheduled_at = scheduled_at - interval '1 day',
  started_at = started_at - interval '1 day', completed_at = completed_at - interval '1 day'
where id %% %s = %s
"""
PARTITIONS = """
select c.relname, p.begins_at - interval '1 day', p.ends_at - interval '1 day',
  'sync_activity_logs_' || to_char((p.begins_at - interval '1 day') at time zone 'UTC', 'YYYY_MM_DD')
from crm_sync.log_partitions() as p join pg_catalog.pg_class as c on c.oid = p.partition
order by p.begins_at
"""
COARSE = "select c.relname from crm_sync.log_partitions() as p join pg_catalog.pg_class as c on c.oid = p.partition"
"""What a new database has: weeks, as it keeps its log for longer."""
DETACH = "alter table public.sync_activity_logs detach partition public.{}"
# written anew, as it was: in the order of its entries, and without a trace of what they were before
AGE_PARTITION = "alter table public.{} alter column created_at type timestamptz using created_at - interval '1 day'"
ATTACH = "alter table public.sync_activity_logs attach partition public.{} for values from ({}) to ({})"
SIZES = """
select c.relname, pg_relation_size(c.oid)
from pg_catalog.pg_class as c
where c.oid = 'public.sync_queue'::regclass or c.oid in (select i.indexrelid from pg_catalog.pg_index as i where i.indrelid = 'public.sync_queue'::regclass)
union all
select n.name, n.bytes
from (
  select sum(pg_relation_size(t.relid))::bigint as heap, sum(pg_indexes_size(t.relid))::bigint as indexes
  from pg_partition_tree('public.sync_activity_logs') as t
) as s
cross join lateral (values ('sync_activity_logs', s.heap), ('sync_activity_logs_indexes', s.indexes)) as n (name, bytes)
"""

Sizes = dict[str, int]


def run(running: Cluster) -> dict[str, float | int | None]:
    """The largest sizes of the last week as a multiple of those of the week half way: a vacuum may cut off some of the end."""
    furnish(running.url, ORGANIZATIONS, CONTACTS)
    sizes: list[Sizes] = []
    with psycopg.connect(running.url, autocommit=True) as connection:
        for found in simulate(connection, DAYS, REPLIES, RETENTION):
            sizes.append(found)
            of_log = found["sync_activity_logs"] + found["sync_activity_logs_indexes"]
            of_queue = sum(found.values()) - of_log
            running.say(f"day {len(sizes):2}: queue {of_queue / 1e6:5.2f} MB, log {of_log / 1e6:5.2f} MB, with indexes")
        finished = _value(connection, "select count(*) from public.sync_queue where completed_at is not null")
        purged = _value(connection, "select sum(purged) from crm_sync.lanes")
        partitions = _value(connection, "select count(*) from crm_sync.log_partitions()")
    running.more["series"] = {"sizes": {name: [each[name] for each in sizes] for name in sizes[0]}}
    return {
        **growth(_largest(sizes[DAYS // 2 - WEEK : DAYS // 2]), _largest(sizes[-WEEK:])),
        "finished_rows": finished,
        "finished_days": round(finished / (finished + purged) * DAYS, 1),
        "log_partitions": partitions,
    }


def growth(before: Sizes, after: Sizes) -> dict[str, float]:
    """What became of the queue, of its indexes together, and of the log with its indexes."""
    parts = {
        "queue_growth": [name for name in before if name == "sync_queue"],
        "indexes_growth": [name for name in before if name.startswith("sync_queue_")],
        "log_growth": [name for name in before if name.startswith("sync_activity_logs")],
    }
    return {
        key: round(sum(after[name] for name in names) / sum(before[name] for name in names), 3)
        for key, names in parts.items()
    }


def _largest(sizes: list[Sizes]) -> Sizes:
    return {name: max(each[name] for each in sizes) for name in sizes[0]}


def simulate(connection: psycopg.Connection, days: int, replies: int, retention: str) -> Iterator[Sizes]:
    """Sizes in bytes by relation at the end of each day."""
    connection.execute(RETAIN.encode(), {"retention": retention})
    for (name,) in connection.execute(COARSE).fetchall():
        connection.execute(sql.SQL("drop table public.{}").format(sql.Identifier(name)))
    for day in range(days):
        if day:
            _age_log(connection)
            for part in range(PARTS):
                connection.execute(AGE_QUEUE.encode(), [PARTS, part])
                connection.execute("vacuum public.sync_queue")
        _keep_house(connection)
        connection.execute(RECEIVE.encode(), [replies])
        _work(connection)
        connection.execute("vacuum analyze")
        yield dict(connection.execute(SIZES.encode()).fetchall())


def _work(connection: psycopg.Connection) -> None:
    """Claim and confirm until nothing is left."""
    while True:
        row = connection.execute(CLAIM, [WORKER, BATCH]).fetchone()
        assert row is not None
        batch, due = row
        if batch is not None:
            outcomes = [_synced(document) for kind in KINDS for document in batch[kind]]
            connection.execute(FINISH, [batch["id"], json.dumps(outcomes)])
        elif not due:
            return


def _synced(document: dict[str, Any]) -> dict[str, Any]:
    company = document.get("company")
    return {
        "rows": document["rows"],
        "echo": document.get("echo", {}),
        "status": "synced",
        "external_id": f"crm-{document.get('key') or document['contact_id']}",
        "company_external_id": f"crm-{company['key']}" if company else None,
        "created": True,
        "duration_ms": 12,
    }


def _keep_house(connection: psycopg.Connection) -> None:
    """As `listener.upkeep` does."""
    for chore in CHORES:
        while _value(connection, f"select crm_sync.{chore}()"):
            pass
    reached = None
    while (row := connection.execute("select crm_sync.purge(%s)", [reached]).fetchone()) and row[0] is not None:
        reached = row[0]


def _age_log(connection: psycopg.Connection) -> None:
    """Entries and partitions a day back; the oldest first, into the place that the one before it has left."""
    with connection.transaction():
        partitions = connection.execute(PARTITIONS.encode()).fetchall()
        for name, _, _, _ in partitions:
            connection.execute(sql.SQL(DETACH).format(sql.Identifier(name)))
        for name, begins_at, ends_at, new_name in partitions:
            partition = sql.Identifier(new_name)
            connection.execute(sql.SQL(AGE_PARTITION).format(sql.Identifier(name)))
            connection.execute(sql.SQL("alter table public.{} rename to {}").format(sql.Identifier(name), partition))
            connection.execute(sql.SQL(ATTACH).format(partition, sql.Literal(begins_at), sql.Literal(ends_at)))


def _value(connection: psycopg.Connection, query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return int(row[0])
