"""purge and purge_remains: what goes after its time, what never goes, and who waits for whom."""

from __future__ import annotations

import threading
from uuid import UUID, uuid4

import pytest

from tests.house import House, eventually
from tests.sql.daemon import (
    Daemon,
    assert_books_balance,
    connect,
    documents,
    elapse,
    failed,
    people,
    queue,
    somebody_waits,
    wait_for_lanes_without_end,
)
from tests.sql.test_actions import notices

PURGE = "select crm_sync.purge()"
REMAINS = "select crm_sync.purge_remains()"


def fail_all(daemon: Daemon) -> None:
    batch = daemon.claim()
    daemon.finish(batch, [failed(d, "rejected") for d in documents(batch)])


def purge_all(daemon: Daemon, limit: int = 2000) -> int:
    """How many calls it took."""
    calls, reached = 0, None
    while (reached := daemon.call("select crm_sync.purge(%s, %s)", reached, limit)) is not None:
        calls += 1
    return calls


def test_finished_rows_are_purged_after_their_time_and_open_ones_never(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n in range(3):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"), "x")
    fail_all(daemon)
    house.reply(organization, house.contact(organization, "open@example.com"), "x")
    elapse(house, "13 days")
    assert purge_all(daemon) == 0
    elapse(house, "2 days")
    assert purge_all(daemon, limit=2) == 2
    assert queue(house, "status") == [("pending",)]
    assert house.rows("select committed, failed, waiting from crm_sync.accounting") == [(4, 3, 1)]
    assert_books_balance(house)


def test_rows_of_many_connections_go_together(house: House, daemon: Daemon) -> None:
    for n in range(5):
        organization = house.organization(f"Organization {n}")
        house.integration(organization)
        house.reply(organization, house.contact(organization), "x")
    daemon.work()
    elapse(house, "20 days")
    assert purge_all(daemon) == 1
    assert queue(house) == []
    assert_books_balance(house)


def test_a_connection_that_is_busy_holds_up_no_other(house: House, daemon: Daemon, database: str) -> None:
    integrations = []
    for n in range(3):
        organization = house.organization(f"Organization {n}")
        integrations.append(house.integration(organization))
        house.reply(organization, house.contact(organization), "x")
        fail_all(daemon)
    elapse(house, "20 days")
    with connect(database) as other, other.transaction():
        other.execute("select from crm_sync.lanes where integration_id = %s for update", [integrations[1]])
        assert daemon.call(PURGE) is not None
        assert queue(house, "integration_id") == [(integrations[1],)]
        assert_books_balance(house)
    assert purge_all(daemon) == 1
    assert queue(house) == []


@pytest.mark.parametrize(
    "held",
    [
        "select from crm_sync.lanes where integration_id = %s for update",
        "select from public.user_integrations where id = %s for update",
    ],
)
def test_purge_now_goes_on_behind_a_connection_that_somebody_holds(
    house: House, daemon: Daemon, database: str, held: str
) -> None:
    integrations = []
    for n in range(3):
        organization = house.organization(f"Organization {n}")
        integrations.append(house.integration(organization))
        people(house, organization, 2)
        daemon.work()
    elapse(house, "2 days")
    said = notices(house)
    purge = "select crm_sync.purge_now('1 day', null, 2)"
    with connect(database) as other, other.transaction():
        other.execute(held.encode(), [integrations[0]])
        assert list(iter(lambda: daemon.call(purge), 0)) == [2] * 4
        assert said == ["rows of 1 connection(s) were left, as somebody else holds them: try again later"]
        assert {integration for (integration,) in queue(house, "integration_id")} == {integrations[0]}
        assert daemon.call("select crm_sync.purge_now('1 day', %s, 2)", integrations[1]) == 0
    assert list(iter(lambda: daemon.call(purge), 0)) == [2] * 2
    assert queue(house) == []
    assert_books_balance(house)
    assert len(said) == 1


def test_a_purge_is_quick_whatever_the_statistics_say_of_the_rows_age(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """Rows were analysed when they were young; a plan that holds each against each runs into the timeout."""
    house.connection.execute(
        "insert into public.sync_queue (organization_id, integration_id, queue_type, status, completed_at) "
        "select %s, %s, 'contact_sync', 'completed', now() from generate_series(1, 8000)",
        [organization, integration],
    )
    house.connection.execute("analyze public.sync_queue")
    elapse(house, "20 days")
    house.connection.execute("set statement_timeout = '3s'")
    assert purge_all(daemon, limit=10_000) == 1
    assert queue(house) == []


def test_a_purge_goes_on_where_the_last_one_ended(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n in range(3):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"), "x")
        fail_all(daemon)
        elapse(house, "1 day")
    elapse(house, "20 days")
    first, second, last = (at for (at,) in queue(house, "completed_at"))
    assert daemon.call("select crm_sync.purge(%s)", second) == last
    assert queue(house, "completed_at") == [(first,)]
    assert daemon.call("select crm_sync.purge(%s)", last) is None
    assert purge_all(daemon) == 1


def test_the_books_balance_when_a_row_is_put_back_while_it_is_purged(
    house: House, daemon: Daemon, database: str, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "x")
    fail_all(daemon)
    elapse(house, "20 days")
    calls: list[int] = []

    def purge() -> None:
        with connect(database) as connection:
            calls.append(purge_all(Daemon(House(connection))))

    wait_for_lanes_without_end(house)
    thread = threading.Thread(target=purge)
    with house.connection.transaction():
        assert house.value("select crm_sync.retry_failed(%s)", integration) == 1
        thread.start()
        eventually(lambda: somebody_waits(house), "the purge waits for the lane")
    thread.join(30)
    assert calls == [0]
    assert queue(house, "status") == [("retry",)]
    assert_books_balance(house)


def test_orphans_are_forgotten_after_their_time(house: House, daemon: Daemon) -> None:
    house.classify(uuid4())
    assert daemon.call(REMAINS) == 0
    assert house.value("select count(*) from crm_sync.orphans") == 1
    house.connection.execute("update crm_sync.orphans set seen_at = seen_at - interval '15 days'")
    assert [daemon.call(REMAINS) for _ in range(2)] == [1, 0]
    assert house.value("select count(*) from crm_sync.orphans") == 0


def test_rows_that_lost_their_connection_while_they_were_committed_go(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "x")
    copies = """
      insert into public.sync_queue (
        organization_id, integration_id, queue_type, status, next_attempt_at, completed_at, last_error
      )
      select q.organization_id, 999, q.queue_type, s.status, s.next_attempt_at, s.completed_at, 'x'
      from public.sync_queue as q
      cross join (values ('pending', null::timestamptz, null::timestamptz), ('pending', 'infinity', null),
        ('skipped', null, '2020-01-01')) as s (status, next_attempt_at, completed_at)
    """
    house.connection.execute(copies.encode())
    assert [daemon.call(REMAINS) for _ in range(2)] == [2, 0]
    assert purge_all(daemon) == 1
    assert queue(house, "integration_id, status") == [(integration, "pending")]


def test_what_was_made_for_a_contact_is_forgotten_with_the_contact(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contacts = [house.contact(organization, f"c{n}@example.com", company="Acme") for n in range(2)]
    for contact in contacts:
        house.reply(organization, contact)
    daemon.work()
    kinds = "select object_type, count(*) from crm_sync.effects group by 1 order by 1"
    assert house.rows(kinds) == [("activity", 2), ("company", 1), ("deal", 2)]
    house.connection.execute("delete from public.contacts where id = %s", [contacts[0]])
    assert daemon.call(REMAINS) == 0
    house.connection.execute("update crm_sync.effects set created_at = created_at - interval '15 days'")
    assert [daemon.call(REMAINS) for _ in range(2)] == [2, 0]
    assert house.rows(kinds) == [("activity", 1), ("company", 1), ("deal", 1)]
