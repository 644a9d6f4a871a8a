"""No plan may hang on the statistics of a table whose contents turn over in seconds.

A backlog of many rows, and statistics that say nothing, say "empty", speak of rows that are gone, or tell the truth:
claims, finishes and the producer's trigger must visit a number of rows that depends on the batch, never on the table.
"""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.postgres import TestServer
from tests.sql.daemon import KINDS, Daemon, connect, failed, synced

BACKLOG = 6_000
BATCH = 50
STATISTICS = ("never", "when empty", "before a truncate", "now")
KEYED = ("contacts", "inbox_messages", "message_classifications", "contact_sync_mappings", "effects")
"""Tables that claims and finishes look into by key only."""
MOST_PAGES = 30
"""Of a table's indexes, read for each row of a batch: a handful of lookups and of entries written, three pages each."""
TABLES = (
    "public.sync_queue",
    "public.contacts",
    "public.inbox_messages",
    "public.message_classifications",
    "public.contact_sync_mappings",
    "crm_sync.effects",
)

FILL = """
with c as (
  insert into public.contacts (organization_id, email) select %(o)s, n || '@example.com' from generate_series(1,
    %(n)s) as n returning id
), m as (
  insert into public.inbox_messages (organization_id, contact_id) select %(o)s, c.id from c returning id
)
insert into public.message_classifications (message_id, intent) select m.id, (array['interested', 'question',
  'x'])[1 + (random() * 2)::int] from m
"""


@pytest.fixture(scope="module")
def backlog(postgres: TestServer, template: str) -> str:
    """A database with a backlog, not analysed, to be copied."""
    url = postgres.create_database(template)
    with connect(url) as connection:
        connection.execute("alter table public.sync_queue set (autovacuum_enabled = off)")
        house = House(connection)
        organization = house.organization()
        house.integration(organization)
        house.integration(house.organization("Other"))
        connection.execute(FILL.encode(), {"o": organization, "n": BACKLOG})
        # work that is done, and follows: it shares the indexes with the work that waits
        daemon = Daemon(house)
        for _ in range(2):
            daemon.confirm(daemon.claim(limit=300))
    return url


def walked(connection: psycopg.Connection) -> dict[str, int]:
    """For each table the pages of its indexes that were read so far: only here shows an index that is read whole."""
    connection.execute("select pg_stat_force_next_flush()")
    connection.execute("select pg_stat_clear_snapshot()")
    return dict(
        connection.execute(
            "select relname, sum(idx_blks_hit + idx_blks_read)::integer from pg_statio_user_indexes group by relname"
        ).fetchall()
    )


def visited(connection: psycopg.Connection) -> dict[str, tuple[int, int]]:
    """For each table the rows read by sequential scans and by indexes so far."""
    connection.execute("select pg_stat_force_next_flush()")
    connection.execute("select pg_stat_clear_snapshot()")
    rows = connection.execute(
        "select t.relname, t.seq_tup_read, coalesce((select sum(i.idx_tup_read) from pg_stat_user_indexes "
        "as i where i.relid = t.relid), 0) "
        "from pg_stat_user_tables as t where t.relid = any (%s::regclass[])",
        [list(TABLES)],
    ).fetchall()
    return {name: (int(seq), int(idx)) for name, seq, idx in rows}


