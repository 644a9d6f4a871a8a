"""The objects API for one record at a time: list, create, read, update, archive."""

from __future__ import annotations

from typing import Any

from sandbox.hubspot.batches import answered_names, check_id_property
from sandbox.hubspot.errors import ApiError, missing_record, not_found
from sandbox.hubspot.gate import Answer, Call
from sandbox.hubspot.links import End
from sandbox.hubspot.records import Record, Store
from sandbox.hubspot.schema import object_type_of
from sandbox.hubspot.wire import Shape
from sandbox.hubspot.writes import Writer, read_associations

CREATE = Shape("SimplePublicObjectInputForCreate", {"properties": "object"}, {"associations": "array"})
UPDATE = Shape("SimplePublicObjectInput", {"properties": "object"})
PURGE = Shape("PublicGdprDeleteInput", {"objectId": "string"}, {"idProperty": "string"})
MAX_PAGE = 100


def create(call: Call) -> Answer:
    """201, or 409 when the e-mail address is taken."""
    body = call.body()
    document = body.check(body.document, CREATE)
    body.check_strings(document["properties"])
    store = _store(call)
    writer = Writer(call.portal, store, call.now)
    associations = read_associations(body, call.object_type.name, document.get("associations"))
    record = writer.apply(writer.plan(None, document["properties"], associations))
    return 201, record.document([*answered_names(call, ()), *document["properties"]])


def read(call: Call) -> Answer:
    """200, or 404; `?properties=a,b&associations=companies&idProperty=email&archived=true`."""
    record = _record(call)
    document = record.document(
        answered_names(call, _listed(call, "properties")), unset_as_null=call.hubspot.unset_as_null
    )
    document["archived"] = record.archived
    if wanted := _listed(call, "associations"):
        document["associations"] = {
            object_type_of(word).name: {"results": _associated(call, record, object_type_of(word).name)}
            for word in wanted
        }
    return 200, document


def update(call: Call) -> Answer:
    """200, or 404; `?idProperty=email` is accepted here."""
    body = call.body()
    document = body.check(body.document, UPDATE)
    body.check_strings(document["properties"])
    record = _record(call)
    writer = Writer(call.portal, _store(call), call.now)
    writer.apply(writer.plan(record, document["properties"]))
    return 200, record.document([*answered_names(call, ()), *document["properties"]])


def archive(call: Call) -> Answer:
    """204, also when it is archived already."""
    store = _store(call)
    record = store.get(call.params["record_id"])
    if record is not None:
        call.portal.archive(store, record, call.now)
    elif store.get_archived(call.params["record_id"]) is None:
        raise not_found()
    return 204, None


def purge(call: Call) -> Answer:
    """204: the contact of this id or address is deleted for good; an address that nobody has is no error."""
    body = call.body()
    document = body.check(body.document, PURGE)
    store, id_property = _store(call), document.get("idProperty") or "hs_object_id"
    if store.object_type.name != "contacts" or id_property not in ("hs_object_id", "email"):
        raise not_found()
    found = store.find(id_property, document["objectId"])
    if found is not None:
        call.portal.purge(store, found, call.now)
    elif id_property == "hs_object_id":
        raise missing_record(call.object_type.singular.upper(), document["objectId"])
    return 204, None


def page(call: Call) -> Answer:
    """A page of live records, oldest first; `?limit=&after=&properties=`."""
    limit, after = _number(call, "limit", 10), _number(call, "after", 0)
    if not 1 <= limit <= MAX_PAGE:
        raise ApiError(400, f"limit must be between 1 and {MAX_PAGE}")
    records = [record for record in _store(call) if int(record.id) > after]
    names = answered_names(call, _listed(call, "properties"))
    document: dict[str, Any] = {
        "results": [record.document(names, unset_as_null=call.hubspot.unset_as_null) for record in records[:limit]]
    }
    if len(records) > limit:
        document["paging"] = {"next": {"after": records[limit - 1].id}}
    return 200, document


def _store(call: Call) -> Store:
    return call.portal.stores[call.object_type.name]


def _record(call: Call) -> Record:
    store = _store(call)
    id_property = call.query.get("idProperty", "hs_object_id")
    check_id_property(store, id_property, "read")
    if call.query.get("archived") == "true":
        record = store.get_archived(call.params["record_id"])
    else:
        record = store.seen(id_property, call.params["record_id"])
    if record is None:
        raise not_found()
    return record


def _associated(call: Call, record: Record, wanted: str) -> list[dict[str, str]]:
    start = End(call.object_type.name, record.id)
    singular = {start.object_type: call.object_type.singular, wanted: object_type_of(wanted).singular}
    return [
        {"id": end.id, "type": f"{singular[start.object_type]}_to_{singular[wanted]}"}
        for end in call.portal.links.of(start, wanted)
    ]


def _listed(call: Call, name: str) -> list[str]:
    return [word for given in call.query.getlist(name) for word in given.split(",") if word]


def _number(call: Call, name: str, default: int) -> int:
    given = call.query.get(name, str(default))
    if not given.isdecimal():
        raise ApiError(400, f"Invalid value for query parameter {name}: {given}")
    return int(given)
