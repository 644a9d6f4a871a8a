"""What the page shows of an account's records: tables of text, whatever the CRM calls things."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

MOST_ROWS = 100
TITLES = {"hubspot": "HubSpot", "salesforce": "Salesforce", "pipedrive": "Pipedrive"}

# Kinds of records, in the order in which they are shown, with the fields that people look for.
COLUMNS: dict[str, dict[str, tuple[str, ...]]] = {
    "hubspot": {
        "contacts": ("firstname", "lastname", "email", "company", "lifecyclestage", "hs_lead_status"),
        "companies": ("name", "domain", "industry"),
        "deals": ("dealname", "dealstage", "amount", "closedate"),
        "notes": ("hs_timestamp", "hs_note_body"),
        "tasks": ("hs_timestamp", "hs_task_subject", "hs_task_status", "hs_task_priority", "hs_task_body"),
    },
    "salesforce": {
        "contacts": ("FirstName", "LastName", "Email", "Phone", "LeadSource", "AccountId"),
        "leads": ("FirstName", "LastName", "Email", "Company", "Status", "LeadSource"),
        "accounts": ("Name", "Industry", "Website"),
        "opportunities": ("Name", "StageName", "Amount", "CloseDate", "AccountId"),
        "opportunity_contact_roles": ("OpportunityId", "ContactId", "IsPrimary", "Role"),
        "tasks": ("Subject", "Status", "Priority", "ActivityDate", "WhoId", "Description"),
    },
    "pipedrive": {
        "persons": ("name", "emails", "phones", "org_id"),
        "organizations": ("name", "address", "website"),
        "deals": ("title", "value", "currency", "status", "stage_id", "expected_close_date", "person_id", "org_id"),
        "notes": ("add_time", "person_id", "org_id", "deal_id", "content"),
        "activities": ("type", "subject", "due_date", "done", "participants", "org_id", "note"),
    },
}
OPENED = {"contacts", "persons", "deals", "opportunities"}
# What stands for a record wherever another one names it.
NAMES = {
    "contacts": ("email", "Email", "firstname", "LastName"),
    "leads": ("Email", "LastName"),
    "companies": ("name", "domain"),
    "accounts": ("Name",),
    "deals": ("dealname", "title"),
    "opportunities": ("Name",),
    "persons": ("emails", "name"),
    "organizations": ("name",),
}
# Which kind a field's id belongs to; elsewhere ids tell by themselves.
REFERENCES = {"person_id": "persons", "org_id": "organizations", "deal_id": "deals"}
MARKUP = {"hs_note_body", "hs_task_body", "content", "note"}
LINKED = "associated with"


@dataclass(frozen=True)
class Table:
    """Records of one kind, the newest first; each row begins with the id."""

    kind: str
    total: int
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    @property
    def title(self) -> str:
        return self.kind.replace("_", " ").capitalize()

    @property
    def is_opened(self) -> bool:
        return self.kind in OPENED


def tables(crm: str, ledger: Mapping[str, Any]) -> list[Table]:
    """A table for each kind of record that this CRM has, empty ones included."""
    texts = _Texts(ledger, COLUMNS.get(crm, {}))
    return [_table(kind, columns, ledger, texts) for kind, columns in COLUMNS.get(crm, {}).items() if kind in ledger]


def figures(crm: str, ledger: Mapping[str, Any]) -> list[tuple[str, int]]:
    """How much of everything there is."""
    counts = [(table.title, table.total) for table in tables(crm, ledger)]
    if "associations" in ledger:
        counts.append(("Associations", len(_pairs(ledger["associations"]))))
    counts.append(("Calls spent", ledger["calls"]["total"]))
    if "tokens_spent" in ledger:
        counts.append(("Tokens spent", ledger["tokens_spent"]))
    return counts


def details(crm: str, ledger: Mapping[str, Any], kind: str, id_: str) -> tuple[str, list[tuple[str, str]]] | None:
    """A record's name, and all that it holds by field, what people look for first; None when it is not there."""
    record = next((each for each in ledger.get(kind, ()) if str(each["id"]) == id_), None)
    if record is None:
        return None
    texts, held = _Texts(ledger, COLUMNS.get(crm, {})), values_of(record)
    shown = [*COLUMNS.get(crm, {}).get(kind, ()), *sorted(held)]
    rows = [(name, texts.text(name, held.get(name))) for name in dict.fromkeys(shown)]
    if "associations" in ledger:
        rows.append((LINKED, texts.linked(kind, id_)))
    return texts.name_of(kind, record), [(name, text) for name, text in rows if text]


