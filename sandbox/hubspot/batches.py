"""The batch endpoints of the objects API: create, update, upsert, read and archive, up to 100 records a call."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.hubspot.errors import ApiError, missing_record
from sandbox.hubspot.gate import Answer, Call
from sandbox.hubspot.records import Record, Store
from sandbox.hubspot.wire import Body, Shape, iso
from sandbox.hubspot.writes import Plan, Writer, read_associations

MAX_INPUTS = 100

BATCH = Shape("BatchInput", {"inputs": "array"})
READ = Shape(
    "BatchReadInputSimplePublicObjectId",
    {"inputs": "array"},
    {"properties": "array", "propertiesWithHistory": "array", "idProperty": "string"},
)
OBJECT_ID = Shape("SimplePublicObjectId", {"id": "string"})
CREATE = Shape(
    "SimplePublicObjectBatchInputForCreate",
    {"properties": "object"},
    {"associations": "array", "objectWriteTraceId": "string"},
)
UPDATE = Shape(
    "SimplePublicObjectBatchInput",
    {"id": "string", "properties": "object"},
    {"idProperty": "string", "objectWriteTraceId": "string"},
)
UPSERT = Shape("SimplePublicObjectBatchInputUpsert", UPDATE.required, UPDATE.optional)

Row = dict[str, Any]
Planner = Callable[[Row], Plan]


def create(call: Call) -> Answer:
    """201, or with refused rows 207 if every row has a trace id."""
    body, rows = _rows(call, CREATE)
    writer = _writer(call)
    start = call.object_type.name

    def plan(row: Row) -> Plan:
        return writer.plan(None, row["properties"], read_associations(body, start, row.get("associations")))

    return _write(call, writer, rows, plan, success=201)


def update(call: Call) -> Answer:
    """200; records that do not exist are named in `errors` (207) without refusing the others."""
    _, rows = _rows(call, UPDATE)
    id_property = _id_property(rows)
    writer = _writer(call)
    if id_property == "email":
        raise ApiError(400, "Unable to perform update by email: use the record id or a custom unique property")
    check_id_property(writer.store, id_property, "update")
    _refuse_duplicates(rows, id_property)

    def plan(row: Row) -> Plan:
        record = writer.store.seen(id_property, row["id"])
        if record is None:
            raise missing_record(call.object_type.singular.upper(), row["id"])
        return writer.plan(record, row["properties"])

    return _write(call, writer, rows, plan, success=200)


def upsert(call: Call) -> Answer:
    """200 with `new` on each result; keyed by e-mail (contacts), a custom unique property, or the record id."""
    _, rows = _rows(call, UPSERT)
    id_property = _id_property(rows)
    writer = _writer(call)
    check_id_property(writer.store, id_property, "update/upsert")
    _refuse_duplicates(rows, id_property)

    def plan(row: Row) -> Plan:
        record = writer.store.seen(id_property, row["id"])
        if record is not None:
            return writer.plan(record, row["properties"])
        if id_property == "hs_object_id":
            raise missing_record(call.object_type.singular.upper(), row["id"])
        return writer.plan(None, {id_property: row["id"], **row["properties"]})

    return _write(call, writer, rows, plan, success=200, tells_new=True)


def read(call: Call) -> Answer:
    """200, or 207 when some are missing; each record once, in no particular order."""
    body = call.body()
    document = body.check(body.document, READ)
    _check_size(document["inputs"])
    ids = [body.check(row, OBJECT_ID)["id"] for row in document["inputs"]]
    asked = document.get("properties") or []
    body.check_strings(asked)
    store = call.portal.stores[call.object_type.name]
    id_property = document.get("idProperty") or "hs_object_id"
    check_id_property(store, id_property, "read")
    is_archived = call.query.get("archived") == "true"
    found: dict[str, Record] = {}
    missing: list[str] = []
    for each in dict.fromkeys(ids):
        record = store.get_archived(each) if is_archived else store.seen(id_property, each)
        if record is None:
            missing.append(each)
        else:
            found[record.id] = record
    names = answered_names(call, asked)
    results = [record.document(names, unset_as_null=call.hubspot.unset_as_null) for record in found.values()]
    errors = []
    if missing:
        error = missing_record(call.object_type.singular.upper(), missing[0])
        error.context = {"ids": missing}
        errors.append(error.row())
    return answer(call, results, errors, success=200)


def archive(call: Call) -> Answer:
    """204; records that are gone already are no error."""
    body = call.body()
    document = body.check(body.document, BATCH)
    _check_size(document["inputs"])
    store = call.portal.stores[call.object_type.name]
    for row in document["inputs"]:
        record = store.get(body.check(row, OBJECT_ID)["id"])
        if record is not None:
            call.portal.archive(store, record, call.now)
    return 204, None


def answer(call: Call, results: list[dict[str, Any]], errors: list[dict[str, Any]], success: int) -> Answer:
    """The batch envelope, results in another order than the inputs; 207 when there are errors.

    The 2026-09 API describes no 207: there the errors come in the body of an ordinary success.
    """
    document: dict[str, Any] = {
        "status": "COMPLETE",
        "results": shuffled(results),
        "startedAt": iso(call.now),
        "completedAt": iso(call.hubspot.clock()),
    }
    if not errors:
        return success, document
    document |= {"numErrors": len(errors), "errors": errors}
    return (success if call.version == "2026-09" else 207), document


def shuffled(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same results in a different order, the same one every time."""
    mixed = list(results)
    random.Random(len(mixed)).shuffle(mixed)
    return mixed if mixed != results else mixed[1:] + mixed[:1]


