"""One property value: accepted and written as HubSpot keeps it, or refused with HubSpot's code."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime

from sandbox.hubspot.errors import InvalidValueError
from sandbox.hubspot.schema import MAX_TEXT, Property
from sandbox.hubspot.wire import iso

_EMAIL = re.compile(r"[^\s@<>(),;:\"\[\]\\]+@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_]{2,}", re.UNICODE)
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_ISO_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)")
_MILLISECONDS = re.compile(r"-?\d{1,15}")
_DAY = 86_400_000


def normalise(definition: Property, value: str, options: Collection[str]) -> str:
    """The value as HubSpot stores it; raises InvalidValueError.

    `options` are the allowed values of an enumeration, which for pipelines, stages and owners live in the portal.
    """
    name = definition.name
    if len(value) > MAX_TEXT:
        raise InvalidValueError(name, "PROPERTY_TOO_LONG", f"{name} is longer than the {MAX_TEXT} characters allowed")
    match definition.type:
        case "enumeration":
            return _option(definition, value, options)
        case "number":
            if not _NUMBER.fullmatch(value):
                raise InvalidValueError(name, "INVALID_NUMBER", f"{value} was not a valid number.")
            return value
        case "bool":
            if value.lower() not in ("true", "false"):
                raise InvalidValueError(
                    name, "INVALID_OPTION", f"{value} was not one of the allowed options: [true, false]"
                )
            return value.lower()
        case "datetime":
            return iso(_moment(name, value))
        case "date":
            return _date(name, value)
        case _:
            return _text(name, value)


def _option(definition: Property, value: str, options: Collection[str]) -> str:
    given = value.split(";") if definition.field_type == "checkbox" else [value]
    for each in given:
        if each not in options:
            raise InvalidValueError(
                definition.name,
                "INVALID_OPTION",
                f"{each} was not one of the allowed options: [{', '.join(options)}]",
            )
    return value


def _text(name: str, value: str) -> str:
    if name == "email":
        if not _EMAIL.fullmatch(value):
            raise InvalidValueError(name, "INVALID_EMAIL", f"Email address {value} is invalid")
        return value.lower()
    return value.lower() if name == "domain" else value


def _moment(name: str, value: str) -> float:
    if _MILLISECONDS.fullmatch(value):
        return int(value) / 1000
    problem = InvalidValueError(name, "INVALID_LONG", f"{value} was not a valid long.")
    if not _ISO_MOMENT.fullmatch(value):
        raise problem
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        raise problem from None


def _date(name: str, value: str) -> str:
    if _MILLISECONDS.fullmatch(value):
        if int(value) % _DAY:
            raise InvalidValueError(name, "INVALID_DATE", f"{value} is not midnight UTC")
        return datetime.fromtimestamp(int(value) / 1000, UTC).date().isoformat()
    try:
        return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        raise InvalidValueError(name, "INVALID_DATE", f"{value} was not a valid date.") from None
