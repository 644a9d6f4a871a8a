"""What the daemon counts of its own work, for Prometheus; docs/metrics.md says what each means.

Labels are providers, kinds and limits: few, known, and nobody's name.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

from listener.observer import Observer
from listener.settings import PROVIDERS
from providers.errors import FailureKind
from providers.models import (
    ActivityDocument,
    AnyDocument,
    Batch,
    ContactDocument,
    DealDocument,
    ErasureDocument,
    Outcome,
    TaskDocument,
)

LATENCY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400)
CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40)
BATCH_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
BATCH_ROWS = (1, 5, 10, 50, 100, 200, 500, 1000, 2500)

OBJECTS: dict[type[AnyDocument], str] = {
    ContactDocument: "contact",
    DealDocument: "deal",
    ActivityDocument: "activity",
    TaskDocument: "task",
    ErasureDocument: "erasure",
}
OUTCOMES = (("synced", ""), ("released", ""), *(("failed", kind.value) for kind in FailureKind))
REFRESHES = ("refreshed", "failed", *(kind.value for kind in FailureKind))


class Metrics(Observer):
    """Counts what it is told."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"crm_sync_{name}", words, labels, registry=registry)

        def histogram(name: str, words: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"crm_sync_{name}", words, ("provider",), buckets=buckets, registry=registry)

        self._outcomes = counter(
            "outcomes_total",
            "Contacts, deals, activities and tasks by what became of them; kind is why one failed.",
            *("provider", "object", "outcome", "kind"),
        )
        self._latency = histogram(
            "delivery_latency_seconds", "From the enqueueing of a row to the CRM's confirmation.", LATENCY_SECONDS
        )
        self._batch_rows = histogram("batch_rows", "Queue rows of the batches that were settled.", BATCH_ROWS)
        self._batch_seconds = histogram(
            "batch_duration_seconds", "From the claim of a batch to its settlement.", BATCH_SECONDS
        )
        self._leases_lost = counter(
            "leases_lost_total", "Batches that were not settled: the claim was lost to another daemon.", "provider"
        )
        self._calls = counter(
            "api_calls_total", "Requests to the CRM's API by HTTP status, or kind of error.", "provider", "status"
        )
        self._call_seconds = histogram("api_call_duration_seconds", "How long requests took.", CALL_SECONDS)
        self._waits = counter(
            "rate_limit_waits_total",
            "Calls that our budget held back: waited for a moment, or refused before long.",
            *("provider", "limit", "outcome"),
        )
        self._wait_seconds = counter(
            "rate_limit_wait_seconds_total", "Time that calls waited for room in a rate limit.", "provider", "limit"
        )
        self._refreshes = counter(
            "token_refreshes_total", "Refreshes of access tokens by what came of them.", "provider", "outcome"
        )
        self._wakeups = counter("wakeups_total", "Why the sleeping daemon looked for work.", "cause")
        self._troubles = counter(
            "database_troubles_total", "Calls to Postgres that did not succeed: lost on the way, or refused.", "kind"
        )
        self._begin_with_zeros()

    def _begin_with_zeros(self) -> None:
        """A series that first appears with its first event has no increase that a rate could see."""
        for provider in PROVIDERS:
            for name in OBJECTS.values():
                for outcome in OUTCOMES:
                    self._outcomes.labels(provider, name, *outcome)
            for refresh in REFRESHES:
                self._refreshes.labels(provider, refresh)
            self._leases_lost.labels(provider)
            for each in (self._latency, self._batch_rows, self._batch_seconds, self._call_seconds):
                each.labels(provider)
        for cause in ("doorbell", "poll"):
            self._wakeups.labels(cause)
        for kind in ("lost", "refused"):
            self._troubles.labels(kind)

    def called(self, provider: str, answer: str, seconds: float) -> None:
        self._calls.labels(provider, answer).inc()
        self._call_seconds.labels(provider).observe(seconds)

    def batch_settled(
        self, batch: Batch, outcomes: list[Outcome], *, rows: int, started_at: float, seconds: float
    ) -> None:
        if rows == 0:
            self._leases_lost.labels(batch.provider).inc()
            return
        self._batch_rows.labels(batch.provider).observe(rows)
        self._batch_seconds.labels(batch.provider).observe(seconds)
        latency = self._latency.labels(batch.provider)
        documents = {document.rows: document for document in batch.documents}
        for outcome in outcomes:
            document = documents[outcome.rows]
            kind = "" if outcome.failure is None else outcome.failure.kind.value
            self._outcomes.labels(batch.provider, OBJECTS[type(document)], outcome.status, kind).inc()
            if outcome.status == "synced" and document.queued_at is not None:
                answered_at = started_at + outcome.duration_ms / 1000
                # the database's clock and ours may differ
                latency.observe(max(answered_at - document.queued_at.timestamp(), 0.0))

    def waited(self, provider: str, limit: str, seconds: float) -> None:
        self._waits.labels(provider, limit, "waited").inc()
        self._wait_seconds.labels(provider, limit).inc(seconds)

    def refused(self, provider: str, limit: str) -> None:
        self._waits.labels(provider, limit, "refused").inc()

    def refreshed(self, provider: str, outcome: str) -> None:
        self._refreshes.labels(provider, outcome).inc()

    def woke(self, *, by_doorbell: bool) -> None:
        self._wakeups.labels("doorbell" if by_doorbell else "poll").inc()

    def database_troubled(self, *, is_lost: bool) -> None:
        self._troubles.labels("lost" if is_lost else "refused").inc()
