"""pause, resume, retry_failed: what they do, and for whom."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, documents, elapse, failed, queue


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
        ("Paused", f"Paused by a member ({member})", "info"),
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


@pytest.mark.parametrize(
    "call", ["pause(%s)", "resume(%s)", "sync_now(%s)", "cancel(%s, p_all => true)", "try_again(%s)"]
)
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
