from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.batches import send_all
from providers.errors import Contended, ProviderError, Rejected, Unavailable


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


async def settle(crm: Crm, rows: Sequence[int], size: int) -> tuple[list[int], list[int]]:
    taken: list[int] = []
    refused: list[int] = []
    async for part, answer in send_all(rows, size, crm.send):
        (refused if isinstance(answer, ProviderError) else taken).extend(part)
    return taken, refused


@given(st.sets(st.integers(0, 249), max_size=6), st.integers(1, 100))
@settings(deadline=None)
async def test_exactly_the_guilty_rows_are_refused(guilty: set[int], size: int) -> None:
    crm = Crm(guilty)
    taken, refused = await settle(crm, range(250), size)
    assert refused == sorted(guilty)
    assert taken == [row for row in range(250) if row not in guilty]


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
