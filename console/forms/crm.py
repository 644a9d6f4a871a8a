"""What a connection's CRM offers, as it described itself last: the choices of the forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OBJECTS = ("contact", "lead", "company", "deal")
MOST_CHOICES = 15_000
"""So many options may all selects of a form have together; beyond that, people type and are offered names."""


@dataclass(frozen=True)
class Choice:
    """A value that may be chosen, and what people call it."""

    value: str
    label: str


@dataclass(frozen=True)
class CrmField:
    """A field of the CRM."""

    object: str
    name: str
    label: str
    type: str
    is_writable: bool
    is_required: bool
    is_closed: bool
    options: tuple[Choice, ...]

    @property
    def words(self) -> str:
        """As people find it: by its label, with its name where that says something else."""
        label = self.label or self.name
        same = label.casefold().replace(" ", "").replace("_", "") == self.name.casefold().replace("_", "")
        return (label if same else f"{label} ({self.name})") + (" · required" if self.is_required else "")


class Crm:
    """The fields of one account, and the provider's defaults."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], config: Mapping[str, Any]) -> None:
        self.config = config
        self.fields: dict[str, dict[str, CrmField]] = {}
        for row in rows:
            each = CrmField(
                **{name: row[name] for name in ("object", "name", "label", "type", "is_writable", "is_required")},
                is_closed=row["is_closed"],
                options=tuple(_choices(row["options"])),
            )
            self.fields.setdefault(each.object, {})[each.name] = each

    def defaults(self, of: str) -> list[dict[str, Any]]:
        """The provider's rules for an object."""
        given = (self.config.get("field_mappings") or {}).get(of) or []
        return [rule for rule in given if isinstance(rule, dict)]

    @property
    def objects(self) -> list[str]:
        """What this CRM has of what we know."""
        known = self.config.get("field_mappings") or {}
        return [each for each in OBJECTS if each in known]

    def is_described(self, of: str) -> bool:
        return of in self.fields

    def field(self, of: str, name: str) -> CrmField | None:
        return self.fields.get(of, {}).get(name)

    def writable(self, of: str) -> list[CrmField]:
        """The fields that a rule may lead to, required ones first."""
        return [each for each in self.fields.get(of, {}).values() if each.is_writable]

    def target(self, of: str, source: str, mappings: Mapping[str, Any]) -> CrmField | None:
        """The field that one of ours goes to: by the connection's own rule, or the provider's."""
        own = mappings.get(of)
        for rule in [*(own if isinstance(own, list) else []), *self.defaults(of)]:
            if isinstance(rule, dict) and rule.get("from") == source:
                return self.field(of, str(rule.get("to")))
        return None


def _choices(options: Any) -> Iterable[Choice]:
    for each in options if isinstance(options, list) else []:
        if isinstance(each, dict) and each.get("value") not in (None, ""):
            yield Choice(str(each["value"]), str(each.get("label") or each["value"]))
