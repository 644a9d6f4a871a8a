"""What the contract tests need of a CRM, and how they drive a client the way the daemon does.

A provider joins the suite with one file, `samples_NAME.py`; its `open_sample()` is a context manager for its `Sample`.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

import httpx

from providers import client_for
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.errors import ProviderError, Stopping
from providers.models import (
    ActivityDocument,
    AnyDocument,
    Batch,
    Company,
    ContactDocument,
    DealDocument,
    ErasureDocument,
    Fields,
    Outcome,
    TaskDocument,
)
from providers.report import Report

ORGANIZATION = UUID(int=1)
OCCURRED = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PEOPLE = (
    ("ada@example.com", "Ada", "Lovelace", "Analytical Engines"),
    ("bjork@example.is", "Björk", "Guðmundsdóttir", "Smekkleysa ehf."),
    ("chén@example.cn", "晨", "陈", None),
    ("d'arcy@example.ie", "D'Arcy <b>", "O'Neill & Sons", "Analytical Engines"),
)

Stage = Literal["companies", "contacts", "deals", "activities", "tasks"]
STAGES: tuple[Stage, ...] = ("companies", "contacts", "deals", "activities", "tasks")


class Account(ABC):
    """One fresh account in a CRM's emulator."""

    config: ProviderConfig
    learned: Mapping[str, Any] = MappingProxyType({})
    """What `Client.ensure_schema` said of it."""

    @abstractmethod
    def credentials(self) -> Credentials:
        """Tokens that work now."""

    @abstractmethod
    async def renew(self, http: httpx.AsyncClient) -> Credentials:
        """What a refresh gives; raises `Unauthorized` once the connection is dead."""

    @abstractmethod
    def expire(self) -> None:
        """Let the access token expire."""

    @abstractmethod
    def kill(self) -> None:
        """End the connection on the CRM's side: neither token is good any more."""

    @abstractmethod
    def disturb(self, stage: Stage, *, times: int = 1, skip: int = 0, **harm: Any) -> None:
        """Let the call that writes this go wrong: by a `status` (with `retry_after`) or by one of a `Fault`'s flags."""

    @abstractmethod
    def calm(self) -> None:
        """Forget the disturbances that are left."""

    @abstractmethod
    def effects(self) -> int:
        """How often anything was changed."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What the account holds, without ids and times, so that two accounts can be compared."""


class Sample(ABC):
    """One CRM: its emulator and its names for things."""

    name: str

    @abstractmethod
    def open_account(self) -> Account: ...

    @abstractmethod
    def contact_fields(self, email: str, first_name: str, last_name: str) -> Fields: ...

    @abstractmethod
    def company_fields(self, name: str) -> dict[str, str]: ...

    @abstractmethod
    def deal_fields(self, name: str) -> Fields: ...

    @abstractmethod
    def refused_fields(self) -> Fields:
        """A contact's fields, one of which the CRM refuses."""

    refused_field: str
    """The CRM's name of that one."""


def sample_names() -> list[str]:
    return sorted(path.stem.removeprefix("samples_") for path in Path(__file__).parent.glob("samples_*.py"))


def open_sample(name: str) -> AbstractContextManager[Sample]:
    opened = importlib.import_module(f"tests.providers.samples_{name}").open_sample()
    assert isinstance(opened, AbstractContextManager)
    return opened


class Tokens:
    """An account's tokens, refreshed at most as often as it is asked."""

    def __init__(self, account: Account, http: httpx.AsyncClient) -> None:
        self._account = account
        self._http = http
        self.credentials = account.credentials()
        self.refreshes = 0

    async def current(self) -> Credentials:
        return self.credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        self.refreshes += 1
        self.credentials = await self._account.renew(self._http)
        return self.credentials


@dataclass
class Budget:
    """Room without end, or until so many calls were made."""

    calls: int | None = None
    spent: list[dict[str, int]] = field(default_factory=list)
    observed: list[tuple[str, int, int]] = field(default_factory=list)
    is_void: bool = False
    confirmed: int = 0

    async def confirm(self) -> None:
        self.confirmed += 1
        if self.is_void:
            raise Stopping

    async def spend(self, costs: Mapping[str, int]) -> None:
        if self.calls is not None and len(self.spent) >= self.calls:
            raise Stopping
        self.spent.append(dict(costs))

    def observe(self, limit: str, used: int, maximum: int) -> None:
        self.observed.append((limit, used, maximum))


@dataclass
class Pushed:
    """What a push gave: an outcome for each document, by its rows, and the error that ended it."""

    outcomes: dict[tuple[int, ...], Outcome]
    error: ProviderError | None
    calls: int
    refreshes: int

    def of(self, document: AnyDocument) -> Outcome:
        return self.outcomes[document.rows]

    @property
    def all(self) -> list[Outcome]:
        return list(self.outcomes.values())

    @property
    def statuses(self) -> set[str]:
        return {outcome.status for outcome in self.all}


async def new_account(sample: Sample) -> Account:
    """An account that has our fields already, as all but the first push find it."""
    account = sample.open_account()
    async with httpx.AsyncClient() as http:
        client = client_for(sample.name)(account.config, Tokens(account, http), Budget(), http)
        account.learned = await client.ensure_schema()
    return account


