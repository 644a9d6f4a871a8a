"""What a CRM contains, in words that are the same for all; the `facts_*.py` read their CRM's ledger into these."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Literal, Protocol

from sandbox.demo.oracle import DemandedContact

Kind = Literal[
    "contacts",
    "companies",
    "deals",
    "notes",
    "tasks",
    "contact–company",
    "deal–contact",
    "deal–company",
    "note–contact",
    "note–company",
    "task–contact",
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]

CLOSE_DAYS = 30
AMOUNT = 1000.0


@dataclass(frozen=True)
class FoundContact:
    """Values by the CRM's own names; companies by name."""

    email: str
    values: Mapping[str, str]
    companies: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundDeal:
    """`wrong` are the values that no deal of the demo may have, by the CRM's own names."""

    name: str
    contacts: tuple[str, ...]
    companies: tuple[str, ...]
    wrong: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class FoundText:
    """A note or a task as people read it, on whose timeline it is, and when its message came in, where the CRM says so
    (Unix milliseconds)."""

    text: str
    contacts: tuple[str, ...]
    companies: tuple[str, ...] = ()
    moment: int | None = None


@dataclass
class Facts:
    """Everything in one account: contacts are known by `address`, companies by the name they have."""

    contacts: list[FoundContact] = field(default_factory=list)
    companies: list[str] = field(default_factory=list)
    deals: list[FoundDeal] = field(default_factory=list)
    notes: list[FoundText] = field(default_factory=list)
    tasks: list[FoundText] = field(default_factory=list)


class Reading(Protocol):
    """How one CRM says what it contains.

    Attributes:
        title: the CRM's name for people.
        kinds: what it has a place for.
        has_many_companies: a contact can belong to several.
    """

    title: str
    kinds: tuple[Kind, ...]
    has_many_companies: bool

    def facts(self, ledger: Mapping[str, Any], days: tuple[date, date]) -> Facts:
        """The ledger in neutral words; deals were made on one of the `days` (UTC)."""
        ...

    def allowed(self, contact: DemandedContact) -> dict[str, set[str]]:
        """The values that this person may have, by the CRM's own names; none means that it must have none."""
        ...


def text_of(body: str) -> str:
    """HTML as people read it: tags are line breaks, what was escaped stands for itself."""
    return html.unescape(re.sub(r"<[^>]*>", "\n", body))


def is_close_day(day: date | None, days: tuple[date, date]) -> bool:
    """Whether a deal made on one of the `days` closes on this one."""
    first, last = (each + timedelta(days=CLOSE_DAYS) for each in days)
    return day is not None and first <= day <= last


def number_of(value: object) -> float | None:
    """A number, written as one or as text."""
    try:
        return float(value) if isinstance(value, str | int | float) else None
    except ValueError:
        return None


def date_of(value: object) -> date | None:
    """An ISO date."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
