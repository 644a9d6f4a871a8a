"""Search, which asks an index that is behind the writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from sandbox.pipedrive.customs import SEARCHABLE, texts_of
from sandbox.pipedrive.errors import InvalidValueError, invalid, not_found
from sandbox.pipedrive.gate import Answer, Call
from sandbox.pipedrive.query import Query
from sandbox.pipedrive.records import Data, Record
from sandbox.pipedrive.wire import data
from sandbox.pipedrive.writes import Writer

FIELDS = {
    "persons": ("custom_fields", "email", "notes", "phone", "name"),
    "organizations": ("address", "custom_fields", "notes", "name"),
    "deals": ("custom_fields", "notes", "title"),
}
KINDS = {"deal": "deals", "person": "persons", "organization": "organizations"}
_OTHERS = ("product", "lead", "file", "mail_attachment", "project")
_TYPES = {kind: name for name, kind in KINDS.items()}
_LINK = {"persons": "person_id", "organizations": "org_id", "deals": "deal_id"}
_ALWAYS = ("term", "fields", "exact_match", "include_fields", "limit", "cursor")
_NARROW = {"persons": ("organization_id",), "organizations": (), "deals": ("organization_id", "person_id", "status")}
_INCLUDED = {"persons": ("person.picture",), "organizations": (), "deals": ("deal.cc_email",)}
_SCORE = {"name": 0.6, "title": 0.6, "email": 0.29, "phone": 0.29}

Hit = tuple[float, str, Record, Data]


def search_kind(call: Call) -> Answer:
    """The search of one kind of records."""
    query = call.query((*_ALWAYS, *_NARROW[call.kind]))
    query.words("include_fields", _INCLUDED[call.kind])
    term, is_exact = _term(query)
    fields = query.words("fields", FIELDS[call.kind]) or list(FIELDS[call.kind])
    narrowed = {
        member: number
        for name, member in (("organization_id", "org_id"), ("person_id", "person_id"))
        if name in _NARROW[call.kind] and (number := query.integer(name)) is not None
    }
    if call.kind == "deals" and query.text("status") is not None:
        narrowed["status"] = query.choice("status", ("open", "won", "lost"))  # type: ignore[assignment]
    hits = [
        hit
        for hit in _hits(call, call.kind, term, fields, is_exact=is_exact)
        if all(hit[3].get(member) == value for member, value in narrowed.items())
    ]
    return _answer(call, query, hits)


def search_items(call: Call) -> Answer:
    """The search over several kinds."""
    query = call.query((*_ALWAYS, "item_types", "search_for_related_items"))
    term, is_exact = _term(query)
    types = query.words("item_types", (*KINDS, *_OTHERS)) or list(KINDS)
    fields = query.words("fields", {each for fields in FIELDS.values() for each in fields} | {"code"})
    query.words("include_fields", [each for included in _INCLUDED.values() for each in included])
    if query.boolean("search_for_related_items"):
        raise invalid([InvalidValueError("search_for_related_items", "the sandbox has no related items")])
    hits = [
        hit
        for kind in (KINDS[each] for each in types if each in KINDS)
        for hit in _hits(call, kind, term, fields or list(FIELDS[kind]), is_exact=is_exact)
    ]
    return _answer(call, query, hits)


def search_field(call: Call) -> Answer:
    """The records whose one field matches, case and all: `[{"id", "<field>": value}]`."""
    query = call.query(("term", "entity_type", "field", "match", "limit", "cursor"))
    match = query.choice("match", ("exact", "beginning", "middle"))
    term = _checked_term(query.text("term"), is_exact=match == "exact")
    entity, code = query.text("entity_type"), query.text("field")
    if entity not in (*KINDS, "lead", "product", "project") or code is None:
        raise invalid([InvalidValueError("entity_type", "entity_type and field are required")])
    limit = query.limit()
    found = _with_field(call, KINDS.get(entity or ""), code, term, match)
    rows, additional = query.page(found, limit, "field", lambda each: (each["id"],))
    return 200, data(rows, additional)


def _with_field(call: Call, kind: str | None, code: str, term: str, match: str) -> list[dict[str, Any]]:
    if kind is None:
        return []
    try:
        field = call.company.fields[kind].get(code)
    except KeyError:
        raise not_found("Field") from None
    if field.type not in SEARCHABLE:
        raise invalid([InvalidValueError("field", f"a field of type {field.type} is not searchable")])
    matches: dict[str, Callable[[str], bool]] = {
        "exact": lambda text: text == term,
        "beginning": lambda text: text.startswith(term),
        "middle": lambda text: term in text,
    }
    rows = []
    for record, state in _indexed(call, kind, term, is_exact=match == "exact"):
        value = state["custom_fields"].get(code) if field.is_custom else state.get(code)
        texts = texts_of(field, value) if not isinstance(value, list) else [each["value"] for each in value]
        if any(matches[match](text) for text in texts):
            rows.append({"id": record.id, code: value})
    return rows


def _term(query: Query) -> tuple[str, bool]:
    is_exact = query.boolean("exact_match")
    return _checked_term(query.text("term"), is_exact=is_exact), is_exact


def _checked_term(given: str | None, *, is_exact: bool) -> str:
    term, shortest = (given or "").strip(), 1 if is_exact else 2
    if len(term) < shortest:
        raise invalid([InvalidValueError("term", f"the term must be at least {shortest} characters long")])
    return term


def _indexed(call: Call, kind: str, term: str, *, is_exact: bool) -> Iterator[tuple[Record, Data]]:
    """Records as the index knows them; for an exact term only those that can match."""
    store = call.company.stores[kind]
    for record in store.mentioning(term) if is_exact else store.everything():
        state = record.as_of(call.now - call.company.lag)
        if state is not None:
            yield record, state


def _hits(call: Call, kind: str, term: str, fields: list[str], *, is_exact: bool) -> Iterator[Hit]:
    wanted, writer = term.lower(), Writer(call.company, kind)
    noted = _noted(call, kind, term, is_exact=is_exact) if "notes" in fields else set()
    for record, state in _indexed(call, kind, term, is_exact=is_exact):
        scores = [
            _SCORE.get(field, 0.2)
            for field, text in writer.texts(state)
            if field in fields and (text.lower() == wanted if is_exact else wanted in text.lower())
        ]
        if scores:
            noted.discard(record.id)
            yield max(scores), kind, record, state
    for each in sorted(noted):
        by_note = call.company.stores[kind].find(each)
        known = by_note.as_of(call.now - call.company.lag) if by_note else None
        if by_note is not None and known is not None:
            yield 0.1, kind, by_note, known


def _noted(call: Call, kind: str, term: str, *, is_exact: bool) -> set[int]:
    """Records whose notes match."""
    wanted = term.lower()
    return {
        state[_LINK[kind]]
        for _, state in _indexed(call, "notes", term, is_exact=is_exact)
        if state[_LINK[kind]] is not None and wanted in state["content"].lower()
    }


def _answer(call: Call, query: Query, hits: list[Hit]) -> Answer:

    def key(hit: Hit) -> tuple[float, int]:
        return -hit[0], hit[2].id

    hits.sort(key=key)
    rows, additional = query.page(hits, query.limit(), "search", key)
    items = [{"result_score": score, "item": _item(call, kind, record, state)} for score, kind, record, state in rows]
    return 200, data({"items": items}, additional)


def _item(call: Call, kind: str, record: Record, state: Data) -> dict[str, Any]:
    fields = call.company.fields[kind].customs()
    item: dict[str, Any] = {
        "id": record.id,
        "type": _TYPES[kind],
        "visible_to": state["visible_to"],
        "owner": {"id": state["owner_id"]},
        "custom_fields": [text for each in fields for text in texts_of(each, state["custom_fields"].get(each.code))],
        "notes": [],
    }
    if kind == "persons":
        emails = [each["value"] for each in state["emails"]]
        primary = next((each["value"] for each in state["emails"] if each["primary"]), None)
        phones = [each["value"] for each in state["phones"]]
        item |= {"name": state["name"], "emails": emails, "primary_email": primary, "phones": phones}
        item["organization"] = _linked(call, "organizations", state["org_id"])
    elif kind == "organizations":
        item |= {"name": state["name"], "address": (state["address"] or {}).get("value")}
    else:
        stage = next(each for each in call.company.stages if each.id == state["stage_id"])
        item |= {name: state[name] for name in ("title", "value", "currency", "status", "is_archived")}
        item["stage"] = {"id": stage.id, "name": stage.name}
        item["person"] = _linked(call, "persons", state["person_id"])
        item["organization"] = _linked(call, "organizations", state["org_id"])
    return item


def _linked(call: Call, kind: str, record_id: int | None) -> dict[str, Any] | None:
    record = call.company.stores[kind].find(record_id)
    if record is None:
        return None
    linked = {"id": record.id, "name": record.data["name"]}
    return {**linked, "address": (record.data["address"] or {}).get("value")} if kind == "organizations" else linked
