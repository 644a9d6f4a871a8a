"""Budgets: no window of any position may ever hold more than the CRM allows, and a day no more than our share of it."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.house import House
from tests.sql.daemon import Daemon, connect

SPEND = (
    "select granted, wait_seconds, extract(epoch from clock_timestamp())::float8 "
    "from crm_sync.spend_budget(%s, %s, %s::interval)"
)
Grant = tuple[float, int]


DAY = 86_400


def allow(house: House, calls: int, seconds: float, **others: Any) -> None:
    house.connection.execute(
        "update public.integration_providers set config = jsonb_set(config, '{limits}', %s) where name = 'hubspot'",
        [Jsonb({"core": {"calls": calls, "seconds": seconds}, **others})],
    )


def core(units: int) -> Jsonb:
    return Jsonb({"core": units})


def ask(house: House, integration: int, costs: dict[str, int], **observed: Mapping[str, float]) -> Any:
    """(whether it was granted, seconds until there is room, which limit makes it wait)."""
    with house.as_role("crm_sync_daemon") as connection:
        row = connection.execute(
            "select granted, wait_seconds, limit_name from crm_sync.spend_budget(%s, %s, p_observed => %s)",
            [integration, Jsonb(costs), Jsonb(observed) if observed else None],
        ).fetchone()
    assert row is not None
    return row


def fullest_window(grants: list[Grant], seconds: float) -> int:
    """The most calls that any window of so many seconds holds; the clock is read a moment after it was granted."""
    grants = sorted(grants)
    times = [at for at, _ in grants]
    return max(
        sum(calls for _, calls in grants[first : bisect.bisect_left(times, at + seconds - 0.005)])
        for first, at in enumerate(times)
    )


@pytest.mark.parametrize(
    ("calls", "seconds", "sizes"),
    [
        (110, 10, [1]),
        (100, 10, [1]),
        (5, 1, [1]),
        (1, 1, [1]),
        (20, 2, [1, 3, 1, 1, 5]),
        (80, 2, [10]),
        (10, 2, [4, 1]),
    ],
)
def test_no_window_holds_more_than_the_limit(
    house: House, organization: UUID, integration: int, calls: int, seconds: float, sizes: list[int]
) -> None:
    """A wait is reserved when it is granted, so the future can be asked for at once."""
    allow(house, calls, seconds)
    grants: list[Grant] = []
    for n in range(3 * calls):
        size = sizes[n % len(sizes)]
        ((granted, wait, now),) = house.rows(SPEND, integration, core(size), "1 day")
        assert granted is True
        grants.append((now + wait, size))
    assert fullest_window(grants, seconds) <= calls


def test_most_of_the_limit_is_used(house: House, organization: UUID, integration: int) -> None:
    allow(house, 100, 10)
    waits = [house.rows(SPEND, integration, core(1), "1 day")[0][1] for _ in range(200)]
    assert waits[0] == 0
    assert 200 / waits[-1] > 0.9 * 10


def test_what_would_take_too_long_is_refused_and_costs_nothing(
    house: House, organization: UUID, integration: int
) -> None:
    allow(house, 1, 60)
    assert house.rows(SPEND, integration, core(1), "5 s")[0][:2] == (True, 0.0)
    for _ in range(3):
        granted, wait, _ = house.rows(SPEND, integration, core(1), "5 s")[0]
        assert granted is False
        assert 60 < wait < 66
    assert house.rows("select spent, spent_today from crm_sync.budgets") == [(1, 1)]


def test_concurrent_spenders_share_one_budget(
    house: House, database: str, organization: UUID, integration: int
) -> None:
    allow(house, 50, 5)
    grants: list[Grant] = []

    def spend() -> None:
        with connect(database) as connection:
            own = House(connection)
            for _ in range(30):
                ((_, wait, now),) = own.rows(SPEND, integration, core(1), "1 day")
                grants.append((now + wait, 1))

    threads = [threading.Thread(target=spend) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(grants) == 120
    assert fullest_window(grants, 5) <= 50
    assert house.rows("select spent from crm_sync.budgets") == [(120,)]


def test_connections_and_limits_do_not_share(house: House, organization: UUID, integration: int) -> None:
    other = house.integration(house.organization("Other"))
    allow(house, 1, 60)
    for target in (integration, other):
        assert house.rows(SPEND, target, core(1), "0 s")[0][0] is True
        assert house.rows(SPEND, target, core(1), "0 s")[0][0] is False


def test_a_limit_the_crm_does_not_have_is_no_limit(house: House, organization: UUID, integration: int) -> None:
    for costs in ({"unknown": 1}, {}):
        assert ask(house, integration, costs) == (True, 0, None)
    assert ask(house, 999_999, {"core": 1}) == (True, 0, None)
    assert house.rows("select * from crm_sync.budgets") == []


def test_a_call_takes_all_of_its_limits_or_none(house: House, organization: UUID, integration: int) -> None:
    allow(house, 100, 2, search={"calls": 1, "seconds": 60})
    assert ask(house, integration, {"core": 1, "search": 1})[0] is True
    granted, wait, limit = ask(house, integration, {"core": 1, "search": 1})
    assert (granted, limit) == (False, "search")
    assert 60 < wait < 66
    assert house.rows("select name, spent from crm_sync.budgets order by name") == [("core", 1), ("search", 1)]


def test_a_call_that_waits_for_one_limit_holds_its_place_in_the_others(
    house: House, organization: UUID, integration: int
) -> None:
    allow(house, 10, 1, slow={"calls": 1, "seconds": 3})
    grants: list[Grant] = []
    for n in range(20):
        costs = Jsonb({"core": 1, "slow": 1} if n < 3 else {"core": 1})
        ((_, wait, now),) = house.rows(SPEND, integration, costs, "1 day")
        grants.append((now + wait, 1))
    assert fullest_window(grants, 1) <= 10


def test_a_days_limit_leaves_a_share_to_others_until_midnight(
    house: House, organization: UUID, integration: int
) -> None:
    allow(house, 100, DAY)
    assert ask(house, integration, {"core": 79})[:2] == (True, 0)
    assert ask(house, integration, {"core": 1})[:2] == (True, 0)
    granted, wait, limit = ask(house, integration, {"core": 1})
    assert (granted, limit) == (False, "core")
    to_midnight = house.value(
        "select extract(epoch from date_trunc('day', now(), 'UTC') + interval '1 day' - now())::float8"
    )
    assert abs(wait - to_midnight) < 5
    house.connection.execute("update crm_sync.budgets set today = today - 1")
    assert ask(house, integration, {"core": 80})[0] is True
    assert house.rows("select spent, spent_today from crm_sync.budgets") == [(160, 80)]


def test_our_share_of_a_days_limit_can_be_set(house: House, organization: UUID, integration: int) -> None:
    allow(house, 100, DAY, **{"core": {"calls": 100, "seconds": DAY, "share": 0.1}})
    assert ask(house, integration, {"core": 10})[0] is True
    assert ask(house, integration, {"core": 1})[0] is False


def test_what_other_apps_have_used_counts_as_well(house: House, organization: UUID, integration: int) -> None:
    allow(house, 1000, DAY)
    seen = {"used": 76, "maximum": 100}
    assert ask(house, integration, {"core": 2}, core=seen)[0] is True
    assert ask(house, integration, {"core": 2})[0] is True
    assert ask(house, integration, {"core": 1}) == (False, 900, "core")
    assert ask(house, integration, {"core": 1}, core={"used": 20, "maximum": 100})[0] is True


def test_an_old_word_of_the_crm_is_not_trusted_and_a_newer_one_is_kept(
    house: House, organization: UUID, integration: int
) -> None:
    allow(house, 1000, DAY)
    assert ask(house, integration, {"core": 1}, core={"used": 99, "maximum": 100})[0] is False
    assert ask(house, integration, {"core": 1}, core={"used": 1, "maximum": 100, "age": 60})[0] is False
    house.connection.execute("update crm_sync.budgets set observed_at = observed_at - interval '1 hour'")
    assert ask(house, integration, {"core": 1})[0] is True


def test_a_batch_that_was_taken_over_is_given_no_more_calls(
    house: House, organization: UUID, integration: int, row: UUID
) -> None:
    allow(house, 100, 10)
    first, second = Daemon(house), Daemon(house)
    batch = first.claim()
    spend = "select granted, is_lost from crm_sync.spend_budget(%s, %s, '5 s', %s)"

    def fence(daemon: Daemon, batch_id: int) -> Any:
        with daemon.house.as_role("crm_sync_daemon") as connection:
            return connection.execute(spend, [integration, core(1), batch_id]).fetchone()

    assert fence(first, batch["id"]) == (True, False)
    house.connection.execute("update crm_sync.batches set lease_until = now() - interval '1 second'")
    other = second.claim()
    assert fence(first, batch["id"]) == (False, True)
    assert fence(second, other["id"]) == (True, False)
    assert house.rows("select spent from crm_sync.budgets") == [(2,)]


CLAIM = "select batch is not null, is_prepaid from crm_sync.claim_batch(gen_random_uuid(), 1, array[%s], '60 s', %s)"


def test_a_claim_takes_what_its_first_call_costs_if_there_is_room_at_once(
    house: House, organization: UUID, integration: int
) -> None:
    allow(house, 30, 10)
    for number in range(4):
        house.reply(organization, house.contact(organization, f"c{number}@example.com"))
    with house.as_role("crm_sync_daemon") as connection:
        assert connection.execute(CLAIM, [integration, core(1)]).fetchone() == (True, True)
        assert connection.execute(CLAIM, [integration, core(20)]).fetchone() == (True, False)
    assert house.value("select spent from crm_sync.budgets") == 1


def test_a_claim_that_finds_nothing_takes_nothing(house: House, integration: int) -> None:
    allow(house, 30, 10)
    with house.as_role("crm_sync_daemon") as connection:
        assert connection.execute(CLAIM, [integration, core(1)]).fetchone() == (False, False)
    assert house.value("select coalesce(sum(spent), 0) from crm_sync.budgets") == 0


def test_a_claim_that_pays_is_as_durable_as_any(house: House, organization: UUID, integration: int) -> None:
    allow(house, 30, 10)
    house.reply(organization, house.contact(organization))
    with house.connection.transaction():
        house.connection.execute("set local synchronous_commit = on")
        assert house.connection.execute(CLAIM, [integration, core(1)]).fetchone() == (True, True)
        assert house.value("show synchronous_commit") == "on"
