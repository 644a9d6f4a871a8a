"""SOQL's WHERE, made ready for one org: checked against the schema, then asked record by record."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.ids import canonical
from sandbox.salesforce.records import Record
from sandbox.salesforce.schema import NUMBERS, Field, SObject
from sandbox.salesforce.soql import Comparison, Condition, Value
from sandbox.salesforce.values import parse_moment

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org

Test = Callable[[Record], bool]
Path = tuple[str, ...]
MOST_RELATIONS = 5
_KINDS = {"boolean": ("boolean",), "date": ("day", "days"), "datetime": ("moment", "days")}


class Reader:
    """Finds fields by path, and what records have there."""

    def __init__(self, org: Org, definition: SObject) -> None:
        self.org = org
        self.definition = definition

    def chain(self, path: Path) -> tuple[list[Field], Field]:
        """The references to follow, and the field at the end; raises ApiError (INVALID_FIELD)."""
        if len(path) - 1 > MOST_RELATIONS:
            raise self._unknown(path[-1], self.definition)
        definition, references = self.definition, []
        for name in path[:-1]:
            reference = definition.find_relationship(name)
            if reference is None:
                raise ApiError(
                    "INVALID_FIELD",
                    f"Didn't understand relationship '{name}' in field path. If you are attempting to use a custom "
                    "relationship, be sure to append the '__r' after the custom relationship name.",
                )
            references.append(reference)
            definition = self.org.objects[reference.refers_to[0]]
        found = definition.find(path[-1])
        if found is None:
            raise self._unknown(path[-1], definition)
        return references, found

    def value(self, record: Record, references: list[Field], field: Field) -> Any:
        for reference in references:
            target = self.org.find(record.values.get(reference.name) or "")
            if target is None or target.is_deleted:
                return None
            record = target
        return record.get(field.name)

    def _unknown(self, name: str, definition: SObject) -> ApiError:
        return ApiError(
            "INVALID_FIELD",
            f"\nSELECT {name} FROM {definition.name}\n^\nERROR at Row:1:Column:1\nNo such column '{name}' on entity "
            f"'{definition.name}'. If you are attempting to use a custom field, be sure to append the '__c' after the "
            "custom field name. Please reference your WSDL or the describe call for the appropriate names.",
        )


def test_of(reader: Reader, condition: Condition) -> Test:
    """What says of a record whether it meets the condition; raises ApiError."""
    if isinstance(condition, Comparison):
        return _comparison(reader, condition)
    parts = [test_of(reader, part) for part in condition.parts]
    match condition.kind:
        case "AND":
            return lambda record: all(part(record) for part in parts)
        case "OR":
            return lambda record: any(part(record) for part in parts)
        case "NOT":
            return lambda record: not parts[0](record)


def candidates(reader: Reader, condition: Condition) -> list[Record] | None:
    """Records among which all that meet the condition are, where an index tells; None where none does."""
    if isinstance(condition, Comparison):
        return _indexed(reader, condition)
    if condition.kind == "NOT":
        return None
    found = [candidates(reader, part) for part in condition.parts]
    known = [each for each in found if each is not None]
    if condition.kind == "AND":
        return min(known, key=len, default=None)
    if len(known) < len(found):
        return None
    return list({record.id: record for each in known for record in each}.values())


def _indexed(reader: Reader, comparison: Comparison) -> list[Record] | None:
    if comparison.operator not in ("=", "IN") or len(comparison.path) > 1:
        return None
    field = reader.definition.find(comparison.path[0])
    table = reader.org.tables[reader.definition.name]
    if field is None or not (field.name == "Id" or table.is_indexed(field.name)):
        return None
    if any(each.kind != "text" or not each.value for each in comparison.values):
        return None
    is_id = field.type in ("id", "reference")
    wanted = {(canonical(each.value) or "") if is_id else each.value for each in comparison.values}
    return list({record.id: record for value in wanted for record in table.where(field.name, value)}.values())


def _comparison(reader: Reader, comparison: Comparison) -> Test:
    references, field = reader.chain(comparison.path)
    if not field.filterable:
        raise ApiError("INVALID_FIELD", f"field '{field.name}' can not be filtered in a query call")
    operator = comparison.operator
    if operator == "LIKE":
        return _like(reader, references, field, comparison.values[0])
    wanted = [_operand(reader.org, field, each) for each in comparison.values]

    is_day = field.type == "datetime" and comparison.values[0].kind == "days"

    def value_of(record: Record) -> Any:
        value = _comparable(reader.value(record, references, field))
        # A day such as TODAY compares with the day that a moment lies in.
        return value[:10] if is_day and value is not None else value

    if operator in ("=", "IN"):
        accepted = set(wanted)
        return lambda record: value_of(record) in accepted
    if operator in ("!=", "NOT IN"):
        refused = set(wanted)
        return lambda record: value_of(record) not in refused
    if field.type in ("boolean", "id", "reference"):
        raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"invalid operator on {field.type} field")
    bound = wanted[0]
    order: dict[str, Callable[[Any], bool]] = {
        "<": lambda value: value < bound,
        "<=": lambda value: value <= bound,
        ">": lambda value: value > bound,
        ">=": lambda value: value >= bound,
    }
    is_met = order[operator]

    def ordered(record: Record) -> bool:
        value = value_of(record)
        return value is not None and bound is not None and is_met(value)

    return ordered


def _like(reader: Reader, references: list[Field], field: Field, pattern: Value) -> Test:
    if field.type in (*NUMBERS, "boolean", "date", "datetime", "id", "reference") or pattern.kind != "text":
        raise ApiError("INVALID_QUERY_FILTER_OPERATOR", "invalid operator: LIKE works on text fields and quoted texts")
    parts = re.split(r"(\\[%_]|[%_])", pattern.value)
    wild = {"%": ".*", "_": "."}
    expression = "".join(wild.get(part) or re.escape(part[1:] if part in ("\\%", "\\_") else part) for part in parts)
    compiled = re.compile(expression, re.DOTALL | re.IGNORECASE)

    def test(record: Record) -> bool:
        value = reader.value(record, references, field)
        return value is not None and compiled.fullmatch(value) is not None

    return test


def _operand(org: Org, field: Field, literal: Value) -> Any:
    """A literal as values of the field compare; raises ApiError for one of another type."""
    if literal.kind == "null":
        return None
    expected = _KINDS.get(field.type) or (("number",) if field.type in NUMBERS else ("text",))
    if literal.kind not in expected:
        quoted = " and should be enclosed in quotes" if expected == ("text",) else ""
        unquoted = " and should not be enclosed in quotes" if literal.kind == "text" else ""
        raise ApiError(
            "INVALID_FIELD",
            f"value of filter criterion for field '{field.name}' must be of type {field.type}{quoted}{unquoted}",
        )
    if field.type in ("id", "reference"):
        if not literal.value:
            return None
        found = canonical(literal.value)
        if found is None:
            raise ApiError("INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {literal.value}")
        return found.lower()
    match literal.kind:
        case "days":
            return (datetime.fromtimestamp(org.clock(), UTC).date() + timedelta(days=literal.value)).isoformat()
        case "moment":
            written = parse_moment(literal.value)
            if written is None:
                raise ApiError("MALFORMED_QUERY", f"invalid datetime: {literal.value}")
            return written.lower()
        case _:
            return _comparable(literal.value) or None if literal.kind == "text" else literal.value


def _comparable(value: Any) -> Any:
    """Texts compare in any case."""
    return value.lower() if isinstance(value, str) else value
