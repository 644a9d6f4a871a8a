"""Token buckets: no window of any position may ever hold more calls than the CRM allows."""

from __future__ import annotations

import bisect
import threading
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.house import House
from tests.sql.daemon import Daemon, connect

SPEND = (
    "select granted, wait_seconds, extract(epoch from clock_timestamp())::float8 "
    "from crm_sync.spend_budget(%s, %s, %s, %s::interval)"
)
Grant = tuple[float, int]


def allow(house: House, calls: int, seconds: float) -> None:
    house.connection.execute(
        "update public.integration_providers set config = jsonb_set(config, '{limits}', %s) where name = 'hubspot'",
        [Jsonb({"core": {"calls": calls, "seconds": seconds}})],
    )


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
        ((granted, wait, now),) = house.rows(SPEND, integration, "core", size, "1 day")
        assert granted is True
        grants.append((now + wait, size))
    assert fullest_window(grants, seconds) <= calls


def test_most_of_the_limit_is_used(house: House, organization: UUID, integration: int) -> None:
    allow(house, 100, 10)
    waits = [house.rows(SPEND, integration, "core", 1, "1 day")[0][1] for _ in range(200)]
    assert waits[0] == 0
    assert 200 / waits[-1] > 0.9 * 10


def test_what_would_take_too_long_is_refused_and_costs_nothing(
    house: House, organization: UUID, integration: int
) -> None:
    allow(house, 1, 60)
    assert house.rows(SPEND, integration, "core", 1, "5 s")[0][:2] == (True, 0.0)
    for _ in range(3):
        granted, wait, _ = house.rows(SPEND, integration, "core", 1, "5 s")[0]
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
                ((_, wait, now),) = own.rows(SPEND, integration, "core", 1, "1 day")
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
        assert house.rows(SPEND, target, "core", 1, "0 s")[0][0] is True
        assert house.rows(SPEND, target, "core", 1, "0 s")[0][0] is False


def test_a_limit_the_crm_does_not_have_is_no_limit(house: House, organization: UUID, integration: int) -> None:
    daemon = Daemon(house)
    for name in ("unknown", None):
        assert daemon.call("select granted from crm_sync.spend_budget(%s, %s)", integration, name) is True
    assert daemon.call("select granted from crm_sync.spend_budget(%s, 'core')", 999_999) is True
    assert house.rows("select * from crm_sync.budgets") == []
