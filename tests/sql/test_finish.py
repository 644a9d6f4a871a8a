"""What each outcome makes of its rows: the failure kinds, the fence, the parking of connections, the books."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.house import House
from tests.sql.daemon import (
    STATE,
    Daemon,
    assert_books_balance,
    documents,
    elapse,
    failed,
    people,
    queue,
    released,
    synced,
)


@pytest.fixture(autouse=True)
def balanced(house: House) -> Iterator[None]:
    """In every state that a test of this module leaves behind, the books must balance."""
    yield
    assert_books_balance(house)


def test_rejected_fails_this_row_at_once(house: House, daemon: Daemon, row: UUID) -> None:
    daemon.fail(daemon.claim(), "rejected", "no such option", status=400, field="x")
    assert queue(house, STATE) == [("failed", 1, False, "no such option", False, True)]
    assert house.value("select parked_until from crm_sync.lanes") is None
    assert daemon.try_claim() is None


@pytest.mark.parametrize("kind", ["contended", "bug"])
def test_contended_and_bug_cost_an_attempt_each_and_fail_with_the_last(
    house: House, daemon: Daemon, row: UUID, kind: str
) -> None:
    for attempt in (1, 2):
        daemon.fail(daemon.claim(), kind, "try later")
        assert queue(house, STATE) == [("retry", attempt, False, "try later", True, False)]
        (delay,) = house.rows("select extract(epoch from next_attempt_at - now()) from public.sync_queue")[0]
        assert 2 ** (attempt - 1) < delay <= 2.5 * attempt
        assert daemon.try_claim() is None
        elapse(house)
    daemon.fail(daemon.claim(), kind, "enough")
    assert queue(house, STATE) == [("failed", 3, False, "enough", False, True)]
    assert house.value("select parked_until from crm_sync.lanes") is None


def test_contended_waits_at_least_as_long_as_the_crm_says(house: House, daemon: Daemon, row: UUID) -> None:
    daemon.fail(daemon.claim(), "contended", retry_after=120)
    assert house.value("select next_attempt_at > now() + interval '110 seconds' from public.sync_queue")


def test_a_lost_claim_cannot_complete(house: House, daemon: Daemon, row: UUID) -> None:
    lost = daemon.claim()
    elapse(house)
    kept = Daemon(house).claim()
    before = queue(house, "*")
    assert daemon.confirm(lost) == 0
    assert daemon.fail(lost, "unauthorized") == 0
    assert queue(house, "*") == before
    assert house.value("select status from public.user_integrations") == "connected"
    assert daemon.confirm(kept) == 1
    assert daemon.confirm(kept) == 0, "and once is enough"


def test_outcomes_about_rows_of_another_batch_settle_nothing(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    mine, other = daemon.claim(limit=1), daemon.claim(limit=1)
    assert daemon.finish(mine, [failed(d, "rejected") for d in documents(other)]) == 0
    assert queue(house, "status") == [("pending",), ("processing",)]
    daemon.confirm(other)


def test_rows_nobody_spoke_of_go_back_unharmed(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    batch = daemon.claim()
    told, *untold = documents(batch)
    assert daemon.finish(batch, [failed(told, "rejected")]) == 1
    assert sorted(queue(house, "status, attempts, batch_id")) == [("failed", 1, None)] + [("pending", 0, None)] * 2
    assert sorted(d["contact_id"] for d in daemon.claim()["contacts"]) == sorted(d["contact_id"] for d in untold)


def test_what_was_released_after_it_was_sent_comes_back_uncertain(house: House, daemon: Daemon, row: UUID) -> None:
    batch = daemon.claim()
    daemon.finish(batch, [released(documents(batch)[0], uncertain=True)])
    assert queue(house, STATE) == [("pending", 0, True, None, False, False)]
    assert daemon.claim()["contacts"][0]["uncertain"] is True


def test_the_newest_state_is_sent_once_and_the_older_rows_are_superseded(
    house: House, daemon: Daemon, organization: UUID, row: UUID
) -> None:
    house.reply(organization, row, "question")
    daemon.confirm(daemon.claim())
    ((first, _), (second, _)) = queue(house, "id, 0", "queue_type = 'contact_sync'")
    assert queue(house, "id, status, superseded_by", "queue_type = 'contact_sync'") == [
        (first, "completed", second),
        (second, "completed", None),
    ]
    daemon.work()
    assert house.rows("select synced, superseded, committed from crm_sync.accounting") == [(3, 1, 4)]


def test_a_message_that_was_deleted_while_it_was_carried_does_not_lose_the_batch(
    house: House, daemon: Daemon, row: UUID
) -> None:
    batch = daemon.claim()
    house.connection.execute("delete from public.inbox_messages")
    assert daemon.confirm(batch) == 1
    assert queue(house, "status") == [("completed",)]
    assert house.rows("select message_id, sync_status from public.contact_sync_mappings") == [(None, "synced")]


def test_a_contact_that_was_deleted_while_it_was_carried_does_not_lose_the_batch(
    house: House, daemon: Daemon, row: UUID
) -> None:
    batch = daemon.claim()
    house.connection.execute("delete from public.contacts")
    assert daemon.confirm(batch) == 1
    assert house.rows("select * from public.contact_sync_mappings") == []
    assert daemon.try_claim() is None
    assert queue(house, "queue_type, status") == [("contact_sync", "completed"), ("activity_sync", "skipped")]


def test_a_connection_that_was_deleted_while_its_batch_was_carried_ends_quietly(
    house: House, daemon: Daemon, row: UUID
) -> None:
    batch = daemon.claim()
    house.connection.execute("delete from public.user_integrations")
    assert daemon.confirm(batch) == 0
    assert queue(house) == []


def test_each_outcome_is_logged_with_what_a_human_needs(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    batch = daemon.claim()
    first, second, third = documents(batch)
    failure: dict[str, Any] = {
        "status": 400,
        "code": "INVALID_OPTION",
        "field": "hs_lead_status",
        "correlation_id": "abc",
    }
    daemon.finish(
        batch,
        [
            synced(first, "77", remark="the stage was substituted"),
            failed(second, "rejected", "no such option", **failure),
            failed(third, "bug", "odd"),
        ],
    )
    logged = house.rows(
        "select activity_type, status, title, description, contact_id::text, external_id, mapping_id is not null, "
        "error_details from public.sync_activity_logs"
    )
    assert sorted(logged, key=lambda entry: str(entry[2])) == [
        (
            "sync_contact",
            "warning",
            "Contact created",
            "the stage was substituted",
            first["contact_id"],
            "77",
            True,
            None,
        ),
        (
            "sync_contact",
            "error",
            "Contact failed",
            "no such option",
            second["contact_id"],
            None,
            True,
            {"kind": "rejected", "message": "no such option", **failure},
        ),
        (
            "sync_contact",
            "warning",
            "Contact will be tried again",
            "odd",
            third["contact_id"],
            None,
            True,
            {"kind": "bug", "message": "odd"},
        ),
    ]


def test_counters_reach_the_row_that_people_look_at(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    daemon.work()
    assert house.rows(
        "select total_synced_contacts, total_synced_deals, last_sync_at is not null, last_error, error_count "
        "from public.user_integrations"
    ) == [(1, 1, True, None, 0)]
    assert house.rows("select waiting, running, failed, last_success is not null from crm_sync.status") == [
        (0, 0, 0, True)
    ]


def test_the_counters_are_up_to_date_when_the_last_batch_ends_in_whichever_order(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.connection.execute(
        "update public.user_integrations set sync_settings = sync_settings || '{\"log_activities\": false}'"
    )
    people(house, organization, 4)
    batches = [daemon.claim(limit=2), daemon.claim(limit=2)]
    for batch in reversed(batches):
        daemon.confirm(batch)
    assert house.value("select total_synced_contacts from public.user_integrations") == 4


def test_a_contact_is_counted_once_when_it_arrives_for_the_first_time(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    for kind in ("rejected", None, None):
        house.reply(organization, contact, "x")
        batch = daemon.claim()
        daemon.confirm(batch) if kind is None else daemon.fail(batch, kind)
        daemon.work()
    assert house.value("select total_synced_contacts from public.user_integrations") == 1


def test_the_accounts_balance_in_every_state(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contacts = people(house, organization, 5)
    house.reply(organization, contacts[4], "interested")
    house.reply(organization, house.contact(organization, None), "x")
    assert_books_balance(house)
    batch = daemon.claim()
    assert_books_balance(house)
    a, b, c, d, e = sorted(documents(batch), key=lambda document: str(document["rows"]))
    daemon.finish(batch, [synced(a), failed(b, "rejected"), failed(c, "bug"), released(d), synced(e)])
    row = (
        "select committed, synced, superseded, waiting, retrying, failed, skipped, difference from crm_sync.accounting"
    )
    (books,) = house.rows(row)
    assert books[-1] == 0
    assert books[5:7] == (1, 1)
    elapse(house, "20 days")
    while daemon.call("select crm_sync.purge()"):
        assert_books_balance(house)
    assert queue(house, "1", "status in ('completed', 'failed', 'skipped')") == []
    (after,) = house.rows(row)
    assert after == books
    house.value("select crm_sync.retry_failed(%s)", integration)
    daemon.work()
    assert house.rows("select synced + superseded + skipped + failed = committed from crm_sync.accounting") == [(True,)]
