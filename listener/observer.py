"""What the daemon tells of its work while it does it. The metrics listen; where there are none, nobody does."""

from __future__ import annotations

from providers.base import CallObserver
from providers.models import Batch, Outcome


class Observer(CallObserver):
    """Does nothing with what it is told, at the cost of a call; no method may raise."""

    def batch_settled(
        self, batch: Batch, outcomes: list[Outcome], *, rows: int, started_at: float, seconds: float
    ) -> None:
        """A batch has ended.

        `rows` is how many queue rows it settled: 0 when the claim had been lost, and nothing that is said of it counts.
        `started_at` is the Unix time from which the `duration_ms` of the outcomes count; `seconds` is how long it took.
        """

    def waited(self, provider: str, limit: str, seconds: float) -> None:
        """A call waits so long for room in a rate limit."""

    def refused(self, provider: str, limit: str) -> None:
        """A call was not made: a rate limit has no room for it before long."""

    def refreshed(self, provider: str, outcome: str) -> None:
        """An access token was refreshed (`refreshed`), or why not: a failure's kind, or `failed`."""

    def woke(self, *, by_doorbell: bool) -> None:
        """The daemon slept and looks for work: because somebody rang, or because its time was up."""

    def database_troubled(self, *, is_lost: bool) -> None:
        """A call to Postgres did not succeed: it is away, or it said no."""


SILENT = Observer()
