"""Pipedrive's limits: tokens of a day, calls in two seconds, and Cloudflare's patience with who ignores them."""

from __future__ import annotations

import math

from sandbox.limits import Window

BASE_TOKENS = 30_000
BURST_SECONDS = 2.0
SEARCHES = 10
"""Searches in two seconds, whatever the plan."""
PATIENCE = 10
"""Refusals in two seconds before Cloudflare steps in."""
BLOCK_SECONDS = 10.0
"""How long it blocks; Pipedrive does not say."""
PLANS = {"lite": (1, 80, 20), "growth": (2, 160, 40), "premium": (5, 400, 100), "ultimate": (7, 480, 120)}
"""Factor of the day's tokens; calls in two seconds with an OAuth token; with an API token."""
DAY = 86_400


class Burst(Window):
    """A rolling window that tells when the next call fits; whoever overfills it may have to wait for longer.

    Pipedrive's staff told of such a penalty, of ten seconds; its documentation does not.
    """

    def __init__(self, calls: int, penalty: float = 0.0) -> None:
        super().__init__(calls, BURST_SECONDS)
        self._penalty = penalty
        self._barred_until = -math.inf

    def remaining(self, now: float) -> int:
        """How many calls still fit at this moment."""
        return 0 if now < self._barred_until else super().remaining(now)

    def refuse(self, now: float) -> None:
        """A call did not fit: the penalty begins, unless it runs already."""
        if now >= self._barred_until:
            self._barred_until = now + self._penalty

    def reset(self, now: float) -> int:
        """Whole seconds until the next call fits, or until the oldest counted one leaves the window."""
        if now < self._barred_until:
            return math.ceil(self._barred_until - now)
        self._slide(now)
        return max(1, math.ceil(self._taken[0] + self.seconds - now)) if self._taken else math.ceil(self.seconds)


class TokenBudget:
    """A company's API tokens of one day (UTC); the call that overdraws it is still answered."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.spent_ever = 0
        self._day = -1
        self._spent = 0

    def take(self, now: float, cost: int) -> bool:
        """Spend tokens; False (and nothing spent) when the day's are gone."""
        if not self.remaining(now):
            return False
        self._spent += cost
        self.spent_ever += cost
        return True

    def remaining(self, now: float) -> int:
        """Tokens left today."""
        today = int(now // DAY)
        if today != self._day:
            self._day, self._spent = today, 0
        return max(0, self.tokens - self._spent)


class Cloudflare:
    """Counts refusals, and blocks who collects too many."""

    def __init__(self) -> None:
        self._refusals = Window(PATIENCE, BURST_SECONDS)
        self._blocked_until = -math.inf

    def refuse(self, now: float) -> bool:
        """Count a refusal; True when it is one too many."""
        if not self._refusals.take(now):
            self._blocked_until = now + BLOCK_SECONDS
        return self.blocks(now)

    def blocks(self, now: float) -> bool:
        return now < self._blocked_until
