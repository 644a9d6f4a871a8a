"""retry_cause and sync_now: what one click sets going."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, documents, failed, people, queue

pytestmark = pytest.mark.usefixtures("rolled_back")

CAUSES: list[dict[str, Any]] = [
    {"kind": "rejected", "message": '"A" is no option', "code": "INVALID_OPTION", "field": "tier"},
    {"kind": "rejected", "message": '"B" is no option', "code": "INVALID_OPTION", "field": "tier"},
    {"kind": "rejected", "message": "no such field", "code": "INVALID_OPTION", "field": "color"},
    {"kind": "rejected", "message": "two\r\nlines"},
    {"kind": "rejected", "message": "100 % _other_"},
    {"kind": "rejected", "message": "100 % _other_", "code": "ODD"},
    {"kind": "contended", "message": "locked", "code": "LOCKED"},
]
LINES = """
select kind, queue_type, code, field, message, count from crm_sync.failures order by kind, code, field, message
"""
RETRY = "select crm_sync.retry_cause(%s, %s, %s, %s, %s, %s)"


@pytest.fixture
def causes(house: House, daemon: Daemon, organization: UUID, integration: int) -> int:
    """Two rows of each cause; returns the connection."""
    people(house, organization, 2 * len(CAUSES))
    batch = daemon.claim()
    outcomes = [failed(document, **CAUSES[n % len(CAUSES)]) for n, document in enumerate(documents(batch))]
    daemon.finish(batch, outcomes)
    return integration


def test_a_line_of_the_failures_is_retried_with_exactly_the_rows_that_it_counts(
    house: House, causes: int, organization: UUID
) -> None:
    lines = house.rows(LINES)
    assert sorted(line[5] for line in lines) == [2, 2, 2, 2, 2, 4]
    member = house.user(organization)
    left = "select count(*) from public.sync_queue where status = 'failed'"
    for line in lines:
        before = house.value(left)
        with house.as_role("authenticated", member):
            assert house.value(RETRY, causes, *line[:5]) == line[5], line
        # those that were to be tried again anyway had not failed
        assert before - house.value(left) == (0 if line[0] == "contended" else line[5]), line
    assert house.value(left) == 0
    assert {row[0] for row in queue(house, "attempts", "failure ->> 'kind' = 'rejected'")} == {0}
    logged = house.value("select count(*) from public.sync_activity_logs where title = 'Failed rows retried'")
    assert logged == len(lines)
    assert_books_balance(house)


def test_what_is_retried_is_claimed_at_once(house: House, daemon: Daemon, causes: int) -> None:
    daemon.call(RETRY, causes, "rejected", "contact_sync", "INVALID_OPTION", "tier", None)
    assert len(documents(daemon.claim())) == 4


def test_a_browsers_line_ends_are_no_other_cause(house: House, daemon: Daemon, causes: int) -> None:
    assert daemon.call(RETRY, causes, "rejected", "contact_sync", None, None, "two\nlines") == 2


def test_of_several_words_only_the_same_are_retried(house: House, daemon: Daemon, causes: int) -> None:
    assert daemon.call(RETRY, causes, "rejected", "contact_sync", None, None, "100 % _other_") == 2
    assert daemon.call(RETRY, causes, "rejected", "contact_sync", None, None, "%") == 0
    assert daemon.call(RETRY, causes, "rejected", "deal_sync", None, None, "two\r\nlines") == 0


@pytest.mark.parametrize("call", ["retry_cause(%s, 'rejected', 'contact_sync')", "sync_now(%s)"])
def test_a_connection_of_others_is_left_alone(house: House, causes: int, call: str) -> None:
    stranger = house.user(house.organization("Other"))
    before = queue(house)
    with (
        house.as_role("authenticated", stranger),
        pytest.raises(psycopg.Error) as error,
        house.connection.transaction(),
    ):
        house.connection.execute(f"select crm_sync.{call}".encode(), [causes])
    assert error.value.sqlstate == "CS021"
    assert queue(house) == before


def test_what_waits_for_its_hour_goes_now(house: House, daemon: Daemon, organization: UUID) -> None:
    integration = house.integration(organization, sync_frequency="hourly")
    people(house, organization, 3)
    assert daemon.try_claim() is None
    with house.as_role("authenticated", house.user(organization)):
        assert house.value("select crm_sync.sync_now(%s)", integration) == 3
    assert len(documents(daemon.claim())) == 3
    assert house.value("select title from public.sync_activity_logs") == "Sync asked for"


def test_what_waits_goes_in_pieces_and_it_is_said_that_there_is_more(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = house.integration(organization, sync_frequency="hourly")
    people(house, organization, 5)
    house.connection.execute(
        "create or replace function crm_sync.rows_at_once() returns integer language sql immutable parallel safe "
        "set search_path = '' return 2"
    )
    said: list[str | None] = []
    house.connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
    assert [daemon.call("select crm_sync.sync_now(%s)", integration) for _ in range(4)] == [2, 2, 1, 0]
    assert said == ["2 row(s) brought forward, as many as one call takes; there are more: call it again"] * 2
    assert queue(house, "next_attempt_at") == [(None,)] * 5


def test_a_crm_that_was_down_is_asked_again_at_once_and_one_that_is_busy_is_not(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    for kind, is_asked in (("unavailable", True), ("rate_limited", False)):
        house.connection.execute(
            "update crm_sync.lanes set parked_until = now() + interval '1 hour', parked_kind = %s, parked_reason = 'x'",
            [kind],
        )
        daemon.call("select crm_sync.sync_now(%s)", integration)
        assert (daemon.try_claim(limit=1) is not None) is is_asked, kind
