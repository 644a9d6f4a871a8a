"""Records named by the external id of another: `"Account": {"CRM_Sync_Key__c": "…"}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.salesforce.errors import ApiError, ParseError, unknown_field
from sandbox.salesforce.records import Record
from sandbox.salesforce.schema import Field
from sandbox.salesforce.values import bind

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org


def resolve(org: Org, relation: Field, given: Any) -> str:
    """The id of the record that `given` names; raises ApiError."""
    if not isinstance(given, dict):
        raise ParseError(
            "JSON_PARSER_ERROR", f"Cannot deserialize a reference of {relation.relationship} from {given!r}"
        )
    target = _target(relation, given)
    definition = org.objects[target]
    keys = {name: value for name, value in given.items() if name != "attributes"}
    if len(keys) != 1:
        count = "More than 1 field" if keys else "No field"
        raise ApiError(
            "INVALID_FIELD", f"{count} provided in an external foreign key reference in entity: {target}", []
        )
    ((name, value),) = keys.items()
    key = definition.find(name)
    if key is None:
        raise unknown_field(name, target)
    if not key.is_key:
        raise ApiError(
            "INVALID_FIELD", f"Field name provided, {name} is not an External ID or indexed field for {target}", []
        )
    wanted = bind(key, value)
    found = live_matches(org, target, key, wanted) if isinstance(wanted, str) else []
    if not found:
        raise ApiError(
            "INVALID_FIELD", f"Foreign key external ID: {value} not found for field {key.name} in entity {target}", []
        )
    if len(found) > 1:
        raise several(key.name, found)
    return found[0].id


def live_matches(org: Org, sobject: str, key: Field, value: str) -> list[Record]:
    """Live records that a value of a key field names, whatever its case."""
    return [each for each in org.tables[sobject].where(key.name, value) if not each.is_deleted]


def several(name: str, found: list[Record]) -> ApiError:
    return ApiError(
        "DUPLICATE_EXTERNAL_ID",
        f"{name}: more than one record found for external id field: [{', '.join(each.id for each in found)}]",
        [name],
    )


def _target(relation: Field, given: dict[str, Any]) -> str:
    named = given.get("attributes", {})
    sobject = named.get("type") if isinstance(named, dict) else None
    if sobject is None and len(relation.refers_to) == 1:
        return relation.refers_to[0]
    if sobject not in relation.refers_to:
        raise ApiError(
            "INVALID_FIELD",
            f"{relation.relationship} may refer to {' or '.join(relation.refers_to)}: attributes must name the type",
            [],
        )
    return str(sobject)
