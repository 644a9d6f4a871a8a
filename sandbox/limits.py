"""Rate limits as CRMs count them: so many calls in any stretch of time, not in fixed slots."""

from __future__ import annotations

from collections import deque


class Window:
    """At most `calls` calls in any `seconds` seconds of the emulator's clock."""

    def __init__(self, calls: int, seconds: float) -> None:
        self.calls = calls
        self.seconds = seconds
        self._taken: deque[float] = deque()

    def take(self, now: float) -> bool:
        """Count one call; False (and nothing counted) when the window is full."""
        self._slide(now)
        if len(self._taken) >= self.calls:
            return False
        self._taken.append(now)
        return True

    def remaining(self, now: float) -> int:
        """How many calls still fit at this moment."""
        self._slide(now)
        return self.calls - len(self._taken)

    def _slide(self, now: float) -> None:
        while self._taken and self._taken[0] <= now - self.seconds:
            self._taken.popleft()


class DailyQuota:
    """At most `calls` calls in one day of UTC, as an account's daily allowance."""

    def __init__(self, calls: int) -> None:
        self.calls = calls
        self._day = -1
        self._taken = 0

    def take(self, now: float) -> bool:
        """Count one call; False when the day's allowance is spent."""
        self._turn(now)
        if self._taken >= self.calls:
            return False
        self._taken += 1
        return True

    def remaining(self, now: float) -> int:
        """How many calls are left today."""
        self._turn(now)
        return self.calls - self._taken

    def _turn(self, now: float) -> None:
        day = int(now // 86_400)
        if day != self._day:
            self._day, self._taken = day, 0