def values_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a record: below `properties` or `fields` where the ledger keeps them apart."""
    inner: Mapping[str, Any] = record.get("properties") or record.get("fields") or record
    return inner


def _pairs(associations: Iterable[Mapping[str, Any]]) -> set[frozenset[tuple[str, str]]]:
    """The ledger tells of each association from both ends."""
    return {
        frozenset({(each["from_type"], each["from_id"]), (each["to_type"], each["to_id"])}) for each in associations
    }


def _table(kind: str, wanted: Sequence[str], ledger: Mapping[str, Any], texts: _Texts) -> Table:
    records = ledger[kind]
    shown = list(reversed(records[-MOST_ROWS:]))
    columns = [name for name in wanted if any(values_of(each).get(name) not in (None, "", []) for each in shown)]
    cells: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [
        (name, lambda each, name=name: texts.text(name, values_of(each).get(name)))  # type: ignore[misc]
        for name in columns
    ]
    if "associations" in ledger:
        cells.append((LINKED, lambda each: texts.linked(kind, each["id"])))
    rows = [(str(each["id"]), *(cell(each) for _, cell in cells)) for each in shown]
    return Table(kind, len(records), ("id", *(name for name, _ in cells)), rows)


class _Texts:
    """Values as people read them, with the names of the records that they refer to."""

    def __init__(self, ledger: Mapping[str, Any], kinds: Iterable[str]) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._links: dict[tuple[str, str], dict[tuple[str, str], None]] = {}
        for kind in kinds:
            for record in ledger.get(kind, ()):
                self._names[kind, str(record["id"])] = self.name_of(kind, record)
        # ids that are the same for all kinds of a CRM's records need no kind
        self._anywhere = {id_: name for (_, id_), name in self._names.items()}
        for each in ledger.get("associations", ()):
            if each["to_type"] not in ("notes", "tasks"):
                others = self._links.setdefault((each["from_type"], each["from_id"]), {})
                others[each["to_type"], each["to_id"]] = None

    def text(self, column: str, value: object) -> str:
        match value:
            case None:
                return ""
            case list():
                return ", ".join(self._part(column, each) for each in value)
            case dict():
                return str(value.get("value") or "")
            case bool():
                return "yes" if value else "no"
            case _:
                return self._scalar(column, str(value))

    def _scalar(self, column: str, value: str) -> str:
        if column in REFERENCES:
            return self._names.get((REFERENCES[column], value), value)
        if column.endswith("Id"):
            return self._anywhere.get(value, value)
        return _plain(value) if column in MARKUP else value

    def linked(self, kind: str, id_: str) -> str:
        return ", ".join(sorted(self._names.get(other, other[1]) for other in self._links.get((kind, id_), ())))

    def _part(self, column: str, value: object) -> str:
        """An entry of a list: an address, a number, a participant."""
        if not isinstance(value, dict):
            return str(value)
        if "person_id" in value:
            return self.text("person_id", value["person_id"])
        return self.text(column, value.get("value"))

    def name_of(self, kind: str, record: Mapping[str, Any]) -> str:
        held = values_of(record)
        named = (self.text(name, held.get(name)) for name in NAMES.get(kind, ()))
        return next(filter(None, named), str(record["id"]))


def _plain(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", markup)).split())
