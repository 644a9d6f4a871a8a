"""What a portal's properties are, and which values they take, in our terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from providers.account import CrmField, Option
from providers.answers import entries_of, id_in, order_of
from providers.errors import Unexpected
from providers.hubspot_errors import NAME

OBJECTS: tuple[tuple[Literal["contact", "company", "deal"], str], ...] = (
    ("contact", "contacts"),
    ("company", "companies"),
    ("deal", "deals"),
)
"""Our objects with HubSpot's words for them in paths."""

TYPES = {
    "string": "text",
    "phone_number": "text",
    "number": "number",
    "bool": "boolean",
    "date": "date",
    "datetime": "datetime",
    "enumeration": "enum",
}
PIPELINE = "pipeline"
STAGE = "dealstage"


def fields_of(kind: Literal["contact", "company", "deal"], answer: Any) -> list[CrmField]:
    """From the answer of `GET /crm/properties/{version}/{object}`; raises `Unexpected` when it is another."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in results
    ):
        raise Unexpected("HubSpot's answer does not list properties", provider=NAME)
    return [_field(kind, each) for each in results if not each.get("archived")]


def with_pipelines(fields: Sequence[CrmField], pipelines: Any) -> Iterator[CrmField]:
    """The deal fields, with the portal's pipelines and stages as options: its properties do not name them all."""
    found = pipelines.get("results") if isinstance(pipelines, dict) else None
    if not isinstance(found, list):
        raise Unexpected("HubSpot's answer does not list pipelines", provider=NAME)
    alive = _alive(found)
    stages = [(pipeline, stage) for pipeline in alive for stage in _alive(entries_of(pipeline.get("stages")))]
    options = {
        PIPELINE: tuple(Option(value=str(each["id"]), label=_label(each)) for each in alive),
        STAGE: tuple(
            # a stage's label says little where several pipelines have one of that name
            Option(
                value=str(stage["id"]),
                label=_label(stage) if len(alive) == 1 else f"{_label(pipeline)}: {_label(stage)}",
            )
            for pipeline, stage in stages
        ),
    }
    for field in fields:
        given = options.get(field.name)
        # A stage may also be named alone: which one is meant is seen once the pipeline is known.
        is_closed = field.name != STAGE or len(alive) == 1
        yield field.model_copy(update={"options": given, "is_closed": is_closed, "type": "enum"}) if given else field


def _field(kind: Literal["contact", "company", "deal"], entry: Mapping[str, Any]) -> CrmField:
    options = tuple(
        Option(value=str(each.get("value", "")), label=str(each.get("label") or each.get("value", "")))
        for each in entries_of(entry.get("options"))
        if isinstance(each, dict) and not each.get("hidden")
    )
    is_choice = entry.get("type") == "enumeration"
    metadata = entry.get("modificationMetadata")
    is_read_only = isinstance(metadata, dict) and metadata.get("readOnlyValue")
    return CrmField(
        object=kind,
        name=entry["name"],
        label=str(entry.get("label") or entry["name"]),
        type="multi_enum"
        if is_choice and entry.get("fieldType") == "checkbox"
        else TYPES.get(str(entry.get("type")), "other"),
        is_writable=not (is_read_only or entry.get("calculated")),
        options=options,
        # Owners and teams are kept elsewhere: a choice of which HubSpot names no value is not closed for us.
        is_closed=is_choice and bool(options),
    )


def _alive(entries: Sequence[Any]) -> list[Mapping[str, Any]]:
    alive = [each for each in entries if isinstance(each, dict) and id_in(each.get("id")) and not each.get("archived")]
    return sorted(alive, key=lambda each: (order_of(each.get("displayOrder")), _label(each)))


def _is_named(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("name"), str) and entry["name"] != ""


def _label(entry: Mapping[str, Any]) -> str:
    return str(entry.get("label") or entry["id"])
