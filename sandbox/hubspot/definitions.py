"""The properties, pipelines and account-info APIs."""

from __future__ import annotations

import re
from typing import Any

from sandbox.hubspot.errors import ApiError, not_found
from sandbox.hubspot.gate import Answer, Call
from sandbox.hubspot.schema import ACTIVITIES, Property
from sandbox.hubspot.wire import Shape

MAX_UNIQUE = 10

CREATE = Shape(
    "PropertyCreate",
    {"name": "string", "label": "string", "type": "string", "fieldType": "string", "groupName": "string"},
    {
        "description": "string",
        "options": "array",
        "hasUniqueValue": "boolean",
        "hidden": "boolean",
        "formField": "boolean",
        "displayOrder": "integer",
        "externalOptions": "boolean",
        "calculationFormula": "string",
        "currencyPropertyName": "string",
        "dataSensitivity": "string",
        "numberDisplayHint": "string",
        "referencedObjectType": "string",
        "showCurrencySymbol": "boolean",
    },
)
OPTION = Shape(
    "OptionInput",
    {"label": "string", "value": "string"},
    {"displayOrder": "integer", "hidden": "boolean", "description": "string"},
)
_FIELDS = {
    "string": {"text", "textarea", "html", "phonenumber", "file", "calculation_equation"},
    "number": {"number", "calculation_equation"},
    "date": {"date"},
    "datetime": {"date"},
    "bool": {"booleancheckbox", "calculation_equation"},
    "enumeration": {"select", "radio", "checkbox", "booleancheckbox"},
    "phone_number": {"phonenumber"},
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")


def list_properties(call: Call) -> Answer:
    definitions = call.portal.stores[call.object_type.name].definitions
    return 200, {"results": [each.document() for each in definitions.values()]}


def read_property(call: Call) -> Answer:
    return 200, _definition(call, call.params["property_name"]).document()


def create_property(call: Call) -> Answer:
    """201; 409 if the name is taken, 400 for an unknown group or one unique property too many."""
    body = call.body()
    given = body.check(body.document, CREATE)
    store = call.portal.stores[call.object_type.name]
    name, is_unique = given["name"], bool(given.get("hasUniqueValue"))
    if not _NAME.fullmatch(name):
        raise ApiError(400, f'Property name "{name}" is not valid: lower-case letters, digits and underscores only')
    if name in store.definitions:
        raise _taken(name)
    if given["fieldType"] not in _FIELDS.get(given["type"], ()):
        raise ApiError(400, f"fieldType {given['fieldType']} does not go with type {given['type']}")
    if given["groupName"] not in call.portal.groups[call.object_type.name]:
        raise ApiError(400, f"Property group {given['groupName']} does not exist")
    listed = [body.check(each, OPTION) for each in given.get("options") or ()]
    options = tuple((each["value"], each["label"]) for each in listed)
    if given["type"] == "enumeration" and not options:
        raise ApiError(400, f"Property {name} is an enumeration and needs options")
    if is_unique:
        _check_unique(call, given["type"])
    definition = Property(
        name=name,
        label=given["label"],
        type=given["type"],
        field_type=given["fieldType"],
        group=given["groupName"],
        options=options,
        hidden_options=frozenset(each["value"] for each in listed if each.get("hidden")),
        unique=is_unique,
        hubspot_defined=False,
        description=given.get("description") or "",
        display_order=given.get("displayOrder", -1),
        hidden=bool(given.get("hidden")),
        form_field=bool(given.get("formField")),
        created=call.now,
    )
    store.definitions[name] = definition
    if is_unique:
        store.make_unique(name)
    call.portal.note_effect(
        "property created", call.now, object_type=call.object_type.name, name=name, unique=is_unique
    )
    return 201, definition.document()


def list_pipelines(call: Call) -> Answer:
    """200: the deal pipelines; other objects have none."""
    if call.object_type.name != "deals":
        raise ApiError(400, f"Object type {call.object_type.name} has no pipelines")
    return 200, {"results": [each.document(call.portal.created) for each in call.portal.pipelines.values()]}


def account_details(call: Call) -> Answer:
    """200: the account as `GET /account-info/{version}/details` describes it."""
    details: dict[str, Any] = {
        "portalId": call.portal.hub_id,
        "accountType": "DEVELOPER_TEST",
        "timeZone": "UTC",
        "companyCurrency": "USD",
        "additionalCurrencies": [],
        "utcOffset": "+00:00",
        "utcOffsetMilliseconds": 0,
        "uiDomain": "app.hubspot.com",
        "dataHostingLocation": "eu1",
    }
    return 200, details


def _definition(call: Call, name: str) -> Property:
    definition = call.portal.stores[call.object_type.name].definitions.get(name)
    if definition is None:
        raise not_found(f'Property "{name}" does not exist')
    return definition


def _taken(name: str) -> ApiError:
    message = f"A property named '{name}' already exists."
    return ApiError(
        409,
        message,
        "OBJECT_ALREADY_EXISTS",
        sub_category="Properties.PROPERTY_EXISTS",
        errors=[{"message": message, "code": "PROPERTY_EXISTS", "context": {"name": [name]}}],
    )


def _check_unique(call: Call, kind: str) -> None:
    object_type = call.object_type
    if object_type.name in ACTIVITIES:
        # HubSpot documents unique properties for records, not for activities: nobody should come to rely on one.
        raise ApiError(400, f"Unique properties are not supported for {object_type.name}")
    if kind not in ("string", "number"):
        raise ApiError(400, f"A property of type {kind} cannot have unique values")
    held = call.portal.stores[object_type.name].definitions.values()
    if sum(each.unique and not each.hubspot_defined for each in held) >= MAX_UNIQUE:
        raise ApiError(400, f"At most {MAX_UNIQUE} properties of {object_type.name} can have unique values")
