"""What must be in the CRMs: worked out in Python from the host application's rows and the documented rules, and from
nothing else. No table, function or module of the pipeline is consulted, so the pipeline can be wrong and be found out.
What is demanded here is the same for every CRM; how each of them says it is the business of `facts_*.py`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from sandbox.demo.people import Contact
from sandbox.demo.scenario import Classification, Message

# The rules of intent, and their order.
STATUS_OF_INTENT = {
    "interested": "qualified",
    "question": "contacted",
    "objection": "contacted",
    "not_interested": "unqualified",
}
INTENTS_WITH_DEAL = {"interested"}
RANK = {"new": 0, "contacted": 1, "qualified": 2, "unqualified": 2}
LEAD_SOURCE = "Email Campaign"
SUBJECT_SHOWN = 200
BODY_SHOWN = 200


@dataclass(frozen=True)
class Person:
    """What one row of `contacts` says of a person, without the white space around it; empty where it says nothing."""

    first_name: str
    last_name: str
    company: str
    phone: str


Name = Literal["first_name", "last_name", "company", "phone"]


@dataclass
class DemandedContact:
    """A person, by e-mail address. Of several rows with one address, any may win, field by field.

    Attributes:
        people: those rows.
        statuses: how far the person has come, by any of them; more than one where they are equally far.
    """

    email: str
    people: list[Person] = field(default_factory=list)
    statuses: set[str] = field(default_factory=set)

    def values(self, name: Name) -> set[str]:
        """What the rows say, where they say anything: none means that the CRM must have none."""
        return {value for person in self.people if (value := getattr(person, name))}


@dataclass(frozen=True)
class DemandedText:
    """A classified message on the timeline of `email`, or in the list of what people are to do.

    Attributes:
        moment: when the message came in (Unix milliseconds).
        company: by its `company_key`.
        subject: what is shown of it: a note has a line that begins with it, a task one that contains it.
        lines: with each of these, of the body, a line of the text must begin.
        intent: as a note must name it; None when it must name none.
    """

    email: str
    company: str | None
    moment: int
    subject: str
    lines: tuple[str, ...]
    intent: str | None


@dataclass
class Demand:
    """What every CRM of one organization must contain; companies are known by `company_key`.

    Attributes:
        deals: names, each as often as there must be deals of that name; so are the pairs that name a deal.
        notes: one for each classified message, as it was classified last.
        tasks: one for each message that was ever said to need a human's attention.
        skipped: reasons for classifications that must not be sent.
    """

    contacts: dict[str, DemandedContact] = field(default_factory=dict)
    companies: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    deals: Counter[str] = field(default_factory=Counter)
    notes: list[DemandedText] = field(default_factory=list)
    tasks: list[DemandedText] = field(default_factory=list)
    contact_companies: set[tuple[str, str]] = field(default_factory=set)
    deal_contacts: Counter[tuple[str, str]] = field(default_factory=Counter)
    deal_companies: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Rows:
    """What was committed; `classifications` in the order of their commits."""

    contacts: Sequence[Contact]
    messages: Sequence[Message]
    classifications: Sequence[Classification]


def read_rows(owner_url: str) -> Rows:
    """The host application's three tables, in one snapshot."""
    with psycopg.connect(owner_url) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        contacts = connection.cursor(row_factory=class_row(Contact)).execute(
            "select id, organization_id, email, first_name, last_name, company, phone from contacts order by id"
        )
        messages = connection.cursor(row_factory=class_row(Message)).execute(
            "select id, organization_id, contact_id, subject, body, received_at from inbox_messages"
        )
        classifications = connection.cursor(row_factory=class_row(Classification)).execute(
            "select id, message_id, intent, sentiment, priority, requires_human_attention, next_action, confidence "
            "from message_classifications order by created_at"
        )
        return Rows(contacts.fetchall(), messages.fetchall(), classifications.fetchall())