def check_id_property(store: Store, name: str, action: str) -> None:
    """Raises ApiError (400) for a property that cannot tell records apart."""
    if name not in store.definitions:
        raise ApiError(
            400, f'Property "{name}" does not exist', errors=[{"message": name, "code": "PROPERTY_DOESNT_EXIST"}]
        )
    if not store.is_unique(name):
        raise ApiError(400, f"Unable to perform {action} by non-unique {store.object_type.type_id} property {name}")


def answered_names(call: Call, asked: Sequence[str]) -> list[str]:
    """The properties of an answer: those asked for, or else the type's defaults; its own stamps always."""
    object_type = call.object_type
    stamps = [object_type.created, object_type.modified, "hs_object_id"]
    return [*stamps, *(asked or object_type.defaults)]


def _writer(call: Call) -> Writer:
    return Writer(call.portal, call.portal.stores[call.object_type.name], call.now)


def _rows(call: Call, shape: Shape) -> tuple[Body, list[Row]]:
    body = call.body()
    document = body.check(body.document, BATCH)
    for row in document["inputs"]:
        body.check(row, shape)
        body.check_strings(row["properties"])
    _check_size(document["inputs"])
    return body, document["inputs"]


def _check_size(inputs: list[Any]) -> None:
    if not inputs:
        raise ApiError(400, "At least one input is required in a batch request.")
    if len(inputs) > MAX_INPUTS:
        raise ApiError(400, f"The maximum number of inputs supported in a batch request is {MAX_INPUTS}.")


def _id_property(rows: list[Row]) -> str:
    named = {row.get("idProperty") or "hs_object_id" for row in rows}
    if len(named) > 1:
        raise ApiError(400, f"All inputs of a batch must have the same idProperty, found {sorted(named)}")
    return str(named.pop())


def _refuse_duplicates(rows: list[Row], id_property: str) -> None:
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for row in rows:
        key = Store.key(id_property, row["id"])
        if key in seen:
            twice[key] = None
        seen.add(key)
    if twice:
        raise ApiError(400, f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique")


def _write(
    call: Call, writer: Writer, rows: list[Row], plan: Planner, success: int, *, tells_new: bool = False
) -> Answer:
    """Plan every row, then write.

    A refused row refuses the whole request, and nothing is written, unless every row can be named by its trace id.
    """
    locks = call.portal.locks
    if locks.get(call.object_type.name, 0):
        locks[call.object_type.name] -= 1
        raise ApiError(423, "The resource is locked.", "LOCKED")
    is_traced = all(row.get("objectWriteTraceId") for row in rows)
    planned: list[tuple[Row, Plan]] = []
    errors: list[dict[str, Any]] = []
    for row in rows:
        try:
            if call.portal.refusals:
                raise call.portal.refusals.pop(0)
            planned.append((row, plan(row)))
        except ApiError as error:
            if not is_traced and error.missing_id is None:
                raise
            errors.append(error.row(row.get("objectWriteTraceId")))
    results = []
    for row, each in planned:
        record = writer.apply(each)
        result = record.document([*answered_names(call, ()), *row["properties"], *each.changes])
        if tells_new:
            result["new"] = each.record is None
        if trace_id := row.get("objectWriteTraceId"):
            result["objectWriteTraceId"] = trace_id
        results.append(result)
    return answer(call, results, errors, success)
