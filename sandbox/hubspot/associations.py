"""The associations API: in batches, and between two records."""

from __future__ import annotations

from typing import Any

from sandbox.hubspot.batches import answer
from sandbox.hubspot.errors import ApiError
from sandbox.hubspot.gate import Answer, Call
from sandbox.hubspot.links import DEFAULTS, End, Links
from sandbox.hubspot.schema import object_type_of
from sandbox.hubspot.wire import Body, Shape
from sandbox.hubspot.writes import TYPE, missing_association_end

MAX_WRITES, MAX_READS = 2_000, 1_000

BATCH = Shape("BatchInput", {"inputs": "array"})
ID = Shape("PublicObjectId", {"id": "string"})
PAIR = Shape("PublicDefaultAssociationMultiPost", {"from": "object", "to": "object"})
LABELLED = Shape("PublicAssociationMultiPost", {"from": "object", "to": "object", "types": "array"})
ARCHIVED = Shape("PublicAssociationMultiArchive", {"from": "object", "to": "array"})
FETCH = Shape("PublicFetchAssociationsBatchRequest", {"id": "string"}, {"after": "string"})


def associate_default(call: Call) -> Answer:
    """200: every pair is associated without a label, whether it was before or not; missing records are errors."""
    body, inputs = _inputs(call, PAIR, MAX_WRITES)
    start_type, end_type = _types(call)
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for each in inputs:
        start, end = End(start_type, _id(body, each["from"])), End(end_type, _id(body, each["to"]))
        if error := _missing(call, start, end):
            errors.append(error.row())
            continue
        call.portal.associate(start, end, None, call.now)
        results += _default_results(start, end)
    return answer(call, results, errors, success=200)


def create(call: Call) -> Answer:
    """201: pairs associated by given types of this direction."""
    body, inputs = _inputs(call, LABELLED, MAX_WRITES)
    start_type, end_type = _types(call)
    checked = [(each, _type_ids(body, start_type, end_type, each["types"])) for each in inputs]
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for each, type_ids in checked:
        start, end = End(start_type, _id(body, each["from"])), End(end_type, _id(body, each["to"]))
        if error := _missing(call, start, end):
            errors.append(error.row())
            continue
        results.append(_label(call, start, end, type_ids))
    return answer(call, results, errors, success=201)


def read(call: Call) -> Answer:
    """200, or 207 where a record has no associations of that kind; long lists come in pages, per input."""
    _, inputs = _inputs(call, FETCH, MAX_READS)
    start_type, end_type = _types(call)
    results: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for each in inputs:
        start = End(start_type, each["id"])
        ends = call.portal.links.of(start, end_type)
        if not ends:
            errors.append(_none_found(start, end_type).row())
            continue
        results.append({"from": {"id": start.id}, **_page(call, start, ends, each.get("after"))})
    return answer(call, results, errors, success=200)


def archive(call: Call) -> Answer:
    """204: all associations between the pairs end, labelled ones too."""
    body, inputs = _inputs(call, ARCHIVED, MAX_WRITES)
    start_type, end_type = _types(call)
    for each in inputs:
        start = End(start_type, _id(body, each["from"]))
        for given in each["to"]:
            _remove(call, start, End(end_type, _id(body, given)))
    return 204, None


def read_one(call: Call) -> Answer:
    """200: all associations of one record with one type, in pages."""
    start, end_type = _start(call)
    if not call.portal.exists(start):
        raise missing_association_end(start, is_target=False)
    page = _page(call, start, call.portal.links.of(start, end_type), call.query.get("after"))
    return 200, {"results": page["to"], **({"paging": page["paging"]} if "paging" in page else {})}


def put_default(call: Call) -> Answer:
    """200: two records associated without a label."""
    start, end = _pair(call)
    if error := _missing(call, start, end):
        raise error
    call.portal.associate(start, end, None, call.now)
    return answer(call, _default_results(start, end), [], success=200)


def put_labelled(call: Call) -> Answer:
    """201: two records associated by the types in the body, which is an array."""
    body = call.body()
    start, end = _pair(call)
    if not isinstance(body.document, list):
        raise body.invalid("Cannot deserialize value of type `java.util.ArrayList` from a body that is not an array")
    type_ids = _type_ids(body, start.object_type, end.object_type, body.document)
    if error := _missing(call, start, end):
        raise error
    return 201, _label(call, start, end, type_ids)


