"""NOTIFY for a sleeper only: it takes an instance-wide lock at commit, so a busy system must not ring."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, connect

INSERT = "insert into public.message_classifications (message_id, intent) values (%s, 'question')"


@pytest.fixture
def ears(database: str) -> Iterator[psycopg.Connection]:
    with connect(database) as connection:
        connection.execute("listen crm_sync")
        yield connection


def rings(house: House, ears: psycopg.Connection) -> int:
    """How often it rang until now: notifications come in the order of commits, so our own marks the end."""
    house.connection.execute("select pg_notify('crm_sync', 'the end')")
    for count, notification in enumerate(ears.notifies(timeout=15)):
        if notification.payload == "the end":
            return count
        assert notification.payload == ""
    raise AssertionError("our own notification did not arrive")


@pytest.fixture
def message(house: House, organization: UUID, integration: int) -> UUID:
    return house.message(organization, house.contact(organization))


def sleep(house: House, daemon: Daemon) -> None:
    daemon.call("select crm_sync.register_worker(%s, 'host', 1, '1', true)", daemon.id)
    daemon.call("select crm_sync.arm_worker(%s)", daemon.id)


def test_nobody_rings_while_nobody_sleeps(
    house: House, daemon: Daemon, ears: psycopg.Connection, message: UUID
) -> None:
    house.connection.execute(INSERT, [message])
    assert rings(house, ears) == 0
    sleep(house, daemon)
    daemon.call("select crm_sync.disarm_worker(%s)", daemon.id)
    house.connection.execute(INSERT, [message])
    assert rings(house, ears) == 0


def test_a_sleeper_is_rung_once_for_each_transaction(
    house: House, daemon: Daemon, ears: psycopg.Connection, message: UUID
) -> None:
    sleep(house, daemon)
    with house.connection.transaction():
        house.connection.execute(INSERT, [message])
        house.connection.execute(INSERT, [message])
    assert rings(house, ears) == 1


def test_the_producers_own_role_rings(house: House, daemon: Daemon, ears: psycopg.Connection, message: UUID) -> None:
    sleep(house, daemon)
    house.classify(message)
    assert rings(house, ears) == 1


def test_a_producer_of_an_old_snapshot_always_rings(house: House, ears: psycopg.Connection, message: UUID) -> None:
    with house.connection.transaction():
        house.connection.execute("set transaction isolation level repeatable read")
        house.connection.execute(INSERT, [message])
    assert rings(house, ears) == 1


def test_a_daemon_that_arms_after_an_old_snapshot_is_rung_nevertheless(
    house: House, daemon: Daemon, database: str, ears: psycopg.Connection, message: UUID
) -> None:
    with connect(database) as producer:
        producer.execute("begin isolation level repeatable read")
        producer.execute("select 1 from public.organizations")
        sleep(house, daemon)
        producer.execute(INSERT, [message])
        producer.execute("commit")
    assert rings(house, ears) == 1


def test_a_sleeper_that_gave_no_sign_of_life_is_not_rung(
    house: House, daemon: Daemon, ears: psycopg.Connection, message: UUID
) -> None:
    sleep(house, daemon)
    house.connection.execute("update crm_sync.daemons set last_seen_at = now() - interval '3 minutes'")
    house.connection.execute(INSERT, [message])
    assert rings(house, ears) == 0
    assert daemon.call("select crm_sync.beat(%s)", daemon.id) is True
    house.connection.execute(INSERT, [message])
    assert rings(house, ears) == 1


def test_what_is_skipped_wakes_nobody(house: House, daemon: Daemon, ears: psycopg.Connection) -> None:
    sleep(house, daemon)
    organization = house.organization("Without a CRM")
    house.reply(organization, house.contact(organization))
    assert rings(house, ears) == 0


def test_work_for_a_later_slot_rings_so_that_the_sleeper_sets_its_alarm(
    house: House, daemon: Daemon, ears: psycopg.Connection
) -> None:
    sleep(house, daemon)
    organization = house.organization("Daily")
    house.integration(organization, sync_frequency="daily")
    house.reply(organization, house.contact(organization))
    assert rings(house, ears) == 1
    _, _, due_at = daemon.answer()
    assert due_at == house.value("select next_attempt_at from public.sync_queue")


def test_a_transaction_that_did_not_see_the_sleeper_is_among_those_it_waits_for(
    house: House, daemon: Daemon, database: str, ears: psycopg.Connection, message: UUID
) -> None:
    """The proof of 4.1: enqueued before we armed and committed after, unheard, but not unseen."""
    with connect(database) as producer:
        producer.execute("begin")
        producer.execute(INSERT, [message])
        sleep(house, daemon)
        xid = daemon.call("select crm_sync.current_xmax()")
        assert daemon.try_claim() is None
        assert daemon.call("select crm_sync.older_transactions_run(%s)", xid) is True
        producer.execute("commit")
    assert rings(house, ears) == 0
    assert daemon.call("select crm_sync.older_transactions_run(%s)", xid) is False
    assert daemon.try_claim() is not None


def test_a_transaction_that_is_newer_than_arming_and_did_not_see_it_is_waited_for_as_well(
    house: House, daemon: Daemon, database: str, ears: psycopg.Connection, message: UUID
) -> None:
    """It began after the daemon was about to arm and looked before that was committed."""
    daemon.call("select crm_sync.register_worker(%s, 'host', 1, '1', true)", daemon.id)
    with connect(database) as producer, connect(database) as other:
        other.execute("begin")
        other.execute("select crm_sync.arm_worker(%s)", [daemon.id])
        producer.execute("begin")
        producer.execute(INSERT, [message])
        other.execute("commit")
        xid = daemon.call("select crm_sync.current_xmax()")
        assert daemon.call("select crm_sync.older_transactions_run(%s)", xid) is True
        producer.execute("commit")
    assert rings(house, ears) == 0
    assert daemon.call("select crm_sync.older_transactions_run(%s)", xid) is False
    assert daemon.try_claim() is not None


def test_a_daemon_that_says_goodbye_rings_those_that_stay(
    house: House, daemon: Daemon, ears: psycopg.Connection, message: UUID
) -> None:
    """What it hands back, and what its last batches asked for next, would wait for a slow poll otherwise."""
    sleep(house, daemon)
    leaving = Daemon(house)
    leaving.call("select crm_sync.register_worker(%s, 'host', 2, '1', true)", leaving.id)
    house.connection.execute(INSERT, [message])
    assert rings(house, ears) == 1
    batch = leaving.claim()
    assert leaving.call("select crm_sync.release_batch(%s)", batch["id"]) == 1
    leaving.call("select crm_sync.unregister_worker(%s)", leaving.id)
    assert rings(house, ears) == 1
    assert daemon.claim()["contacts"]


def test_connecting_again_rings_for_the_work_that_waited(
    house: House, daemon: Daemon, ears: psycopg.Connection, message: UUID
) -> None:
    house.connection.execute(INSERT, [message])
    house.connection.execute("update public.user_integrations set status = 'disconnected'")
    assert daemon.try_claim() is None
    sleep(house, daemon)
    house.connection.execute("update public.user_integrations set status = 'connected'")
    assert rings(house, ears) == 1
    assert daemon.claim()["contacts"]


def test_a_daemons_own_ring_carries_its_name(house: House, daemon: Daemon, ears: psycopg.Connection) -> None:
    daemon.call("select crm_sync.ring_worker(%s)", daemon.id)
    assert [n.payload for n in ears.notifies(timeout=15, stop_after=1)] == [str(daemon.id)]


def test_a_forgotten_daemon_is_told_so(house: House, daemon: Daemon) -> None:
    sleep(house, daemon)
    other = Daemon(house)
    other.call("select crm_sync.register_worker(%s, 'host', 2, '1', true)", other.id)
    house.connection.execute(
        "update crm_sync.daemons set last_seen_at = now() - interval '11 minutes' where id = %s", [daemon.id]
    )
    assert other.call("select crm_sync.beat(%s)", other.id) is True
    assert daemon.call("select crm_sync.beat(%s)", daemon.id) is False


@pytest.mark.usefixtures("rolled_back")
def test_a_daemon_of_an_older_version_beats_as_it_did_and_what_was_measured_stays(house: House) -> None:
    daemon = Daemon(house)
    daemon.call("select crm_sync.register_worker(%s, 'host', 1, '1', true)", daemon.id)
    offset = "select clock_offset from crm_sync.workers"
    assert daemon.call("select crm_sync.beat(%s)", daemon.id) is True
    assert house.value(offset) is None
    assert daemon.call("select crm_sync.beat(%s, '0.5 s')", daemon.id) is True
    assert daemon.call("select crm_sync.beat(%s)", daemon.id) is True
    assert house.value(offset) == timedelta(seconds=0.5)


def test_the_workers_view_says_who_is_alive_and_who_sleeps(house: House, daemon: Daemon) -> None:
    sleep(house, daemon)
    query = "select id, is_alive, is_armed, armed_since is not null, is_listening from crm_sync.workers"
    assert house.rows(query) == [(daemon.id, True, True, True, True)]
    house.connection.execute("update crm_sync.daemons set last_seen_at = now() - interval '3 minutes', armed = false")
    assert house.rows(query) == [(daemon.id, False, False, False, True)]
    daemon.call("select crm_sync.unregister_worker(%s)", daemon.id)
    assert house.rows(query) == []


def test_who_rings_for_one_row_says_where_the_work_is(
    house: House, daemon: Daemon, ears: psycopg.Connection, message: UUID, integration: int
) -> None:
    ears.execute("listen crm_sync_due")
    house.connection.execute(INSERT, [message])
    sleep(house, daemon)
    house.connection.execute(INSERT, [message])
    told = [(n.channel, n.payload) for n in ears.notifies(timeout=15, stop_after=2)]
    assert sorted(told) == [("crm_sync", ""), ("crm_sync_due", str(integration))]
    house.connection.execute(INSERT + ", (%s, 'question')", [message, message])
    house.connection.execute("select pg_notify('crm_sync', 'the end')")
    told = [(n.channel, n.payload) for n in ears.notifies(timeout=15, stop_after=2)]
    assert told == [("crm_sync", ""), ("crm_sync", "the end")]


@pytest.mark.usefixtures("rolled_back")
def test_one_place_knows_for_how_long_a_sign_of_life_holds(house: House) -> None:
    for ago, alive in (("119 seconds", True), ("121 seconds", False)):
        assert house.value("select crm_sync.is_alive(clock_timestamp() - %s::interval)", ago) is alive
    written = house.rows(
        "select p.proname from pg_proc as p where p.pronamespace = 'crm_sync'::regnamespace and p.prokind = 'f' "
        "and pg_get_functiondef(p.oid) ~ 'last_seen_at [<>].*(minutes|00:0)' union all "
        "select v.viewname from pg_views as v where v.schemaname = 'crm_sync' and v.definition ~ 'last_seen_at [<>]'"
    )
    assert sorted(written) == [("beat",), ("is_alive",)], "beat forgets daemons after ten minutes"
    plan = "\n".join(row[0] for row in house.rows("explain (verbose) select from crm_sync.sleepers"))
    assert "is_alive" not in plan, "it is part of the query: whoever enqueues asks this"
