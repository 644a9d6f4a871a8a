"""The integration's share of the CRM's rate limits, taken from the budgets in the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic

from listener.db import Database
from listener.db.queue import Grant
from listener.observer import SILENT, Observer
from providers.codes import OwnCode
from providers.errors import Paused, RateLimited, Stopping

MAX_WAIT_SECONDS = 5.0
LONG_SECONDS = 600.0
"""A refusal for longer than this is about a limit of a day."""
PREPAID_SECONDS = 0.1
"""So long after the claim a call that was paid with it may be made; later ones would meet those of a next window."""
LONG_WAIT_SECONDS = 0.1
"""After a longer wait the connection may have been paused meanwhile."""
OVERSLEPT_SECONDS = 1.0
"""A wait that took so much longer than it should was that of a process that stood still."""

_batch_id: ContextVar[int | None] = ContextVar("batch_id", default=None)


@contextmanager
def on_behalf_of(batch_id: int) -> Iterator[None]:
    """Calls made inside, and by tasks started inside, are for this batch: once it is lost, none is made any more."""
    token = _batch_id.set(batch_id)
    try:
        yield
    finally:
        _batch_id.reset(token)


@dataclass(frozen=True)
class _Heard:
    used: int
    maximum: int
    at: float


@dataclass(frozen=True)
class _Prepaid:
    batch_id: int
    costs: Mapping[str, int]
    at: float


class IntegrationBudget:
    """`providers.base.Budget` over `crm_sync.spend_budget`.

    Raises `Stopping` once `stopping` is set, and when the batch that the call is for belongs to somebody else; `Paused`
    when an operator has paused the connection.

    Attributes:
        opening: what the first call of the latest batch cost; the next one's will cost the same, and can be paid with
            its claim.
    """

    def __init__(
        self,
        database: Database,
        integration_id: int,
        provider: str,
        stopping: asyncio.Event,
        observer: Observer = SILENT,
    ) -> None:
        self._database = database
        self._integration_id = integration_id
        self._provider = provider
        self._stopping = stopping
        self._observer = observer
        self._heard: dict[str, _Heard] = {}
        self.opening: Mapping[str, int] | None = None
        self._latest_batch_id: int | None = None
        self._prepaid: _Prepaid | None = None

    def prepay(self, batch_id: int, costs: Mapping[str, int]) -> None:
        """The claim of this batch, the latest, has taken room for one call that costs so much."""
        self._prepaid = _Prepaid(batch_id, costs, monotonic())

    def observe(self, limit: str, used: int, maximum: int) -> None:
        """Remember what the CRM said of a day's limit; the next `spend` takes it along."""
        self._heard[limit] = _Heard(used, maximum, monotonic())

    async def spend(self, costs: Mapping[str, int]) -> None:
        """Wait for room for one call; raises `RateLimited` when that is too far away, and `Stopping`."""
        if self._stopping.is_set():
            raise Stopping
        if self._is_prepaid(costs):
            return
        grant = await self._database.spend_budget(
            self._integration_id, dict(costs), MAX_WAIT_SECONDS, _batch_id.get(), self._take_heard(costs)
        )
        _refuse_if_void(grant)
        if not grant.is_granted:
            self._observer.refused(self._provider, grant.limit or "")
            # no time in these words: what waits for the same is counted together, and the status says until when
            share = "our share of the day's" if grant.wait_seconds > LONG_SECONDS else "our budget of the"
            raise RateLimited(
                f"{share} rate limit of {self._provider} '{grant.limit}' is spent",
                provider=self._provider,
                code=OwnCode.OWN_BUDGET,
                retry_after=grant.wait_seconds,
            )
        if grant.wait_seconds > 0:
            self._observer.waited(self._provider, grant.limit or "", grant.wait_seconds)
            await self._wait(grant.wait_seconds)

    def _is_prepaid(self, costs: Mapping[str, int]) -> bool:
        batch_id = _batch_id.get()
        if batch_id is None or batch_id == self._latest_batch_id:
            return False
        self._latest_batch_id = batch_id
        self.opening = dict(costs)
        prepaid, self._prepaid = self._prepaid, None
        return (
            prepaid is not None
            and (prepaid.batch_id, prepaid.costs) == (batch_id, costs)
            and monotonic() < prepaid.at + PREPAID_SECONDS
        )

    async def _wait(self, seconds: float) -> None:
        """Wait for room that was granted; raises `Stopping` when the call is not to be made any more after it."""
        started = monotonic()
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            if seconds < LONG_WAIT_SECONDS and monotonic() < started + seconds + OVERSLEPT_SECONDS:
                return
            await self.confirm()
            return
        raise Stopping

    async def confirm(self) -> None:
        """Others may have taken over meanwhile, or paused it: a call that costs nothing tells."""
        _refuse_if_void(await self._database.spend_budget(self._integration_id, {}, 0.0, _batch_id.get(), None))

    def _take_heard(self, costs: Mapping[str, int]) -> dict[str, dict[str, float]] | None:
        """What was heard of the limits of this call and not passed on yet, with its age in seconds."""
        now = monotonic()
        heard = {name: self._heard.pop(name) for name in costs if name in self._heard}
        if not heard:
            return None
        return {
            name: {"used": each.used, "maximum": each.maximum, "age": now - each.at} for name, each in heard.items()
        }


def _refuse_if_void(grant: Grant) -> None:
    """Raise `Paused` or `Stopping` for a call that is not to be made at all."""
    if grant.is_paused:
        raise Paused
    if grant.is_lost:
        raise Stopping
