"""Batch calls that one bad row must not spoil."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from providers.errors import Contended, ProviderError, Rejected

Row = TypeVar("Row")
Answer = TypeVar("Answer")

LOCKED = 423


def chunks(rows: Sequence[Row], size: int) -> Iterator[Sequence[Row]]:
    """`rows` in order, in pieces of at most `size`."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


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
