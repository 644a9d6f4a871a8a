"""Fields of one kind of records: the standard ones, and those a company adds."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.pipedrive.wire import iso


@dataclass
class Option:
    """One choice of an enum or set field."""

    id: int
    label: str
    color: str | None = None


@dataclass
class Field:
    """`code` is the name the API uses: 40 hex digits for a custom field."""

    code: str
    name: str
    type: str
    options: list[Option] = field(default_factory=list)
    is_custom: bool = False
    description: str | None = None
    added: float = 0.0

    def document(self) -> dict[str, Any]:
        """The field as the API answers it."""
        moment = iso(self.added) if self.is_custom else None
        options = [
            {
                "id": each.id,
                "label": each.label,
                "color": each.color,
                "update_time": moment,
                "add_time": moment,
            }
            for each in self.options
        ]
        return {
            "field_name": self.name,
            "field_code": self.code,
            "field_type": self.type,
            "description": self.description,
            "options": options if self.type in ("enum", "set", "status") else None,
            "subfields": None,
            "is_custom_field": self.is_custom,
            "is_optional_response_field": False,
        }


class Fields:
    """The fields of one kind, in order."""

    def __init__(self, standard: Iterable[Field], option_ids: Iterator[int]) -> None:
        self._fields = {each.code: each for each in standard}
        self._option_ids = option_ids

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields.values())

    def get(self, code: str) -> Field:
        """Raises KeyError."""
        return self._fields[code]

    def customs(self) -> list[Field]:
        return [each for each in self if each.is_custom]

    def custom(self, code: str) -> Field | None:
        """The custom field of this code."""
        found = self._fields.get(code)
        return found if found is not None and found.is_custom else None

    def add(
        self, name: str, field_type: str, labels: Sequence[str], now: float, description: str | None = None
    ) -> Field:
        """A new custom field under a code that no account has twice; names need not be unique."""
        added = Field(
            secrets.token_hex(20),
            name,
            field_type,
            self.new_options(labels),
            is_custom=True,
            description=description,
            added=now,
        )
        self._fields[added.code] = added
        return added

    def new_options(self, labels: Sequence[str]) -> list[Option]:
        return [Option(next(self._option_ids), label) for label in labels]

    def remove(self, code: str) -> None:
        """Raises KeyError."""
        del self._fields[code]


_COMMON = (
    ("id", "ID", "int"),
    ("owner_id", "Owner", "user"),
    ("add_time", "Created at", "date"),
    ("update_time", "Updated at", "date"),
    ("visible_to", "Visible to", "visible_to"),
)
_PERSON_LABELS = ("Customer", "Hot lead", "Warm lead", "Cold lead")
_INDUSTRIES = ("Software", "Finance", "Healthcare", "Manufacturing", "Retail", "Education", "Consulting")
_STANDARD: dict[str, tuple[tuple[str, str, str], ...]] = {
    "persons": (
        ("name", "Name", "varchar"),
        ("first_name", "First name", "varchar"),
        ("last_name", "Last name", "varchar"),
        ("emails", "Email", "varchar"),
        ("phones", "Phone", "phone"),
        ("org_id", "Organization", "org"),
        ("label_ids", "Labels", "set"),
        *_COMMON,
    ),
    "organizations": (
        ("name", "Name", "varchar"),
        ("address", "Address", "address"),
        ("website", "Website", "varchar"),
        ("linkedin", "LinkedIn profile", "varchar"),
        ("industry", "Industry", "enum"),
        ("annual_revenue", "Annual revenue", "double"),
        ("employee_count", "Number of employees", "double"),
        ("label_ids", "Labels", "set"),
        *_COMMON,
    ),
    "deals": (
        ("title", "Title", "varchar"),
        ("value", "Value", "monetary"),
        ("currency", "Currency", "varchar"),
        ("person_id", "Contact person", "people"),
        ("org_id", "Organization", "org"),
        ("pipeline_id", "Pipeline", "double"),
        ("stage_id", "Stage", "stage"),
        ("status", "Status", "status"),
        ("lost_reason", "Lost reason", "varchar_options"),
        ("probability", "Probability", "double"),
        ("expected_close_date", "Expected close date", "date"),
        ("label_ids", "Labels", "set"),
        *_COMMON,
    ),
    "activities": (
        ("subject", "Subject", "varchar"),
        ("type", "Type", "enum"),
        ("due_date", "Due date", "date"),
        ("due_time", "Due time", "time"),
        ("done", "Done", "boolean"),
        ("note", "Note", "text"),
        ("priority", "Priority", "enum"),
        ("participants", "Participants", "participants"),
        ("deal_id", "Deal", "deal"),
        ("org_id", "Organization", "org"),
        *_COMMON,
    ),
}
_OPTIONS: dict[tuple[str, str], tuple[str, ...]] = {
    ("persons", "label_ids"): _PERSON_LABELS,
    ("organizations", "label_ids"): _PERSON_LABELS,
    ("organizations", "industry"): _INDUSTRIES,
    ("deals", "label_ids"): ("Hot", "Warm", "Cold"),
    ("deals", "status"): ("open", "won", "lost"),
    ("activities", "priority"): ("High", "Medium", "Low"),
}


def standard_fields(kind: str) -> Fields:
    """The fields that every account has; option ids are the account's own and say nothing elsewhere."""
    ids = itertools.count(101 + 1000 * list(_STANDARD).index(kind))
    fields = [
        Field(code, name, kind_of, [Option(next(ids), label) for label in _OPTIONS.get((kind, code), ())])
        for code, name, kind_of in _STANDARD[kind]
    ]
    return Fields(fields, ids)