def delete(call: Call) -> Answer:
    """204: all associations between two records end."""
    _remove(call, *_pair(call))
    return 204, None


def _inputs(call: Call, shape: Shape, most: int) -> tuple[Body, list[dict[str, Any]]]:
    body = call.body()
    inputs = body.check(body.document, BATCH)["inputs"]
    for each in inputs:
        body.check(each, shape)
    if not 1 <= len(inputs) <= most:
        raise ApiError(400, f"A batch of associations has between 1 and {most} inputs, this one has {len(inputs)}")
    return body, inputs


def _types(call: Call) -> tuple[str, str]:
    return object_type_of(call.params["from_type"]).name, object_type_of(call.params["to_type"]).name


def _start(call: Call) -> tuple[End, str]:
    return End(call.object_type.name, call.params["record_id"]), object_type_of(call.params["to_type"]).name


def _pair(call: Call) -> tuple[End, End]:
    start, end_type = _start(call)
    return start, End(end_type, call.params["to_id"])


def _id(body: Body, given: Any) -> str:
    return str(body.check(given, ID)["id"])


def _type_ids(body: Body, start_type: str, end_type: str, specs: list[Any]) -> list[int]:
    if not specs:
        raise ApiError(400, "An association needs at least one type")
    for spec in specs:
        body.check(spec, TYPE)
        Links.check(start_type, end_type, spec["associationCategory"], spec["associationTypeId"])
    return [spec["associationTypeId"] for spec in specs]


def _missing(call: Call, start: End, end: End) -> ApiError | None:
    if not call.portal.exists(start):
        return missing_association_end(start, is_target=False)
    if not call.portal.exists(end):
        return missing_association_end(end, is_target=True)
    return None


def _none_found(start: End, end_type: str) -> ApiError:
    singular, other = object_type_of(start.object_type).singular, object_type_of(end_type).singular
    return ApiError(
        404,
        f"No {other} is associated with {singular} {start.id}.",
        "OBJECT_NOT_FOUND",
        sub_category="crm.associations.NO_ASSOCIATIONS_FOUND",
        context={"fromObjectId": [start.id], "fromObjectType": [singular], "toObjectType": [other]},
    )


def _default_results(start: End, end: End) -> list[dict[str, Any]]:
    return [
        {
            "from": {"id": one.id},
            "to": {"id": other.id},
            "associationSpec": {
                "associationCategory": "HUBSPOT_DEFINED",
                "associationTypeId": DEFAULTS[(one.object_type, other.object_type)],
            },
        }
        for one, other in ((start, end), (end, start))
    ]


def _label(call: Call, start: End, end: End, type_ids: list[int]) -> dict[str, Any]:
    for type_id in type_ids:
        call.portal.associate(start, end, type_id, call.now)
    labels = (Links.label(start.object_type, end.object_type, type_id) for type_id in type_ids)
    return {
        "fromObjectTypeId": object_type_of(start.object_type).type_id,
        "fromObjectId": start.id,
        "toObjectTypeId": object_type_of(end.object_type).type_id,
        "toObjectId": end.id,
        "labels": [label for label in labels if label],
    }


def _page(call: Call, start: End, ends: list[End], after: str | None) -> dict[str, Any]:
    size = call.hubspot.association_page
    first = next((place + 1 for place, end in enumerate(ends) if end.id == after), 0)
    shown = ends[first : first + size]
    page: dict[str, Any] = {"to": [_associated(call, start, end) for end in shown]}
    if first + size < len(ends):
        page["paging"] = {"next": {"after": shown[-1].id}}
    return page


def _associated(call: Call, start: End, end: End) -> dict[str, Any]:
    return {
        "toObjectId": end.id,
        "associationTypes": [
            {
                "category": "HUBSPOT_DEFINED",
                "typeId": type_id,
                "label": Links.label(start.object_type, end.object_type, type_id),
            }
            for type_id in call.portal.links.types(start, end)
        ],
    }


def _remove(call: Call, start: End, end: End) -> None:
    if call.portal.links.remove(start, end):
        call.portal.note_effect(
            "dissociated",
            call.now,
            from_type=start.object_type,
            from_id=start.id,
            to_type=end.object_type,
            to_id=end.id,
        )