async def push(sample: Sample, account: Account, *documents: AnyDocument, budget: Budget | None = None) -> Pushed:
    """Push as the daemon does: what ends the push settles what is still open."""
    batch = batch_of(account, sample.name, documents)
    budget = budget or Budget()
    report = Report(batch)
    ended: ProviderError | None = None
    async with httpx.AsyncClient() as http:
        tokens = Tokens(account, http)
        client = client_for(sample.name)(account.config, tokens, budget, http)
        try:
            await client.push(batch, report)
        except ProviderError as error:
            ended = error
        except Stopping:
            pass
        outcomes = report.close(ended)
    assert sorted(outcome.rows for outcome in outcomes) == sorted(document.rows for document in documents)
    return Pushed({outcome.rows: outcome for outcome in outcomes}, ended, len(budget.spent), tokens.refreshes)


def batch_of(account: Account, name: str, documents: Iterable[AnyDocument]) -> Batch:
    documents = list(documents)
    return Batch(
        id=1,
        organization_id=ORGANIZATION,
        integration_id=1,
        provider=name,
        config=account.config,
        account=dict(account.learned),
        credentials_version=1,
        schema_ready=True,
        contacts=tuple(each for each in documents if isinstance(each, ContactDocument)),
        deals=tuple(each for each in documents if isinstance(each, DealDocument)),
        activities=tuple(each for each in documents if isinstance(each, ActivityDocument)),
        tasks=tuple(each for each in documents if isinstance(each, TaskDocument)),
        erasures=tuple(each for each in documents if isinstance(each, ErasureDocument)),
    )


def contacts_of(sample: Sample) -> list[ContactDocument]:
    """Four people, two of them of one company, one of none."""
    return [
        ContactDocument(
            rows=(100 + index,),
            contact_id=UUID(int=100 + index),
            email=email,
            fields=sample.contact_fields(email, first_name, last_name),
            company=None
            if company is None
            else Company(key=f"company-{company}", name=company, fields=sample.company_fields(company)),
            queued_at=datetime.now(UTC) - timedelta(minutes=1),
        )
        for index, (email, first_name, last_name, company) in enumerate(PEOPLE)
    ]


def follow_ups(
    sample: Sample, contacts: Iterable[ContactDocument], pushed: Pushed
) -> list[DealDocument | ActivityDocument | TaskDocument]:
    """A deal and an activity for each contact that arrived, and a task for the first."""
    documents: list[DealDocument | ActivityDocument | TaskDocument] = []
    queued_at = datetime.now(UTC) - timedelta(minutes=1)
    for index, contact in enumerate(contacts):
        outcome = pushed.of(contact)
        assert outcome.external_id is not None
        documents.append(
            DealDocument(
                rows=(200 + index,),
                contact_id=contact.contact_id,
                key=f"deal-{index}",
                contact_external_id=outcome.external_id,
                company_external_id=outcome.company_external_id,
                fields=sample.deal_fields(f"Deal {index} — Email Lead"),
                queued_at=queued_at,
            )
        )
        documents.append(
            ActivityDocument(
                rows=(300 + index,),
                contact_id=contact.contact_id,
                key=f"activity-{index}",
                contact_external_id=outcome.external_id,
                company_external_id=outcome.company_external_id,
                occurred_at=OCCURRED,
                subject=f"Re: offer {index}",
                body="Tell me more & <soon>.\nÞakka þér 🙂",
                intent="interested",
                sentiment="positive",
                priority="high",
                next_action="schedule_call",
                confidence=0.93,
                requires_human_attention=index == 0,
                queued_at=queued_at,
            )
        )
        if index == 0:
            documents.append(
                TaskDocument(
                    rows=(400 + index,),
                    contact_id=contact.contact_id,
                    key=f"task-{index}",
                    contact_external_id=outcome.external_id,
                    company_external_id=outcome.company_external_id,
                    due_at=OCCURRED + timedelta(days=1),
                    subject="Reply to ada@example.com: offer 0",
                    body="They ask for a <call>.\nNext action: schedule call",
                    is_urgent=True,
                    queued_at=queued_at,
                )
            )
    return documents


async def carry(sample: Sample, account: Account, rounds: int = 4) -> list[Pushed]:
    """Push contacts, then what follows from them, each until it has arrived, as the queue's retries would."""
    history: list[Pushed] = []
    contacts = contacts_of(sample)
    arrived = await _until_synced(sample, account, contacts, rounds, history)
    await _until_synced(sample, account, follow_ups(sample, contacts, arrived), rounds, history)
    return history


async def _until_synced(
    sample: Sample, account: Account, documents: Iterable[AnyDocument], rounds: int, history: list[Pushed]
) -> Pushed:
    waiting = list(documents)
    merged = Pushed({}, None, 0, 0)
    for _ in range(rounds):
        pushed = await push(sample, account, *waiting)
        history.append(pushed)
        merged.outcomes |= {rows: outcome for rows, outcome in pushed.outcomes.items() if outcome.status == "synced"}
        waiting = [
            document.model_copy(update={"uncertain": pushed.of(document).uncertain})
            for document in waiting
            if pushed.of(document).status != "synced"
        ]
        if not waiting:
            return merged
    raise AssertionError(f"not synced after {rounds} rounds: {pushed.all}")
