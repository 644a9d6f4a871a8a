"""A system that has run for two weeks: a million rows that wait, and ten times as many that are done, failed or were skipped."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

from bench.cluster import KEY, Cluster, furnish
from bench.load import INDEXES

ORGANIZATIONS = 50
CONTACTS = 14_000
"""Of each organization: those whose rows are carried while the questions are asked."""
WAITING = 1_000_000
FINISHED = 10_000_000
FAILED = 100_000
SKIPPED = 100_000
PARTS = 4
CONNECTIONS = 2

FINISHED_ROWS = """
insert into public.sync_queue (
  organization_id, integration_id, contact_id, message_id, classification_id, queue_type, status, attempts, last_error, failure,
  created_at, scheduled_at, started_at, completed_at)
select l.organization_ids[1 + g %% %(lanes)s], l.integration_ids[1 + g %% %(lanes)s], gen_random_uuid(), l.organization_ids[1],
  l.organization_ids[1], 'contact_sync',
  case when g %% %(every)s = 0 then 'failed' when g %% %(every)s = 1 then 'skipped' else 'completed' end, 1,
  case when g %% %(every)s = 0 then 'the CRM will not take "' || g %% 1000 || '"' when g %% %(every)s = 1 then 'the contact has no e-mail address' end,
  case when g %% %(every)s = 0 then
    case when g %% 7 < 4 then '{"kind": "rejected", "code": "INVALID_OPTION", "field": "tier"}'::jsonb
      when g %% 7 = 4 then '{"kind": "rejected", "code": "REQUIRED_FIELD_MISSING", "field": "LastName"}'
      when g %% 7 = 5 then '{"kind": "bug", "code": "X", "field": "y"}'
      else '{"kind": "contended", "code": "UNABLE_TO_LOCK_ROW", "field": "Id"}' end end,
  t.at, t.at, t.at, t.at + interval '2 seconds'
from generate_series(%(first)s::bigint, %(last)s::bigint) as g
cross join (select array_agg(l.organization_id) as organization_ids, array_agg(l.integration_id) as integration_ids from crm_sync.lanes as l) as l
cross join lateral (select now() - interval '13 days' * (1 - (g - %(first)s)::double precision / %(span)s) as at) as t
"""
WAITING_ROWS = """
insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type)
select i.organization_id, i.id, m.contact_id, m.id, m.id, 'contact_sync'
from (select m.*, row_number() over (partition by m.organization_id) as place from public.inbox_messages as m) as m
join public.user_integrations as i on i.organization_id = m.organization_id
order by m.place;
insert into public.sync_queue (organization_id, integration_id, contact_id, message_id, classification_id, queue_type)
select l.organization_id, l.integration_id, gen_random_uuid(), l.organization_id, l.organization_id, 'contact_sync'
from generate_series(1, {others}) as g
cross join crm_sync.lanes as l
"""
PAST = """
insert into crm_sync.samples (organization_id, integration_id, sampled_at, synced, waiting, failed, given_up, synced_since, given_up_since)
select l.organization_id, l.integration_id, date_trunc('minute', now()) - g * interval '1 minute', 0, 20000 - g, 2000, 0, 0, 0
from crm_sync.lanes as l, generate_series(2, 1440) as g;
insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, contact_id, message_id, title)
select m.organization_id, i.id, 'sync_contact', 'success', m.contact_id, m.id, 'Contact created'
from public.inbox_messages as m
join public.user_integrations as i on i.organization_id = m.organization_id
"""
CLASSIFY = """
set session_replication_role = replica;
insert into public.message_classifications (id, message_id, intent)
select m.id, m.id, case when row_number() over () % 4 = 0 then 'interested' else 'question' end from public.inbox_messages as m;
reset session_replication_role
"""


def fill(running: Cluster) -> None:
    """Everything as the triggers and daemons would have left it; then statistics, as autovacuum would have made them."""
    begun = time.monotonic()
    furnish(running.url, ORGANIZATIONS, CONTACTS)
    running.say(f"{ORGANIZATIONS * CONTACTS:,} contacts: {time.monotonic() - begun:.0f} s")
    with psycopg.connect(running.url, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        connection.execute("set maintenance_work_mem = '512MB'")
        connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])
        indexes = connection.execute(INDEXES).fetchall()
        for name, constraint, _ in indexes:
            drop = f"alter table public.sync_queue drop constraint {constraint}" if constraint else f"drop index {name}"
            connection.execute(drop.encode())
        # what is done was moved together by a vacuum; what waits has room beside it
        connection.execute("alter table public.sync_queue set (fillfactor = 100)")
        with ThreadPoolExecutor(CONNECTIONS) as connections:
            list(connections.map(lambda part: _finish(running.url, part), range(PARTS)))
        connection.execute("alter table public.sync_queue set (fillfactor = 35)")
        running.say(f"{FINISHED:,} finished rows: {time.monotonic() - begun:.0f} s")
        for statement in (
            *CLASSIFY.split(";\n"),
            *WAITING_ROWS.format(others=WAITING // ORGANIZATIONS - CONTACTS).split(";\n"),
        ):
            connection.execute(statement.encode())
        running.say(f"{WAITING:,} waiting rows: {time.monotonic() - begun:.0f} s")
        with ThreadPoolExecutor(CONNECTIONS) as connections:
            list(connections.map(lambda index: _index(running.url, *index), indexes))
        running.say(f"indexes: {time.monotonic() - begun:.0f} s")
        for statement in PAST.split(";\n"):
            connection.execute(statement.encode())
        connection.execute("vacuum analyze")
    running.say(f"loaded: {time.monotonic() - begun:.0f} s")


def _finish(url: str, part: int) -> None:
    rows = FINISHED // PARTS
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        connection.execute(
            FINISHED_ROWS,
            {
                "lanes": ORGANIZATIONS,
                "every": FINISHED // FAILED - 1,
                "first": part * rows + 1,
                "last": (part + 1) * rows,
                "span": rows,
            },
        )


def _index(url: str, _name: str, constraint: str | None, definition: str) -> None:
    add = f"alter table public.sync_queue add constraint {constraint} {definition}" if constraint else definition
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set maintenance_work_mem = '512MB'")
        connection.execute(add.encode())
