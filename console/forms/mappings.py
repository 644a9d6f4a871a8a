"""The form of a connection's field_mappings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from console.forms.crm import MOST_CHOICES, OBJECTS, Crm, CrmField
from console.forms.inputs import Inputs, rows_of, without
from listener.errors import InvalidSettings

NAMES = ("from", "value", "to", "policy", "values")
CONSTANT = "="
"""In the place of one of our fields: a fixed value."""
LEFT_OUT = "-"
"""In the place of a field of the CRM: ours is not sent."""
POLICIES = {
    "": "Always",
    "when_changed": "When ours has changed",
    "if_blank": "Only if blank there",
    "forward_only": "Only forward",
}
TITLES = {"contact": "Contacts", "lead": "Leads", "company": "Companies", "deal": "Deals"}

Row = dict[str, str]


@dataclass(frozen=True)
class Default:
    """A rule of the provider's as it is shown.

    Attributes:
        state: `in force`, `replaced` by a rule of the connection, or `absent`: the account has no such field.
    """

    number: int
    source: str
    target: str
    policy: str
    state: str


@dataclass(frozen=True)
class Table:
    """The rules for one object as they are shown."""

    object: str
    title: str
    rows: list[Row]
    defaults: list[Default]
    sources: list[str]
    fields: list[CrmField]
    is_typed: bool
    problem_fields: frozenset[str]

    def field(self, name: str) -> CrmField | None:
        return next((each for each in self.fields if each.name == name), None)


def rows_for(mappings: Mapping[str, Any]) -> dict[str, list[Row]]:
    """The inputs that show these rules."""
    return {
        of: [_row(rule) for rule in rules if isinstance(rule, dict)]
        for of in OBJECTS
        if isinstance(rules := mappings.get(of, []), list)
    }


def rows_from(given: Inputs) -> dict[str, list[Row]]:
    """The rows that somebody has put in, after what they asked to be done with them."""
    rows = {of: rows_of(given, of, NAMES) for of in OBJECTS}
    of, _, number = given.get("do.remove", "").partition(".")
    if of in rows:
        rows[of] = without(rows[of], number)
    return rows


def add_row(rows: dict[str, list[Row]], given: Inputs, crm: Crm) -> tuple[str, int] | None:
    """Add the row that was asked for, blank or from a default; says which one it is."""
    of, _, number = (given.get("do.add") or given.get("do.override") or "").partition(".")
    if of not in rows:
        return None
    defaults = crm.defaults(of)
    from_default = "do.override" in given and number.isdecimal() and int(number) < len(defaults)
    rows[of].append(_row(_plain(defaults[int(number)])) if from_default else dict.fromkeys(NAMES, ""))
    return of, len(rows[of]) - 1


def mappings_from(rows: Mapping[str, list[Row]], stored: Mapping[str, Any]) -> dict[str, Any]:
    """The rules that rows ask for; raises `InvalidSettings` for what cannot be a rule at all."""
    mappings = {
        of: [_rule(row) for row in rows[of] if any(row[name].strip() for name in ("from", "value", "to"))]
        for of in rows
    }
    kept = {of: rules for of, rules in stored.items() if of not in rows}
    return {**kept, **{of: rules for of, rules in mappings.items() if rules or of in stored}}


def tables(
    rows: Mapping[str, list[Row]], crm: Crm, our_fields: Mapping[str, list[str]], problem: str | None
) -> list[Table]:
    """What the form shows; `problem` is what the database said, which names fields in quotes."""
    size = sum(len(of) for of in rows.values()) * max((len(each) for each in crm.fields.values()), default=0)
    quoted = frozenset((problem or "").split('"')[1::2])
    return [
        Table(
            object=of,
            title=TITLES[of],
            rows=rows.get(of, []),
            defaults=_defaults(of, rows.get(of, []), crm),
            sources=our_fields.get(of, []),
            fields=crm.writable(of),
            is_typed=not crm.is_described(of) or size > MOST_CHOICES,
            problem_fields=quoted,
        )
        for of in OBJECTS
        if of in crm.objects or rows.get(of)
    ]


def _defaults(of: str, rows: list[Row], crm: Crm) -> list[Default]:
    sources, targets = {row["from"] for row in rows}, {row["to"] for row in rows}
    shown = []
    for number, rule in enumerate(crm.defaults(of)):
        source, target = str(rule.get("from", rule.get("value", ""))), str(rule.get("to") or "")
        field = crm.field(of, target)
        state = "in force"
        if source in sources or target in targets:
            state = "replaced"
        elif crm.is_described(of) and (field is None or not field.is_writable):
            state = "absent"
        words = field.words if field else target
        shown.append(Default(number, source, words, POLICIES.get(str(rule.get("policy", "")), "Always"), state))
    return shown


def _plain(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A default with what a rule of a connection may have; a company's is written once anyway."""
    return {name: value for name, value in rule.items() if name in NAMES}


def _row(rule: Mapping[str, Any]) -> Row:
    policy = str(rule.get("policy", ""))
    return {
        "from": CONSTANT if "value" in rule else _text(rule.get("from")),
        "value": _text(rule.get("value")),
        "to": LEFT_OUT if "to" in rule and rule["to"] is None else _text(rule.get("to")),
        "policy": "" if policy == "always" else policy,
        "values": _lines(rule.get("values")),
    }


def _rule(row: Row) -> dict[str, Any]:
    source, to = row["from"].strip(), row["to"].strip()
    rule: dict[str, Any] = {"value": row["value"]} if source == CONSTANT else {"from": source}
    rule["to"] = None if to == LEFT_OUT else to
    if row["policy"]:
        rule["policy"] = row["policy"]
    if row["values"].strip() and source != CONSTANT:
        rule["values"] = _values(row["values"])
    return rule


def _lines(values: Any) -> str:
    """As lines `ours = theirs`, or as JSON where lines would not say the same."""
    if not isinstance(values, dict):
        return ""
    lines = [f"{ours} = {'' if theirs is None else _text(theirs)}".rstrip() for ours, theirs in values.items()]
    try:
        is_faithful = {key: _text(each) for key, each in _values("\n".join(lines)).items()} == {
            key: _text(each) for key, each in values.items()
        }
    except InvalidSettings:
        is_faithful = False
    return "\n".join(lines) if is_faithful else json.dumps(values, ensure_ascii=False, indent=1)


def _values(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            raise InvalidSettings(
                "field_mappings: a list of values begins with { and is not JSON", "Nothing was saved."
            ) from None
        if isinstance(values, dict):
            return values
    values = {}
    for line in filter(str.strip, text.splitlines()):
        ours, sign, theirs = line.partition("=")
        if not sign:
            raise InvalidSettings(
                f"field_mappings: “{line.strip()[:100]}” has no = in it",
                "Nothing was saved. Write one value a line: ours = the CRM's.",
            )
        values[ours.strip()] = theirs.strip() or None
    return values


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool | int | float) else str(value)
