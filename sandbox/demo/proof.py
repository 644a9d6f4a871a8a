"""Holds the sandbox's ledger against the oracle's demand, one portal at a time."""

from __future__ import annotations

import html
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, TypeVar

from sandbox.demo.oracle import Demand, DemandedNote, address, company_key

Kind = Literal[
    "contacts",
    "companies",
    "deals",
    "notes",
    "contact–company",
    "deal–contact",
    "deal–company",
    "note–contact",
    "note–company",
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
Problem = Literal["missing", "doubled", "wrong"]
Properties = Mapping[str, str]
K = TypeVar("K", bound=Hashable)

CLOSE_DAYS = 30
DEAL = {"pipeline": "default", "dealstage": "appointmentscheduled"}
AMOUNT = 1000.0


@dataclass
class Proof:
    """Counts for each kind of record and association, and the first words on each finding."""

    demanded: Counter[Kind] = field(default_factory=Counter)
    found: Counter[Kind] = field(default_factory=Counter)
    problems: Counter[tuple[Kind, Problem]] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.problems

    def add(self, kind: Kind, problem: Problem, times: int, what: object) -> None:
        """Record a finding; `what` says which record, in words for whoever looks for the bug."""
        if times > 0:
            self.problems[kind, problem] += times
            self.details.append(f"{kind} {problem}{'' if times == 1 else f' ×{times}'}: {what}")

    def count(self, kind: Kind, demanded: Mapping[K, int], found: Mapping[K, int]) -> None:
        """Compare how often each is there; what nobody demanded at all is wrong, more than demanded is doubled."""
        self.demanded[kind] += sum(demanded.values())
        self.found[kind] += sum(found.values())
        for key, number in found.items():
            self.add(kind, "doubled" if key in demanded else "wrong", number - demanded.get(key, 0), key)
        for key, number in demanded.items():
            self.add(kind, "missing", number - found.get(key, 0), key)


def compare(proof: Proof, demand: Demand, ledger: Mapping[str, Any], days: tuple[date, date]) -> None:
    """Add one portal's findings to `proof`; deals were made on one of the `days` (UTC)."""
    portal = _Portal(ledger)
    _compare_contacts(proof, demand, portal)
    _compare_companies(proof, demand, portal)
    _compare_deals(proof, demand, portal, days)
    _compare_notes(proof, demand, portal)


class _Portal:
    """A ledger's records by the names people know them by, and who is associated with whom."""

    def __init__(self, ledger: Mapping[str, Any]) -> None:
        self.contacts = self._records(ledger, "contacts")
        self.companies = self._records(ledger, "companies")
        self.deals = self._records(ledger, "deals")
        self.notes = self._records(ledger, "notes")
        self._names: dict[str, dict[str, str]] = {
            "contacts": {id_: address(each.get("email", "")) for id_, each in self.contacts.items()},
            "companies": {id_: company_key(each.get("name", "")) for id_, each in self.companies.items()},
        }
        self._links: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for link in ledger["associations"]:
            self._links[link["from_type"], link["from_id"], link["to_type"]].add(link["to_id"])

    def linked(self, from_type: str, from_id: str, to_type: str) -> list[str]:
        """Addresses of the contacts, or keys of the companies, that a record is associated with."""
        return [self._names[to_type].get(id_, id_) for id_ in self._links.get((from_type, from_id, to_type), ())]

    @staticmethod
    def _records(ledger: Mapping[str, Any], name: str) -> dict[str, Properties]:
        return {record["id"]: record["properties"] for record in ledger[name]}


def _compare_contacts(proof: Proof, demand: Demand, portal: _Portal) -> None:
    found = Counter(address(contact.get("email", "")) for contact in portal.contacts.values())
    proof.count("contacts", dict.fromkeys(demand.contacts, 1), found)
    for contact in portal.contacts.values():
        demanded = demand.contacts.get(address(contact.get("email", "")))
        if demanded is not None:
            allowed = {name: values or {""} for name, values in demanded.values.items()}
            wrong = {name: contact.get(name, "") for name in allowed if contact.get(name, "") not in allowed[name]}
            proof.add(
                "contacts",
                "wrong",
                bool(wrong),
                f"{contact.get('email')}: {wrong} instead of {[allowed[name] for name in wrong]}",
            )
    links = Counter(
        (address(contact.get("email", "")), company)
        for id_, contact in portal.contacts.items()
        for company in portal.linked("contacts", id_, "companies")
    )
    proof.count("contact–company", dict.fromkeys(demand.contact_companies, 1), links)


def _compare_companies(proof: Proof, demand: Demand, portal: _Portal) -> None:
    found = Counter(company_key(company.get("name", "")) for company in portal.companies.values())
    proof.count("companies", dict.fromkeys(demand.companies, 1), found)
    for company in portal.companies.values():
        spellings = demand.companies.get(company_key(company.get("name", "")))
        proof.add("companies", "wrong", spellings is not None and company["name"] not in spellings, company.get("name"))


def _compare_deals(proof: Proof, demand: Demand, portal: _Portal, days: tuple[date, date]) -> None:
    proof.count("deals", demand.deals, Counter(deal.get("dealname", "") for deal in portal.deals.values()))
    contacts: Counter[tuple[str, str]] = Counter()
    companies: Counter[tuple[str, str]] = Counter()
    for id_, deal in portal.deals.items():
        name = deal.get("dealname", "")
        contacts.update((name, email) for email in portal.linked("deals", id_, "contacts"))
        companies.update((name, company) for company in portal.linked("deals", id_, "companies"))
        wrong = {key: deal.get(key) for key, value in DEAL.items() if deal.get(key) != value}
        if _number(deal.get("amount")) != AMOUNT:
            wrong["amount"] = deal.get("amount")
        if not _is_close_date(deal.get("closedate"), days):
            wrong["closedate"] = deal.get("closedate")
        proof.add("deals", "wrong", bool(wrong) and name in demand.deals, f"{name}: {wrong}")
    proof.count("deal–contact", demand.deal_contacts, contacts)
    proof.count("deal–company", demand.deal_companies, companies)


def _compare_notes(proof: Proof, demand: Demand, portal: _Portal) -> None:
    found: dict[int, list[str]] = defaultdict(list)
    for id_, note in portal.notes.items():
        found[_milliseconds(note.get("hs_timestamp"))].append(id_)
    proof.count("notes", _sizes(demand.notes), _sizes(found))
    for moment, ids in found.items():
        for id_ in ids if moment in demand.notes else ():
            text = _text(portal.notes[id_].get("hs_note_body", ""))
            wrong = [why for each in demand.notes[moment] if (why := _wrong_in(text, each))]
            if len(wrong) == len(demand.notes[moment]):
                proof.add("notes", "wrong", 1, f"{moment}: {wrong[0]}")
    _compare_note_links(proof, "note–contact", demand, portal, found, lambda note: note.email)
    _compare_note_links(proof, "note–company", demand, portal, found, lambda note: note.company)


def _compare_note_links(
    proof: Proof,
    kind: Kind,
    demand: Demand,
    portal: _Portal,
    found: Mapping[int, list[str]],
    end_of: Callable[[DemandedNote], str | None],
) -> None:
    to_type = "contacts" if kind == "note–contact" else "companies"
    demanded = Counter(
        (moment, end) for moment, notes in demand.notes.items() for note in notes if (end := end_of(note)) is not None
    )
    links = Counter(
        (moment, end) for moment, ids in found.items() for id_ in ids for end in portal.linked("notes", id_, to_type)
    )
    proof.count(kind, demanded, links)


def _wrong_in(text: str, note: DemandedNote) -> str | None:
    """What the text of a note lacks; None when it is as demanded."""
    for line in note.lines:
        if line not in text:
            return f"{line!r} is not in it"
    named = [line.removeprefix("Intent: ") for line in text.splitlines() if line.startswith("Intent: ")]
    if named[:1] != ([note.intent] if note.intent else []):
        return f"it names the intent {named} instead of {note.intent!r}"
    return None


def _text(body: str) -> str:
    """A note as people read it: tags are line breaks, what was escaped stands for itself."""
    return html.unescape(re.sub(r"<[^>]*>", "\n", body))


def _sizes(groups: Mapping[int, Iterable[object]]) -> dict[int, int]:
    return {key: len(list(group)) for key, group in groups.items()}


def _milliseconds(moment: str | None) -> int:
    """Unix milliseconds of HubSpot's time; -1 for none."""
    return -1 if not moment else round(datetime.fromisoformat(moment).timestamp() * 1000)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _is_close_date(moment: str | None, days: tuple[date, date]) -> bool:
    if not moment:
        return False
    closes = datetime.fromisoformat(moment).astimezone(UTC)
    first, last = (day + timedelta(days=CLOSE_DAYS) for day in days)
    return first <= closes.date() <= last and closes == closes.replace(hour=0, minute=0, second=0, microsecond=0)
