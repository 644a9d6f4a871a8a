"""Conditions that alarm, and the messages about them."""

from __future__ import annotations

from datetime import timedelta

from listener.documents import Delivery
from listener.pool import Pool


class AlertCalls(Pool):
    """Alerts and their deliveries."""

    async def check_alerts(self, unless_within_seconds: float) -> int:
        """Look at all conditions, unless somebody has just done so; how many alerts were raised or cleared."""
        answer: int = await self._value("select crm_sync.check_alerts($1)", timedelta(seconds=unless_within_seconds))
        return answer

    async def claim_delivery(self, endpoint: str) -> Delivery | None:
        """The next message for the webhook, which is ours for some twenty seconds; None: nothing is due."""
        row = await self._row("select * from crm_sync.claim_delivery($1)", endpoint)
        return None if row is None else Delivery(*row.values())

    async def finish_delivery(
        self,
        endpoint: str,
        delivery: Delivery,
        outcome: str,
        status: int | None,
        reason: str | None,
        retry_after: float | None,
    ) -> None:
        await self._value(
            "select crm_sync.finish_delivery($1, $2, $3, $4, $5, $6, $7)",
            *(endpoint, delivery.id, delivery.attempts, outcome, status, reason, retry_after),
        )
