"""The types of custom fields, and the values each of them takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.pipedrive.errors import InvalidValueError, MissingReferenceError
from sandbox.pipedrive.values import Check, address, clock_time, currency, date_only, integer, number, reference, user

if TYPE_CHECKING:
    from sandbox.pipedrive.company import Company
    from sandbox.pipedrive.fields import Field

SEARCHABLE = ("address", "varchar", "text", "varchar_auto", "double", "monetary", "phone")
"""Types whose values a search finds."""


def _text(longest: int, said: str) -> Check:
    def check(_company: Company, name: str, value: object) -> str:
        if not isinstance(value, str):
            raise InvalidValueError(name, f"Expected 'string' as value for {said} custom field")
        if len(value) > longest:
            raise InvalidValueError(name, f"the value of a {said} custom field has at most {longest} characters")
        return value

    return check


def _part(check: Check, *members: str) -> Check:
    """An object of these members, of which the first is needed."""

    def parts(company: Company, name: str, value: object) -> dict[str, Any]:
        if not isinstance(value, Mapping) or members[0] not in value or set(value) - set(members):
            raise InvalidValueError(name, f"Expected an object of {', '.join(members)}")
        return {
            each: None if value.get(each) is None else check(company, f"{name}.{each}", value[each]) for each in members
        }

    return parts


def _money(company: Company, name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping) or set(value) != {"value", "currency"}:
        raise InvalidValueError(name, "Expected an object of value, currency")
    return {
        "value": number(company, f"{name}.value", value["value"]),
        "currency": currency(company, f"{name}.currency", value["currency"]),
    }


_CHECKS: dict[str, Check] = {
    "varchar": _text(255, "text"),
    "varchar_auto": _text(255, "autocomplete"),
    "phone": _text(255, "phone"),
    "text": _text(65_000, "large text"),
    "double": number,
    "monetary": _money,
    "date": date_only,
    "daterange": _part(date_only, "value", "until"),
    "time": _part(clock_time, "value"),
    "timerange": _part(clock_time, "value", "until"),
    "user": user,
    "org": reference("organizations"),
    "people": reference("persons"),
    "address": address,
}
FIELD_TYPES = frozenset(_CHECKS) | {"enum", "set"}


def check_value(company: Company, field: Field, value: object) -> Any:
    """The value as it is stored (null clears); raises InvalidValueError."""
    name = f"custom_fields.{field.code}"
    if value is None:
        return None
    known = [option.id for option in field.options]
    if field.type == "enum":
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValueError(name, "Expected 'number' as value for single option custom field")
        return _known_option(name, value, known)
    if field.type == "set":
        if not isinstance(value, list):
            raise InvalidValueError(name, "Expected 'array' as value for multiple option custom field")
        return [_known_option(name, integer(name, each), known) for each in value]
    try:
        return _CHECKS[field.type](company, name, value)
    except MissingReferenceError as error:
        # Only the record's own links are treated as references.
        raise InvalidValueError(error.name, error.message) from None


def _known_option(name: str, value: int, known: list[int]) -> int:
    if value not in known:
        raise InvalidValueError(name, f"{value} is not an option of the field; it has {', '.join(map(str, known))}")
    return value


def texts_of(field: Field, value: Any) -> list[str]:
    """What a search finds of a value."""
    if value is None or field.type not in SEARCHABLE:
        return []
    if isinstance(value, Mapping):
        value = value["value"]
    return [str(value)]
