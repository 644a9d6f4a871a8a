"""The daemon's side of budgets: whose call it is, and what the CRM said of its limits, travel along."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from listener.budget import IntegrationBudget, on_behalf_of
from listener.db import Database
from listener.db.queue import Grant
from providers.errors import Paused, RateLimited, Stopping

Asked = tuple[dict[str, int], int | None, dict[str, dict[str, float]] | None]


class FakeDatabase:
    """Answers `grant`, and remembers what it was asked."""

    def __init__(self) -> None:
        self.grant = Grant(True, 0.0, None, False)
        self.again = Grant(True, 0.0, None, False)
        self.asked: list[Asked] = []

    async def spend_budget(
        self,
        integration_id: int,
        costs: dict[str, int],
        max_wait_seconds: float,
        batch_id: int | None,
        observed: dict[str, dict[str, float]] | None,
    ) -> Grant:
        assert (integration_id, max_wait_seconds) == (7, 5.0 if costs else 0.0)
        self.asked.append((costs, batch_id, observed))
        return self.grant if costs else self.again


@pytest.fixture
def database_() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
def stopping() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def budget(database_: FakeDatabase, stopping: asyncio.Event) -> IntegrationBudget:
    return IntegrationBudget(cast("Database", database_), 7, "fake", stopping)


async def test_a_call_is_made_for_the_batch_also_by_tasks_that_it_starts(
    budget: IntegrationBudget, database_: FakeDatabase
) -> None:
    async def carry(batch_id: int) -> None:
        with on_behalf_of(batch_id):
            async with asyncio.TaskGroup() as group:
                group.create_task(budget.spend({"core": batch_id}))

    await asyncio.gather(carry(1), carry(2))
    await budget.spend({"core": 3})
    assert sorted(database_.asked, key=lambda each: each[0]["core"]) == [
        ({"core": 1}, 1, None),
        ({"core": 2}, 2, None),
        ({"core": 3}, None, None),
    ]


async def test_what_the_crm_said_is_passed_on_once_with_the_next_call_of_that_limit(
    budget: IntegrationBudget, database_: FakeDatabase
) -> None:
    budget.observe("daily", 5, 100)
    budget.observe("daily", 6, 100)
    await budget.spend({"core": 1})
    await budget.spend({"core": 1, "daily": 20})
    await budget.spend({"core": 1, "daily": 20})
    first, second, third = (observed for _, _, observed in database_.asked)
    assert first is None
    assert third is None
    assert second is not None
    assert 0 <= second["daily"].pop("age") < 5
    assert second == {"daily": {"used": 6, "maximum": 100}}


async def test_a_refusal_names_the_limit_and_when_there_is_room(
    budget: IntegrationBudget, database_: FakeDatabase
) -> None:
    database_.grant = Grant(False, 900.0, "daily", False)
    with pytest.raises(RateLimited, match="'daily' is spent") as error:
        await budget.spend({"core": 1, "daily": 1})
    assert (error.value.retry_after, error.value.code) == (900.0, "OWN_BUDGET")


async def test_no_call_is_made_for_a_batch_that_is_lost(budget: IntegrationBudget, database_: FakeDatabase) -> None:
    database_.grant = Grant(False, 0.0, None, True)
    with pytest.raises(Stopping):
        await budget.spend({"core": 1})


async def test_no_call_is_made_for_a_connection_that_is_paused(
    budget: IntegrationBudget, database_: FakeDatabase
) -> None:
    database_.grant = Grant(False, 0.0, None, True, True)
    with pytest.raises(Paused):
        await budget.spend({"core": 1})


@pytest.mark.parametrize(("wait", "asked"), [(0.02, 1), (0.12, 2)])
async def test_after_a_long_wait_it_asks_again_whether_the_call_may_be_made(
    budget: IntegrationBudget, database_: FakeDatabase, wait: float, asked: int
) -> None:
    database_.grant = Grant(True, wait, "core", False)
    await budget.spend({"core": 1})
    assert len(database_.asked) == asked
    database_.again = Grant(False, 0.0, None, True, True)
    if asked == 2:
        with pytest.raises(Paused):
            await budget.spend({"core": 1})


async def test_a_shutdown_ends_the_wait_for_room(
    budget: IntegrationBudget, database_: FakeDatabase, stopping: asyncio.Event
) -> None:
    database_.grant = Grant(True, 4.0, "core", False)
    waiting = asyncio.create_task(budget.spend({"core": 1}))
    await asyncio.sleep(0)
    stopping.set()
    with pytest.raises(Stopping):
        await waiting
    with pytest.raises(Stopping):
        await budget.spend({"core": 1})
    assert len(database_.asked) == 1


@pytest.mark.parametrize("is_lost", [True, False])
async def test_a_process_that_stood_still_in_its_wait_asks_again_whose_batch_it_is(
    budget: IntegrationBudget, database_: FakeDatabase, monkeypatch: pytest.MonkeyPatch, is_lost: bool
) -> None:
    database_.grant = Grant(True, 0.01, "core", False)
    database_.again = Grant(not is_lost, 0.0, None, is_lost)
    moments = iter([100.0, 100.0, 170.0])
    monkeypatch.setattr("listener.budget.monotonic", lambda: next(moments, 170.0))
    with on_behalf_of(5):
        if is_lost:
            with pytest.raises(Stopping):
                await budget.spend({"core": 1})
        else:
            await budget.spend({"core": 1})
    assert [(costs, batch) for costs, batch, _ in database_.asked] == [({"core": 1}, 5), ({}, 5)]


async def test_a_first_call_that_was_paid_with_the_claim_asks_nobody(
    budget: IntegrationBudget, database_: FakeDatabase
) -> None:
    with on_behalf_of(1):
        await budget.spend({"core": 1})
    assert budget.opening == {"core": 1}
    budget.prepay(2, {"core": 1})
    with on_behalf_of(2):
        await budget.spend({"core": 1})
        await budget.spend({"core": 1})
    assert [batch_id for _, batch_id, _ in database_.asked] == [1, 2]


async def test_a_first_call_that_costs_something_else_or_comes_late_pays_for_itself(
    budget: IntegrationBudget, database_: FakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget.prepay(1, {"core": 1})
    with on_behalf_of(1):
        await budget.spend({"search": 1})
    budget.prepay(2, {"core": 1})
    monkeypatch.setattr("listener.budget.PREPAID_SECONDS", 0.0)
    with on_behalf_of(2):
        await budget.spend({"core": 1})
    assert [(costs, batch_id) for costs, batch_id, _ in database_.asked] == [({"search": 1}, 1), ({"core": 1}, 2)]


async def test_a_daemon_that_stops_makes_no_call_that_was_paid(
    budget: IntegrationBudget, stopping: asyncio.Event
) -> None:
    budget.prepay(1, {"core": 1})
    stopping.set()
    with on_behalf_of(1), pytest.raises(Stopping):
        await budget.spend({"core": 1})
