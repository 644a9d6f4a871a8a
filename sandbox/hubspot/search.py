"""The search API: filters over an index that lags behind the writes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.hubspot.batches import answered_names
from sandbox.hubspot.errors import ApiError
from sandbox.hubspot.filters import NEEDS, Filter, comparable
from sandbox.hubspot.gate import Answer, Call
from sandbox.hubspot.links import End
from sandbox.hubspot.records import Record
from sandbox.hubspot.schema import object_type_of
from sandbox.hubspot.wire import Body, Shape

MAX_BODY = 3_000
MAX_GROUPS, MAX_GROUP_FILTERS, MAX_FILTERS = 5, 6, 18
MAX_PAGE, MAX_RESULTS = 200, 10_000

SEARCH = Shape(
    "PublicObjectSearchRequest",
    {},
    {
        "filterGroups": "array",
        "sorts": "array",
        "query": "string",
        "properties": "array",
        "limit": "integer",
        "after": "string",
    },
)
GROUP = Shape("FilterGroup", {"filters": "array"})
FILTER = Shape(
    "Filter",
    {"propertyName": "string", "operator": "string"},
    {"value": "string", "values": "array", "highValue": "string"},
)
SORT = Shape("Sort", {"propertyName": "string", "direction": "string"})

_ASSOCIATIONS = "associations."


def search(call: Call) -> Answer:
    """200 `{"total","results","paging"}` as the index knows it; raises ApiError (400) over a documented cap."""
    body = call.body()
    if len(body.text) > MAX_BODY:
        raise ApiError(400, f"The request body exceeds the {MAX_BODY} characters that a search may have")
    document = body.check(body.document, SEARCH)
    groups = _groups(call, body, document.get("filterGroups") or [])
    limit, after = document.get("limit", 10), _after(document)
    if not 0 <= limit <= MAX_PAGE:
        raise ApiError(400, f"limit must be between 0 and {MAX_PAGE}")
    if after + limit > MAX_RESULTS:
        raise ApiError(400, f"A search returns at most {MAX_RESULTS} results")
    asked = document.get("properties") or []
    body.check_strings(asked)
    found = _sorted(call, body, document.get("sorts") or [], _found(call, groups, document.get("query")))
    names = answered_names(call, asked)
    answer: dict[str, Any] = {
        "total": len(found),
        "results": [
            record.document(names, unset_as_null=call.hubspot.unset_as_null, state=state)
            for record, state in found[after : after + limit]
        ],
    }
    if after + limit < min(len(found), MAX_RESULTS):
        answer["paging"] = {"next": {"after": str(after + limit)}}
    return 200, answer


def _groups(call: Call, body: Body, given: list[Any]) -> list[list[Filter]]:
    groups = [body.check(group, GROUP)["filters"] for group in given]
    sizes = [len(group) for group in groups]
    if len(groups) > MAX_GROUPS or any(size > MAX_GROUP_FILTERS for size in sizes) or sum(sizes) > MAX_FILTERS:
        raise ApiError(
            400,
            f"A search has at most {MAX_GROUPS} filter groups, {MAX_GROUP_FILTERS} filters in a group and "
            f"{MAX_FILTERS} filters in all",
        )
    return [[_filter(call, body, each) for each in group] for group in groups]


def _filter(call: Call, body: Body, given: Any) -> Filter:
    body.check(given, FILTER)
    name, operator = given["propertyName"], given["operator"]
    if operator not in NEEDS:
        raise body.invalid(f"{operator} is not one of {', '.join(sorted(NEEDS))}", member=operator)
    needs = NEEDS[operator]
    if needs != {each for each in ("value", "values", "highValue") if given.get(each) is not None}:
        raise ApiError(400, f"operator {operator} needs exactly: {', '.join(sorted(needs)) or 'no value'}")
    values = tuple(given.get("values") or ())
    body.check_strings(list(values))
    definition = call.portal.stores[call.object_type.name].definitions.get(name)
    associated = object_type_of(name.removeprefix(_ASSOCIATIONS)).name if name.startswith(_ASSOCIATIONS) else None
    if definition is None and associated is None:
        raise ApiError(
            400,
            f"There was a problem with the request: property {name} does not exist",
            errors=[{"message": f'Property "{name}" does not exist', "code": "PROPERTY_DOESNT_EXIST", "in": name}],
        )
    return Filter(
        name, operator, given.get("value") or "", given.get("highValue") or "", values, definition, associated
    )


def _after(document: Mapping[str, Any]) -> int:
    given = document.get("after") or "0"
    if not given.isdecimal():
        raise ApiError(400, f"after must be a number, was {given}")
    return int(given)


Found = list[tuple[Record, dict[str, str]]]


def _found(call: Call, groups: list[list[Filter]], query: str | None) -> Found:
    found: Found = []
    words = [word.lower() for word in (query or "").split()]
    for record in call.portal.stores[call.object_type.name].everything():
        state = record.as_of(call.now - call.portal.lag)
        if state is None:
            continue
        if groups and not any(all(_holds(call, record, state, each) for each in group) for group in groups):
            continue
        text = " ".join(state.get(name, "") for name in call.object_type.searched).lower()
        if all(word in text for word in words):
            found.append((record, state))
    return found


def _holds(call: Call, record: Record, state: dict[str, str], each: Filter) -> bool:
    if each.associated is None:
        return each.holds(state.get(each.name))
    ends = call.portal.links.of(End(call.object_type.name, record.id), each.associated)
    return each.holds_associated({end.id for end in ends})


def _sorted(call: Call, body: Body, sorts: list[Any], found: Found) -> Found:
    if len(sorts) > 1:
        raise ApiError(400, "A search has at most one sort")
    name, is_descending = call.object_type.created, False
    for given in sorts:
        if isinstance(given, str):
            name, is_descending = given.removeprefix("-"), given.startswith("-")
        else:
            body.check(given, SORT)
            name, is_descending = given["propertyName"], given["direction"] == "DESCENDING"
    definition = call.portal.stores[call.object_type.name].definitions.get(name)
    if definition is None:
        raise ApiError(400, f'Property "{name}" does not exist')
    kind = definition.type
    present = [each for each in found if name in each[1]]
    absent = [each for each in found if name not in each[1]]
    present.sort(key=lambda each: (comparable(kind, each[1][name]), int(each[0].id)), reverse=is_descending)
    return present + absent
