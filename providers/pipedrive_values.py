"""Texts of documents as the JSON that Pipedrive's fields want, and what Pipedrive holds as text again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from providers.answers import entries_of
from providers.codes import OwnCode
from providers.errors import Rejected
from providers.models import Field
from providers.pipedrive_errors import NAME

CUSTOM = re.compile(r"[0-9a-f]{40}")
LISTS = {"email": "emails", "phone": "phones"}
"""What a mapping calls a person's addresses, and the API's list of them."""
INTEGERS = frozenset(
    {"owner_id", "org_id", "person_id", "pipeline_id", "stage_id", "visible_to", "industry", "employee_count"}
)
NUMBERS = frozenset({"value", "probability", "annual_revenue"})
DATES = frozenset({"expected_close_date", "birthday"})
UNSETTABLE = frozenset({"daterange", "timerange"})
AMOUNT = re.compile(r"(?P<value>\S+)(?:\s+(?P<currency>[A-Za-z]{3}))?")

Record = Mapping[str, Any]
"""A record as the API answers it."""


@dataclass(frozen=True)
class Definition:
    """A field of the account: `type` is Pipedrive's own; options are (id, label)."""

    code: str
    label: str
    type: str
    is_custom: bool
    options: tuple[tuple[str, str], ...] = ()


def id_number(text: str, field: str) -> int:
    """An id as the number that Pipedrive wants; raises `Rejected` for what cannot be one."""
    if not re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII):
        raise _refusal(field, f"{text!r} is not an id of Pipedrive's; it wants a number")
    return int(text)


def json_of(name: str, text: str, definition: Definition | None) -> Any:
    """The value of a field other than `LISTS`; raises `Rejected`, naming the field, for a text that cannot be one."""
    text = text.strip()
    if definition is not None and definition.is_custom:
        return _custom(definition, text)
    if name in INTEGERS:
        return id_number(text, name)
    if name in NUMBERS:
        return _number(name, text)
    if name in DATES:
        return text[:10]
    if name == "label_ids":
        return [id_number(part, name) for part in text.split(",") if part.strip()]
    return {"value": text} if name == "address" else text


def held_text(record: Record, name: str) -> str | None:
    """What a record holds in a field, as a document would say it."""
    if name in LISTS:
        entries = addresses(record, name)
        first = next((each for each in entries if each.get("primary")), entries[0] if entries else None)
        return None if first is None else canonical(first.get("value"))
    if CUSTOM.fullmatch(name):
        return canonical(custom_of(record).get(name))
    return canonical(record.get(name))


def canonical(value: Any) -> str | None:
    """A value of the API as text; None for nothing. The order of a set's options says nothing."""
    match value:
        case None | "" | []:
            return None
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return ",".join(sorted(filter(None, (canonical(each) for each in value))))
        case dict():
            return canonical(value.get("value", value.get("id")))
        case _:
            return str(value)


def addresses(record: Record, name: str) -> list[dict[str, Any]]:
    """A person's e-mail addresses or phone numbers, as they may be sent back."""
    entries = [each if isinstance(each, dict) else {"value": each} for each in entries_of(record.get(LISTS[name]))]
    return [
        {part: each[part] for part in ("value", "primary", "label") if each.get(part) is not None}
        for each in entries
        if each.get("value")
    ]


def folded(name: str, text: str) -> str:
    """What two spellings of the same address or phone number share."""
    return re.sub(r"[^\d+]", "", text) or text if name == "phone" else text.strip().casefold()


def holds_address(record: Record, name: str, text: str) -> bool:
    return any(folded(name, str(each["value"])) == folded(name, text) for each in addresses(record, name))


def with_address(record: Record, name: str, text: str) -> list[dict[str, Any]]:
    """A person's addresses and ours: a list is replaced as a whole, and none of theirs may be lost by that."""
    held = addresses(record, name)
    return [*held, {"value": text, "primary": not held, "label": "work"}]


def custom_of(record: Record) -> Mapping[str, Any]:
    held = record.get("custom_fields")
    return held if isinstance(held, Mapping) else {}


def comparable(field: Field, definition: Definition | None, name: str) -> tuple[Any, Field]:
    """The field's value for the API, and the field in the terms of `held_text`; raises `Rejected`."""
    value = json_of(name, field.value, definition)

    def same(text: str) -> str:
        try:
            return canonical(json_of(name, text, definition)) or text
        except Rejected:
            return text

    ranks = tuple(tuple(same(text) for text in rank) for rank in field.ranks)
    return value, field._replace(value=canonical(value) or field.value, ranks=ranks)


def _custom(definition: Definition, text: str) -> Any:
    name, kind = definition.code, definition.type
    value: Any = text
    if kind in UNSETTABLE:
        raise _refusal(name, f"{definition.label} is a {kind}, which no single value can be written to")
    if kind in ("double", "int"):
        value = _number(name, text)
    elif kind == "monetary":
        found = AMOUNT.fullmatch(text)
        value = {"value": _number(name, found["value"] if found else text)}
        if found and found["currency"]:
            value["currency"] = found["currency"].upper()
    elif kind == "enum":
        value = _option(definition, text)
    elif kind == "set":
        value = [_option(definition, part) for part in text.split(",") if part.strip()]
    elif kind in ("user", "org", "people"):
        value = id_number(text, name)
    elif kind == "date":
        value = text[:10]
    elif kind == "address":
        value = {"value": text}
    elif kind == "boolean":
        value = text.lower() in ("true", "1", "yes")
    return value


def _option(definition: Definition, text: str) -> int:
    wanted = text.strip()
    for option, label in definition.options:
        if wanted == option or wanted.casefold() == label.casefold():
            return id_number(option, definition.code)
    listed = ", ".join(f"{option} ({label})" for option, label in definition.options) or "none"
    raise _refusal(definition.code, f"{definition.label} has no option {wanted!r}; it has {listed}")


def _number(name: str, text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _refusal(name, f"{text!r} is not a number", code=OwnCode.INVALID_VALUE)
    return int(number) if number.is_integer() else number


def _refusal(field: str, words: str, code: str = "INVALID_OPTION") -> Rejected:
    return Rejected(words, provider=NAME, code=code, field=field)


def invalid_option(field: str, text: str, allowed: Sequence[tuple[str, str]]) -> Rejected:
    """A value that is none of the allowed (id, label)."""
    listed = ", ".join(f"{option} ({label})" for option, label in allowed) or "none"
    return _refusal(field, f"Pipedrive has no {field} {text!r}; it has {listed}")
