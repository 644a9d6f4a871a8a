"""A batch from its claim to its end, and what its calls cost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from listener.documents import Claim, claim_of, json_of
from listener.pool import Pool
from providers.models import Batch, Outcome


@dataclass(frozen=True)
class Grant:
    """Answer to a request for room in the CRM's rate limits.

    Attributes:
        is_granted: the call may be made, in `wait_seconds`; otherwise there is no room before that.
        limit: the limit that makes it wait, if one does.
        is_lost: the batch that the call is for belongs to somebody else now.
        is_paused: an operator has paused the connection.
    """

    is_granted: bool
    wait_seconds: float
    limit: str | None
    is_lost: bool
    is_paused: bool = False


class QueueCalls(Pool):
    """Claims, completions, leases and budgets."""

    async def claim(
        self,
        worker_id: UUID,
        limit: int,
        lease_seconds: float,
        integration_ids: Iterable[int] | None = None,
        opening: Mapping[str, int] | None = None,
        claim_id: UUID | None = None,
    ) -> Claim:
        """Claim a batch: of the first of the given integrations, or of the one that waited longest.

        `opening` is what its first call will cost of which limits; it is taken along if there is room at once.
        `claim_id` is a name for the claim, for `release_claim`.
        """
        row = await self._row(
            "select *, clock_timestamp() as now from crm_sync.claim_batch($1, $2, $3, $4, $5, $6)",
            worker_id,
            limit,
            None if integration_ids is None else list(integration_ids),
            timedelta(seconds=lease_seconds),
            None if opening is None else json.dumps(dict(opening)),
            claim_id,
        )
        return claim_of(
            row["batch"],
            due=tuple(row["due"] or ()),
            # by our clock, which may be another one than the database's
            next_due_at=None if row["next_due_at"] is None else datetime.now(UTC) + (row["next_due_at"] - row["now"]),
            look_seconds=row["look_seconds"],
            is_prepaid=row["is_prepaid"],
        )

    async def release_claim(self, worker_id: UUID, claim_ids: list[UUID]) -> UUID | None:
        """Hand back what one of these claims, never answered, has taken; returns which, None when none has (yet)."""
        answer: UUID | None = await self._value("select crm_sync.release_claim($1, $2)", worker_id, claim_ids)
        return answer

    async def read_batch(self, batch_id: int) -> Batch | None:
        """A batch of ours, composed from what is true now; None when the claim was lost."""
        text: str | None = await self._value("select crm_sync.read_batch($1)", batch_id)
        return None if text is None else Batch.model_validate_json(text)

    async def finish(self, batch_id: int, outcomes: list[Outcome]) -> int:
        """Settle a batch; returns how many rows, 0 when the claim had been lost."""
        answer: int = await self._value("select crm_sync.finish_batch($1, $2)", batch_id, json_of(outcomes))
        return answer

    async def extend_leases(self, worker_id: UUID, batch_ids: list[int], lease_seconds: float) -> set[int]:
        """Renew leases; returns the batches that are still ours."""
        held = await self._value(
            "select crm_sync.extend_leases($1, $2, $3)", worker_id, batch_ids, timedelta(seconds=lease_seconds)
        )
        return set(held)

    async def spend_budget(
        self,
        integration_id: int,
        costs: dict[str, int],
        max_wait_seconds: float,
        batch_id: int | None,
        observed: dict[str, dict[str, float]] | None,
    ) -> Grant:
        """Take what a call costs of each limit: all of it or nothing; `batch_id` is whose call it is, if anybody's.

        `observed` tells what the CRM has said: `{limit: {"used": units, "maximum": units, "age": seconds}}`.
        """
        row = await self._row(
            "select * from crm_sync.spend_budget($1, $2, $3, $4, $5)",
            integration_id,
            json.dumps(costs),
            timedelta(seconds=max_wait_seconds),
            batch_id,
            None if observed is None else json.dumps(observed),
        )
        return Grant(row["granted"], row["wait_seconds"], row["limit_name"], row["is_lost"], row["is_paused"])
