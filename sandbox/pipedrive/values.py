"""What a member of a record may hold; every check answers the value as it is stored, or raises InvalidValueError."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sandbox.pipedrive.errors import InvalidValueError, MissingReferenceError, not_allowed
from sandbox.pipedrive.wire import day, iso, unix

if TYPE_CHECKING:
    from sandbox.pipedrive.company import Company

Check = Callable[["Company", str, Any], Any]

_V1_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_DURATION = re.compile(r"\d{1,3}:[0-5]\d(:[0-5]\d)?")
ADDRESS = (
    "value",
    "country",
    "admin_area_level_1",
    "admin_area_level_2",
    "locality",
    "sublocality",
    "route",
    "street_number",
    "subpremise",
    "postal_code",
)
CURRENCIES = {"USD", "EUR", "GBP", "CHF", "SEK", "NOK", "DKK", "PLN", "CAD", "AUD", "BRL", "INR", "JPY"}
"""A part of the real list, and the whole of this one's."""


def _wrong(name: str, expected: str, value: object) -> InvalidValueError:
    return InvalidValueError(name, f"Expected '{expected}', got {type(value).__name__}")


def integer(name: str, value: object) -> int:
    """A JSON integer; texts and floats are not coerced."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "integer", value)
    return value


def number(_company: Company, name: str, value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(name, "number", value)
    return value


def boolean(_company: Company, name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "boolean", value)
    return value


def text(longest: int, *, shortest: int = 0) -> Check:
    """Text of so many characters."""

    def check(_company: Company, name: str, value: object) -> str:
        if not isinstance(value, str):
            raise _wrong(name, "string", value)
        if len(value.strip()) < shortest:
            raise InvalidValueError(name, "the value must not be empty")
        if len(value) > longest:
            raise InvalidValueError(name, f"the value must be at most {longest} characters long")
        return value

    return check


def one_of(allowed: Collection[Any]) -> Check:
    """One of a few values, of the very same type."""

    def check(_company: Company, name: str, value: object) -> Any:
        if isinstance(value, bool) or value not in allowed:
            raise InvalidValueError(name, f"the value must be one of {', '.join(map(str, sorted(allowed)))}")
        return value

    return check


def reference(kind: str) -> Check:
    """The id of a record that exists."""

    def check(company: Company, name: str, value: object) -> int:
        if company.stores[kind].get(integer(name, value)) is None:
            raise MissingReferenceError(name, f"{kind[:-1]} {value} not found")
        return integer(name, value)

    return check


def user(company: Company, name: str, value: object) -> int:
    if integer(name, value) not in company.users:
        raise MissingReferenceError(name, f"user {value} not found")
    return integer(name, value)


def labels(kind: str) -> Check:
    """Ids of the kind's labels."""

    def check(company: Company, name: str, value: object) -> list[int]:
        known = {option.id for option in company.fields[kind].get("label_ids").options}
        if not isinstance(value, list):
            raise _wrong(name, "array", value)
        if unknown := [each for each in value if integer(name, each) not in known]:
            raise InvalidValueError(name, f"there is no label {', '.join(map(str, unknown))}")
        return list(value)

    return check


def channels(_company: Company, name: str, value: object) -> list[dict[str, Any]]:
    """E-mail addresses or phone numbers; the first is primary when none is said to be."""
    if not isinstance(value, list):
        raise _wrong(name, "array", value)
    found: list[dict[str, Any]] = []
    for place, each in enumerate(value):
        where = f"{name}[{place}]"
        if not isinstance(each, dict):
            raise _wrong(where, "object", each)
        if unknown := [member for member in each if member not in ("value", "primary", "label")]:
            raise not_allowed(f"{where}.{unknown[0]}")
        address = each.get("value")
        if not isinstance(address, str) or not address.strip():
            raise InvalidValueError(f"{where}.value", "the value is required and must be a non-empty string")
        primary, label = each.get("primary", False), each.get("label", "work")
        if not isinstance(primary, bool):
            raise _wrong(f"{where}.primary", "boolean", primary)
        if not isinstance(label, str):
            raise _wrong(f"{where}.label", "string", label)
        found.append({"label": label, "value": address.strip(), "primary": primary})
    if sum(each["primary"] for each in found) > 1:
        raise InvalidValueError(name, "at most one value can be primary")
    if found and not any(each["primary"] for each in found):
        found[0]["primary"] = True
    return found


def participants(company: Company, name: str, value: object) -> list[dict[str, Any]]:
    """Persons that take part in an activity; the first is primary when none is said to be."""
    if not isinstance(value, list):
        raise _wrong(name, "array", value)
    found = []
    for place, each in enumerate(value):
        where = f"{name}[{place}]"
        if not isinstance(each, dict):
            raise _wrong(where, "object", each)
        if unknown := [member for member in each if member not in ("person_id", "primary")]:
            raise not_allowed(f"{where}.{unknown[0]}")
        person = reference("persons")(company, f"{where}.person_id", each.get("person_id"))
        found.append({"person_id": person, "primary": boolean(company, f"{where}.primary", each.get("primary", False))})
    if sum(each["primary"] for each in found) > 1:
        raise InvalidValueError(name, "at most one participant can be primary")
    if found and not any(each["primary"] for each in found):
        found[0]["primary"] = True
    return found


def attendees(_company: Company, name: str, value: object) -> list[dict[str, Any]]:
    known = {"email", "name", "status", "is_organizer", "person_id", "user_id"}
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _wrong(name, "array of objects", value)
    for each in value:
        if unknown := [member for member in each if member not in known]:
            raise not_allowed(f"{name}.{unknown[0]}")
    return list(value)


def address(_company: Company, name: str, value: object) -> dict[str, str | None]:
    """A postal address: an object of texts, of which only `value` is needed."""
    if not isinstance(value, dict):
        raise _wrong(name, "object", value)
    if unknown := [member for member in value if member not in ADDRESS]:
        raise not_allowed(f"{name}.{unknown[0]}")
    if not isinstance(value.get("value"), str):
        raise _wrong(f"{name}.value", "string", value.get("value"))
    for member, part in value.items():
        if part is not None and not isinstance(part, str):
            raise _wrong(f"{name}.{member}", "string", part)
    return {member: value.get(member) for member in ADDRESS}


def date_only(_company: Company, name: str, value: object) -> str:
    return day(name, value)


def moment(_company: Company, name: str, value: object) -> str:
    """A time as v2 takes it, RFC 3339."""
    return iso(unix(name, value))


def v1_moment(_company: Company, name: str, value: object) -> float:
    """A time as v1 takes it, `YYYY-MM-DD HH:MM:SS` in UTC, as Unix time."""
    if not isinstance(value, str) or not _V1_TIME.fullmatch(value):
        raise InvalidValueError(name, f"{value!r} is not a valid datetime: use YYYY-MM-DD HH:MM:SS")
    return unix(name, f"{value.replace(' ', 'T')}Z")


def clock_time(_company: Company, name: str, value: object) -> str:
    """A time of day `HH:MM` or `HH:MM:SS`."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise InvalidValueError(name, f"{value!r} is not a valid time: use HH:MM")
    return value


def duration(_company: Company, name: str, value: object) -> str:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise InvalidValueError(name, f"{value!r} is not a valid duration: use HH:MM")
    return value


def currency(_company: Company, name: str, value: object) -> str:
    if value not in CURRENCIES:
        raise InvalidValueError(name, f"{value!r} is not a currency of the company")
    return str(value)
