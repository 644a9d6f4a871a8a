"""Counting for whoever asks: exact and now where rows are few, from the last tally where they are many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.house import House
from tests.sql.daemon import Daemon, failed, people, released

pytestmark = pytest.mark.usefixtures("rolled_back")

MANY = 1_100
"""More than are counted whenever somebody asks."""
STATUS = "select waiting, running, retrying, failed, skipped, counted_at = now() from crm_sync.status"
CAUSES = (
    "select integration_id, kind, queue_type, code, field, message, count, retrying, first_at, last_at, "
    "example_queue_id, example_contact_id, is_rest from crm_sync.failures order by count desc, example_queue_id"
)


def fill(house: House, organization: UUID, integration: int, waiting: int = 0, lost: int = 0, skipped: int = 0) -> None:
    house.connection.execute(
        "insert into public.sync_queue (organization_id, integration_id, contact_id, queue_type, status, last_error, "
        "failure, completed_at) "
        "select %(o)s, %(i)s, gen_random_uuid(), 'contact_sync', s.status, s.last_error, s.failure, s.completed_at "
        "from (select 'pending', null, null::jsonb, null::timestamptz from generate_series(1, %(waiting)s) union all "
        "select 'failed', 'no ' || n, jsonb_build_object('kind', 'rejected', 'code', 'C' || n %% 3, 'field', 'f'), "
        "now() - n * interval '1 second' from generate_series(1, %(lost)s) as n union all "
        "select 'skipped', 'no address', null, now() from generate_series(1, %(skipped)s)) "
        "as s (status, last_error, failure, completed_at)",
        {"o": organization, "i": integration, "waiting": waiting, "lost": lost, "skipped": skipped},
    )


def tally(house: House) -> int:
    """As a daemon does it when its time has come."""
    house.connection.execute("update crm_sync.tally_clock set look_after = '-infinity', count_after = '-infinity'")
    with house.as_role("crm_sync_daemon"):
        count: int = house.value("select crm_sync.take_tallies()")
    return count


def asked(house: House, query: str) -> list[tuple[Any, ...]]:
    with house.as_role("crm_sync_reader") as connection:
        return connection.execute(query.encode()).fetchall()


def test_what_is_few_is_counted_when_somebody_asks(house: House, organization: UUID, integration: int) -> None:
    fill(house, organization, integration, 300, 200, 100)
    assert tally(house) == 0
    assert asked(house, STATUS) == [(300, 0, 0, 200, 100, True)]
    fill(house, organization, integration, 1, 1, 1)
    assert asked(house, STATUS) == [(301, 0, 0, 201, 101, True)]


def test_what_is_much_is_shown_as_it_was_counted_and_when(house: House, organization: UUID, integration: int) -> None:
    fill(house, organization, integration, MANY, 10, 10)
    assert asked(house, STATUS) == [(MANY, 0, 0, 10, 10, True)]
    assert tally(house) == 1
    fill(house, organization, integration, 5, 5, 5)
    # each by itself: what is few beside it is counted now
    assert asked(house, STATUS) == [(MANY, 0, 0, 15, 15, False)]
    assert tally(house) == 1
    assert asked(house, STATUS) == [(MANY + 5, 0, 0, 15, 15, False)]


def test_a_tally_that_nobody_renews_is_not_believed(house: House, organization: UUID, integration: int) -> None:
    fill(house, organization, integration, MANY, MANY, MANY)
    tally(house)
    fill(house, organization, integration, 7, 7, 7)
    house.connection.execute("update crm_sync.tallies set believed_until = now() - interval '1 second'")
    assert asked(house, STATUS) == [(MANY + 7, 0, 0, MANY + 7, MANY + 7, True)]
    assert asked(house, "select sum(count) from crm_sync.failures") == [(MANY + 7,)]


def test_a_connection_that_has_shrunk_has_no_tally_any_more(house: House, organization: UUID, integration: int) -> None:
    fill(house, organization, integration, MANY)
    tally(house)
    house.connection.execute("delete from public.sync_queue where id % 2 = 0")
    tally(house)
    assert house.value("select count(*) from crm_sync.tallies") == 0
    assert asked(house, STATUS)[0][5] is True


def test_a_tally_tells_rows_apart_as_the_rows_themselves_do(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 12)
    batch = daemon.claim(limit=8)
    contacts = batch["contacts"]
    answers = [failed(each, "contended", "locked", code="BUSY", field="id") for each in contacts[:3]]
    answers += [failed(each, "rejected", "no") for each in contacts[3:5]]
    daemon.finish(batch, [*answers, *map(released, contacts[5:])])
    house.connection.execute("update crm_sync.lanes set look_behind_at = '-infinity'")
    daemon.claim(limit=2)
    fill(house, organization, integration, MANY, MANY, MANY)
    live, causes = asked(house, STATUS), asked(house, CAUSES)
    assert live == [(MANY + 5, 2, 3, MANY + 2, MANY, True)]
    assert live[0][:5] == house.rows("select waiting, running, retrying, failed, skipped from crm_sync.accounting")[0]
    oldest = asked(house, "select oldest_wait from crm_sync.status")
    tally(house)
    assert [row[:5] for row in asked(house, STATUS)] == [row[:5] for row in live]
    assert asked(house, CAUSES) == causes
    assert asked(house, "select oldest_wait from crm_sync.status") == oldest


def test_causes_beyond_the_main_ones_are_one_line_that_says_so(
    house: House, organization: UUID, integration: int
) -> None:
    fill(house, organization, integration, lost=MANY)
    # without a field the words tell causes apart: 733 of them; those of C1 are one
    house.connection.execute(
        "update public.sync_queue set failure = failure - 'field' where failure ->> 'code' <> 'C1'"
    )
    house.connection.execute("update crm_sync.lanes set recount_at = now()")
    tally(house)
    rows = asked(house, "select code, count, is_rest, message from crm_sync.failures order by count desc")
    assert len(rows) == 101
    assert sum(count for _, count, _, _ in rows) == MANY
    assert [(message, count) for _, count, is_rest, message in rows if is_rest] == [("other causes", MANY - 99 - 367)]
    assert ("C1", 367) in [(code, count) for code, count, _, _ in rows]


@pytest.mark.parametrize("action", ["retry_failed(%s)", "retry_cause(%s, 'rejected', 'contact_sync', 'C1', 'f')"])
def test_after_an_action_the_next_look_is_right(
    house: House, daemon: Daemon, organization: UUID, integration: int, action: str
) -> None:
    fill(house, organization, integration, lost=MANY)
    tally(house)
    count = daemon.call(f"select crm_sync.{action}", integration)
    assert count in (MANY, 367)
    assert [row[2:4] for row in asked(house, STATUS)] == [(count, MANY - count)]
    assert asked(house, "select sum(count), sum(retrying) from crm_sync.failures") == [(MANY, count)]
    tally(house)
    assert asked(house, "select sum(count), sum(retrying) from crm_sync.failures") == [(MANY, count)]


def test_why_rows_failed_is_read_again_only_when_others_fail(
    house: House, organization: UUID, integration: int
) -> None:
    fill(house, organization, integration, lost=MANY)
    tally(house)
    house.connection.execute("update crm_sync.tallies set failed_causes = '{}'")  # would be seen if it were read again
    tally(house)
    assert house.value("select cardinality(failed_causes) from crm_sync.tallies") == 0
    house.connection.execute("update crm_sync.lanes set given_up = given_up + 1")
    tally(house)
    assert house.value("select cardinality(failed_causes) from crm_sync.tallies") == 3


def test_renewing_takes_a_hundredth_of_the_time(house: House, organization: UUID, integration: int) -> None:
    fill(house, organization, integration, MANY)
    tally(house)
    house.connection.execute("update crm_sync.tally_clock set look_after = '-infinity', count_after = '-infinity'")
    house.value("select crm_sync.take_tallies()")
    rest = house.value(
        "select (c.count_after - clock_timestamp()) / 100 between t.took / 2 and 50 * t.took "
        "from crm_sync.tally_clock as c, crm_sync.tallies as t"
    )
    assert rest is True
    assert house.value("select crm_sync.take_tallies()") == 0  # its time has not come
    assert house.value("select believed_until > counted_at + interval '2 minutes' from crm_sync.tallies") is True


def test_members_see_the_counts_of_their_organization_only(house: House, organization: UUID, integration: int) -> None:
    other = house.organization("Other")
    fill(house, organization, integration, MANY, 1)
    fill(house, other, house.integration(other), MANY, 1)
    assert tally(house) == 2
    with house.as_role("authenticated", house.user(organization)):
        assert [row[0] for row in house.rows("select integration_id from crm_sync.tallies")] == [integration]
        assert house.rows("select integration_id, waiting, running, failed from crm_sync.status") == [
            (integration, MANY, 0, 1)
        ]
        assert house.rows("select organization_id from crm_sync.failures") == [(organization,)]
        for view in ("throughput", "lag", "oldest_unsent", "budget_use", "counters"):
            seen = house.connection.execute(f"select distinct organization_id from crm_sync.{view}".encode()).fetchall()
            assert seen in ([(organization,)], []), view


def test_a_failure_is_as_old_as_its_reason(house: House, daemon: Daemon, integration: int, row: UUID) -> None:
    def fail(kind: str, **failure: Any) -> None:
        house.connection.execute("update public.sync_queue set next_attempt_at = null")
        house.connection.execute("update crm_sync.lanes set look_behind_at = '-infinity', parked_until = null")
        daemon.fail(daemon.claim(), kind, **failure)
        house.connection.execute("update public.sync_queue set failing_since = failing_since - interval '1 hour'")

    def since() -> timedelta:
        with house.as_role("crm_sync_reader"):
            age: timedelta = house.value("select now() - first_at from crm_sync.failures")
        return age

    fail("contended", code="BUSY")
    assert since() == timedelta(hours=1)
    fail("contended", code="BUSY")
    assert since() == timedelta(hours=2)
    house.connection.execute("update public.sync_queue set failing_since = now() - interval '5 hours'")
    fail("rejected", code="INVALID_OPTION")
    assert since() == timedelta(hours=1)
    daemon.call("select crm_sync.retry_failed(%s)", integration)
    assert since() == timedelta(hours=1)
