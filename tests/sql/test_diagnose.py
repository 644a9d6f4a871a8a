"""diagnose(): each finding is provoked once, and says what to do."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from listener.settings import REQUIRED_SCHEMA
from tests.house import House, eventually
from tests.sql.daemon import Daemon, people

Finding = tuple[str, str, str, str, str, int | None, UUID | None]
AREAS = {
    *("workers", "versions", "clock", "connections", "mappings", "queue", "keys", "fence"),
    *("indexes", "vacuum", "log", "sessions", "settings"),
}


def findings(house: House, role: str = "crm_sync_reader") -> list[Finding]:
    with house.as_role(role) as connection:
        return connection.execute("select * from crm_sync.diagnose()").fetchall()


def found(house: House, area: str, severity: str) -> list[str]:
    """What is found of an area, of this severity; each says what to do."""
    rows = [row for row in findings(house) if row[:2] == (severity, area)]
    assert all(row[4] for row in rows)
    return [row[3] for row in rows]


@pytest.fixture
def healthy(house: House, rolled_back: psycopg.Connection) -> House:
    """Claimed, with partitions and a daemon."""
    house.connection.execute(b"select crm_sync.claim_database(); select crm_sync.make_log_partitions()")
    house.connection.execute(
        "select crm_sync.register_worker(%s, 'alpha', 1, '1.0', true, crm_sync.schema_version())", [uuid4()]
    )
    return house


@pytest.mark.usefixtures("rolled_back")
def test_the_indexes_that_are_expected_are_those_that_there_are(house: House) -> None:
    """Whoever adds or drops an index in a migration does so in sql/functions/expected_indexes.sql as well."""
    there = house.rows(
        "select n.nspname::text, c.relname::text from pg_index as i join pg_class as c on c.oid = i.indexrelid "
        "join pg_class as t on t.oid = i.indrelid join pg_namespace as n on n.oid = c.relnamespace "
        "where n.nspname = 'crm_sync' or n.nspname = 'public' and t.relname in ('integration_providers', "
        "'user_integrations', 'contact_sync_mappings', 'sync_queue', "
        "'sync_activity_logs', 'sync_activity_logs_default')"
    )
    expected = house.rows("select schema_name, index_name from crm_sync.expected_indexes()")
    assert sorted(expected) == sorted(there)


def test_where_nothing_is_wrong_each_area_says_so(healthy: House) -> None:
    for role in ("crm_sync_reader", "crm_sync_daemon", "crm_sync_owner"):
        rows = findings(healthy, role)
        assert {row[1] for row in rows} == AREAS
        # a server for tests may do without fsync
        assert [row for row in rows if row[0] in ("error", "warning") and row[1] != "settings"] == []
    hidden = [row[2] for row in findings(healthy) if row[0] == "info" and row[1] == "sessions"]
    assert hidden == ["crm_sync_reader"], "others' sessions are hidden from who is no member of pg_read_all_stats"


@pytest.mark.parametrize(
    ("change", "severity", "area", "words"),
    [
        ("drop index public.sync_queue_stuck_idx", "error", "indexes", "the index is missing"),
        (
            "update pg_index set indisvalid = false where indexrelid = 'public.sync_queue_open_idx'::regclass",
            "error",
            "indexes",
            "the index is invalid: nothing is found by it",
        ),
        (
            "alter table public.sync_queue set (autovacuum_enabled = off)",
            "error",
            "vacuum",
            "autovacuum is switched off for this table",
        ),
        ("set local synchronous_commit = off", "info", "settings", "synchronous_commit is off"),
        (
            "update crm_sync.daemons set last_seen_at = now() - interval '3 minutes'",
            "warning",
            "workers",
            "not been seen",
        ),
        ("update crm_sync.daemons set listening = false", "warning", "workers", "no daemon listens"),
        (
            "select crm_sync.register_worker(gen_random_uuid(), 'beta', 2, '1.1', true, crm_sync.schema_version())",
            "warning",
            "versions",
            "daemons of different versions are at work: 1.0, 1.1",
        ),
        (
            "update crm_sync.daemons set schema_version = crm_sync.schema_version() - 1",
            "warning",
            "versions",
            "this daemon (1.0) is older than the schema: it was made for",
        ),
        (  # as one of before registers itself, and one that others have left behind
            "select crm_sync.register_worker(gen_random_uuid(), 'beta', 2, '1.0', true)",
            "warning",
            "versions",
            "this daemon (1.0) is older than the schema: it was made for an earlier one",
        ),
        (
            "update crm_sync.daemons set schema_version = crm_sync.schema_version() + 1",
            "warning",
            "versions",
            "this daemon (1.0) is newer than the schema",
        ),
        ("update crm_sync.daemons set last_seen_at = now() + interval '1 hour'", "error", "clock", "was set back"),
        (
            "select crm_sync.beat(id, '3.2 s') from crm_sync.daemons",
            "warning",
            "clock",
            "is 3.2 s ahead of the database's: it refreshes tokens, wakes for slots and waits for the CRMs' limits "
            "that much too early",
        ),
        (
            "select crm_sync.beat(id, '-90 s') from crm_sync.daemons",
            "error",
            "clock",
            "is 90.0 s behind the database's",
        ),
        (
            "insert into crm_sync.orphans values (gen_random_uuid(), gen_random_uuid(), 'x', "
            "now() - interval '2 hours')",
            "warning",
            "queue",
            "1 classification(s) of messages that do not exist",
        ),
        (
            "insert into public.sync_activity_logs (organization_id, integration_id, "
            "activity_type, status, title, created_at) select organization_id, id, "
            "'connection', 'info', 'old', '2001-01-01' from public.user_integrations",
            "info",
            "log",
            "the default one",
        ),
        ("drop table public.sync_activity_logs_partition", "warning", "log", "there is no partition for"),
        ("update crm_sync.fence set database_oid = 1", "error", "fence", "is a copy of the one"),
        ("delete from crm_sync.fence", "error", "fence", "nobody has claimed"),
        (
            "select crm_sync.pause_all('everything', null, 'their outage')",
            "warning",
            "connections",
            "postgres (everything): their outage",
        ),
        (
            "update public.user_integrations set status = 'error', last_error = 'no scope'",
            "error",
            "connections",
            "it waits for a person: no scope",
        ),
        (
            "update crm_sync.lanes set parked_until = now() + interval '1 hour', parked_kind "
            "= 'rate_limited', parked_reason = 'the day is spent'",
            "warning",
            "connections",
            "the day is spent",
        ),
        (
            "update public.integration_providers set is_active = false where name = 'hubspot'",
            "warning",
            "connections",
            "switched off for all",
        ),
        (
            "update crm_sync.lanes set connected_at = now() - interval '1 day'",
            "info",
            "mappings",
            "what fields the CRM has is not known",
        ),
        (
            "update public.user_integrations set credentials = null, is_refreshable = false",
            "ok",
            "keys",
            "one key seals",
        ),
    ],
)
def test_a_finding_of_each_kind(
    healthy: House, organization: UUID, integration: int, change: str, severity: str, area: str, words: str
) -> None:
    if "logs_partition" in change:
        name = healthy.value(
            "select partition::text from crm_sync.log_partitions() where ends_at > now() order by ends_at limit 1"
        )
        change = change.replace("public.sync_activity_logs_partition", name)
    healthy.connection.execute(change.encode())
    assert any(words in each for each in found(healthy, area, severity)), findings(healthy)


def test_a_daemon_of_today_tells_the_newest_migration_that_there_is(healthy: House) -> None:
    assert healthy.value("select crm_sync.schema_version()") == REQUIRED_SCHEMA


def test_work_that_waits_with_no_daemon_alive_is_an_error(
    healthy: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(healthy, organization, 2)
    daemon.claim(limit=1)
    assert found(healthy, "workers", "error") == []
    healthy.connection.execute("delete from crm_sync.daemons")
    assert found(healthy, "workers", "error") == ["work waits, and no daemon is alive"]
    healthy.connection.execute("update crm_sync.batches set lease_until = now() - interval '5 minutes'")
    (lease,) = found(healthy, "workers", "warning")
    assert lease.startswith("the lease of 1 row(s) ended 00:05:0")


def test_rows_that_have_failed_are_told_with_their_connection(
    healthy: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(healthy, organization, 1)
    daemon.fail(daemon.claim(), "rejected")
    (row,) = [row for row in findings(healthy) if row[1] == "queue"]
    assert (row[0], row[5], row[6]) == ("info", integration, organization)
    assert f"retry_failed({integration})" in row[4]


def test_rules_are_held_against_what_the_crm_has_and_what_contacts_fill(
    healthy: House, daemon: Daemon, organization: UUID
) -> None:
    for n in range(12):
        healthy.contact(organization, f"c{n}@example.com", first_name="Ada", phone=" ")
    rules: dict[str, Any] = {
        "contact": [{"from": "phone", "to": "phone"}, {"from": "first_name", "to": "nickname"}],
    }
    integration = healthy.integration(organization, field_mappings=rules)
    fields = [{"object": "contact", "name": "phone", "label": "Phone", "type": "text"}]
    daemon.call("select crm_sync.store_crm_fields(%s, %s)", integration, json.dumps(fields))
    assert found(healthy, "mappings", "error") == ['HubSpot has no contact field "nickname"']
    assert found(healthy, "mappings", "info") == [
        'the rule for "phone" has never anything to send: none of 12 contacts has a "phone"'
    ]


def test_credentials_under_two_keys_are_told(healthy: House, organization: UUID, integration: int) -> None:
    healthy.connection.execute("select set_config('crm_sync.encryption_key', %s, true)", ["another-key" * 4])
    healthy.integration(organization, "pipedrive")
    assert found(healthy, "keys", "info") == ["credentials are sealed with more than one key"]


def test_it_is_asked_in_a_moment_and_writes_nothing(
    healthy: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """With rows enough that a count would show; transaction_read_only is what a replica has."""
    healthy.connection.execute(
        "insert into public.sync_queue (organization_id, integration_id, contact_id, queue_type, status, completed_at) "
        "select %s, %s, gen_random_uuid(), 'contact_sync', case when n %% 2 = 0 then 'completed' else 'pending' end, "
        "case when n %% 2 = 0 then now() end from generate_series(1, 50000) as n",
        [organization, integration],
    )
    healthy.connection.execute("set local transaction_read_only = on")

    def answers_fast() -> bool:
        started = time.monotonic()
        findings(healthy)
        return time.monotonic() - started < 0.2

    eventually(answers_fast, "an answer within 200 ms")  # a busy machine has its moments
