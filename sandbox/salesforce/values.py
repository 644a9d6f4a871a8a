"""One field's value: as the JSON binding takes it, and as the database accepts it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from sandbox.salesforce.errors import ApiError, ParseError
from sandbox.salesforce.ids import canonical
from sandbox.salesforce.schema import NUMBERS, Field

_EMAIL = re.compile(
    r"[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_](?:[\w-]*[^\W_])"
)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)(Z|[+-]\d\d:?\d\d)")
_TOKENS: Mapping[type, str] = {
    bool: "VALUE_BOOLEAN",
    int: "VALUE_NUMBER_INT",
    float: "VALUE_NUMBER_FLOAT",
    str: "VALUE_STRING",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}
_LARGEST = 10**18


def moment(seconds: float) -> str:
    """A Unix time as Salesforce writes it: UTC, milliseconds, `+0000`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def parse_moment(given: str) -> str | None:
    """A time in any offset, as Salesforce writes it; None for what is none."""
    found = _MOMENT.fullmatch(given)
    if not found:
        return None
    try:
        return moment(datetime.fromisoformat(given).timestamp())
    except ValueError:
        return None


def parse_day(given: str) -> str | None:
    """`YYYY-MM-DD` if it is a day of the calendar; a moment counts as its day."""
    day = given[:10] if _MOMENT.fullmatch(given) else given
    if not _DAY.fullmatch(day):
        return None
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        return None


def bind(field: Field, given: Any) -> Any:
    """The JSON value as a value of the field's type, texts trimmed and empty ones None; raises ParseError."""
    if given is None or given == "":
        return None
    if field.type == "boolean":
        return _boolean(given)
    if field.type in NUMBERS:
        return _number(field, given)
    if not isinstance(given, str):
        raise _unreadable("string" if field.type not in ("date", "datetime") else field.type, given)
    if field.type == "date":
        day = parse_day(given)
        if day is None:
            raise _unreadable("date", given)
        return day
    if field.type == "datetime":
        written = parse_moment(given)
        if written is None:
            raise _unreadable("datetime", given)
        return written
    return given.strip() or None


def check(field: Field, value: Any, *, is_international: bool = True) -> Any:
    """A bound value as the database keeps it; raises ApiError for a value it refuses.

    `is_international` says whether the org takes addresses whose name has letters beyond ASCII.
    """
    if value is None:
        return None
    if isinstance(value, str) and field.length and len(value) > field.length and field.type != "reference":
        raise ApiError(
            "STRING_TOO_LONG",
            f"{field.label or field.name}: data value too large: {value} (max length={field.length})",
            [field.name],
        )
    match field.type:
        case "email":
            is_local_plain = value.partition("@")[0].isascii()
            if not _EMAIL.fullmatch(value) or not (is_international or is_local_plain):
                raise ApiError(
                    "INVALID_EMAIL_ADDRESS",
                    f"{field.label or field.name}: invalid email address: {value}",
                    [field.name],
                )
            return value.lower()
        case "picklist":
            return _option(field, value)
        case "reference":
            found = canonical(value)
            if found is None:
                raise ApiError(
                    "MALFORMED_ID", f"{field.label or field.name}: id value of incorrect type: {value}", [field.name]
                )
            return found
        case _:
            return value


def _option(field: Field, value: str) -> str:
    """A listed value in the list's own case; an unrestricted list takes others too."""
    for option in field.options:
        if option.value.lower() == value.lower() and (option.active or not field.restricted):
            return option.value
    if field.restricted:
        raise ApiError(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            f"{field.label or field.name}: bad value for restricted picklist field: {value}",
            [field.name],
        )
    return value


def _boolean(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    if isinstance(given, str) and given.lower() in ("true", "false"):
        return given.lower() == "true"
    raise _unreadable("boolean", given)


def _number(field: Field, given: Any) -> float | int:
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    if not is_number and not (isinstance(given, str) and _NUMBER.fullmatch(given.strip())):
        raise _unreadable("int" if field.type == "int" else "double", given)
    number = float(given)
    if abs(number) >= _LARGEST:
        raise ApiError(
            "NUMBER_OUTSIDE_VALID_RANGE",
            f"{field.label or field.name}: value outside of valid range on numeric field: {given}",
            [field.name],
        )
    if field.type == "int":
        if number != int(number):
            raise _unreadable("int", given)
        return int(number)
    return number


def _unreadable(kind: str, given: Any) -> ParseError:
    token = _TOKENS.get(type(given), "VALUE_NULL")
    return ParseError(
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {kind} from {token} value {given} or request may be missing a required field",
    )
