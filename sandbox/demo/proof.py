"""Holds what a CRM contains against the oracle's demand, one account at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, TypeVar

from sandbox.demo.facts import Facts, FoundText, Kind, Reading
from sandbox.demo.oracle import Demand, DemandedText, company_key

Problem = Literal["missing", "doubled", "wrong"]
PROBLEMS: tuple[Problem, ...] = Problem.__args__  # type: ignore[attr-defined]
K = TypeVar("K", bound=Hashable)


@dataclass
class Proof:
    """Counts for each kind of record and association of one CRM, and the first words on each finding."""

    kinds: tuple[Kind, ...]
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
        if kind not in self.kinds:
            return
        self.demanded[kind] += sum(demanded.values())
        self.found[kind] += sum(found.values())
        for key, number in found.items():
            self.add(kind, "doubled" if key in demanded else "wrong", number - demanded.get(key, 0), key)
        for key, number in demanded.items():
            self.add(kind, "missing", number - found.get(key, 0), key)


def compare(proof: Proof, reading: Reading, demand: Demand, ledger: Mapping[str, Any], days: tuple[date, date]) -> None:
    """Add one account's findings to `proof`; deals were made on one of the `days` (UTC)."""
    facts = reading.facts(ledger, days)
    _compare_contacts(proof, reading, demand, facts)
    _compare_companies(proof, reading, demand, facts)
    _compare_deals(proof, reading, demand, facts)
    # where the CRM knows when a message came in, that tells the notes apart; else whose they are and what they say
    by_moment = any(note.moment is not None for note in facts.notes)
    _compare_texts(proof, "notes", demand.notes, facts.notes, by_moment=by_moment)
    _compare_texts(proof, "tasks", demand.tasks, facts.tasks, by_moment=False)


def _compare_contacts(proof: Proof, reading: Reading, demand: Demand, facts: Facts) -> None:
    proof.count("contacts", dict.fromkeys(demand.contacts, 1), Counter(contact.email for contact in facts.contacts))
    for contact in facts.contacts:
        demanded = demand.contacts.get(contact.email)
        if demanded is not None:
            allowed = {name: values or {""} for name, values in reading.allowed(demanded).items()}
            held = {name: contact.values.get(name) or "" for name in allowed}
            wrong = {name: value for name, value in held.items() if value not in allowed[name]}
            instead = [allowed[name] for name in wrong]
            proof.add("contacts", "wrong", bool(wrong), f"{contact.email}: {wrong} instead of {instead}")
    links = Counter(
        (contact.email, company_key(company)) for contact in facts.contacts for company in contact.companies
    )
    if reading.has_many_companies:
        proof.count("contact–company", dict.fromkeys(demand.contact_companies, 1), links)
        return
    # rows that share an address may name several companies: the contact belongs to one of them, whichever
    anyone: dict[object, int] = {email: 1 for email, _ in demand.contact_companies}
    found: Counter[object] = Counter()
    for (email, company), times in links.items():
        found[email if (email, company) in demand.contact_companies else (email, company)] += times
    proof.count("contact–company", anyone, found)


def _compare_companies(proof: Proof, reading: Reading, demand: Demand, facts: Facts) -> None:
    found = Counter(company_key(name) for name in facts.companies)
    # a company whose every contact has found its place in another one need not be there
    optional = set() if reading.has_many_companies else _alternatives(demand)
    wanted = {company: 1 for company in demand.companies if company in found or company not in optional}
    proof.count("companies", wanted, found)
    for name in facts.companies:
        spellings = demand.companies.get(company_key(name))
        proof.add("companies", "wrong", spellings is not None and name not in spellings, name)


def _alternatives(demand: Demand) -> set[str]:
    """Companies of none but contacts whose rows, sharing an address, name another one as well."""
    times = Counter(email for email, _ in demand.contact_companies)
    return {company for _, company in demand.contact_companies} - {
        company for email, company in demand.contact_companies if times[email] == 1
    }


