"""Associations between records: the types HubSpot defines, and who is associated with whom in one portal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.hubspot.errors import ApiError

DEFAULTS = {
    ("contacts", "companies"): 279,
    ("companies", "contacts"): 280,
    ("deals", "contacts"): 3,
    ("contacts", "deals"): 4,
    ("deals", "companies"): 341,
    ("companies", "deals"): 342,
    ("notes", "contacts"): 202,
    ("contacts", "notes"): 201,
    ("notes", "companies"): 190,
    ("companies", "notes"): 189,
    ("notes", "deals"): 214,
    ("deals", "notes"): 213,
    ("tasks", "contacts"): 204,
    ("contacts", "tasks"): 203,
    ("tasks", "companies"): 192,
    ("companies", "tasks"): 191,
    ("tasks", "deals"): 216,
    ("deals", "tasks"): 215,
    ("contacts", "contacts"): 449,
    ("companies", "companies"): 450,
}
"""The unlabelled type of each direction."""

PRIMARY = {
    ("contacts", "companies"): 1,
    ("companies", "contacts"): 2,
    ("deals", "companies"): 5,
    ("companies", "deals"): 6,
}
"""The `Primary` label; the contact or deal has one primary company, a further one takes its place."""

_PRIMARY_ID_LABEL = "Primary"


@dataclass(frozen=True)
class End:
    """One end of an association."""

    object_type: str
    id: str


class Links:
    """All associations of a portal, kept in both directions."""

    def __init__(self) -> None:
        self._types: dict[End, dict[End, set[int]]] = {}

    def default(self, start: End, end: End) -> bool:
        """Associate without a label; True when that is new."""
        pair = (start.object_type, end.object_type)
        if pair not in DEFAULTS:
            raise ApiError(400, f"No default association is defined between {pair[0]} and {pair[1]}")
        is_new = DEFAULTS[pair] not in self.types(start, end)
        self._set(start, end, DEFAULTS[pair])
        self._set(end, start, DEFAULTS[(pair[1], pair[0])])
        return is_new

    def labelled(self, start: End, end: End, type_id: int) -> bool:
        """Associate by a type of this direction; True when that is new."""
        if not self.is_primary(start, end, type_id):
            return self.default(start, end)
        is_new = type_id not in self.types(start, end)
        owner, company = (start, end) if end.object_type == "companies" else (end, start)
        for other in list(self._types.get(owner, {})):
            if other.object_type == "companies" and other != company:
                self._drop(owner, other, PRIMARY[(owner.object_type, "companies")])
                self._drop(other, owner, PRIMARY[("companies", owner.object_type)])
        self.default(start, end)
        self._set(start, end, type_id)
        self._set(end, start, PRIMARY[(end.object_type, start.object_type)])
        return is_new

    @staticmethod
    def is_primary(start: End, end: End, type_id: int) -> bool:
        return PRIMARY.get((start.object_type, end.object_type)) == type_id

    @staticmethod
    def label(start_type: str, end_type: str, type_id: int) -> str | None:
        return _PRIMARY_ID_LABEL if PRIMARY.get((start_type, end_type)) == type_id else None

    @staticmethod
    def check(start_type: str, end_type: str, category: str, type_id: int) -> None:
        """Raises ApiError (400) when there is no such type in this direction."""
        known = {DEFAULTS.get((start_type, end_type)), PRIMARY.get((start_type, end_type))}
        if category != "HUBSPOT_DEFINED" or type_id not in known:
            raise ApiError(
                400,
                f"{category} association type {type_id} is not valid between {start_type} and {end_type}",
                sub_category="crm.associations.INVALID_ASSOCIATION_TYPE",
            )

    def types(self, start: End, end: End) -> list[int]:
        """The types between two records, in this direction."""
        return sorted(self._types.get(start, {}).get(end, ()))

    def of(self, start: End, object_type: str) -> list[End]:
        """The records of that type which are associated with this one, oldest association first."""
        return [end for end in self._types.get(start, {}) if end.object_type == object_type]

    def remove(self, start: End, end: End) -> bool:
        """End all associations between two records; True when there were some."""
        self._types.get(end, {}).pop(start, None)
        return self._types.get(start, {}).pop(end, None) is not None

    def remove_all(self, start: End) -> None:
        """End all associations of a record that is archived."""
        for end in list(self._types.get(start, {})):
            self.remove(start, end)

    def __iter__(self) -> Iterator[tuple[End, End, int]]:
        return (
            (start, end, type_id)
            for start, ends in self._types.items()
            for end, type_ids in ends.items()
            for type_id in sorted(type_ids)
        )

    def _set(self, start: End, end: End, type_id: int) -> None:
        self._types.setdefault(start, {}).setdefault(end, set()).add(type_id)

    def _drop(self, start: End, end: End, type_id: int) -> None:
        self._types.get(start, {}).get(end, set()).discard(type_id)
