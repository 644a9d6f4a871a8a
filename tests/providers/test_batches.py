from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.batches import send_all
from providers.errors import Contended, ProviderError, Rejected, Stopping, Unavailable


class Crm:
    """Refuses a call that has a guilty row in it, whole, as a CRM without partial answers does."""

    def __init__(self, guilty: set[int]) -> None:
        self.guilty = guilty
        self.calls = 0

    async def send(self, rows: Sequence[int]) -> list[int]:
        self.calls += 1
        if self.guilty & set(rows):
            raise Rejected("no", provider="crm", status=400)
        return list(rows)


async def settle(crm: Crm, rows: Sequence[int], size: int, width: int = 1) -> tuple[list[int], list[int]]:
    taken: list[int] = []
    refused: list[int] = []
    async for part, answer in send_all(rows, size, crm.send, width=width):
        (refused if isinstance(answer, ProviderError) else taken).extend(part)
    return taken, refused


@given(st.sets(st.integers(0, 249), max_size=6), st.integers(1, 100))
@settings(deadline=None)
async def test_exactly_the_guilty_rows_are_refused(guilty: set[int], size: int) -> None:
    crm = Crm(guilty)
    taken, refused = await settle(crm, range(250), size)
    assert refused == sorted(guilty)
    assert taken == [row for row in range(250) if row not in guilty]


@given(st.sets(st.integers(0, 249), max_size=6), st.integers(1, 100), st.integers(2, 9))
@settings(deadline=None)
async def test_calls_side_by_side_settle_the_same_rows(guilty: set[int], size: int, width: int) -> None:
    taken, refused = await settle(Crm(guilty), range(250), size, width)
    assert sorted(refused) == sorted(guilty)
    assert sorted(taken) == [row for row in range(250) if row not in guilty]


@pytest.mark.parametrize("row", [0, 41, 99])
async def test_one_guilty_row_of_a_hundred_costs_two_calls_a_halving(row: int) -> None:
    crm = Crm({row})
    await settle(crm, range(100), 100)
    assert crm.calls <= 1 + 2 * math.ceil(math.log2(100))


async def test_a_refusal_that_names_its_rows_costs_no_search() -> None:
    crm = Crm(set(range(50)))
    refused: list[int] = []
    async for part, answer in send_all(range(100), 100, crm.send, lambda error, row: row < 50):
        if isinstance(answer, ProviderError):
            refused += part
    assert refused == list(range(50))
    assert crm.calls == 2


async def test_locked_rows_are_not_searched_for_a_guilty_one() -> None:
    calls = 0

    async def send(rows: Sequence[int]) -> None:
        nonlocal calls
        calls += 1
        raise Contended("locked", provider="crm", status=423)

    answers = [(list(part), type(answer)) async for part, answer in send_all(range(10), 10, send)]
    assert answers == [(list(range(10)), Contended)]
    assert calls == 1


async def test_what_was_answered_before_the_end_is_not_lost() -> None:
    async def send(rows: Sequence[int]) -> str:
        if 2 in rows:
            raise Unavailable("down", provider="crm")
        return "taken"

    answers = send_all(range(6), 2, send)
    part, answer = await anext(answers)
    assert (list(part), answer) == ([0, 1], "taken")
    with pytest.raises(Unavailable):
        await anext(answers)


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: dict[int, asyncio.Future[str]] = {}

    async def send(self, rows: Sequence[int]) -> str:
        self.asked[rows[0]] = asyncio.get_running_loop().create_future()
        return await self.asked[rows[0]]

    async def are_asked(self, *rows: int) -> None:
        async with asyncio.timeout(5):
            while set(self.asked) != set(rows):
                await asyncio.sleep(0)


async def test_the_first_call_goes_alone_and_the_others_side_by_side() -> None:
    crm = Slow()
    answers = send_all(range(5), 1, crm.send, width=3)
    first = asyncio.ensure_future(anext(answers))
    await crm.are_asked(0)
    crm.asked[0].set_result("0")
    assert await first == (range(1), "0")
    second = asyncio.ensure_future(anext(answers))
    await crm.are_asked(0, 1, 2, 3)
    crm.asked[2].set_result("2")
    assert (await second)[1] == "2"
    rest = asyncio.ensure_future(_rest(answers))
    await crm.are_asked(0, 1, 2, 3, 4)
    for row in (1, 3, 4):
        crm.asked[row].set_result(str(row))
    assert sorted(map(str, await rest)) == ["1", "3", "4"]


async def test_what_is_under_way_when_the_connection_fails_is_still_answered_and_nothing_new_is_begun() -> None:
    crm = Slow()
    answers = send_all(range(9), 1, crm.send, width=3)
    first = asyncio.ensure_future(anext(answers))
    await crm.are_asked(0)
    crm.asked[0].set_result("0")
    await first
    seen: list[object] = []

    async def collect() -> None:
        async for _, answer in answers:
            seen.append(answer)

    rest = asyncio.ensure_future(collect())
    await crm.are_asked(0, 1, 2, 3)
    crm.asked[1].set_exception(Unavailable("down", provider="crm"))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not rest.done()
    crm.asked[3].set_result("3")
    crm.asked[2].set_exception(Stopping())
    with pytest.raises(Unavailable):
        await rest
    assert seen == ["3"]
    assert set(crm.asked) == {0, 1, 2, 3}


async def test_a_call_that_nobody_waits_for_any_more_is_given_up() -> None:
    crm = Slow()

    async def collect() -> list[object]:
        return await _rest(send_all(range(4), 1, crm.send, width=3))

    task = asyncio.ensure_future(collect())
    await crm.are_asked(0)
    crm.asked[0].set_result("0")
    await crm.are_asked(0, 1, 2, 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row for row, future in crm.asked.items() if future.cancelled()] == [1, 2, 3]


async def _rest(answers: AsyncIterator[tuple[Sequence[int], object]]) -> list[object]:
    return [answer async for _, answer in answers]
