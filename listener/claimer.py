"""Whose batch is claimed next, and how large it is."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from uuid import UUID

from listener.carrier import Carrier
from listener.db import Database
from listener.documents import Claim
from listener.lost_claims import LostClaims
from listener.settings import Settings
from listener.upkeep import Held
from providers.models import Batch

DISCOVER_SECONDS = 0.25
ROWS_AT_ONCE = 2_500
"""Of all batches under way together: each row is kilobytes of memory."""
FEWEST_ROWS = 100
"""Of a batch, however many rows are under way: nobody waits for others' batches as long as there is a slot."""
SOONEST_SECONDS = 0.02


class Claimer:
    """Claims batches for one worker; `held` is what the worker has under way, and `hints` whose rows it was rung for.

    Attributes:
        has_more: whether another integration is known to be due.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        carrier: Carrier,
        worker_id: UUID,
        held: Collection[Held],
        hints: deque[int],
        lost_claims: LostClaims,
    ) -> None:
        self._settings = settings
        self._database = database
        self._carrier = carrier
        self._worker_id = worker_id
        self._held = held
        self._hints = hints
        self._lost_claims = lost_claims
        self._due: deque[int] = deque()
        self._discover_at = 0.0
        self._next_due_at: datetime | None = None

    @property
    def has_more(self) -> bool:
        return bool(self._due)

    def look_again(self) -> None:
        """Let the next claim discover who is due."""
        self._discover_at = 0.0

    def seconds_to_next(self, longest: float) -> float:
        """How long there is no work, as far as the last look could tell."""
        if self._next_due_at is None:
            return longest
        remaining = (self._next_due_at - datetime.now(UTC)).total_seconds()
        return min(longest, max(remaining, SOONEST_SECONDS))

    async def claim(self) -> Claim:
        """Of the next integration that is known to be due; discover them anew now and then, and when none is known."""
        if self._hints:
            claim = await self._claim_hinted(self._hints.popleft())
            if claim.batch is not None or claim.unreadable is not None:
                return claim
            self._hints.clear()  # anybody may give them: one that leads nowhere is the last for now
        if self._due and time.monotonic() < self._discover_at:
            return await self._claim_of([self._due.popleft()])
        claim = await self._claim_of(None)
        # where looking is dear (an old snapshot keeps dead index entries), look less often; counted from here on:
        # one whose connection somebody holds locked would come first again and again
        self._discover_at = time.monotonic() + max(DISCOVER_SECONDS, 20 * claim.look_seconds)
        self._next_due_at = claim.next_due_at
        return claim

    async def _claim_hinted(self, integration_id: int) -> Claim:
        """Of an integration that was rung for: its CRM has been at rest, so the first call is paid with the claim."""
        opening = self._carrier.opening_of(integration_id)
        claim = await self._claim_of([integration_id], opening)
        if claim.batch is not None and claim.is_prepaid and opening is not None:
            self._carrier.prepay(claim.batch, opening)
        return claim

    async def _claim_of(self, integration_ids: list[int] | None, opening: Mapping[str, int] | None = None) -> Claim:
        """Of the first of these, or of whoever waited longest; remembers who else is due."""
        limit = self._limit()
        with self._lost_claims.claiming() as claim_id:
            claim = await self._database.claim(
                self._worker_id, limit, self._settings.lease_seconds, integration_ids, opening, claim_id
            )
        if integration_ids is None:
            self._due = deque(claim.due)
        # an integration whose batch is full has more to give; of another nothing is known until the next look
        if claim.batch is not None and rows_of(claim.batch) >= limit:
            self._due.append(claim.batch.integration_id)
        return claim

    def _limit(self) -> int:
        """Rows of the next batch: of what is left of `ROWS_AT_ONCE`, as much for each of those that are due."""
        left = ROWS_AT_ONCE - sum(held.rows for held in self._held)
        takers = min(len(self._due), self._settings.concurrency - len(self._held))
        return min(self._settings.batch_size, max(left // max(takers, 1), FEWEST_ROWS))


def rows_of(batch: Batch) -> int:
    """How many rows of the queue it holds."""
    return sum(len(document.rows) for document in batch.documents)
