"""Pipedrive's ledger: records as its API gives them, which name other records by id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sandbox.demo.facts import (
    AMOUNT,
    KINDS,
    Facts,
    FoundContact,
    FoundDeal,
    FoundText,
    Kind,
    date_of,
    is_close_day,
    number_of,
    text_of,
)
from sandbox.demo.oracle import DemandedContact, address

Record = Mapping[str, Any]


class PipedriveReading:
    """Persons, organizations, deals, notes, and activities that are still to be done."""

    title = "Pipedrive"
    kinds: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "note–company")
    has_many_companies = False

    def facts(self, ledger: Mapping[str, Any], days: tuple[date, date]) -> Facts:
        emails = {each["id"]: address(_first(each.get("emails"))) for each in ledger["persons"]}
        names = {each["id"]: str(each.get("name") or "") for each in ledger["organizations"]}

        def person(id_: int | None) -> tuple[str, ...]:
            return () if id_ is None else (emails.get(id_, str(id_)),)

        def organization(id_: int | None) -> tuple[str, ...]:
            return () if id_ is None else (names.get(id_, str(id_)),)

        return Facts(
            contacts=[
                FoundContact(emails[each["id"]], _values(each), organization(each.get("org_id")))
                for each in ledger["persons"]
            ],
            companies=list(names.values()),
            deals=[
                FoundDeal(
                    str(each.get("title") or ""),
                    person(each.get("person_id")),
                    organization(each.get("org_id")),
                    _wrong_in_deal(each, days),
                )
                for each in ledger["deals"]
            ],
            notes=[
                FoundText(text_of(str(each.get("content") or "")), person(each.get("person_id")))
                for each in ledger["notes"]
            ],
            tasks=[
                FoundText(
                    _task_text(each),
                    tuple(email for other in each.get("participants") or () for email in person(other["person_id"])),
                )
                for each in ledger["activities"]
            ],
        )

    def allowed(self, contact: DemandedContact) -> dict[str, set[str]]:
        # Pipedrive has one name, which it takes no person without
        names = {f"{each.first_name} {each.last_name}".strip() or contact.email for each in contact.people}
        return {"name": names, "emails": {contact.email}, "phones": contact.values("phone")}


def _values(person: Record) -> dict[str, str]:
    """The name, and all addresses and numbers there are."""

    def joined(name: str) -> str:
        return ", ".join(str(each.get("value") or "") for each in person.get(name) or ())

    return {"name": str(person.get("name") or ""), "emails": joined("emails"), "phones": joined("phones")}


def _first(values: list[Record] | None) -> str:
    """The primary one, else the first."""
    ordered = sorted(values or (), key=lambda each: not each.get("primary"))
    return str(ordered[0].get("value") or "") if ordered else ""


def _task_text(activity: Record) -> str:
    """An activity that is to be done, as people read it; one that is not a task, or done, is none."""
    if activity.get("type") != "task" or activity.get("done"):
        return f"({activity.get('type')}, done: {activity.get('done')})"
    return f"{activity.get('subject') or ''}\n{text_of(str(activity.get('note') or ''))}"


def _wrong_in_deal(deal: Record, days: tuple[date, date]) -> dict[str, object]:
    is_right = {
        "value": number_of(deal.get("value")) == AMOUNT,
        "status": deal.get("status") == "open",
        "expected_close_date": is_close_day(date_of(deal.get("expected_close_date")), days),
    }
    return {name: deal.get(name) for name, right in is_right.items() if not right}
