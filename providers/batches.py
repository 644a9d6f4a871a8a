"""Batch calls that one bad row must not spoil."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from providers.errors import Contended, ProviderError, Rejected

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
    first: Exception | None = None

    async def work() -> None:
        nonlocal first
        while waiting and first is None:
            try:
                await carry(waiting.popleft())
            except Exception as error:  # noqa: BLE001 - raised below, as it is and not as one of a group
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
    width: int = 1,
) -> AsyncIterator[tuple[Sequence[Row], Answer | ProviderError]]:
    """Send `rows` in calls of at most `size`, each call's rows with its answer or with the error that is theirs.

    A call that is refused as a whole is halved until the guilty row stands alone; where the refusal tells which rows
    it means (`is_guilty`), only those are set apart, without any search. Rows that are locked share their error.
    `width` calls are under way at once, in no order; the first goes alone, so that a connection that does not work is
    met once. Raises what concerns the whole connection: nothing new is begun then, and what is answered until the last
    call has come to its end has been yielded.
    """
    waiting = deque(chunks(rows, size))
    running: dict[asyncio.Task[Answer], Sequence[Row]] = {}
    first: Exception | None = None
    room = 1
    try:
        while running or (waiting and first is None):
            while waiting and first is None and len(running) < room:
                part = waiting.popleft()
                running[asyncio.create_task(_sent(send, part))] = part
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            room = width
            for task in [task for task in running if task in done]:
                part = running.pop(task)
                try:
                    answer = task.result()
                except (Rejected, Contended) as error:
                    blamed, rest = _divided(part, error, is_guilty)
                    waiting.extendleft(reversed(rest))
                    if blamed:
                        yield blamed, error
                except Exception as error:  # noqa: BLE001 - raised below, when nothing is under way any more
                    first = first or error
                else:
                    yield part, answer
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if first is not None:
        raise first


async def _sent(send: Callable[[Sequence[Row]], Awaitable[Answer]], part: Sequence[Row]) -> Answer:
    return await send(part)


def _divided(
    part: Sequence[Row], error: ProviderError, is_guilty: Callable[[ProviderError, Row], bool]
) -> tuple[Sequence[Row], list[Sequence[Row]]]:
    """The rows of a refused call that the refusal is about, and the calls in which the others are sent again."""
    guilty = [row for row in part if is_guilty(error, row)]
    if len(part) == 1 or error.status == LOCKED or len(guilty) == len(part):
        return part, []
    if guilty:
        return guilty, [[row for row in part if not is_guilty(error, row)]]
    half = len(part) // 2
    return (), [part[:half], part[half:]]
