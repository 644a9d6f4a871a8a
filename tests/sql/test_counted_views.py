"""throughput, lag, oldest_unsent, budget_use, sizes, counters: each says what one would have counted by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.house import House
from tests.sql.daemon import Daemon, documents, elapse, failed, people, released, synced

pytestmark = pytest.mark.usefixtures("rolled_back")


def asked(house: House, query: str) -> list[tuple[Any, ...]]:
    with house.as_role("crm_sync_reader") as connection:
        return connection.execute(query.encode()).fetchall()


def minutes_pass(house: House, minutes: int) -> None:
    for table in ("samples", "lag_samples"):
        house.connection.execute(
            f"update crm_sync.{table} set sampled_at = sampled_at - %s * interval '1 minute'".encode(), [minutes]
        )


def arrive(house: House, daemon: Daemon, organization: UUID, seconds: list[float]) -> None:
    """So many contacts, each of which arrives so many seconds after it was due."""
    people(house, organization, len(seconds))
    batch = daemon.claim()
    contacts = batch["contacts"]
    for document, lag in zip(contacts, seconds, strict=True):
        house.connection.execute(
            "update public.sync_queue set scheduled_at = now() - %s * interval '1 second' where id = %s",
            [lag, document["rows"][0]],
        )
    daemon.finish(batch, map(synced, contacts))
    house.connection.execute("delete from public.sync_queue where completed_at is null")  # what follows


LAG = "select rows, extract(epoch from p50)::float8, extract(epoch from p90)::float8, extract(epoch from p99)::float8"


def test_lags_are_told_to_within_a_step_of_their_scale(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    arrive(house, daemon, organization, [0.02] * 60 + [3.0] * 35 + [400.0] * 5)
    rows = asked(house, LAG + " from crm_sync.lag order by span")
    assert len(rows) == 3
    for count, p50, p90, p99 in rows:
        assert count == 100
        assert 0.02 / 1.42 < p50 < 0.02 * 1.42
        assert 3.0 / 1.42 < p90 < 3.0 * 1.42
        assert 400 / 1.42 < p99 < 400 * 1.42


def test_a_lag_is_of_its_time_only(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    spans = "select rows, p50 is null from crm_sync.lag order by span = '1 day', span = '1 hour'"
    assert asked(house, spans) == [(0, True)] * 3
    arrive(house, daemon, organization, [1.0] * 3)
    daemon.call("select crm_sync.take_samples()")
    minutes_pass(house, 30)
    arrive(house, daemon, organization, [1.0])
    assert asked(house, spans) == [(1, False), (4, False), (4, False)]
    daemon.call("select crm_sync.take_samples()")
    minutes_pass(house, 60)
    assert asked(house, spans) == [(0, True), (0, True), (4, False)]
    minutes_pass(house, 24 * 60)
    assert asked(house, spans) == [(0, True)] * 3


def test_old_lags_are_thinned_and_the_last_one_stays(house: House, daemon: Daemon, integration: int) -> None:
    house.connection.execute(
        "insert into crm_sync.lag_samples select organization_id, integration_id, now() - n * interval '1 minute', "
        "lags from crm_sync.lanes, generate_series(1, 3000) as n"
    )
    daemon.call("select crm_sync.take_samples()")
    ages = house.rows(
        "select count(*) filter (where sampled_at > now() - interval '11 minutes'), "
        "count(*) filter (where sampled_at > now() - interval '2 hours') <= 23, "
        "count(*) filter (where sampled_at > now() - interval '1 day') <= 48, "
        "count(*) filter (where sampled_at < now() - interval '1 day') between 1 and 2 from crm_sync.lag_samples"
    )
    assert ages[0][0] >= 10
    assert ages[0][1:] == (True, True, True)
    minutes_pass(house, 2 * 24 * 60)
    daemon.call("select crm_sync.take_samples()")
    assert house.value("select count(*) from crm_sync.lag_samples") == 1


def test_throughput_is_what_was_done_since_the_minute_before(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    daemon.call("select crm_sync.take_samples()")
    minutes_pass(house, 2)
    people(house, organization, 3)
    batch = daemon.claim()
    first, second, third = documents(batch)
    daemon.finish(batch, [synced(first), synced(second), failed(third, "rejected")])
    daemon.call("select crm_sync.take_samples()")
    waiting = house.value("select count(*) from public.sync_queue where completed_at is null")
    done = "select synced, failed, waiting, minute <= now() from crm_sync.throughput order by minute"
    assert asked(house, done) == [(0, 0, 0, True), (2, 1, waiting, True)]
    house.connection.execute(
        "update crm_sync.samples set synced_since = null, given_up_since = null"
    )  # an earlier version's
    assert asked(house, done) == [(0, 0, 0, True), (2, 1, waiting, True)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("update crm_sync.lanes set paused_at = now(), paused_by = 'ada'", "the connection is paused by ada"),
        (
            "select crm_sync.pause_all('everything', null, 'their outage')",
            "everything is paused by postgres: their outage",
        ),
        (
            "update crm_sync.lanes set parked_until = now() + interval '1 hour', parked_reason = 'the CRM is down'",
            "the CRM is down; goes on at ",
        ),
        (
            "update public.user_integrations set status = 'error', last_error = 'token refused'",
            "the connection needs a person first: token refused",
        ),
        ("update public.integration_providers set is_active = false", "HubSpot is switched off for everybody"),
        ("delete from crm_sync.daemons", "no daemon is running"),
        (
            "update public.sync_queue set next_attempt_at = now() + interval '1 hour'",
            "this connection works realtime; its next slot is ",
        ),
        (
            "update public.sync_queue set next_attempt_at = now() + interval '1 hour', status = 'retry', "
            "last_error = 'locked'",
            "is tried again at ",
        ),
        ("update public.sync_queue set created_at = created_at", "it is not its turn yet"),
    ],
)
def test_the_oldest_row_says_what_it_waits_for(
    house: House, daemon: Daemon, row: UUID, change: str, words: str
) -> None:
    daemon.be_alive()
    house.connection.execute("update public.sync_queue set created_at = now() - interval '3 hours'")
    house.connection.execute(change.encode())
    ((wait, reason, queue_id),) = asked(house, "select wait, reason, queue_id from crm_sync.oldest_unsent")
    assert wait == timedelta(hours=3)
    assert reason.startswith(words)
    assert queue_id == house.value("select id from public.sync_queue")


def test_a_row_that_runs_is_the_oldest_until_it_has_arrived(house: House, daemon: Daemon, row: UUID) -> None:
    batch = daemon.claim()
    assert asked(house, "select reason from crm_sync.oldest_unsent") == [("a daemon is working on it",)]
    daemon.confirm(batch)
    daemon.work()
    assert asked(house, "select * from crm_sync.oldest_unsent") == []


def test_rows_that_were_put_back_below_the_floors_are_found(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    daemon.fail(daemon.claim(limit=1), "rejected")
    house.connection.execute("update crm_sync.lanes set floors = array_fill(1000000::bigint, array[10])")
    daemon.call("select crm_sync.retry_failed(%s)", integration)
    oldest = house.value("select min(id) from public.sync_queue")
    assert asked(house, "select queue_id from crm_sync.oldest_unsent") == [(oldest,)]


@pytest.mark.parametrize("floors", ["array_fill(0::bigint, array[10])", "crm_sync.raise_floors(l)"])
@pytest.mark.parametrize("priorities", [(7, 2), (2, 7), (5, 5)])
def test_the_oldest_row_is_found_whichever_priority_it_has(
    house: House, organization: UUID, integration: int, floors: str, priorities: tuple[int, int]
) -> None:
    people(house, organization, 3)
    ids = [number for (number,) in house.rows("select id from public.sync_queue order by id")]
    for number, priority in zip(ids, priorities, strict=False):
        house.connection.execute("update public.sync_queue set priority = %s where id = %s", [priority, number])
    house.connection.execute(
        "update crm_sync.lanes set settled_id = %s, search_all_at = now()",
        [ids[1]],  # the third came after the floors
    )
    house.connection.execute(f"update crm_sync.lanes as l set floors = {floors}".encode())
    for number in ids:
        assert asked(house, "select queue_id from crm_sync.oldest_unsent") == [(number,)]
        house.connection.execute("delete from public.sync_queue where id = %s", [number])
    assert asked(house, "select queue_id from crm_sync.oldest_unsent") == []


USE = "select limit_name, used, allowed, left_over, unit, resets_at > now() from crm_sync.budget_use order by 1"


def test_a_budget_says_what_is_used_and_left(house: House, integration: int) -> None:
    limits = {"core": {"calls": 100, "seconds": 1000}, "day": {"calls": 1000, "seconds": 86400}}
    house.connection.execute(
        "update public.integration_providers set config = jsonb_set(config, '{limits}', %s) where name = 'hubspot'",
        [Jsonb(limits)],
    )
    assert asked(house, USE) == [
        ("core", 0, 92, 92, "calls in 1000 s", None),
        ("day", 0, 800, 800, "calls a day", True),
    ]
    with house.as_role("crm_sync_daemon"):
        for costs in ({"core": 4, "day": 4}, {"core": 8, "day": 1}):
            house.value("select crm_sync.spend_budget(%s, %s, '1 hour')", integration, Jsonb(costs))
    assert asked(house, USE) == [
        ("core", 15, 92, 77, "calls in 1000 s", True),  # booked ahead: the second waits for seven and takes eight
        ("day", 5, 800, 795, "calls a day", True),
    ]
    assert asked(house, "select waits, waited > '0' from crm_sync.budget_use order by limit_name")[0] == (1, True)


def test_what_the_crm_says_of_its_day_counts_where_it_is_more(house: House, integration: int) -> None:
    house.connection.execute(
        "update public.integration_providers set config = jsonb_set(config, '{limits}', %s) where name = 'hubspot'",
        [Jsonb({"day": {"calls": 1000, "seconds": 86400}})],
    )
    told = Jsonb({"day": {"used": 3000, "maximum": 5000}})
    with house.as_role("crm_sync_daemon"):
        house.value("select crm_sync.spend_budget(%s, %s, p_observed => %s)", integration, Jsonb({"day": 2}), told)
    assert asked(house, USE) == [("day", 3002, 4000, 998, "calls a day", True)]


COUNTERS = (
    "select synced, superseded, contacts, deals, batches, failed_attempts, retries, given_up from crm_sync.counters"
)


def test_counters_grow_until_they_are_reset_and_nothing_else_changes(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 4)
    batch = daemon.claim()
    contacts = batch["contacts"]
    answers = [failed(contacts[2], "contended"), failed(contacts[3], "rejected")]
    daemon.finish(batch, [*map(synced, contacts[:2]), *answers])
    house.connection.execute(
        "update public.integration_providers set config = jsonb_set(config, '{limits}', %s)",
        [Jsonb({"core": {"calls": 9, "seconds": 9}})],
    )
    daemon.call("select crm_sync.spend_budget(%s, %s)", integration, Jsonb({"core": 3}))
    assert asked(house, COUNTERS) == [(2, 0, 2, 0, 1, 2, 1, 1)]
    assert asked(
        house,
        "select calls, calls_by_limit, counted_since = i.created_at from crm_sync.counters as c "
        "join public.user_integrations as i on i.id = c.integration_id",
    ) == [(3, {"core": 3}, True)]
    assert daemon.call("select crm_sync.reset_counters()") == 1
    assert asked(house, COUNTERS) == [(0,) * 8]
    assert asked(house, "select calls, calls_by_limit, counted_since = now() from crm_sync.counters") == [
        (0, {"core": 0}, True)
    ]
    assert house.rows("select synced, failed, difference from crm_sync.accounting") == [(2, 1, 0)]
    assert house.value("select count(*) from public.sync_activity_logs where title = 'Counters reset'") == 1
    daemon.work()
    assert asked(house, "select synced, given_up, batches >= 1 from crm_sync.counters")[0][1:] == (0, True)


def test_what_is_handed_back_has_not_failed_whatever_it_met_before(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    tried = "select failed_attempts, retries, given_up from crm_sync.counters"
    daemon.fail(daemon.claim(), "contended")
    assert asked(house, tried) == [(3, 3, 0)]
    elapse(house, "1 hour")
    batch = daemon.claim()
    contacts = batch["contacts"]
    assert daemon.finish(batch, [synced(contacts[0]), failed(contacts[1], "rejected"), released(contacts[2])]) == 3
    assert asked(house, tried) == [(4, 3, 1)]
    batch = daemon.claim(limit=1)
    assert daemon.call("select crm_sync.release_batch(%s)", batch["id"]) == 1
    assert asked(house, tried) == [(4, 3, 1)]


def test_what_a_vanished_daemon_leaves_behind_counts_as_tried_again_or_given_up(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    daemon.claim()
    house.connection.execute(
        "update public.sync_queue set losses = 9 where id = (select min(id) from public.sync_queue)"
    )
    elapse(house, "2 minutes")
    daemon.try_claim()
    assert asked(house, "select failed_attempts, retries, given_up from crm_sync.counters") == [(2, 1, 1)]


def test_members_reset_their_own_counters_only(house: House, organization: UUID, integration: int) -> None:
    other = house.integration(house.organization("Other"))
    with house.as_role("authenticated", house.user(organization)):
        assert house.value("select crm_sync.reset_counters()") == 1
        assert house.value("select crm_sync.reset_counters(%s)", integration) == 1
        with pytest.raises(psycopg.Error) as refusal, house.connection.transaction():
            house.value("select crm_sync.reset_counters(%s)", other)
    assert refusal.value.sqlstate == "CS021"
    assert house.rows("select integration_id from crm_sync.counter_baselines") == [(integration,)]


def test_sizes_are_those_of_the_catalogs_with_partitions_together(house: House) -> None:
    house.value("select crm_sync.make_log_partitions()")
    rows = {row[0]: row[1:] for row in asked(house, "select object, kind, total_bytes, parts from crm_sync.sizes")}
    assert rows["sync_queue"][0] == "table"
    assert rows["sync_queue"][1] == house.value("select pg_total_relation_size('public.sync_queue')")
    assert rows["sync_activity_logs"][0] == "partitioned table"
    assert rows["sync_activity_logs"][2] > 1
    assert "crm_sync.lanes" in rows
    assert not any(name.startswith("sync_activity_logs_") for name in rows)


def test_a_planner_finds_no_question_worth_compiling(house: House, integration: int) -> None:
    """By its estimate, which for a view that reads rows would grow with them: the default limit is 100,000."""
    for view in ("status", "failures", "throughput", "lag", "oldest_unsent", "budget_use", "sizes", "counters"):
        with house.as_role("crm_sync_reader") as connection:
            row = connection.execute(f"explain (format json) select * from crm_sync.{view}".encode()).fetchone()
        assert row is not None
        assert row[0][0]["Plan"]["Total Cost"] < 80_000, view  # `lag` is 64,000 on PostgreSQL 15
