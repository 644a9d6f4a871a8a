"""The fewest events with which a schedule still fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence


def shrink(events: Sequence[int], fails: Callable[[Sequence[int]], bool], seconds: float) -> tuple[int, ...]:
    """Drop events by halves, then quarters and so on (delta debugging), while what is left still `fails`.

    Returns the fewest found within so many seconds. Time decides in these schedules as well as the seed, so `fails` may
    have tried more than once.
    """
    deadline = time.monotonic() + seconds
    kept = list(events)
    if kept and fails([]):
        return ()
    parts = 2
    while len(kept) > 1 and time.monotonic() < deadline:
        size = -(-len(kept) // parts)
        pieces = [kept[start : start + size] for start in range(0, len(kept), size)]
        rests = [[each for each in kept if each not in piece] for piece in pieces]
        # with two parts, the rest of one is the other
        for candidate in rests if parts == 2 else [*pieces, *rests]:
            if time.monotonic() >= deadline:
                break
            if fails(candidate):
                kept = candidate
                parts = max(2, parts - 1)
                break
        else:
            if parts >= len(kept):
                break
            parts = min(len(kept), 2 * parts)
    return tuple(kept)
