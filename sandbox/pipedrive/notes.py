"""Notes, which are still of v1: flags are 0 and 1, lists count from `start`, PUT changes."""

from __future__ import annotations

from typing import Any

from sandbox.pipedrive.errors import InvalidValueError, invalid, not_found
from sandbox.pipedrive.gate import Answer, Call
from sandbox.pipedrive.records import Record
from sandbox.pipedrive.wire import data, day

_LINKS = ("deal_id", "person_id", "org_id", "user_id", "project_id")
_FLAGS = (
    "pinned_to_deal_flag",
    "pinned_to_person_flag",
    "pinned_to_organization_flag",
    "pinned_to_lead_flag",
    "pinned_to_project_flag",
)
_SORTS = ("id", "user_id", "deal_id", "person_id", "org_id", "content", "add_time", "update_time")
_PARAMETERS = (*_LINKS, *_FLAGS, "lead_id", "start", "limit", "sort", "start_date", "end_date", "updated_since")


def create(call: Call) -> Answer:
    """201 with the new note."""
    call.query()
    return 201, data(_document(call, call.writer().create(call.body())))


def read(call: Call) -> Answer:
    call.query()
    return 200, data(_document(call, _found(call)))


def update(call: Call) -> Answer:
    call.query()
    return 200, data(_document(call, call.writer().update(_found(call), call.body())))


def delete(call: Call) -> Answer:
    call.query()
    call.writer().delete(_found(call))
    return 200, data(True)


def page(call: Call) -> Answer:
    """A page of notes; a v1 list without rows has no list at all: its data is null."""
    query = call.query(_PARAMETERS)
    wanted = {name: number for name in (*_LINKS, *_FLAGS) if (number := query.integer(name)) is not None}
    lead, since = query.text("lead_id"), query.time("updated_since")
    try:
        first, last = (day(each, given) if (given := query.text(each)) else None for each in ("start_date", "end_date"))
    except InvalidValueError as error:
        raise invalid([error]) from None
    found = [
        record
        for record in call.company.stores["notes"]
        if all(record.data[name] == number for name, number in wanted.items())
        and (lead is None or record.data["lead_id"] == lead)
        and (since is None or int(record.updated) >= since)
    ]
    documents = [_document(call, each) for each in found]
    documents = [
        each
        for each in documents
        if (first or "") <= each["add_time"][:10] and (not last or each["add_time"][:10] <= last)
    ]
    _sort(documents, query.text("sort"))
    start, limit = query.integer("start") or 0, query.limit()
    rows = documents[start : start + limit]
    more = start + limit < len(documents)
    pagination: dict[str, Any] = {"start": start, "limit": limit, "more_items_in_collection": more}
    if more:
        pagination["next_start"] = start + limit
    return 200, data(rows or None, {"pagination": pagination})


def _sort(documents: list[dict[str, Any]], given: str | None) -> None:
    for each in reversed((given or "id ASC").split(",")):
        name, _, direction = each.strip().partition(" ")
        if name not in _SORTS or direction.upper() not in ("", "ASC", "DESC"):
            raise invalid([InvalidValueError("sort", f"{each!r} is not a field and ASC or DESC")])
        documents.sort(
            key=lambda document, name=name: (document[name] is None, document[name] or 0),  # type: ignore[misc]
            reverse=direction.upper() == "DESC",
        )


def _found(call: Call) -> Record:
    record = call.company.stores["notes"].get(call.record_id())
    if record is None:
        raise not_found("Note")
    return record


def _document(call: Call, record: Record) -> dict[str, Any]:
    """A note with the names of what it belongs to."""
    company, document = call.company, call.writer().document(record)
    user = company.users[record.data["user_id"]]
    for member, kind, title in (
        ("person", "persons", "name"),
        ("organization", "organizations", "name"),
        ("deal", "deals", "title"),
    ):
        link = record.data["org_id" if member == "organization" else f"{member}_id"]
        linked = company.stores[kind].find(link)
        document[member] = {title: linked.data[title]} if linked else None
    document["lead"] = None
    document["user"] = {"name": user.name, "email": user.email, "icon_url": None, "is_you": user is company.me}
    return document