@pytest.mark.parametrize("statistics", STATISTICS)
def test_claim_and_finish_visit_a_batchs_rows_only(postgres: TestServer, backlog: str, statistics: str) -> None:
    database = postgres.create_database(backlog)
    with connect(database) as connection:
        prepare(connection, statistics)
        daemon = Daemon(House(connection))
        before = visited(connection)
        pages = walked(connection)
        rounds = 12  # more than the five custom plans before a cached plan may become generic
        for _ in range(rounds):
            daemon.confirm(daemon.claim(limit=BATCH))
        after = visited(connection)
        assert pages_per_row(pages, walked(connection), rounds * BATCH) < MOST_PAGES
        for table, (seq, idx) in after.items():
            assert seq - before[table][0] == 0, f"{table} was scanned"
            assert idx - before[table][1] < rounds * BATCH * 60, (
                table
            )  # an index on a small table may be read whole once
    postgres.drop_database(database)


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_plans_that_a_session_made_for_a_nearly_empty_database_hold_when_it_is_full(
    postgres: TestServer, template: str, is_analyzed: bool
) -> None:
    database = postgres.create_database(template)
    with connect(database) as connection:
        for table in TABLES:
            connection.execute(f"alter table {table} set (autovacuum_enabled = off)".encode())
        house = House(connection)
        organization = house.organization()
        house.integration(organization)
        # what a host may have: to begin with, every index that starts with the organization costs the same
        connection.execute("create index on public.contacts (organization_id)")
        contacts = [house.contact(organization, f"first{n}@example.com") for n in range(30)]
        if is_analyzed:
            connection.execute("analyze")
        daemon = Daemon(house)
        for contact in contacts[:3]:
            house.reply(organization, contact, "interested")
            daemon.work()
        with connect(database) as host:
            host.execute(FILL.encode(), {"o": organization, "n": BACKLOG})
            host.execute("select pg_stat_force_next_flush()")
        before, pages = visited(connection), walked(connection)
        rounds = 12
        for _ in range(rounds):
            daemon.confirm(daemon.claim(limit=BATCH))
        after = visited(connection)
        assert pages_per_row(pages, walked(connection), rounds * BATCH) < MOST_PAGES
        for table, (seq, idx) in after.items():
            assert seq - before[table][0] == 0, f"{table} was scanned"
            assert idx - before[table][1] < rounds * BATCH * 60, table
    postgres.drop_database(database)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_tasks_gone_contacts_and_complaints_visit_a_batchs_rows_only(
    postgres: TestServer, backlog: str, statistics: str
) -> None:
    database = postgres.create_database(backlog)
    with connect(database) as connection:
        connection.execute("update public.message_classifications set requires_human_attention = true")
        # most wait for another hour, so that what follows the others has its turn
        connection.execute(
            "update public.sync_queue set next_attempt_at = now() + interval '1 hour' where status = 'pending' "
            "and id % 40 <> 0"
        )
        prepare(connection, statistics)
        daemon = Daemon(House(connection))
        rounds = 12
        before, pages, kinds = visited(connection), walked(connection), set()
        for number in range(rounds):
            batch = daemon.claim(limit=BATCH)
            kinds |= {kind for kind in KINDS if batch[kind]}
            follow_ups = [*batch["deals"], *batch["activities"], *batch["tasks"]]
            gone = [failed(each, "rejected", code="CONTACT_GONE") for each in follow_ups[:: 2 if number % 2 else 1]]
            rest = follow_ups[1::2] if number % 2 else []
            complaints = [failed(each, "rejected", field="tier") for each in batch["contacts"][:3]]
            daemon.finish(batch, [*gone, *map(synced, rest), *complaints, *map(synced, batch["contacts"][3:])])
        after = visited(connection)
        assert kinds == set(KINDS)
        assert pages_per_row(pages, walked(connection), rounds * BATCH) < MOST_PAGES
        for table, (seq, idx) in after.items():
            assert seq - before[table][0] == 0, f"{table} was scanned"
            assert idx - before[table][1] < rounds * BATCH * 80, table
    postgres.drop_database(database)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_the_producers_trigger_visits_its_own_rows_only(postgres: TestServer, backlog: str, statistics: str) -> None:
    database = postgres.create_database(backlog)
    with connect(database) as connection:
        prepare(connection, statistics)
        house = House(connection)
        organization: UUID = house.value("select organization_id from public.contacts limit 1")
        messages = [house.message(organization, house.contact(organization, f"new{n}@example.com")) for n in range(20)]
        before = visited(connection)
        for message in messages:
            connection.execute(
                "insert into public.message_classifications (message_id, intent) values (%s, 'x')", [message]
            )
        after = visited(connection)
        for table, (seq, idx) in after.items():
            assert seq - before[table][0] == 0, f"{table} was scanned"
            assert idx - before[table][1] < len(messages) * 10, table
    postgres.drop_database(database)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_looking_for_due_connections_probes_and_does_not_count(
    postgres: TestServer, backlog: str, statistics: str
) -> None:
    database = postgres.create_database(backlog)
    with connect(database) as connection:
        prepare(connection, statistics)
        connection.execute("select crm_sync.due_lanes()")  # the first to pass entries of finished rows marks them dead
        before = visited(connection)["sync_queue"]
        for _ in range(10):
            assert connection.execute("select count(*) from crm_sync.due_lanes()").fetchone() == (1,)
        after = visited(connection)["sync_queue"]
        assert after[0] - before[0] == 0
        assert after[1] - before[1] < 100
    postgres.drop_database(database)


def pages_per_row(before: dict[str, int], after: dict[str, int], rows: int) -> int:
    """Of the indexes of the table that has most."""
    found = {name: (after[name] - before[name]) // rows for name in KEYED}
    return max(found.values())


def prepare(connection: psycopg.Connection, statistics: str) -> None:
    if statistics == "now":
        connection.execute("analyze")
    elif statistics == "before a truncate":
        connection.execute("analyze")
        connection.execute("truncate public.contact_sync_mappings, crm_sync.effects")
    elif statistics == "when empty":
        # what an analysis at the wrong moment leaves behind: it saw a table that had just been drained
        connection.execute("set session_replication_role = replica")
        connection.execute("create temporary table kept as table public.sync_queue")
        connection.execute("truncate public.sync_queue")
        connection.execute("analyze")
        connection.execute("insert into public.sync_queue overriding system value table kept")
        connection.execute("set session_replication_role = origin")


@pytest.mark.parametrize("statistics", STATISTICS)
def test_questions_about_a_row_visit_its_contacts_rows_only(
    postgres: TestServer, backlog: str, statistics: str
) -> None:
    database = postgres.create_database(backlog)
    with connect(database) as connection:
        prepare(connection, statistics)
        house = House(connection)
        asked = house.rows(
            "(select contact_id, message_id, integration_id from public.sync_queue where status = 'completed' limit 8) "
            "union all "
            "(select contact_id, message_id, integration_id from public.sync_queue where status = 'pending' limit 8)"
        )
        before, pages = visited(connection), walked(connection)
        for contact, message, integration in asked:
            assert house.rows("select * from crm_sync.explain(%s)", message)
            assert house.rows("select * from crm_sync.plan(%s, %s)", contact, integration)
            house.rows("select * from crm_sync.believed(%s, now())", contact)
            house.rows("select crm_sync.wait_for(%s, '0 s')", message)
            house.rows("select * from crm_sync.contact_timeline(%s)", contact)
            house.rows("select * from crm_sync.contact_standing(array[%s::uuid])", contact)
            house.rows("select * from crm_sync.stuck")
        after = visited(connection)
        for table, (seq, idx) in after.items():
            assert seq - before[table][0] == 0, f"{table} was scanned"
            # a batch of finished rows has one time, by which a row of it is found
            most = 1500 if table == "sync_queue" else 60
            assert idx - before[table][1] < len(asked) * most, table
        assert pages_per_row(pages, walked(connection), len(asked)) < 300
    postgres.drop_database(database)
