"""Carries one batch to its CRM and settles it, whatever happens on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TypeVar

import structlog

from listener.account import Account
from listener.budget import IntegrationBudget, on_behalf_of
from listener.db import Database
from listener.errors import DatabaseTrouble
from listener.logs import places
from listener.observer import SILENT, Observer
from listener.settings import Settings
from listener.tokens import IntegrationTokens
from providers import client_for
from providers.base import Client, Http
from providers.codes import OwnCode
from providers.config import ProviderConfig
from providers.errors import FailureKind, ProviderError, Stopping, Unauthorized, Unavailable, Unexpected
from providers.models import Batch, Failure, Outcome
from providers.report import Report

STOPPING_SETTLE_SECONDS = 1.0

T = TypeVar("T")

log = structlog.get_logger()


@dataclass
class _Connection:
    config: ProviderConfig
    connected_version: int
    tokens: IntegrationTokens
    budget: IntegrationBudget
    client: Client
    account: Account


@dataclass
class _Load:
    """A batch and what is said of it; rows that it no longer speaks of go back when it is settled."""

    batch: Batch
    report: Report


class Carrier:
    """Keeps one client for each integration: its tokens, its budget, what it has learnt about the account.

    `client_for` finds the client of a provider by its name, or raises `LookupError`.

    Attributes:
        http: what carries the calls.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        http: Http,
        stopping: asyncio.Event,
        *,
        client_for: Callable[[str], type[Client]] = client_for,
        observer: Observer = SILENT,
    ) -> None:
        self._database = database
        self._settings = settings
        self.http = http
        self._stopping = stopping
        self._client_for = client_for
        self._observer = observer
        self._connections: dict[int, _Connection] = {}
        self._last_words: set[asyncio.Task[object]] = set()
        self._afterthoughts: set[asyncio.Task[None]] = set()

    async def carry(self, batch: Batch) -> None:
        """Push a batch and settle it. Ends early, with what was not sent handed back, when the task is cancelled."""
        load = _Load(batch, Report(batch))
        started = time.monotonic()
        cancelled = False
        error: ProviderError | None = None
        try:
            with on_behalf_of(batch.id):
                del batch  # a thousand documents are megabytes: composed anew, they replace these
                error = await self._try_push(load)
        except asyncio.CancelledError:
            cancelled = True
        batch, report = load.batch, load.report
        if error is not None and any(report.is_open(document) for document in batch.documents):
            log.info(
                "batch_failed",
                integration_id=batch.integration_id,
                provider=batch.provider,
                kind=error.kind.value,
                status=error.status,
                code=error.code,
                correlation_id=error.correlation_id,
            )
        outcomes = report.close(error)
        settled = await asyncio.shield(self._keep(self._settle(batch, outcomes)))
        self._observer.batch_settled(
            batch, outcomes, rows=settled, started_at=report.started_at, seconds=time.monotonic() - started
        )
        log.info(
            "batch_finished",
            integration_id=batch.integration_id,
            provider=batch.provider,
            documents=len(batch.documents),
            synced=sum(outcome.status == "synced" for outcome in outcomes),
            failed=sum(outcome.status == "failed" for outcome in outcomes),
            released=sum(outcome.status == "released" for outcome in outcomes),
            rows=settled,
            duration_ms=round((time.monotonic() - started) * 1000),
        )
        if cancelled:
            raise asyncio.CancelledError
        if any(outcome.failure is not None and _complains_of_field(outcome.failure) for outcome in outcomes):
            self._describe_afterwards(batch.integration_id)

    def forget(self) -> None:
        """Know nothing more of connections and their tokens; what is under way goes on with what it has."""
        self._connections.clear()

    def opening_of(self, integration_id: int) -> Mapping[str, int] | None:
        """What the first call of this integration's next batch will cost of which limits, as far as we know."""
        connection = self._connections.get(integration_id)
        return None if connection is None else connection.budget.opening

    def prepay(self, batch: Batch, costs: Mapping[str, int]) -> None:
        """The claim of a batch has taken room for its opening call."""
        connection = self._connections.get(batch.integration_id)
        if connection is not None:
            connection.budget.prepay(batch.id, costs)

    def tokens_for(
        self, integration_id: int, provider: str, config: ProviderConfig, *, connected_version: int | None = None
    ) -> IntegrationTokens:
        """The tokens of an integration; a refresh that is under way outlives whoever wanted it, until `close`."""
        return IntegrationTokens(
            self._database,
            integration_id,
            provider,
            config,
            self._settings.apps.get(provider),
            self.http,
            self._keep,
            self._observer,
            connected_version=connected_version,
        )

    async def close(self, seconds: float) -> None:
        """Wait for what is being said to the database or a token endpoint just now, as long as that."""
        for task in self._afterthoughts:
            task.cancel()
        await asyncio.gather(*self._afterthoughts, return_exceptions=True)
        if self._last_words:
            await asyncio.wait(self._last_words, timeout=seconds)

    def _describe_afterwards(self, integration_id: int) -> None:
        """In a task of its own: the batch is settled, and its slot is for the next one."""
        connection = self._connections.get(integration_id)
        if connection is None or self._stopping.is_set():
            return
        task = asyncio.create_task(connection.account.describe_after_refusal())
        self._afterthoughts.add(task)
        task.add_done_callback(self._afterthoughts.discard)

    def _keep(self, words: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """A task that goes on when whoever waits for it is cancelled; `close` waits for it."""
        task = asyncio.create_task(words)
        self._last_words.add(task)
        task.add_done_callback(self._last_words.discard)
        return task

    async def _try_push(self, load: _Load) -> ProviderError | None:
        """Push; returns what becomes of the documents that the push did not speak of, None to hand them back."""
        try:
            await self._push(load)
        except ProviderError as failure:
            return failure
        except Stopping:
            return None
        except DatabaseTrouble as trouble:
            log.warning("database_trouble_during_push", integration_id=load.batch.integration_id, error=str(trouble))
            if trouble.is_lost:
                return None
            # our own database refuses something: backing off beats trying the same again at once
            return Unavailable(f"our own database: {trouble}", provider=load.batch.provider, code=OwnCode.OWN_DATABASE)
        except Exception as failure:  # noqa: BLE001 - a fault of one batch must not end the daemon
            # the type and the places are enough to find it; the message might hold a person's data
            log.error(
                "push_failed_unexpectedly",
                integration_id=load.batch.integration_id,
                error=type(failure).__name__,
                places=places(failure),
            )
            return Unexpected(
                f"a fault of ours: {type(failure).__name__}", provider=load.batch.provider, code=OwnCode.OWN_FAULT
            )
        return Unexpected(
            "the provider's module said nothing of this row", provider=load.batch.provider, code=OwnCode.NO_OUTCOME
        )

    async def _push(self, load: _Load) -> None:
        connection = self._connection(load.batch)
        prepared = await connection.account.prepare(load.batch)
        if prepared is not load.batch:
            load.batch, load.report = prepared, Report(prepared)
        await connection.client.push(load.batch, load.report)

    def _connection(self, batch: Batch) -> _Connection:
        known = self._connections.get(batch.integration_id)
        # one that was connected anew leads perhaps to another account: nothing of the old one may serve it
        if known is not None and known.config == batch.config and known.connected_version == batch.connected_version:
            known.tokens.expect_version(batch.credentials_version)
            return known
        try:
            make = self._client_for(batch.provider)
        except LookupError as error:
            raise Unauthorized(
                f"this version of the daemon cannot speak to it: {error}",
                provider=batch.provider,
                code=OwnCode.NO_SUCH_PROVIDER,
            ) from None
        tokens = self.tokens_for(
            batch.integration_id, batch.provider, batch.config, connected_version=batch.connected_version
        )
        budget = IntegrationBudget(self._database, batch.integration_id, batch.provider, self._stopping, self._observer)
        client = make(batch.config, tokens, budget, self.http)
        client.observer = self._observer
        account = Account(self._database, client, batch.integration_id, batch.provider, batch.connected_version)
        connection = _Connection(batch.config, batch.connected_version, tokens, budget, client, account)
        self._connections[batch.integration_id] = connection
        return connection

    async def _settle(self, batch: Batch, outcomes: list[Outcome]) -> int:
        """Tell the database; a database that is away is waited for as long as the claim may still be ours.

        Returns how many rows are settled. Telling it twice changes nothing; where an answer was lost and the claim is
        gone, it is taken as settled: leases are renewed before a third of them is over, so it has not ended yet. Where
        the database was away long before, or a failover has lost the claim, that is wrong, and so are our figures; the
        rows are not.
        """
        started = time.monotonic()
        pause = 0.05
        was_lost = False
        while True:
            try:
                rows = await self._database.finish(batch.id, outcomes)
            except DatabaseTrouble as trouble:
                was_lost = was_lost or trouble.is_lost
                patience = STOPPING_SETTLE_SECONDS if self._stopping.is_set() else self._settings.lease_seconds
                if time.monotonic() + pause > started + patience:
                    log.error("batch_not_settled", integration_id=batch.integration_id, error=str(trouble))
                    return 0
                log.warning("settling_again", integration_id=batch.integration_id, error=str(trouble))
            else:
                is_done = rows == 0 and was_lost and time.monotonic() < started + self._settings.lease_seconds / 2
                return sum(len(outcome.rows) for outcome in outcomes) if is_done else rows
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)


def _complains_of_field(failure: Failure) -> bool:
    return failure.kind is FailureKind.REJECTED and failure.field is not None
