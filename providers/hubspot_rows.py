"""Inputs of HubSpot's batch endpoints, and how the answers are joined to them again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from providers.answers import entries_of, id_in
from providers.codes import OwnCode
from providers.errors import ProviderError, Unexpected
from providers.hubspot_errors import NAME, context_values, row_error
from providers.models import AnyDocument

Lists = tuple[list[Mapping[str, Any]], list[tuple[ProviderError, Mapping[str, Any]]]]
"""A batch answer: what was done, and what was refused with the entry that says so."""


@dataclass(frozen=True)
class Row:
    """One input of a batch write.

    Attributes:
        key: how the row is told from the others: the record's id, or the value of the unique property.
        properties: what is written; never a blank value.
        documents: all that this input settles.
        associations: to be made with the record, as HubSpot's JSON wants them.
    """

    key: str
    properties: Mapping[str, str]
    documents: tuple[AnyDocument, ...]
    associations: tuple[Mapping[str, Any], ...] = ()

    @property
    def trace(self) -> str:
        """The `objectWriteTraceId`: the first queue row, so that HubSpot's logs lead back to it."""
        return f"row-{self.documents[0].rows[0]}"


@dataclass(frozen=True)
class Record:
    """An object as HubSpot answered it; properties without a value are missing or None."""

    id: str
    properties: Mapping[str, str | None] = field(default_factory=dict)
    is_new: bool = False


@dataclass(frozen=True)
class Pair:
    """An association to be made between two records."""

    source: str
    target: str
    documents: tuple[AnyDocument, ...]


@dataclass
class Found:
    """What a batch read gave: the records, and why certain ids could not be read (those missing do not exist)."""

    records: list[Record] = field(default_factory=list)
    refused: dict[str, ProviderError] = field(default_factory=dict)


def input_of(row: Row, action: str, id_property: str | None) -> dict[str, Any]:
    entry: dict[str, Any] = {"objectWriteTraceId": row.trace, "properties": dict(row.properties)}
    if action == "create":
        entry["associations"] = list(row.associations)
    else:
        entry["id"] = row.key
    if id_property is not None:
        entry["idProperty"] = id_property
    return entry


def joined(
    part: Sequence[Row], answer: Any, id_property: str | None, *, is_create: bool = False
) -> Iterator[tuple[Row, Record | ProviderError]]:
    """Join an answer to its rows by trace id, else by key, else by the values it repeats, never by position.

    `is_create`: the keys of the rows are nothing that HubSpot knows.
    """
    by_trace = {row.trace: row for row in part}
    by_key = {} if is_create else {row.key.lower(): row for row in part}
    results, errors = lists_of(answer)
    answers: dict[str, Record | ProviderError] = {}
    nameless: list[Record] = []
    for result in results:
        record = record_of(result)
        key = record.id if id_property is None else record.properties.get(id_property) or ""
        trace = result.get("objectWriteTraceId")
        row = by_trace.get(str(trace)) or by_key.get(key.lower())
        if row is not None:
            answers[row.trace] = record
        elif not trace and (is_create or not key):
            nameless.append(record)
    for row, record in _by_echo([row for row in part if row.trace not in answers], nameless):
        answers[row.trace] = record
    unplaced: list[ProviderError] = []
    for error, item in errors:
        named = list(context_values(item, "objectWriteTraceId")) or list(context_values(item))
        guilty = [by_trace.get(name) or by_key.get(name.lower()) for name in named]
        for row in filter(None, guilty):
            answers.setdefault(row.trace, error)
        if not any(guilty):
            unplaced.append(error)
    silent = [row for row in part if row.trace not in answers]
    if len(silent) == len(unplaced) == 1:
        answers[silent[0].trace] = unplaced[0]
    for row in part:
        yield row, answers.get(row.trace) or silence()


def error_for(pair: Pair, errors: list[tuple[ProviderError, Mapping[str, Any]]]) -> ProviderError:
    """The error that names one of the two records, else one that names none, else that nothing was said."""
    named = [(error, set(context_values(item))) for error, item in errors]
    for error, names in named:
        if names & {pair.source, pair.target}:
            return error
    return next((error for error, names in named if not names), None) or silence()


def lists_of(answer: Any) -> Lists:
    """The `results` and `errors` of a batch answer; raises `Unexpected` for what is none."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or not all(isinstance(result, dict) for result in results):
        raise Unexpected("HubSpot's answer has no list of results", provider=NAME, uncertain=True)
    errors = [item for item in entries_of(answer.get("errors")) if isinstance(item, dict)]
    return results, [(row_error(item), item) for item in errors]


def record_of(result: Mapping[str, Any]) -> Record:
    given = result.get("properties")
    properties = {name: _text_of(value) for name, value in (given if isinstance(given, Mapping) else {}).items()}
    return Record(id=id_of(result), properties=properties, is_new=result.get("new") is True)


def id_of(result: Any) -> str:
    """An object's id; raises `Unexpected` where there is none, since nothing could be joined to it."""
    if isinstance(result, dict) and (found := id_in(result.get("id"))):
        return found
    raise Unexpected("HubSpot's answer has an entry without an id", provider=NAME, uncertain=True)


def silence() -> ProviderError:
    return Unexpected(
        "HubSpot's answer does not say what became of this row", provider=NAME, code=OwnCode.NO_OUTCOME, uncertain=True
    )


def target_ids(result: Mapping[str, Any]) -> Iterator[str]:
    """The ids at the far ends of one record's associations."""
    for entry in entries_of(result.get("to")):
        if isinstance(entry, dict) and (found := id_in(entry.get("toObjectId"))):
            yield found


def _by_echo(rows: Sequence[Row], records: Sequence[Record]) -> Iterator[tuple[Row, Record]]:
    """The specification lets an answer go without trace ids: then the values of a row that no other row has tell it."""
    fits = [[row for row in rows if _repeats(record, row)] for record in records]
    for record, fitting in zip(records, fits, strict=True):
        if len(fitting) == 1 and sum(fitting[0] in others for others in fits) == 1:
            yield fitting[0], record


def _repeats(record: Record, row: Row) -> bool:
    told = [name for name in row.properties if name in record.properties]
    return bool(told) and all(record.properties[name] == row.properties[name] for name in told)


def _text_of(value: Any) -> str | None:
    """Property values are text by the specification; a number or a truth value is written as HubSpot writes it."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)
