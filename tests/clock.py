"""Time for emulators."""

from __future__ import annotations

import time


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
