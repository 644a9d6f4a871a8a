"""Persons, organizations, deals and activities of v2: created, read, listed, changed and deleted one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sandbox.pipedrive.errors import InvalidValueError, invalid
from sandbox.pipedrive.extras import EXTRAS, ON_REQUEST, extra
from sandbox.pipedrive.gate import Answer, Call
from sandbox.pipedrive.query import Query, ids_of
from sandbox.pipedrive.records import Record
from sandbox.pipedrive.wire import data

MOST_IDS = 100
MOST_CUSTOM_FIELDS = 15
VIEW = ("include_fields", "custom_fields", "include_option_labels", "include_labels")
_PAGES = ("ids", "filter_id", "updated_since", "updated_until", "sort_by", "sort_direction", "limit", "cursor")
_NUMBERS = {
    "persons": ("owner_id", "org_id", "deal_id"),
    "organizations": ("owner_id",),
    "deals": ("owner_id", "person_id", "org_id", "pipeline_id", "stage_id"),
    "activities": ("owner_id", "deal_id", "person_id", "org_id"),
}
_MORE = {"persons": (), "organizations": (), "deals": ("status",), "activities": ("done", "lead_id")}
_SORTS = {"activities": ("id", "update_time", "add_time", "due_date")}


def create(call: Call) -> Answer:
    """201 with the new record."""
    call.query()
    writer = call.writer()
    return 201, data(_plain(writer.document(writer.create(call.body())), ()))


def read(call: Call) -> Answer:
    query = call.query(VIEW if call.kind != "activities" else ("include_fields",))
    found = call.company.stores[call.kind].find(call.record_id())
    if found is None or (found.deleted and not call.pipedrive.deleted_readable):
        raise call.missing()
    return 200, data(_documents(call, query, [found])[0])


def update(call: Call) -> Answer:
    call.query()
    found = call.company.stores[call.kind].get(call.record_id())
    if found is None:
        raise call.missing()
    writer = call.writer()
    return 200, data(_plain(writer.document(writer.update(found, call.body())), ()))


def delete(call: Call) -> Answer:
    call.query()
    found = call.company.stores[call.kind].get(call.record_id())
    if found is None:
        raise call.missing()
    call.writer().delete(found)
    return 200, data({"id": found.id})


def page(call: Call) -> Answer:
    """A page of the live records, sorted, with a cursor for the next."""
    kind = call.kind
    view = VIEW if kind != "activities" else ("include_fields",)
    query = call.query((*view, *_PAGES, *_NUMBERS[kind], *_MORE[kind]))
    limit = query.limit()
    if query.integer("filter_id") is not None:
        raise invalid([InvalidValueError("filter_id", "there is no such filter")])
    found = _filtered(call, query, _candidates(call, query))
    sort_by = query.choice("sort_by", _SORTS.get(kind, ("id", "update_time", "add_time")))
    direction = query.choice("sort_direction", ("asc", "desc"))

    def key(record: Record) -> tuple[Any, int]:
        return _sort_value(record, sort_by), record.id

    found.sort(key=key, reverse=direction == "desc")
    order = f"{kind} {sort_by} {direction}"
    rows, additional = query.page(found, limit, order, key, descending=direction == "desc")
    return 200, data(_documents(call, query, rows), additional)


def _candidates(call: Call, query: Query) -> Iterable[Record]:
    store = call.company.stores[call.kind]
    if query.text("ids") is not None:
        wanted = ids_of(query.words("ids", most=MOST_IDS))
        return [record for each in dict.fromkeys(wanted) if (record := store.get(each)) is not None]
    statuses = query.words("status", ("open", "won", "lost", "deleted")) if call.kind == "deals" else []
    if not statuses:
        return store
    return [
        record for record in store.everything() if ("deleted" if record.deleted else record.data["status"]) in statuses
    ]


def _filtered(call: Call, query: Query, records: Iterable[Record]) -> list[Record]:
    wanted = {name: number for name in _NUMBERS[call.kind] if (number := query.integer(name)) is not None}
    if call.kind == "persons" and "deal_id" in wanted:
        deal = call.company.stores["deals"].get(wanted.pop("deal_id"))
        person = deal.data["person_id"] if deal else None
        records = [each for each in records if each.id == person]
    since, until = query.time("updated_since"), query.time("updated_until")
    is_done = query.boolean("done") if call.kind == "activities" and query.text("done") is not None else None
    lead = query.text("lead_id") if call.kind == "activities" else None
    return [
        record
        for record in records
        if all(record.data.get(name) == number for name, number in wanted.items())
        and (since is None or int(record.updated) >= since)
        and (until is None or int(record.updated) < until)
        and (is_done is None or record.data["done"] == is_done)
        and (lead is None or record.data["lead_id"] == lead)
    ]


def _sort_value(record: Record, sort_by: str) -> Any:
    times = {"update_time": int(record.updated), "add_time": int(record.created), "id": record.id}
    return times[sort_by] if sort_by in times else record.data[sort_by] or ""


def _documents(call: Call, query: Query, records: Iterable[Record]) -> list[dict[str, Any]]:
    writer = call.writer()
    included = query.words("include_fields", EXTRAS[call.kind])
    only: list[str] | None = None
    with_labels = with_names = False
    if call.kind != "activities":
        only = query.words("custom_fields", most=MOST_CUSTOM_FIELDS) if query.text("custom_fields") else None
        with_labels, with_names = query.boolean("include_option_labels"), query.boolean("include_labels")
    documents = []
    for record in records:
        document = _plain(writer.document(record), included)
        if only is not None:
            document["custom_fields"] = {
                code: value for code, value in document["custom_fields"].items() if code in only
            }
        if with_labels:
            document["custom_fields"] = {
                code: _labelled(call, code, value) for code, value in document["custom_fields"].items()
            }
        if with_names:
            document["labels"] = _named(call, "label_ids", record.data["label_ids"])
        document |= {name: extra(call.company, call.kind, record, name) for name in included if name not in document}
        documents.append(document)
    return documents


def _plain(document: dict[str, Any], included: Collection[str]) -> dict[str, Any]:
    """A record without the members that are answered on request only."""
    hidden = {*ON_REQUEST, "attendees"}.difference(included)
    return {name: value for name, value in document.items() if name not in hidden}


def _labelled(call: Call, code: str, value: Any) -> Any:
    kind = call.company.fields[call.kind].get(code).type
    if value is None or kind not in ("enum", "set"):
        return value
    named = _named(call, code, value if kind == "set" else [value])
    return named if kind == "set" else named[0]


def _named(call: Call, code: str, ids: list[int]) -> list[dict[str, Any]]:
    labels = {each.id: each.label for each in call.company.fields[call.kind].get(code).options}
    return [{"id": each, "label": labels.get(each)} for each in ids]
