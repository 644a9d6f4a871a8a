"""Statements answered: query, queryAll, and the rest of a long answer."""

from __future__ import annotations

from typing import Any

from sandbox.salesforce.conditions import Path, Reader, candidates, test_of
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.gate import Answer, Call
from sandbox.salesforce.records import Record
from sandbox.salesforce.schema import Field
from sandbox.salesforce.soql import Order, Query, parse

MOST_ROWS = 2000
FEWEST_ROWS = 200
MOST_OFFSET = 2000


def query(call: Call) -> Answer:
    """GET query?q=…: live records."""
    return _answer(call, is_all=False)


def query_all(call: Call) -> Answer:
    """GET queryAll?q=…: deleted records too."""
    return _answer(call, is_all=True)


def more(call: Call) -> Answer:
    """GET query/locator-position: the next rows of a long answer."""
    locator, _, position = call.params["locator"].rpartition("-")
    rows = call.org.cursors.get(locator)
    if rows is None or not position.isdecimal() or int(position) >= len(rows):
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    return 200, _page(call, rows, int(position), locator)


def _answer(call: Call, *, is_all: bool) -> Answer:
    text = call.query.get("q")
    if text is None:
        raise ApiError("MALFORMED_QUERY", "A query string has to be specified")
    statement = parse(text)
    named = statement.sobject.lower()
    definition = next((each for name, each in call.org.objects.items() if name.lower() == named), None)
    if definition is None:
        raise ApiError(
            "INVALID_TYPE",
            f"sObject type '{statement.sobject}' is not supported. If you are attempting to use a custom object, be "
            "sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the "
            "appropriate names.",
        )
    reader = Reader(call.org, definition)
    chains = [(path, *reader.chain(path)) for path in statement.paths]
    _refuse_twice([tuple(each.lower() for each in path) for path in statement.paths])
    records = _selected(reader, statement, is_all=is_all)
    if not statement.paths:
        return 200, {"totalSize": len(records), "done": True, "records": []}
    rows = [_row(call, reader, record, chains) for record in records]
    return 200, _page(call, rows, 0, None)


def _selected(reader: Reader, statement: Query, *, is_all: bool) -> list[Record]:
    if statement.offset > MOST_OFFSET:
        raise ApiError("NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {MOST_OFFSET}")
    table = reader.org.tables[reader.definition.name]
    found = None
    is_met = test_of(reader, statement.where) if statement.where else None
    if statement.where:
        found = candidates(reader, statement.where)
    records = [
        record
        for record in (sorted(found, key=lambda each: each.id) if found is not None else table)
        if (is_all or not record.is_deleted) and (is_met is None or is_met(record))
    ]
    for order in reversed(statement.order):
        records = _sorted(reader, records, order)
    end = None if statement.limit is None else statement.offset + statement.limit
    return records[statement.offset : end]


def _sorted(reader: Reader, records: list[Record], order: Order) -> list[Record]:
    references, field = reader.chain(order.path)
    if not field.filterable:
        raise ApiError("INVALID_FIELD", f"field '{field.name}' can not be sorted in a query call")

    def key(record: Record) -> Any:
        value = reader.value(record, references, field)
        return value.lower() if isinstance(value, str) else value

    filled = sorted((each for each in records if key(each) is not None), key=key, reverse=order.is_descending)
    empty = [each for each in records if key(each) is None]
    return [*filled, *empty] if order.nulls_last else [*empty, *filled]


def _row(call: Call, reader: Reader, record: Record, chains: list[tuple[Path, list[Field], Field]]) -> dict[str, Any]:
    row: dict[str, Any] = {"attributes": {"type": record.sobject, "url": call.url_of(record.sobject, record.id)}}
    for _, references, field in chains:
        holder, current = row, record
        for reference in references:
            target = call.org.find(current.values.get(reference.name) or "")
            relationship = reference.relationship or ""
            if target is None or target.is_deleted:
                holder.setdefault(relationship, None)
                break
            inside = {"attributes": {"type": target.sobject, "url": call.url_of(target.sobject, target.id)}}
            holder, current = holder.setdefault(relationship, inside), target
        else:
            holder[field.name] = current.get(field.name)
    return row


def _page(call: Call, rows: list[dict[str, Any]], start: int, locator: str | None) -> dict[str, Any]:
    end = start + _batch_size(call)
    answer: dict[str, Any] = {"totalSize": len(rows), "done": end >= len(rows)}
    if end < len(rows):
        locator = locator or call.org.cursor(rows)
        answer["nextRecordsUrl"] = f"/services/data/v{call.version}/query/{locator}-{end}"
    return {**answer, "records": rows[start:end]}


def _batch_size(call: Call) -> int:
    asked = call.headers.get("sforce-query-options", "").replace(" ", "").lower().partition("batchsize=")[2]
    return min(max(int(asked), FEWEST_ROWS), MOST_ROWS) if asked.isdecimal() else MOST_ROWS


def _refuse_twice(paths: list[Path]) -> None:
    for index, path in enumerate(paths):
        if path in paths[:index]:
            raise ApiError("MALFORMED_QUERY", f"duplicate field selected: {'.'.join(path)}")