def _compare_deals(proof: Proof, reading: Reading, demand: Demand, facts: Facts) -> None:
    proof.count("deals", demand.deals, Counter(deal.name for deal in facts.deals))
    for deal in facts.deals:
        proof.add("deals", "wrong", bool(deal.wrong) and deal.name in demand.deals, f"{deal.name}: {deal.wrong}")
    contacts = Counter((deal.name, email) for deal in facts.deals for email in deal.contacts)
    companies = Counter((deal.name, company_key(company)) for deal in facts.deals for company in deal.companies)
    proof.count("deal–contact", demand.deal_contacts, contacts)
    if reading.has_many_companies:
        proof.count("deal–company", demand.deal_companies, companies)
        return
    # the deal goes to the one company that its contact has, be it that another row of the same address named it
    possible: Counter[object] = Counter()
    fitting: dict[str, set[str]] = defaultdict(set)
    of_contact: dict[str, set[str]] = defaultdict(set)
    for email, company in demand.contact_companies:
        of_contact[email].add(company)
    for (name, email), times in demand.deal_contacts.items():
        fitting[name] |= of_contact[email]
        possible[name] += times if of_contact[email] else 0

    def any_fitting(linked: Counter[tuple[str, str]]) -> Counter[object]:
        fits: Counter[object] = Counter()
        for (name, company), times in linked.items():
            fits[name if company in fitting[name] else (name, company)] += times
        return fits

    wanted, found = any_fitting(demand.deal_companies), any_fitting(companies)
    for deal_name, most in possible.items():
        wanted[deal_name] = min(max(wanted[deal_name], found[deal_name]), most)
    proof.count("deal–company", wanted, found)


def _compare_texts(
    proof: Proof,
    kind: Literal["notes", "tasks"],
    demanded: Sequence[DemandedText],
    found: Sequence[FoundText],
    *,
    by_moment: bool,
) -> None:
    wanted: dict[object, list[DemandedText]] = defaultdict(list)
    for text in demanded:
        wanted[text.moment if by_moment else text.email].append(text)
    held: dict[object, list[FoundText]] = defaultdict(list)
    for each in found:
        held[each.moment if by_moment else next(iter(each.contacts), "")].append(each)
    for place in wanted.keys() | held.keys():
        _pair(proof, kind, place, wanted[place], held[place])

    def links(end_of: Callable[[DemandedText], str | None]) -> Counter[tuple[object, str]]:
        return Counter((place, end) for place, texts in wanted.items() for each in texts if (end := end_of(each)))

    on_contacts = Counter((place, email) for place, texts in held.items() for each in texts for email in each.contacts)
    on_companies = Counter(
        (place, company_key(name)) for place, texts in held.items() for each in texts for name in each.companies
    )
    if kind == "notes":
        proof.count("note–contact", links(lambda text: text.email), on_contacts)
        proof.count("note–company", links(lambda text: text.company), on_companies)
    else:
        proof.count("task–contact", links(lambda text: text.email), on_contacts)


def _pair(
    proof: Proof,
    kind: Literal["notes", "tasks"],
    place: object,
    demanded: Sequence[DemandedText],
    found: Sequence[FoundText],
) -> None:
    """Give each demanded text one that fits, so that as many as possible have one; the rest is to complain of."""
    proof.demanded[kind] += len(demanded)
    proof.found[kind] += len(found)
    fitting = [[n for n, text in enumerate(found) if _wrong_in(kind, text.text, each) is None] for each in demanded]
    taken: dict[int, int] = {}
    for number in range(len(demanded)):
        _give(number, fitting, taken, set())
    unanswered = [each for number, each in enumerate(demanded) if number not in taken.values()]
    for number, text in enumerate(found):
        if number in taken:
            continue
        if any(number in fits for fits in fitting):
            proof.add(kind, "doubled", 1, f"{place}: {text.text[:80]!r}")
        elif unanswered:
            proof.add(kind, "wrong", 1, f"{place}: {_wrong_in(kind, text.text, unanswered.pop(0))}")
        else:
            proof.add(kind, "wrong", 1, f"{place}: nobody demanded {text.text[:80]!r}")
    for each in unanswered:
        proof.add(kind, "missing", 1, f"{place}: {each.lines}")


def _give(number: int, fitting: Sequence[Sequence[int]], taken: dict[int, int], tried: set[int]) -> bool:
    """Find a text for this demand, moving others to another of theirs where that helps."""
    for candidate in fitting[number]:
        if candidate not in tried:
            tried.add(candidate)
            if candidate not in taken or _give(taken[candidate], fitting, taken, tried):
                taken[candidate] = number
                return True
    return False


def _wrong_in(kind: Literal["notes", "tasks"], text: str, demanded: DemandedText) -> str | None:
    """What a text lacks; None when it is as demanded."""
    lines = [line.strip() for line in text.splitlines()]
    if not any(demanded.subject in each if kind == "tasks" else each.startswith(demanded.subject) for each in lines):
        return f"{demanded.subject!r} is not in it"
    for line in demanded.lines:
        if not any(each.startswith(line) for each in lines):
            return f"{line!r} is not in it"
    named = [line.removeprefix("Intent: ") for line in lines if line.startswith("Intent: ")]
    if kind == "notes" and named[:1] != ([demanded.intent] if demanded.intent else []):
        return f"it names the intent {named} instead of {demanded.intent!r}"
    return None
