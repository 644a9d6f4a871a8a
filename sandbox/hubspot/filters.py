"""Whether a record, as the search index knows it, satisfies a filter."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from sandbox.hubspot.errors import ApiError
from sandbox.hubspot.schema import Property

NEEDS: dict[str, frozenset[str]] = {
    "EQ": frozenset({"value"}),
    "NEQ": frozenset({"value"}),
    "LT": frozenset({"value"}),
    "LTE": frozenset({"value"}),
    "GT": frozenset({"value"}),
    "GTE": frozenset({"value"}),
    "BETWEEN": frozenset({"value", "highValue"}),
    "IN": frozenset({"values"}),
    "NOT_IN": frozenset({"values"}),
    "CONTAINS_TOKEN": frozenset({"value"}),
    "NOT_CONTAINS_TOKEN": frozenset({"value"}),
    "HAS_PROPERTY": frozenset(),
    "NOT_HAS_PROPERTY": frozenset(),
}
"""The operators, each with the members of a filter that it needs; HubSpot refuses others beside them."""

_ORDERINGS: dict[str, Callable[[float | str, float | str], bool]] = {
    "EQ": operator.eq,
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
}
_NEGATIONS = {"NEQ": "EQ", "NOT_CONTAINS_TOKEN": "CONTAINS_TOKEN", "NOT_HAS_PROPERTY": "HAS_PROPERTY"}
_TOKEN = re.compile(r"[^\s,;:()<>\[\]\"'/@.!?]+")


@dataclass(frozen=True)
class Filter:
    """One condition; `associated` is the object type of an `associations.…` condition."""

    name: str
    operator: str
    value: str
    high: str
    values: tuple[str, ...]
    definition: Property | None
    associated: str | None = None

    @property
    def kind(self) -> str:
        """The property's type."""
        return self.definition.type if self.definition else "string"

    def holds(self, held: str | None) -> bool:
        """Whether a record with this value (None: not set) satisfies it."""
        if self.operator in _NEGATIONS:
            return held is None or not self._is(_NEGATIONS[self.operator], held)
        if held is None:
            return False
        return not self._is("IN", held) if self.operator == "NOT_IN" else self._is(self.operator, held)

    def holds_associated(self, ids: Collection[str]) -> bool:
        """Whether a record associated with these ids satisfies it."""
        return bool(set(ids) & {self.value, *self.values})

    def _is(self, what: str, held: str) -> bool:
        if what == "HAS_PROPERTY":
            return True
        if what == "CONTAINS_TOKEN":
            return has_tokens(held, self.value)
        if what == "IN":
            # The index holds lower case: values in capitals find nothing, except options of an enumeration.
            return (held if self.kind == "enumeration" else held.lower()) in self.values
        mine, theirs = comparable(self.kind, held), comparable(self.kind, self.value)
        if what == "BETWEEN":
            return _ORDERINGS["GTE"](mine, theirs) and _ORDERINGS["LTE"](mine, comparable(self.kind, self.high))
        return _ORDERINGS[what](mine, theirs)


def comparable(kind: str, value: str) -> float | str:
    """A value of a property of this type, to compare and sort by; raises ApiError (400)."""
    try:
        if kind == "number":
            return float(value)
        if kind in ("datetime", "date"):
            return int(value) / 1000 if value.isdecimal() else datetime.fromisoformat(value).timestamp()
    except ValueError:
        raise ApiError(400, f"{value} is not a {kind} that a search can compare with") from None
    return value.lower()


def has_tokens(held: str, wanted: str) -> bool:
    """Whether all words occur, whole and without regard to case; `*` at an end of a word stands for anything."""
    tokens = [token.lower() for token in _TOKEN.findall(held)]
    words = [word.lower() for word in _TOKEN.findall(wanted)]
    return bool(words) and all(any(fnmatchcase(token, word) for token in tokens) for word in words)
