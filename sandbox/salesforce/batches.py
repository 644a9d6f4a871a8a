"""Up to 200 records in one call: created, updated, upserted, deleted, read; answers are in the order of the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sandbox.salesforce import writes
from sandbox.salesforce.answers import document, members, named_fields
from sandbox.salesforce.errors import ApiError, ParseError, missing_record, too_many
from sandbox.salesforce.gate import Answer, Call
from sandbox.salesforce.ids import canonical
from sandbox.salesforce.relations import live_matches, several
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.values import bind

MOST_RECORDS = 200
MOST_READ = 2000

Row = dict[str, Any]
_COLLECTION: dict[str, type] = {"allOrNone": bool, "records": list}


def create(call: Call) -> Answer:
    """POST composite/sobjects: records of any types."""
    records, all_or_none = _records(call)
    types = [_type_of(record) for record in records]
    writer = call.writer(len(records))

    def one(index: int) -> Row:
        record = writes.insert(writer, _canonical_name(call, types[index]), records[index])
        return {"id": record.id, "success": True, "errors": []}

    return 200, _run(call, len(records), one, all_or_none=all_or_none)


def update(call: Call) -> Answer:
    """PATCH composite/sobjects: each record with its `id`."""
    records, all_or_none = _records(call)
    types = [_type_of(record) for record in records]
    ids = [_id_of(record) for record in records]
    times = Counter(canonical(each) for each in ids if each is not None)
    writer = call.writer(len(records))

    def one(index: int) -> Row:
        record_id = ids[index]
        if record_id is None:
            raise ApiError("MISSING_ARGUMENT", "Id not specified in an update call", [])
        if times[canonical(record_id)] > 1:
            raise ApiError("DUPLICATE_VALUE", f"Duplicate id specified: {record_id}", ["Id"])
        values = {name: value for name, value in records[index].items() if name.lower() != "id"}
        record = writes.update(writer, _canonical_name(call, types[index]), record_id, values)
        return {"id": record.id, "success": True, "errors": []}

    return 200, _run(call, len(records), one, all_or_none=all_or_none)


def upsert(call: Call) -> Answer:
    """PATCH composite/sobjects/X/field: each record with its external id, and without an `id`."""
    definition = call.sobject()
    key = definition.find(call.params["key"])
    if key is None or not key.is_key or key.name == "Id":
        raise missing_record(call.params["key"])
    records, all_or_none = _records(call)
    for record in records:
        if _type_of(record).lower() != definition.name.lower():
            raise ApiError("INVALID_INPUT", f"All records must be of the type in the URI: {definition.name}")
    values = [_key_value(record, key) for record in records]
    times = Counter(value.lower() for value in values if isinstance(value, str))
    writer = call.writer(len(records))

    def one(index: int) -> Row:
        value = bind(key, values[index])
        if value is None:
            raise ApiError("MISSING_ARGUMENT", f"{key.name} not specified", [])
        if _id_of(records[index]) is not None:
            raise ApiError("INVALID_FIELD", "The Id field should not be specified in the sobject data.", ["Id"])
        if times[value.lower()] > 1:
            raise ApiError("DUPLICATE_VALUE", f"Duplicate external id specified: {value}", [key.name])
        found = live_matches(call.org, definition.name, key, value)
        if len(found) > 1:
            raise several(key.name, found)
        if found:
            writes.update(writer, definition.name, found[0].id, records[index])
            return {"id": found[0].id, "success": True, "errors": [], "created": False}
        record = writes.insert(writer, definition.name, records[index])
        return {"id": record.id, "success": True, "errors": [], "created": True}

    return 200, _run(call, len(records), one, all_or_none=all_or_none)


def delete(call: Call) -> Answer:
    """DELETE composite/sobjects?ids=…&allOrNone=…"""
    ids = [each for each in call.query.get("ids", "").split(",") if each]
    if not ids:
        raise ApiError("MISSING_ARGUMENT", "The ids parameter is required")
    if len(ids) > MOST_RECORDS:
        raise too_many(MOST_RECORDS)
    writer = call.writer(len(ids))

    def one(index: int) -> Row:
        record = writes.delete(writer, ids[index])
        return {"id": record.id, "success": True, "errors": []}

    return 200, _run(call, len(ids), one, all_or_none=call.query.get("allOrNone", "").lower() == "true")


def read(call: Call) -> Answer:
    """GET or POST composite/sobjects/X: null for what is not there."""
    definition = call.sobject()
    if call.query.get("ids") is not None or not call.raw:
        ids, names = call.query.get("ids", "").split(","), call.query.get("fields", "").split(",")
    else:
        body = members(call.body(), {"ids": list, "fields": list}, "ids", "fields")
        ids, names = body["ids"], body["fields"]
    if not all(isinstance(each, str) and each for each in (*ids, *names)) or not ids or not names:
        raise ApiError("MISSING_ARGUMENT", "The ids and the fields parameters are required")
    if len(ids) > MOST_READ:
        raise too_many(MOST_READ)
    fields = named_fields(definition, names)
    return 200, [_read(call, definition, each, fields) for each in ids]


def _read(call: Call, definition: SObject, given: str, fields: list[Field]) -> dict[str, Any] | None:
    record_id = canonical(given)
    if record_id is None:
        raise ApiError("MALFORMED_ID", f"malformed id {given}")
    record = call.org.tables[definition.name].get(record_id)
    if record is None or record.is_deleted:
        return None
    return {**document(call, record, fields), "Id": record.id}


def _run(call: Call, count: int, one: Callable[[int], Row], *, all_or_none: bool) -> list[Row]:
    """Each row by itself; with `all_or_none` a single failure undoes all."""
    start = call.org.savepoint()
    rows: list[Row] = []
    for index in range(count):
        point = call.org.savepoint()
        try:
            if call.org.refusals:
                raise call.org.refusals.pop(0)
            rows.append(one(index))
        except ApiError as error:
            call.org.roll_back(point)
            if isinstance(error, ParseError) and call.salesforce.parse_errors == "call":
                call.org.roll_back(start)
                raise
            rows.append({"success": False, "errors": [error.row()]})
    if all_or_none and not all(row["success"] for row in rows):
        call.org.roll_back(start)
        rolled_back = ApiError(
            "ALL_OR_NONE_OPERATION_ROLLED_BACK",
            "Record rolled back because not all records were valid and the request was using AllOrNone header",
            [],
        )
        # The id of a row that was undone stays in the answer, as Salesforce's own example has it.
        return [{**row, "success": False, "errors": [rolled_back.row()]} if row["success"] else row for row in rows]
    return rows


def _records(call: Call) -> tuple[list[dict[str, Any]], bool]:
    body = members(call.body(), _COLLECTION, "records")
    records = body["records"]
    if not records:
        raise ApiError("INVALID_INPUT", "The records list must not be empty")
    if len(records) > MOST_RECORDS:
        raise too_many(MOST_RECORDS)
    if not all(isinstance(record, dict) for record in records):
        raise ApiError("JSON_PARSER_ERROR", "Each record must be a JSON object")
    return records, body.get("allOrNone", False)


def _type_of(record: dict[str, Any]) -> str:
    attributes = record.get("attributes")
    named = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(named, str) or not named:
        raise ApiError("INVALID_INPUT", "Each record must carry attributes with a type")
    return named


def _canonical_name(call: Call, named: str) -> str:
    return next((name for name in call.org.objects if name.lower() == named.lower()), named)


def _id_of(record: dict[str, Any]) -> str | None:
    found = next((value for name, value in record.items() if name.lower() == "id"), None)
    return None if found is None else str(found)


def _key_value(record: dict[str, Any], key: Field) -> Any:
    return next((value for name, value in record.items() if name.lower() == key.name.lower()), None)
