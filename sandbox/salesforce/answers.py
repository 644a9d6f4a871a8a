"""Records as the API answers them."""

from __future__ import annotations

from typing import Any

from sandbox.salesforce.errors import ApiError, unknown_field
from sandbox.salesforce.gate import Call
from sandbox.salesforce.records import Record
from sandbox.salesforce.schema import Field, SObject


def document(call: Call, record: Record, fields: list[Field]) -> dict[str, Any]:
    """A record with these fields, null where nothing is set."""
    attributes = {"type": record.sobject, "url": call.url_of(record.sobject, record.id)}
    return {"attributes": attributes, **{each.name: record.get(each.name) for each in fields}}


def named_fields(definition: SObject, names: list[str]) -> list[Field]:
    """Fields by name; raises ApiError for one that is not there."""
    return [find_field(definition, name.strip()) for name in names]


def find_field(definition: SObject, name: str) -> Field:
    found = definition.find(name)
    if found is None:
        raise unknown_field(name, definition.name)
    return found


def members(body: dict[str, Any], known: dict[str, type], *required: str) -> dict[str, Any]:
    """The body if it has only known members of the right types; raises ApiError."""
    for name, value in body.items():
        if name not in known:
            raise ApiError("JSON_PARSER_ERROR", f"Unrecognized field '{name}' at [line:1, column:2]")
        if not isinstance(value, known[name]):
            raise ApiError("JSON_PARSER_ERROR", f"Cannot deserialize instance of {known[name].__name__} for '{name}'")
    for name in required:
        if name not in body:
            raise ApiError("JSON_PARSER_ERROR", f"Missing required member '{name}'")
    return body
