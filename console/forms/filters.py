"""The form of a connection's sync_filters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from console.forms.inputs import Inputs, number_or_text, rows_of, without

NAMES = ("field", "op", "value")
GROUPS = {"all": "All of these must be true", "any": "And at least one of these"}
FACTS = {
    "intent": "Intent",
    "sentiment": "Sentiment",
    "priority": "Priority",
    "confidence": "Confidence",
    "requires_human_attention": "Needs a person",
    "next_action": "Next action",
    "email_domain": "E-mail domain",
}
OPERATORS = {
    "=": "is",
    "<>": "is not",
    "in": "is one of",
    "not in": "is none of",
    ">=": "is at least",
    "<=": "is at most",
    "is blank": "is blank",
    "is not blank": "is not blank",
}
LISTS = ("in", "not in")
WITHOUT_VALUE = ("is blank", "is not blank")

Row = dict[str, str]


def rows_for(filters: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The inputs that show these filters."""
    return {
        group: [_row(each) for each in conditions if isinstance(each, dict)]
        for group in GROUPS
        if isinstance(conditions := filters.get(group, []), list)
    }


def rows_from(given: Inputs) -> dict[str, list[Row]]:
    """The rows that somebody has put in, after what they asked to be done with them."""
    rows = {group: rows_of(given, group, NAMES) for group in GROUPS}
    group, _, number = given.get("do.remove", "").partition(".")
    if group in rows:
        rows[group] = without(rows[group], number)
    return rows


def add_row(rows: dict[str, list[Row]], given: Inputs) -> tuple[str, int] | None:
    """Add a blank row; says which one it is."""
    group = given.get("do.add", "")
    if group not in rows:
        return None
    rows[group].append({"field": "", "op": "=", "value": ""})
    return group, len(rows[group]) - 1


def filters_from(rows: Mapping[str, list[Row]]) -> dict[str, Any]:
    """What the rows ask for; a group without conditions is left out."""
    groups = {
        group: [_condition(row) for row in rows[group] if row["field"].strip() or row["value"].strip()]
        for group in rows
    }
    return {group: conditions for group, conditions in groups.items() if conditions}


def fields_for(columns: list[str]) -> list[tuple[str, str]]:
    """What can be filtered by, with what people call it."""
    return [*FACTS.items(), *((f"contact.{name}", f"Contact: {name.replace('_', ' ')}") for name in columns)]


def _condition(row: Row) -> dict[str, Any]:
    field, op, text = row["field"].strip(), row["op"].strip(), row["value"].strip()
    if op in WITHOUT_VALUE:
        return {"field": field, "op": op}
    return {"field": field, "op": op, "value": _value(field, op, text)}


def _value(field: str, op: str, text: str) -> Any:
    if op in LISTS:
        return _list(text)
    if op in (">=", "<="):
        return number_or_text(text)
    if field == "requires_human_attention" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return number_or_text(text) if field == "confidence" else text


def _list(text: str) -> list[Any]:
    if text.startswith("["):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list):
            return values
    return [each.strip() for each in text.replace("\n", ",").split(",") if each.strip()]


def _row(condition: Mapping[str, Any]) -> Row:
    value = condition.get("value")
    if isinstance(value, list):
        words = [each if isinstance(each, str) else json.dumps(each) for each in value]
        is_plain = all(word.strip() == word and word and not set(word) & set(",\n[") for word in words)
        text = ", ".join(words) if is_plain else json.dumps(value, ensure_ascii=False)
    else:
        text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    return {"field": str(condition.get("field", "")), "op": str(condition.get("op", "")), "value": text}
