"""pause, resume, retry_failed, purge, make_log_partitions: what they do, and for whom."""

from __future__ import annotations

import threading
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House, eventually
from tests.sql.daemon import Daemon, assert_books_balance, connect, documents, elapse, failed, queue, somebody_waits


def fail_all(daemon: Daemon, message: str = "no") -> None:
    batch = daemon.claim()
    daemon.finish(batch, [failed(d, "rejected", message) for d in documents(batch)])


def test_a_paused_connection_keeps_its_work_and_resumes(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    member = house.user(organization)
    house.reply(organization, house.contact(organization))
    with house.as_role("authenticated", member) as connection:
        calls = [
            connection.execute(f"select crm_sync.{verb}(%s)".encode(), [integration]).fetchone()
            for verb in ("pause", "pause")
        ]
    assert calls == [(True,), (False,)]
    assert house.rows("select state, waiting from crm_sync.status") == [("paused", 1)]
    assert house.rows("select paused_by from crm_sync.lanes") == [(str(member),)]
    assert daemon.answer() == (None, [], None)
    assert daemon.call("select crm_sync.resume(%s)", integration) is True
    assert daemon.call("select crm_sync.resume(%s)", integration) is False
    assert daemon.claim()["contacts"]
    assert house.rows("select title, description, status from public.sync_activity_logs order by id") == [
        ("Paused", f"Paused by {member}", "info"),
        ("Resumed", "Resumed by crm_sync_daemon", "info"),
    ]


def test_a_batch_under_way_when_its_connection_is_paused_is_settled(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "x")
    batch = daemon.claim()
    daemon.call("select crm_sync.pause(%s)", integration)
    assert daemon.confirm(batch) == 1
    assert daemon.try_claim() is None


@pytest.mark.parametrize("call", ["pause(%s)", "resume(%s)", "retry_failed(%s)"])
def test_what_is_not_yours_and_what_does_not_exist_get_the_same_answer(
    house: House, organization: UUID, integration: int, call: str
) -> None:
    stranger = house.user(house.organization("Other"))
    answers = set()
    for user in (stranger, uuid4(), None):
        for target in (integration, 999_999, None):
            with house.as_role("authenticated", user) as connection, pytest.raises(psycopg.Error) as error:
                connection.execute(f"select crm_sync.{call}".encode(), [target])
            assert error.value.sqlstate == "CS021"
            answers.add(str(error.value.diag.message_primary).replace(str(target or "null"), "N"))
    assert answers == {"there is no connection N that you may manage"}
    for role in ("anon", "crm_sync_producer", "crm_sync_reader"):
        with house.as_role(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"select crm_sync.{call}".encode(), [integration])


def test_failed_rows_get_all_their_attempts_back(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "x")
    fail_all(daemon)
    assert daemon.call("select crm_sync.retry_failed(%s)", integration) == 1
    assert queue(house, "status, attempts, losses, completed_at, next_attempt_at") == [("retry", 0, 0, None, None)]
    assert daemon.confirm(daemon.claim()) == 1
    assert daemon.call("select crm_sync.retry_failed(%s)", integration) == 0
    assert_books_balance(house)


def test_a_cause_or_a_time_chooses_what_is_retried(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n, message in enumerate(("Invalid PHONE number", "no such option")):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"), "x")
        fail_all(daemon, message)
    elapse(house, "2 hours")
    retry = "select crm_sync.retry_failed(%s, %s, %s::interval)"
    assert daemon.call(retry, integration, None, "1 hour") == 0
    assert daemon.call(retry, integration, "phone", "3 hours") == 1
    assert queue(house, "status, last_error") == [("retry", "Invalid PHONE number"), ("failed", "no such option")]


def test_finished_rows_are_purged_after_their_time_and_open_ones_never(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n in range(3):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"), "x")
    fail_all(daemon)
    house.reply(organization, house.contact(organization, "open@example.com"), "x")
    elapse(house, "13 days")
    assert daemon.call("select crm_sync.purge()") == 0
    elapse(house, "2 days")
    assert [daemon.call("select crm_sync.purge(2)") for _ in range(3)] == [2, 1, 0]
    assert queue(house, "status") == [("pending",)]
    assert house.rows("select committed, failed, waiting from crm_sync.accounting") == [(4, 3, 1)]
    assert_books_balance(house)


def test_the_books_balance_when_a_row_is_put_back_while_it_is_purged(
    house: House, daemon: Daemon, database: str, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "x")
    fail_all(daemon)
    elapse(house, "20 days")
    purged: list[int] = []

    def purge() -> None:
        with connect(database) as connection:
            purged.append(Daemon(House(connection)).call("select crm_sync.purge()"))

    thread = threading.Thread(target=purge)
    with house.connection.transaction():
        assert house.value("select crm_sync.retry_failed(%s)", integration) == 1
        thread.start()
        eventually(lambda: somebody_waits(house), "the purge waits for the lane")
    thread.join(30)
    assert purged == [0]
    assert queue(house, "status") == [("retry",)]
    assert_books_balance(house)


def test_orphans_are_forgotten_after_their_time(house: House, daemon: Daemon) -> None:
    house.classify(uuid4())
    assert daemon.call("select crm_sync.purge()") == 0
    assert house.value("select count(*) from crm_sync.orphans") == 1
    house.connection.execute("update crm_sync.orphans set seen_at = seen_at - interval '15 days'")
    daemon.call("select crm_sync.purge()")
    assert house.value("select count(*) from crm_sync.orphans") == 0


def test_log_partitions_are_made_ahead_and_dropped_after_their_time(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    assert daemon.call("select crm_sync.make_log_partitions()") == 3
    assert daemon.call("select crm_sync.make_log_partitions()") == 0
    house.reply(organization, house.contact(organization), "x")
    fail_all(daemon)
    month = house.value("select 'sync_activity_logs_' || to_char(now() at time zone 'UTC', 'YYYY_MM')")
    assert house.rows("select tableoid::regclass::text from public.sync_activity_logs") == [(month,)]
    old = (
        "create table public.sync_activity_logs_2020_01 partition of public.sync_activity_logs "
        "for values from ('2020-01-01+00') to ('2020-02-01+00')"
    )
    house.connection.execute(old.encode())
    house.connection.execute("alter table public.sync_activity_logs_2020_01 owner to crm_sync_owner")
    daemon.call("select crm_sync.purge()")
    assert house.value("select to_regclass('public.sync_activity_logs_2020_01')") is None
    assert house.value("select count(*) from public.sync_activity_logs") == 1


def test_a_new_log_partition_is_as_closed_as_the_log(house: House, daemon: Daemon, organization: UUID) -> None:
    daemon.call("select crm_sync.make_log_partitions(0)")
    assert house.rows(
        "select relrowsecurity, relforcerowsecurity, pg_get_userbyid(relowner), "
        "has_table_privilege('authenticated', oid, 'select') or has_table_privilege('anon', oid, 'select') "
        "from pg_class where relname ~ '^sync_activity_logs_[0-9]{4}_[0-9]{2}$'"
    ) == [(True, True, "crm_sync_owner", False)]


def test_a_month_that_has_entries_already_stays_where_it_is(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "x")
    fail_all(daemon)
    assert daemon.call("select crm_sync.make_log_partitions(1)") == 1
    assert house.rows("select tableoid::regclass::text from public.sync_activity_logs") == [
        ("sync_activity_logs_default",)
    ]


def test_the_contact_status_of_a_large_organization_is_asked_in_a_moment(
    house: House, organization: UUID, integration: int
) -> None:
    """One pass over the queue, not one for each contact: a query that goes quadratic runs into the timeout."""
    house.connection.execute(
        "with c as (insert into public.contacts (organization_id, email) "
        "select %(o)s, n || '@example.com' from generate_series(1, 4000) as n returning id) "
        "insert into public.sync_queue (organization_id, integration_id, contact_id, queue_type, status, completed_at) "
        "select %(o)s, %(i)s, c.id, 'contact_sync', 'completed', now() from c",
        {"o": organization, "i": integration},
    )
    house.connection.execute("analyze public.sync_queue")
    house.connection.execute("set statement_timeout = '3s'")
    assert house.value("select count(*) from crm_sync.contact_status") == 4000
