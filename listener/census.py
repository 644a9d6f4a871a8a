"""What the database says of queue and connections when somebody scrapes, asked seldom enough to cost it nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from listener.db import Database
from listener.errors import DatabaseTrouble, Refusal

MOST_CONNECTIONS = 200
"""That have series of their own; the smaller ones are summed."""
OTHERS = "other"
FRESH_SECONDS = 5.0
REST_FACTOR = 50
"""Counting a long queue may be dear: a fiftieth of the time at most."""
PATIENCE_SECONDS = 3.0
"""Of a scrape; what comes later is shown to the next one."""
LONGEST_SECONDS = 30.0
STATUSES = ("pending", "processing", "retry")

QUEUE_LABELS = ("integration_id", "provider", "connection_state")


@dataclass(frozen=True)
class Facts:
    """Rows of `crm_sync.queue_depths`, `connection_counts` and `day_budgets`."""

    depths: list[dict[str, Any]]
    connections: list[dict[str, Any]]
    budgets: list[dict[str, Any]]


class Census(Collector):
    """The latest facts as metrics; `look` renews them. Nothing is shown that the database does not say any more."""

    def __init__(self) -> None:
        self._facts: Facts | None = None
        self._again_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def look(self, database: Database) -> None:
        """Ask, unless that was done just now, and wait for the answer for a moment; one question at a time."""
        if self._asking is None and time.monotonic() >= self._again_at:
            self._asking = asyncio.create_task(self._ask(database))
        if self._asking is not None:
            await asyncio.wait({self._asking}, timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    async def _ask(self, database: Database) -> None:
        started = time.monotonic()
        rest = 0.0  # without an answer the next scrape may ask again
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                self._facts = Facts(
                    await database.queue_depths(MOST_CONNECTIONS),
                    await database.connection_counts(),
                    await database.day_budgets(MOST_CONNECTIONS),
                )
            rest = max(FRESH_SECONDS, REST_FACTOR * (time.monotonic() - started))
        except (DatabaseTrouble, Refusal, TimeoutError):
            self._facts = None
        finally:
            self._again_at = time.monotonic() + rest
            self._asking = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        facts = self._facts
        yield GaugeMetricFamily(
            "crm_sync_database_up",
            "1 when the database answered what this page asked of it, in time.",
            value=float(facts is not None),
        )
        if facts is None:
            return
        rows = GaugeMetricFamily(
            "crm_sync_queue_rows",
            "Open rows of the queue by connection, of the 200 that have most; the rest together.",
            labels=(*QUEUE_LABELS, "status"),
        )
        oldest = GaugeMetricFamily(
            "crm_sync_queue_oldest_wait_seconds", "How long ago the oldest open row was due.", labels=QUEUE_LABELS
        )
        for each in facts.depths:
            labels = (str(each["integration_id"] or OTHERS), each["provider"], each["connection_state"])
            oldest.add_metric(labels, each["oldest_wait"])
            for status in STATUSES:
                rows.add_metric((*labels, status), each[status])
        connections = GaugeMetricFamily(
            "crm_sync_connections", "Connections by provider and state.", labels=("provider", "state")
        )
        for each in facts.connections:
            connections.add_metric((each["provider"], each["connection_state"]), each["connections"])
        budgets = GaugeMetricFamily(
            "crm_sync_day_budget_used_ratio",
            "How much of our share of a limit of a day is used; at 1 nothing more is sent.",
            labels=("integration_id", "provider", "limit"),
        )
        for each in facts.budgets:
            budgets.add_metric((str(each["integration_id"]), each["provider"], each["limit_name"]), each["used"])
        yield from (rows, oldest, connections, budgets)