def demands(rows: Rows, organizations: Iterable[UUID]) -> dict[UUID, Demand]:
    """What the CRMs of each organization must contain."""
    contacts = {contact.id: contact for contact in rows.contacts}
    messages = {message.id: message for message in rows.messages}
    all_demands = {organization_id: Demand() for organization_id in organizations}
    intents: dict[UUID, list[str | None]] = defaultdict(list)
    newest: dict[UUID, Classification] = {}
    needing: set[UUID] = set()
    for classification in rows.classifications:
        message = messages.get(classification.message_id)
        if message is None:
            continue  # it waits for its message; there is nobody to send
        contact = contacts.get(message.contact_id) if message.contact_id else None
        reason = _unsendable(contact)
        if reason is not None or contact is None:
            all_demands[message.organization_id].skipped[reason or ""] += 1
            continue
        intents[contact.id].append(_intent(classification.intent))
        newest[message.id] = classification
        if classification.requires_human_attention:
            needing.add(message.id)
    for contact_id, said in intents.items():
        _demand_contact(all_demands[contacts[contact_id].organization_id], contacts[contact_id], said)
    for demand in all_demands.values():
        _settle_statuses(demand)
    for message_id, classification in newest.items():
        message = messages[message_id]
        if message.contact_id is not None:
            demand, contact = all_demands[message.organization_id], contacts[message.contact_id]
            text = _text_of(message, contact, classification)
            demand.notes.append(text)
            if message_id in needing:
                demand.tasks.append(text)
    return all_demands


def company_key(name: str) -> str:
    """The same for spellings that differ in case or white space only."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).lower()


def address(email: str) -> str:
    """By which a contact is known: trimmed, in lower case."""
    return email.strip().lower()


def _unsendable(contact: Contact | None) -> str | None:
    if contact is None:
        return "the message belongs to no contact"
    email = (contact.email or "").strip()
    if not email:
        return "the contact has no e-mail address"
    local, _, domain = email.partition("@")
    labels = domain.split(".")
    forbidden = set(email) & set("<>,; \t\r\n")
    if forbidden or not local or "@" in domain or len(labels) < 2 or not labels[-1] or not labels[0]:
        return "the contact's e-mail address is malformed"
    return None


def _intent(words: str | None) -> str | None:
    """In lower case, words joined by underscores: "Not interested" is not_interested."""
    return re.sub(r"[^a-z0-9]+", "_", (words or "").lower()).strip("_") or None


def _status(intents: Sequence[str | None]) -> str:
    """Never backwards; of two that are equally far, the newer."""
    reached = "new"
    for intent in intents:
        said = STATUS_OF_INTENT.get(intent or "")
        if said is not None and RANK[said] >= RANK[reached]:
            reached = said
    return reached


def _demand_contact(demand: Demand, contact: Contact, intents: Sequence[str | None]) -> None:
    email = address(contact.email or "")
    demanded = demand.contacts.setdefault(email, DemandedContact(email))
    said = (contact.first_name, contact.last_name, contact.company, contact.phone)
    demanded.people.append(Person(*((value or "").strip() for value in said)))
    demanded.statuses.add(_status(intents))
    company = _company(contact)
    if company is not None:
        demand.companies[company].add(" ".join((contact.company or "").split()))
        demand.contact_companies.add((email, company))
    for _ in INTENTS_WITH_DEAL & set(intents):
        name = f"{(contact.first_name or '').strip() or email} - Email Lead"
        demand.deals[name] += 1
        demand.deal_contacts[name, email] += 1
        if company is not None:
            demand.deal_companies[name, company] += 1


def _settle_statuses(demand: Demand) -> None:
    """Rows that share an address share one status: the furthest that any of them has reached."""
    for contact in demand.contacts.values():
        furthest = max(RANK[status] for status in contact.statuses)
        contact.statuses = {status for status in contact.statuses if RANK[status] == furthest}


def _text_of(message: Message, contact: Contact, classification: Classification) -> DemandedText:
    shown = (message.body or "").strip()[:BODY_SHOWN].splitlines()[:3]
    return DemandedText(
        email=address(contact.email or ""),
        company=_company(contact),
        moment=round(message.received_at.timestamp() * 1000),
        subject=(message.subject or "")[:SUBJECT_SHOWN].strip(),
        lines=tuple(line.strip() for line in shown if line.strip()),
        intent=(classification.intent or "").replace("_", " ") or None,
    )


def _company(contact: Contact) -> str | None:
    return company_key(contact.company) if contact.company and contact.company.strip() else None


def total_skipped(all_demands: Mapping[UUID, Demand]) -> Counter[str]:
    """Reasons over all organizations."""
    return sum((demand.skipped for demand in all_demands.values()), Counter[str]())
