"""Documents meant for leads whose people are contacts already: nobody is to be in Salesforce twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from providers.errors import ProviderError
from providers.salesforce_errors import KEY
from providers.salesforce_person import EMAIL, Person
from providers.salesforce_rows import Record
from providers.salesforce_soql import Term
from providers.salesforce_wire import Wire

OLDEST_FIRST = "ORDER BY CreatedDate, Id"


@dataclass(frozen=True)
class Meeting:
    """The contact that somebody is.

    Attributes:
        contact_id: None where a lead has been converted and does not tell to whom.
        remark: what a human should know of how it was found.
    """

    contact_id: str | None
    remark: str | None = None


async def meetings(
    wire: Wire, people: Sequence[Person], became: Mapping[str, str]
) -> tuple[dict[str, Meeting], Mapping[str, ProviderError]]:
    """Who of those that are not among the leads is a contact: by our key, by e-mail, or as what a lead became.

    `became`: the contacts of converted leads, by their e-mail addresses.
    Returns the contacts by the people's keys, and by their keys why some could not be looked for.
    """
    terms: list[Term] = []
    for person in people:
        contact_id = became.get(person.document.email.casefold())
        terms.append({KEY: person.key, EMAIL: person.document.email} | ({"Id": contact_id} if contact_id else {}))
    found = await wire.query("Contact", [KEY, EMAIL], terms, also=OLDEST_FIRST)
    by_key = {record.key.casefold(): record for record in found.records if record.key is not None}
    by_email: dict[str, list[Record]] = defaultdict(list)
    for record in found.records:
        by_email[(record.text(EMAIL) or "").casefold()].append(record)
    there = {record.id for record in found.records}
    met: dict[str, Meeting] = {}
    for person in people:
        email = person.document.email.casefold()
        if (held := by_key.get(person.key)) is not None:
            met[person.key] = Meeting(held.id)
        elif same := by_email.get(email):
            held = chosen(same)
            met[person.key] = Meeting(held.id, several(held, same))
        elif (contact_id := became.get(email)) in there:
            met[person.key] = Meeting(contact_id)
    return met, {person.key: found.refused[person.key] for person in people if person.key in found.refused}


def chosen(same: Sequence[Record]) -> Record:
    """One address is one record: the oldest that is nobody's yet, else the one that another contact of ours has."""
    return min(same, key=lambda record: record.key is not None)


def several(held: Record, same: Sequence[Record]) -> str | None:
    """A remark where more than one record has the address."""
    others = ", ".join(record.id for record in same if record.id != held.id)
    return f"Salesforce has several records of this address: {held.id}, not {others}" if others else None
