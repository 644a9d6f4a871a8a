"""Salesforce's ledger: records with fields that name other records by id; a message is a task that is done already."""

from __future__ import annotations

from collections import defaultdict
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
)
from sandbox.demo.oracle import LEAD_SOURCE, DemandedContact, address

STAGE = "Prospecting"
DONE = "Completed"
OPEN = "Not Started"
Fields = Mapping[str, Any]


class SalesforceReading:
    """Contacts, accounts, opportunities with the roles of contacts in them, and tasks."""

    title = "Salesforce"
    kinds: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "note–company")
    has_many_companies = False

    def facts(self, ledger: Mapping[str, Any], days: tuple[date, date]) -> Facts:
        org = _Org(ledger)
        contacts = [
            FoundContact(org.emails[id_], _texts(each), org.names("accounts", each.get("AccountId")))
            for id_, each in org.records["contacts"].items()
        ]
        # the demo's connections make contacts: a lead is one that nobody asked for
        leads = [
            FoundContact(f"lead {address(str(each.get('Email')))}", _texts(each))
            for each in org.records["leads"].values()
        ]
        return Facts(
            contacts=contacts + leads,
            companies=[str(each.get("Name") or "") for each in org.records["accounts"].values()],
            deals=[
                FoundDeal(
                    str(each.get("Name") or ""),
                    tuple(org.emails.get(contact, contact) for contact in org.roles[id_]),
                    org.names("accounts", each.get("AccountId")),
                    _wrong_in_deal(each, days),
                )
                for id_, each in org.records["opportunities"].items()
            ],
            # a task in any other state is found as one that should be open, or done, and is not
            notes=[org.text(each) for each in org.records["tasks"].values() if each.get("Status") == DONE],
            tasks=[org.text(each) for each in org.records["tasks"].values() if each.get("Status") != DONE],
        )

    def allowed(self, contact: DemandedContact) -> dict[str, set[str]]:
        # Salesforce takes no contact without a last name
        nameless = {contact.email.partition("@")[0]} if any(not each.last_name for each in contact.people) else set()
        return {
            "Email": {contact.email},
            "FirstName": contact.values("first_name"),
            "LastName": contact.values("last_name") | nameless,
            "Phone": contact.values("phone"),
            "LeadSource": {LEAD_SOURCE},
        }


class _Org:
    """A ledger's records by id."""

    def __init__(self, ledger: Mapping[str, Any]) -> None:
        self.records: dict[str, dict[str, Fields]] = {
            kind: {record["id"]: record["fields"] for record in ledger[kind]}
            for kind in ("accounts", "contacts", "leads", "opportunities", "tasks")
        }
        self.emails = {id_: address(str(each.get("Email") or "")) for id_, each in self.records["contacts"].items()}
        self.roles: dict[str, list[str]] = defaultdict(list)
        for role in ledger["opportunity_contact_roles"]:
            self.roles[role["fields"]["OpportunityId"]].append(role["fields"]["ContactId"])

    def names(self, kind: str, id_: str | None) -> tuple[str, ...]:
        """The name of the record with this id, if there is an id."""
        return () if not id_ else (str(self.records[kind].get(id_, {}).get("Name") or id_),)

    def text(self, task: Fields) -> FoundText:
        """A task as people read it."""
        who, status = str(task.get("WhoId") or ""), task.get("Status")
        text = f"{task.get('Subject') or ''}\n{task.get('Description') or ''}"
        return FoundText(text if status in (OPEN, DONE) else f"({status})", (self.emails.get(who, who),) if who else ())


def _texts(fields: Fields) -> dict[str, str]:
    return {name: "" if value is None else str(value) for name, value in fields.items()}


def _wrong_in_deal(deal: Fields, days: tuple[date, date]) -> dict[str, object]:
    is_right = {
        "StageName": deal.get("StageName") == STAGE,
        "Amount": number_of(deal.get("Amount")) == AMOUNT,
        "CloseDate": is_close_day(date_of(deal.get("CloseDate")), days),
    }
    return {name: deal.get(name) for name, right in is_right.items() if not right}
