"""Batch calls that one bad row must not spoil."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from providers.errors import Contended, ProviderError, Rejected, Stopping

Row = TypeVar("Row")
Answer = TypeVar("Answer")

LOCKED = 423


def chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """`rows` in order, in pieces of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


async def run_each(rows: Iterable[Row], carry: Callable[[Row], Awaitable[None]], width: int) -> None:
    """Carry each row by a call of its own, `width` at a time.

    `carry` settles what concerns its row; what it raises concerns the whole connection: nothing new is begun then, what
    is under way comes to its end, and the first error is raised.
    """
    waiting = deque(rows)
    first: ProviderError | Stopping | None = None

    async def work() -> None:
        nonlocal first
        while waiting and first is None:
            try:
                await carry(waiting.popleft())
            except (ProviderError, Stopping) as error:
                first = first or error

    async with asyncio.TaskGroup() as group:
        for _ in range(min(width, len(waiting))):
            group.create_task(work())
    if first is not None:
        raise first


async def send_all(
    rows: Sequence[Row],
    size: int,
    send: Callable[[Sequence[Row]], Awaitable[Answer]],
    is_guilty: Callable[[ProviderError, Row], bool] = lambda error, row: False,
) -> AsyncIterator[tuple[Sequence[Row], Answer | ProviderError]]:
    """Send `rows` in calls of at most `size`, each call's rows with its answer or with the error that is theirs.

    A call that is refused as a whole is halved until the guilty row stands alone; where the refusal tells which rows
    it means (`is_guilty`), only those are set apart, without any search. Rows that are locked share their error.
    Raises what concerns the whole connection; what was answered until then has been yielded.
    """
    waiting = deque(chunks(rows, size))
    while waiting:
        part = waiting.popleft()
        try:
            answer = await send(part)
        except (Rejected, Contended) as error:
            guilty = [row for row in part if is_guilty(error, row)]
            if len(part) == 1 or error.status == LOCKED or len(guilty) == len(part):
                yield part, error
            elif guilty:
                yield guilty, error
                waiting.appendleft([row for row in part if not is_guilty(error, row)])
            else:
                half = len(part) // 2
                waiting.extendleft((part[half:], part[:half]))
        else:
            yield part, answer
