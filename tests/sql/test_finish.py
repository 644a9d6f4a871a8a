"""What each outcome makes of its rows: the failure kinds, the fence, the parking of connections, the books."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from tests.house import House, eventually
from tests.sql.daemon import (
    Daemon,
    assert_books_balance,
    connect,
    documents,
    elapse,
    failed,
    queue,
    released,
    synced,
)

STATE = "status, attempts, uncertain, last_error, next_attempt_at is not null, completed_at is not null"
LANE = "select parked_kind, parked_reason, failures, batch_limit from crm_sync.lanes"


@pytest.fixture(autouse=True)
def balanced(house: House) -> Iterator[None]:
    """In every state that a test of this module leaves behind, the books must balance."""
    yield
    assert_books_balance(house)


@pytest.fixture
def row(house: House, organization: UUID, integration: int) -> UUID:
    """One waiting row; returns its contact."""
    contact = house.contact(organization)
    house.reply(organization, contact, "x")
    return contact


def people(house: House, organization: UUID, count: int) -> list[UUID]:
    contacts = [house.contact(organization, f"c{n}@example.com") for n in range(count)]
    for contact in contacts:
        house.reply(organization, contact, "x")
    return contacts


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


def test_rate_limited_pauses_the_connection_and_costs_nothing(house: House, daemon: Daemon, row: UUID) -> None:
    daemon.fail(daemon.claim(), "rate_limited", "slow down", retry_after=7.5)
    assert queue(house, STATE) == [("retry", 0, False, "slow down", False, False)]
    assert house.rows(LANE) == [("rate_limited", "slow down", 0, None)]
    assert house.value("select parked_until - now() between interval '7 s' and interval '7.6 s' from crm_sync.lanes")
    assert house.rows("select state, resumes_at is not null, last_error from crm_sync.status") == [
        ("rate_limited", True, "slow down")
    ]
    elapse(house, "8 seconds")
    daemon.confirm(daemon.claim())
    assert house.rows(LANE) == [(None, None, 0, None)]


@pytest.mark.parametrize(("told", "least", "most"), [(None, 9, 11), (-5, 0, 1), (0, 0, 1), (1e12, 86000, 86401)])
def test_an_odd_retry_after_is_bounded(
    house: House, daemon: Daemon, row: UUID, told: float | None, least: int, most: int
) -> None:
    daemon.fail(daemon.claim(), "rate_limited", retry_after=told)
    assert least <= house.value("select extract(epoch from parked_until - now()) from crm_sync.lanes") <= most


def test_an_outage_costs_no_attempts_and_backs_off_further_each_time(house: House, daemon: Daemon, row: UUID) -> None:
    delays = []
    for failures in range(1, 8):
        daemon.fail(daemon.claim(), "unavailable", "503", uncertain=True)
        assert queue(house, STATE) == [("retry", 0, True, "503", True, False)]
        assert house.rows(LANE) == [("unavailable", "503", failures, 1)]
        delays.append(float(house.value("select extract(epoch from parked_until - clock_timestamp()) from crm_sync.lanes")))
        elapse(house, "10 minutes")
    for delay, base in zip(delays, (1, 2, 4, 8, 16, 32, 64), strict=True):
        assert 0.75 * base - 0.5 <= delay <= 1.25 * base
    assert daemon.claim()["contacts"][0]["uncertain"] is True


def test_batches_shrink_in_an_outage_and_grow_again(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    people(house, organization, 16)
    daemon.fail(daemon.claim(), "unavailable")
    assert house.rows(LANE)[0][2:] == (1, 4)
    elapse(house)
    batch = daemon.claim()
    assert len(batch["contacts"]) == 4
    assert daemon.try_claim() is None, "one probe at a time"
    daemon.confirm(batch)
    assert house.rows(LANE)[0][2:] == (0, 8)
    elapse(house)
    daemon.confirm(daemon.claim())
    assert house.rows(LANE)[0][2:] == (0, 16)


def test_a_poison_row_fails_in_the_end_while_the_others_pass(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """Its requests time out for ever; nobody else may pay for that, and it must not go on without end."""
    poison = str(people(house, organization, 6)[2])
    rounds = 0
    while (batch := daemon.try_claim(limit=3)) is not None and rounds < 40:
        outcomes = [
            failed(d, "unavailable", "timeout", uncertain=True) if d["contact_id"] == poison and "email" in d else synced(d)
            for d in documents(batch)
        ]
        daemon.finish(batch, outcomes)
        elapse(house, "10 minutes")
        house.reply(organization, house.contact(organization, f"r{rounds}@example.com"), "x")
        rounds += 1
        if queue(house, "1", "status = 'failed'"):
            break
    assert queue(house, "contact_id::text, status, attempts", "status = 'failed'") == [(poison, "failed", 3)]
    assert queue(house, "1", "status = 'failed' and contact_id::text <> '" + poison + "'") == []


def test_an_outage_that_outlasts_give_up_after_fails_the_row(house: House, daemon: Daemon, row: UUID) -> None:
    daemon.fail(daemon.claim(), "unavailable", "503")
    elapse(house, "8 days")
    daemon.fail(daemon.claim(), "unavailable", "503")
    assert queue(house, STATE) == [("failed", 0, False, "gave up waiting for the CRM: 503", False, True)]


def test_a_row_that_was_given_up_and_put_back_waits_through_the_next_outage(
    house: House, daemon: Daemon, integration: int, row: UUID
) -> None:
    elapse(house, "8 days")
    daemon.fail(daemon.claim(), "unavailable", "503")
    assert house.value("select crm_sync.retry_failed(%s)", integration) == 1
    elapse(house, "1 hour")
    daemon.fail(daemon.claim(), "unavailable", "503")
    assert queue(house, "status, attempts") == [("retry", 0)]


def test_unauthorized_parks_the_connection_for_a_human_and_tells(house: House, daemon: Daemon, database: str, row: UUID) -> None:
    with connect(database) as ears:
        ears.execute("listen crm_sync_events")
        daemon.fail(daemon.claim(), "unauthorized", "the token was revoked", status=401)
        told = [json.loads(n.payload) for n in ears.notifies(timeout=15, stop_after=1)]
    integration = house.value("select id from public.user_integrations")
    assert told == [{"event": "connection_error", "integration_id": integration}]
    assert queue(house, STATE) == [("retry", 0, False, "the token was revoked", False, False)]
    assert house.rows("select parked_until = 'infinity', parked_kind from crm_sync.lanes") == [(True, "unauthorized")]
    assert house.rows("select status, last_error, error_count from public.user_integrations") == [
        ("error", "the token was revoked", 1)
    ]
    assert house.rows("select state, last_error, resumes_at, retrying from crm_sync.status") == [
        ("error", "the token was revoked", None, 1)
    ]
    assert daemon.answer() == (None, [], None)
    assert house.rows(
        "select status, title, description from public.sync_activity_logs where activity_type = 'connection'"
    ) == [("error", "Connection needs a person", "the token was revoked")]


def test_connecting_again_resumes_where_it_stopped(house: House, daemon: Daemon, row: UUID) -> None:
    daemon.fail(daemon.claim(), "unauthorized", "revoked")
    house.connection.execute("""update public.user_integrations set credentials = '{"access_token": "new"}'""")
    assert house.rows("select status, last_error, error_count from public.user_integrations") == [("connected", None, 0)]
    assert house.rows(LANE) == [(None, None, 0, None)]
    assert daemon.confirm(daemon.claim()) == 1


def test_a_late_rate_limit_does_not_free_a_connection_that_waits_for_a_human(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    first, second = daemon.claim(limit=1), daemon.claim(limit=1)
    daemon.fail(first, "unauthorized", "revoked")
    daemon.fail(second, "rate_limited", "slow", retry_after=1)
    elapse(house, "1 hour")
    assert daemon.try_claim() is None
    assert house.value("select parked_until = 'infinity' and parked_kind = 'unauthorized' from crm_sync.lanes")


def test_a_late_success_does_not_free_a_connection_that_waits_for_a_human(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    first, second = daemon.claim(limit=1), daemon.claim(limit=1)
    daemon.fail(first, "unauthorized", "revoked")
    daemon.confirm(second)
    assert daemon.try_claim() is None
    assert house.rows("select status, last_error from public.user_integrations") == [("error", "revoked")]


def test_a_dead_connection_and_the_human_who_connects_it_again_do_not_deadlock(
    house: House, daemon: Daemon, database: str, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    first, second = daemon.claim(limit=1), daemon.claim(limit=1)
    daemon.fail(first, "unauthorized", "revoked")
    results: list[object] = []

    def finish() -> None:
        with connect(database) as connection:
            try:
                results.append(Daemon(House(connection)).fail(second, "unauthorized", "revoked"))
            except psycopg.Error as error:
                results.append(error)

    thread = threading.Thread(target=finish)
    with house.connection.transaction():
        house.connection.execute("select from public.user_integrations where id = %s for no key update", [integration])
        thread.start()
        eventually(lambda: somebody_waits(house), "the finish waits")
        house.connection.execute("""update public.user_integrations set credentials = '{"access_token": "new"}'""")
    thread.join(30)
    assert results == [1]


def somebody_waits(house: House) -> bool:
    house.connection.execute("select pg_stat_clear_snapshot()")
    return bool(
        house.value("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
    )


def test_storing_a_refreshed_token_and_a_human_who_reconnects_do_not_deadlock(
    house: House, daemon: Daemon, database: str, integration: int, row: UUID
) -> None:
    daemon.fail(daemon.claim(), "unauthorized", "revoked")
    results: list[object] = []

    def store() -> None:
        with connect(database) as connection:
            try:
                results.append(
                    Daemon(House(connection)).call(
                        "select crm_sync.store_credentials(%s, 1, %s)", integration, '{"access_token": "refreshed"}'
                    )
                )
            except psycopg.Error as error:
                results.append(error)

    thread = threading.Thread(target=store)
    with house.connection.transaction():
        house.connection.execute("select from public.user_integrations where id = %s for no key update", [integration])
        thread.start()
        eventually(lambda: somebody_waits(house), "the refresh waits")
        house.connection.execute("""update public.user_integrations set credentials = '{"access_token": "new"}'""")
    thread.join(30)
    assert results == [None], "the human's are newer"


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


def test_rows_nobody_spoke_of_go_back_unharmed(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
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
    assert queue(house, "status") == [("completed",)]
    assert house.rows("select * from public.contact_sync_mappings") == []


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
    failure = {"status": 400, "code": "INVALID_OPTION", "field": "hs_lead_status", "correlation_id": "abc"}
    daemon.finish(
        batch,
        [synced(first, "77", remark="the stage was substituted"), failed(second, "rejected", "no such option", **failure), failed(third, "bug", "odd")],
    )
    logged = house.rows(
        "select activity_type, status, title, description, contact_id::text, external_id, mapping_id is not null, "
        "error_details from public.sync_activity_logs"
    )
    assert sorted(logged, key=lambda entry: str(entry[2])) == [
        ("sync_contact", "warning", "Contact created", "the stage was substituted", first["contact_id"], "77", True)
        + (None,),
        ("sync_contact", "error", "Contact failed", "no such option", second["contact_id"], None, True)
        + ({"kind": "rejected", "message": "no such option", **failure},),
        ("sync_contact", "warning", "Contact will be tried again", "odd", third["contact_id"], None, True)
        + ({"kind": "bug", "message": "odd"},),
    ]


def test_counters_reach_the_row_that_people_look_at(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    daemon.work()
    assert house.rows(
        "select total_synced_contacts, total_synced_deals, last_sync_at is not null, last_error, error_count "
        "from public.user_integrations"
    ) == [(1, 1, True, None, 0)]
    assert house.rows("select waiting, running, failed, last_success is not null from crm_sync.status") == [(0, 0, 0, True)]


def test_the_accounts_balance_in_every_state(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    contacts = people(house, organization, 5)
    house.reply(organization, contacts[4], "interested")
    house.reply(organization, house.contact(organization, None), "x")
    assert_books_balance(house)
    batch = daemon.claim()
    assert_books_balance(house)
    a, b, c, d, e = documents(batch)
    daemon.finish(batch, [synced(a), failed(b, "rejected"), failed(c, "bug"), released(d), synced(e)])
    row = "select committed, synced, superseded, waiting, retrying, failed, skipped, difference from crm_sync.accounting"
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
