"""One record at a time: by id, and by an external id."""

from __future__ import annotations

from typing import Any

from sandbox.salesforce import writes
from sandbox.salesforce.answers import document, named_fields
from sandbox.salesforce.errors import ApiError, missing_record, not_found
from sandbox.salesforce.gate import Answer, Call
from sandbox.salesforce.ids import canonical
from sandbox.salesforce.records import Record
from sandbox.salesforce.relations import live_matches
from sandbox.salesforce.schema import Field


def create(call: Call) -> Answer:
    """POST sobjects/X."""
    body, sobject = call.body(), call.sobject()
    record = writes.insert(call.writer(), sobject.name, body)
    return 201, {"id": record.id, "success": True, "errors": []}


def read(call: Call) -> Answer:
    """GET sobjects/X/id: all fields, or those that `fields` names."""
    record = call.org.tables[call.sobject().name].get(canonical(call.params["record_id"]) or "")
    if record is None or record.is_deleted:
        raise not_found()
    return 200, _read(call, record)


def update(call: Call) -> Answer:
    """PATCH sobjects/X/id."""
    body, sobject = call.body(), call.sobject()
    _refuse_named(body, "Id")
    writes.update(call.writer(), sobject.name, call.params["record_id"], body, status=404)
    return 204, None


def delete(call: Call) -> Answer:
    """DELETE sobjects/X/id."""
    writes.delete(call.writer(), call.params["record_id"], call.sobject().name, status=404)
    return 204, None


def read_by_key(call: Call) -> Answer:
    """GET sobjects/X/field/value."""
    _, found = _named(call)
    if not found:
        raise not_found()
    if len(found) > 1:
        return 300, [call.url_of(each.sobject, each.id) for each in found]
    return 200, _read(call, found[0])


def upsert(call: Call) -> Answer:
    """PATCH sobjects/X/field/value: 201 for a new record, 200 for a changed one, 300 when several match."""
    body = call.body()
    key, found = _named(call)
    _refuse_named(body, "Id")
    _refuse_named(body, key.name)
    if len(found) > 1:
        return 300, [call.url_of(each.sobject, each.id) for each in found]
    sobject = call.sobject().name
    if found:
        writes.update(call.writer(), sobject, found[0].id, body)
        return 200, {"id": found[0].id, "success": True, "errors": [], "created": False}
    if call.query.get("updateOnly", "").lower() == "true":
        raise missing_record(call.params["value"])
    record = writes.insert(call.writer(), sobject, {**body, key.name: call.params["value"]})
    return 201, {"id": record.id, "success": True, "errors": [], "created": True}


def delete_by_key(call: Call) -> Answer:
    """DELETE sobjects/X/field/value."""
    _, found = _named(call)
    if not found:
        raise missing_record(call.params["value"])
    if len(found) > 1:
        return 300, [call.url_of(each.sobject, each.id) for each in found]
    writes.delete(call.writer(), found[0].id, status=404)
    return 204, None


def _read(call: Call, record: Record) -> dict[str, Any]:
    definition = call.sobject()
    asked = call.query.get("fields")
    fields = named_fields(definition, asked.split(",")) if asked else list(definition.fields.values())
    answer = document(call, record, fields)
    return answer if "Id" in answer or not asked else {**answer, "Id": record.id}


def _named(call: Call) -> tuple[Field, list[Record]]:
    """The key field of the path, and the live records that it names; raises ApiError (404)."""
    definition = call.sobject()
    key = definition.find(call.params["key"])
    if key is None or not key.is_key:
        raise missing_record(call.params["key"])
    return key, live_matches(call.org, definition.name, key, call.params["value"])


def _refuse_named(body: dict[str, Any], name: str) -> None:
    if any(each.lower() == name.lower() for each in body):
        raise ApiError("INVALID_FIELD", f"The {name} field should not be specified in the sobject data.")
