"""Alerts: the conditions are looked at now and then, and messages about them are carried to the operator's webhook."""

from __future__ import annotations

import asyncio
import hashlib

import structlog

from listener.db import Database
from listener.documents import Delivery
from listener.errors import DatabaseTrouble, Refusal
from listener.logs import places
from listener.webhook_settings import WebhookSettings
from providers.base import Http

CHECK_SECONDS = 15.0
UNLESS_WITHIN = 0.6
"""Of the time between two looks: whoever finds that somebody has just looked leaves it at that."""

log = structlog.get_logger()


class Alerts:
    """Looks and tells, of a daemon or of a console; any number of them share the work through the database."""

    def __init__(
        self, database: Database, settings: WebhookSettings, http: Http, every_seconds: float = CHECK_SECONDS
    ) -> None:
        self._database = database
        self._url = settings.webhook_url
        self._keys = settings.webhook_keys
        self._http = http
        self._every_seconds = every_seconds

    async def run(self) -> None:
        """Until cancelled. A receiver that is slow holds up no look."""
        if self._url is None:
            await self._check()
        else:
            await asyncio.gather(self._check(), self._deliver(self._url))

    async def _check(self) -> None:
        while True:
            try:
                changes = await self._database.check_alerts(self._every_seconds * UNLESS_WITHIN)
                if changes:
                    log.warning("alerts_changed", changes=changes)
            except (DatabaseTrouble, Refusal) as trouble:  # an alarm that fails must not stop the work
                log.warning("checking_alerts_failed", error=str(trouble))
            await asyncio.sleep(self._every_seconds)

    async def _deliver(self, url: str) -> None:
        endpoint = hashlib.sha256(url.encode()).hexdigest()
        while True:
            try:
                while (delivery := await self._database.claim_delivery(endpoint)) is not None:
                    await self._send(url, endpoint, delivery)
            except (DatabaseTrouble, Refusal) as trouble:
                log.warning("delivering_failed", error=str(trouble))
            except Exception as failure:  # noqa: BLE001 - its message might hold the URL: the type and the places do
                log.error("delivering_failed_unexpectedly", error=type(failure).__name__, places=places(failure))
            await asyncio.sleep(self._every_seconds)

    async def _send(self, url: str, endpoint: str, delivery: Delivery) -> None:
        from providers import webhook  # noqa: PLC0415 - most daemons have none

        answer = await webhook.send(url, self._keys, str(delivery.id), delivery.payload.encode(), self._http)
        names = {"delivery_id": str(delivery.id), "type": delivery.type, "attempt": delivery.attempts}
        if answer.problem is None:
            log.info("webhook_delivered", **names)
            outcome = "delivered"
        elif answer.is_gone:
            log.error("webhook_gone", **names, hint="nothing more is sent there until crm_sync.resume_deliveries()")
            outcome = "gone"
        else:
            log.warning("webhook_not_delivered", **names, reason=answer.problem)
            outcome = "later"
        await self._database.finish_delivery(endpoint, delivery, outcome, answer.status, answer.problem, answer.wait)
