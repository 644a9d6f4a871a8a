"""Outcomes that concern a whole connection: rate limits, outages, dead tokens, and the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from tests.house import House, eventually
from tests.sql.daemon import (
    STATE,
    Daemon,
    assert_books_balance,
    connect,
    documents,
    elapse,
    failed,
    people,
    queue,
    somebody_waits,
    synced,
)


@pytest.fixture(autouse=True)
def balanced(house: House) -> Iterator[None]:
    """In every state that a test of this module leaves behind, the books must balance."""
    yield
    assert_books_balance(house)


LANE = "select parked_kind, parked_reason, failures, batch_limit from crm_sync.lanes"


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


def test_whoever_raises_a_limit_does_not_wait_for_midnight(house: House, daemon: Daemon, row: UUID) -> None:
    daemon.fail(daemon.claim(), "rate_limited", "our share of the day's rate limit is spent", retry_after=80000)
    change = "update public.integration_providers set config = jsonb_set(config, %s, '{}') where name = %s"
    house.connection.execute(change, ["{record_urls}", "hubspot"])
    house.connection.execute(change, ["{limits}", "pipedrive"])
    assert house.value("select parked_kind from crm_sync.lanes") == "rate_limited", "that was something else"
    house.connection.execute(change, ["{limits}", "hubspot"])
    assert house.rows(LANE) == [(None, None, 0, None)]
    daemon.confirm(daemon.claim())


@pytest.mark.parametrize(("told", "least", "most"), [(None, 9, 11), (-5, 0, 1), (0, 0, 1), (1e12, 86000, 86401)])
def test_an_odd_retry_after_is_bounded(
    house: House, daemon: Daemon, row: UUID, told: float | None, least: int, most: int
) -> None:
    batch = daemon.claim()
    before = house.value("select clock_timestamp()")
    daemon.fail(batch, "rate_limited", retry_after=told)
    parked = house.value("select extract(epoch from parked_until - %s) from crm_sync.lanes", before)
    assert least <= parked <= most


def test_an_outage_costs_no_attempts_and_backs_off_further_each_time(house: House, daemon: Daemon, row: UUID) -> None:
    delays = []
    for failures in range(1, 8):
        daemon.fail(daemon.claim(), "unavailable", "503", uncertain=True)
        assert queue(house, STATE) == [("retry", 0, True, "503", True, False)]
        assert house.rows(LANE) == [("unavailable", "503", failures, 1)]
        delays.append(
            float(house.value("select extract(epoch from parked_until - clock_timestamp()) from crm_sync.lanes"))
        )
        elapse(house, "10 minutes")
    for delay, base in zip(delays, (1, 2, 4, 8, 16, 32, 64), strict=True):
        assert 0.75 * base - 0.5 <= delay <= 1.25 * base
    assert daemon.claim()["contacts"][0]["uncertain"] is True


def test_batches_shrink_in_an_outage_and_grow_again(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
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
    until_next = (
        "select extract(epoch from coalesce(max(l.parked_until), min(q.next_attempt_at)) - clock_timestamp()) "
        "from crm_sync.lanes as l left join public.sync_queue as q on q.next_attempt_at is not null"
    )
    for n in range(80):
        if (batch := daemon.try_claim(limit=3)) is not None:
            daemon.finish(
                batch,
                [
                    failed(d, "unavailable", "timeout", uncertain=True) if d["contact_id"] == poison else synced(d)
                    for d in documents(batch)
                ],
            )
        elif (wait := house.value(until_next)) is not None:
            house.reply(organization, house.contact(organization, f"late{n}@example.com"), "x")
            elapse(house, f"{max(float(wait), 0) + 0.01} seconds")
        else:
            break
    assert queue(house, "contact_id::text, status, attempts", "status = 'failed'") == [(poison, "failed", 3)]
    assert queue(house, "1", "status not in ('completed', 'failed')") == []


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


def test_unauthorized_parks_the_connection_for_a_human_and_tells(
    house: House, daemon: Daemon, database: str, row: UUID
) -> None:
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
    assert house.rows("select status, last_error, error_count from public.user_integrations") == [
        ("connected", None, 0)
    ]
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
    house.connection.execute("update crm_sync.lanes set folded_at = '-infinity'")
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
