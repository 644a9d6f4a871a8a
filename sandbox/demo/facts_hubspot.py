"""HubSpot's ledger: records with properties, and associations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from sandbox.demo.facts import (
    AMOUNT,
    KINDS,
    Facts,
    FoundContact,
    FoundDeal,
    FoundText,
    Kind,
    is_close_day,
    number_of,
    text_of,
)
from sandbox.demo.oracle import LEAD_SOURCE, DemandedContact, address

LEAD_STATUS = {"new": "NEW", "contacted": "CONNECTED", "qualified": "OPEN_DEAL", "unqualified": "UNQUALIFIED"}
DEAL = {"pipeline": "default", "dealstage": "appointmentscheduled"}


class HubSpotReading:
    """Contacts, companies, deals, notes and tasks, all associated with each other."""

    title = "HubSpot"
    kinds: tuple[Kind, ...] = KINDS
    has_many_companies = True

    def facts(self, ledger: Mapping[str, Any], days: tuple[date, date]) -> Facts:
        portal = _Portal(ledger)
        return Facts(
            contacts=[
                FoundContact(address(each.get("email", "")), each, portal.linked("contacts", id_, "companies"))
                for id_, each in portal.records["contacts"].items()
            ],
            companies=[each.get("name", "") for each in portal.records["companies"].values()],
            deals=[
                FoundDeal(
                    each.get("dealname", ""),
                    portal.linked("deals", id_, "contacts"),
                    portal.linked("deals", id_, "companies"),
                    _wrong_in_deal(each, days),
                )
                for id_, each in portal.records["deals"].items()
            ],
            notes=[
                FoundText(
                    text_of(each.get("hs_note_body", "")),
                    portal.linked("notes", id_, "contacts"),
                    portal.linked("notes", id_, "companies"),
                    _milliseconds(each.get("hs_timestamp")),
                )
                for id_, each in portal.records["notes"].items()
            ],
            tasks=[
                FoundText(
                    f"{each.get('hs_task_subject', '')}\n{text_of(each.get('hs_task_body', ''))}",
                    portal.linked("tasks", id_, "contacts"),
                )
                for id_, each in portal.records["tasks"].items()
            ],
        )

    def allowed(self, contact: DemandedContact) -> dict[str, set[str]]:
        return {
            "email": {contact.email},
            "firstname": contact.values("first_name"),
            "lastname": contact.values("last_name"),
            "company": contact.values("company"),
            "phone": contact.values("phone"),
            "crm_sync_lead_source": {LEAD_SOURCE},
            "hs_lead_status": {LEAD_STATUS[status] for status in contact.statuses},
        }


class _Portal:
    """A ledger's records by id, and the names of those that they are associated with."""

    def __init__(self, ledger: Mapping[str, Any]) -> None:
        self.records: dict[str, dict[str, Mapping[str, str]]] = {
            kind: {record["id"]: record["properties"] for record in ledger.get(kind, ())}
            for kind in ("contacts", "companies", "deals", "notes", "tasks")
        }
        self._names = {
            "contacts": {id_: address(each.get("email", "")) for id_, each in self.records["contacts"].items()},
            "companies": {id_: each.get("name", "") for id_, each in self.records["companies"].items()},
        }
        self._links: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for link in ledger["associations"]:
            self._links[link["from_type"], link["from_id"], link["to_type"]].add(link["to_id"])

    def linked(self, from_type: str, from_id: str, to_type: str) -> tuple[str, ...]:
        """Addresses of the contacts, or names of the companies, that a record is associated with."""
        return tuple(self._names[to_type].get(id_, id_) for id_ in self._links.get((from_type, from_id, to_type), ()))


def _wrong_in_deal(deal: Mapping[str, str], days: tuple[date, date]) -> dict[str, object]:
    wrong: dict[str, object] = {key: deal.get(key) for key, value in DEAL.items() if deal.get(key) != value}
    if number_of(deal.get("amount")) != AMOUNT:
        wrong["amount"] = deal.get("amount")
    if not is_close_day(_midnight(deal.get("closedate")), days):
        wrong["closedate"] = deal.get("closedate")
    return wrong


def _midnight(moment: str | None) -> date | None:
    """The day of a moment that is midnight UTC; None for any other."""
    if not moment:
        return None
    closes = datetime.fromisoformat(moment).astimezone(UTC)
    return closes.date() if closes == closes.replace(hour=0, minute=0, second=0, microsecond=0) else None


def _milliseconds(moment: str | None) -> int:
    """Unix milliseconds of HubSpot's time; -1 for none."""
    return -1 if not moment else round(datetime.fromisoformat(moment).timestamp() * 1000)
