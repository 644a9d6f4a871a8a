"""Records of Salesforce's collection calls, their values, and how answers are joined to them again."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from providers.answers import id_in, moment_in
from providers.errors import ProviderError, Unexpected
from providers.models import AnyDocument
from providers.salesforce_errors import KEY, NAME, row_error, silence

Types = Mapping[str, str]
"""The types of an object's fields that are not text, by their names: number, boolean, date or datetime."""

MOST_DIGITS = 60
"""No field of Salesforce's holds a longer number; 1e999999999 would take the daemon's whole memory to write out."""
LEAD = "00Q"
CONTACT = "003"
# Known without asking, for an account that was described before these were mapped.
USUAL_TYPES: Types = {
    "Amount": "number",
    "AnnualRevenue": "number",
    "CloseDate": "date",
    "NumberOfEmployees": "number",
    "Probability": "number",
}
TRUE = frozenset({"true", "yes", "1", "t", "y"})
FALSE = frozenset({"false", "no", "0", "f", "n"})
STARTS_WITH_A_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]")


@dataclass(frozen=True)
class Row:
    """One record of a write.

    Attributes:
        key: the record's id for an update, our key for an upsert; for a new record what tells it from the others.
        values: what is written, as JSON has it; never a blank value.
        documents: all that this record settles.
    """

    key: str
    values: Mapping[str, Any]
    documents: tuple[AnyDocument, ...]


@dataclass(frozen=True)
class Written:
    """What became of a row: the record's id, and whether Salesforce had none before."""

    id: str
    is_new: bool = False


@dataclass(frozen=True)
class Record:
    """A record as Salesforce answered it."""

    id: str
    values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str | None:
        """Our key, if it carries one."""
        return self.text(KEY)

    def text(self, name: str) -> str | None:
        """A value as text; None for none."""
        return text_of(self.values.get(name))


@dataclass
class Found:
    """What a look gave: the records, and why certain values could not be looked for (what is missing is not there)."""

    records: list[Record] = field(default_factory=list)
    refused: dict[str, ProviderError] = field(default_factory=dict)


def joined(part: Sequence[Row], answer: Any) -> Iterator[tuple[Row, Written | ProviderError | None]]:
    """Each row with its answer, by position; None for a row that was written under an id that nobody told."""
    if not isinstance(answer, list) or not all(isinstance(each, Mapping) for each in answer):
        raise Unexpected("Salesforce's answer is not a list of results", provider=NAME, uncertain=True)
    if len(answer) != len(part):
        # which of them are missing cannot be known
        yield from ((row, silence()) for row in part)
        return
    for row, result in zip(part, answer, strict=True):
        if result.get("success") is True:
            record_id = id_in(result.get("id"))
            yield row, Written(record_id, result.get("created") is True) if record_id else None
        elif result.get("success") is False:
            # an id may be here all the same: it is of a record that was never written, or is somebody's
            errors = result.get("errors")
            yield row, row_error(errors if isinstance(errors, list) else [])
        else:
            yield row, silence()


def record_of(entry: Any) -> Record:
    """A record of a query or a retrieval; raises `Unexpected` where there is no id."""
    record_id = id_in(entry.get("Id") or entry.get("id")) if isinstance(entry, Mapping) else None
    if record_id is None:
        raise Unexpected("Salesforce's answer has a record without an id", provider=NAME, uncertain=True)
    return Record(record_id, entry)


def typed(name: str, text: str, types: Types) -> Any:
    """A document's text as Salesforce wants it; what is no number or no date stays as it is, for it to refuse."""
    match types.get(name) or USUAL_TYPES.get(name):
        case "number":
            return _number(text)
        case "boolean":
            folded = text.strip().casefold()
            return folded in TRUE if folded in TRUE | FALSE else text
        case "date" if STARTS_WITH_A_DATE.match(text):
            return text[:10]
    return text


def text_of(value: Any) -> str | None:
    """What Salesforce holds, as documents write it."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def is_same(name: str, ours: str, held: Any, types: Types) -> bool:
    """Whether a value of ours says what Salesforce holds already, however the two are spelled."""
    value = typed(name, ours, types)
    if isinstance(held, int | float) or isinstance(value, bool):
        return bool(value == held)
    if value == held:
        return True
    if name == "Email":
        return str(held).strip().casefold() == ours.casefold()
    return types.get(name) == "datetime" and moment_in(held) is not None and moment_in(held) == moment_in(ours)


def _number(text: str) -> Any:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text
    if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
        return text
    return int(number) if number == number.to_integral_value() else float(number)
