"""Pipedrive's fields as mappings see them."""

from __future__ import annotations

from collections.abc import Sequence

from providers.account import CrmField, Option
from providers.pipedrive_schema import DEAL, KEY_LABEL, KINDS, ORGANIZATION, PERSON, Kind, Schema, definition_of
from providers.pipedrive_values import LISTS, UNSETTABLE

NAMES = {listed: name for name, listed in LISTS.items()}
TYPES = {
    "double": "number",
    "int": "number",
    "monetary": "number",
    "user": "number",
    "org": "number",
    "people": "number",
    "boolean": "boolean",
    "date": "date",
    "enum": "enum",
    "status": "enum",
    "stage": "enum",
    "visible_to": "enum",
    "set": "multi_enum",
    **dict.fromkeys(UNSETTABLE, "other"),
}
STATUSES = tuple(Option(value=value, label=value.capitalize()) for value in ("open", "won", "lost"))

Standard = tuple[str, str, str]
"""Name, label and type of a field that every account has and that may be written."""
STANDARD: dict[Kind, tuple[Standard, ...]] = {
    PERSON: (
        ("name", "Name", "text"),
        ("email", "Email", "text"),
        ("phone", "Phone", "text"),
        ("owner_id", "Owner", "number"),
        ("label_ids", "Labels", "multi_enum"),
        ("visible_to", "Visible to", "enum"),
    ),
    ORGANIZATION: (
        ("name", "Name", "text"),
        ("owner_id", "Owner", "number"),
        ("label_ids", "Labels", "multi_enum"),
        ("address", "Address", "text"),
        ("visible_to", "Visible to", "enum"),
    ),
    DEAL: (
        ("title", "Title", "text"),
        ("value", "Value", "number"),
        ("currency", "Currency", "text"),
        ("pipeline_id", "Pipeline", "enum"),
        ("stage_id", "Stage", "enum"),
        ("status", "Status", "enum"),
        ("expected_close_date", "Expected close date", "date"),
        ("owner_id", "Owner", "number"),
        ("label_ids", "Labels", "multi_enum"),
        ("probability", "Probability", "number"),
        ("lost_reason", "Lost reason", "text"),
        ("visible_to", "Visible to", "enum"),
    ),
}
OPTIONAL: dict[Kind, frozenset[str]] = {
    PERSON: frozenset({"job_title", "notes", "birthday", "marketing_status"}),
    ORGANIZATION: frozenset({"website", "linkedin", "industry", "annual_revenue", "employee_count"}),
    DEAL: frozenset(),
}
"""Fields that may be written in the accounts that have them."""
REQUIRED = {PERSON: "name", ORGANIZATION: "name", DEAL: "title"}


async def describe(schema: Schema) -> list[CrmField]:
    """The fields that mappings can lead to; those that hold our keys are not among them."""
    pipelines = _options(await schema.pipelines())
    stages = _options(await schema.stages())
    known = {"pipeline_id": pipelines, "stage_id": stages, "status": STATUSES}
    described: list[CrmField] = []
    for kind in KINDS:
        definitions = [definition_of(entry) for entry in await schema.fields(kind)]
        told = {NAMES.get(each.code, each.code): each for each in definitions if each.code}
        for name, label, type_ in STANDARD[kind]:
            definition = told.pop(name, None)
            options = known.get(name) or (_options(definition.options) if definition is not None else ())
            described.append(
                _field(kind, name, definition.label if definition is not None else label, type_, options, True)
            )
        for name, definition in told.items():
            if definition.label == KEY_LABEL and definition.is_custom:
                continue
            is_writable = definition.type not in UNSETTABLE and (definition.is_custom or name in OPTIONAL[kind])
            type_ = TYPES.get(definition.type, "text")
            described.append(_field(kind, name, definition.label, type_, _options(definition.options), is_writable))
    return described


def _field(kind: Kind, name: str, label: str, type_: str, options: Sequence[Option], is_writable: bool) -> CrmField:
    return CrmField(
        object=kind.object,
        name=name,
        label=label,
        type=type_,
        is_writable=is_writable,
        is_required=name == REQUIRED[kind],
        options=tuple(options),
        is_closed=bool(options) and type_ in ("enum", "multi_enum"),
    )


def _options(options: Sequence[tuple[str, str]]) -> tuple[Option, ...]:
    return tuple(Option(value=value, label=label) for value, label in options)
