"""What a fresh portal looks like: object types and their default properties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.hubspot.errors import ApiError
from sandbox.hubspot.industries import INDUSTRIES
from sandbox.hubspot.wire import iso

LEAD_STATUSES = (
    "NEW",
    "OPEN",
    "IN_PROGRESS",
    "OPEN_DEAL",
    "UNQUALIFIED",
    "ATTEMPTED_TO_CONTACT",
    "CONNECTED",
    "BAD_TIMING",
)
LIFECYCLE_STAGES = (
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
)
TASK_STATUSES = ("NOT_STARTED", "IN_PROGRESS", "WAITING", "DEFERRED", "COMPLETED")
TASK_PRIORITIES = ("NONE", "LOW", "MEDIUM", "HIGH")
TASK_TYPES = ("TODO", "EMAIL", "CALL")
MAX_TEXT = 65_536


@dataclass(frozen=True)
class Property:
    """A property definition; `type` is HubSpot's (`string`, `number`, `datetime`, …).

    Attributes:
        hidden_options: values that are accepted, and that HubSpot does not offer to people.
        calculated: HubSpot works the value out by itself.
    """

    name: str
    label: str
    type: str = "string"
    field_type: str = "text"
    group: str = ""
    options: tuple[tuple[str, str], ...] = ()
    hidden_options: frozenset[str] = frozenset()
    unique: bool = False
    read_only: bool = False
    calculated: bool = False
    hubspot_defined: bool = True
    external_options: bool = False
    description: str = ""
    display_order: int = -1
    hidden: bool = False
    form_field: bool = False
    created: float = 0.0

    def document(self) -> dict[str, Any]:
        """The definition as the properties API answers it."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "description": self.description,
            "groupName": self.group,
            "options": [
                {"label": label, "value": value, "displayOrder": order, "hidden": value in self.hidden_options}
                for order, (value, label) in enumerate(self.options)
            ],
            "displayOrder": self.display_order,
            "calculated": self.calculated,
            "externalOptions": self.external_options,
            "archived": False,
            "hasUniqueValue": self.unique,
            "hidden": self.hidden,
            "hubspotDefined": self.hubspot_defined,
            "formField": self.form_field,
            "dataSensitivity": "non_sensitive",
            "createdAt": iso(self.created),
            "updatedAt": iso(self.created),
            "modificationMetadata": {
                "archivable": not self.hubspot_defined,
                "readOnlyDefinition": self.hubspot_defined,
                "readOnlyValue": self.read_only,
                "readOnlyOptions": self.hubspot_defined,
            },
        }


def _text(*names: str, field_type: str = "text") -> list[Property]:
    return [Property(name, name.replace("_", " ").capitalize(), field_type=field_type) for name in names]


def _choice(name: str, options: tuple[str, ...], field_type: str = "select", *, external: bool = False) -> Property:
    pairs = tuple((option, option.replace("_", " ").capitalize()) for option in options)
    return Property(name, name, type="enumeration", field_type=field_type, options=pairs, external_options=external)


def _stamp(name: str, *, read_only: bool = True) -> Property:
    return Property(name, name, type="datetime", field_type="date", read_only=read_only)


_OWNER = _choice("hubspot_owner_id", (), external=True)
_OBJECT_ID = Property("hs_object_id", "Record ID", type="number", field_type="number", unique=True, read_only=True)
_READ_ONLY_TEXT = replace(Property("", ""), read_only=True)


@dataclass(frozen=True)
class ObjectType:
    """An object type.

    Attributes:
        name: as it stands in paths.
        singular: as it stands in messages and scopes' error texts.
        defaults: the properties that every answer carries when they are set.
        required: what a new record must have; of a nested tuple, one.
        searched: what the search's free text `query` looks at.
    """

    name: str
    singular: str
    type_id: str
    created: str
    modified: str
    defaults: tuple[str, ...]
    required: tuple[str | tuple[str, ...], ...]
    searched: tuple[str, ...]
    groups: tuple[str, ...]
    properties: Mapping[str, Property]
    scope: str

    def __post_init__(self) -> None:
        held = {each.name: replace(each, group=each.group or self.groups[0]) for each in self.properties.values()}
        object.__setattr__(self, "properties", held)


def _named(*properties: Property) -> dict[str, Property]:
    return {each.name: each for each in (*properties, _OBJECT_ID, _OWNER)}


CONTACTS = ObjectType(
    name="contacts",
    singular="contact",
    type_id="0-1",
    created="createdate",
    modified="lastmodifieddate",
    defaults=("createdate", "email", "firstname", "hs_object_id", "lastmodifieddate", "lastname"),
    required=(("email", "firstname", "lastname"),),
    searched=("email", "firstname", "lastname", "phone", "company"),
    groups=("contactinformation", "contact_activity"),
    scope="contacts",
    properties=_named(
        Property("email", "Email", unique=True),
        *_text("firstname", "lastname", "company", "jobtitle", "website", "address", "city", "state", "country", "zip"),
        *_text("industry", "salutation", "annualrevenue", "message", "fax"),
        *_text("phone", "mobilephone", field_type="phonenumber"),
        _choice("lifecyclestage", LIFECYCLE_STAGES, "radio"),
        _choice("hs_lead_status", LEAD_STATUSES, "radio"),
        replace(_READ_ONLY_TEXT, name="hs_additional_emails", label="Additional email addresses"),
        replace(_READ_ONLY_TEXT, name="hs_analytics_source", label="Original source"),
        replace(_READ_ONLY_TEXT, name="hs_latest_source", label="Latest source"),
        Property(
            "num_associated_deals",
            "Number of Associated Deals",
            type="number",
            field_type="number",
            read_only=True,
            calculated=True,
        ),
        _stamp("createdate"),
        _stamp("lastmodifieddate"),
    ),
)

COMPANIES = ObjectType(
    name="companies",
    singular="company",
    type_id="0-2",
    created="createdate",
    modified="hs_lastmodifieddate",
    defaults=("createdate", "domain", "hs_lastmodifieddate", "hs_object_id", "name"),
    required=(("name", "domain"),),
    searched=("name", "domain", "website", "phone"),
    groups=("companyinformation", "company_activity"),
    scope="companies",
    properties=_named(
        *_text("name", "domain", "website", "address", "address2", "city", "state", "country", "zip", "description"),
        *_text("phone", field_type="phonenumber"),
        _choice("industry", INDUSTRIES),
        _choice("lifecyclestage", LIFECYCLE_STAGES, "radio"),
        _choice("hs_lead_status", LEAD_STATUSES, "radio"),
        Property("numberofemployees", "Number of employees", type="number", field_type="number"),
        Property("annualrevenue", "Annual revenue", type="number", field_type="number"),
        _stamp("createdate"),
        _stamp("hs_lastmodifieddate"),
    ),
)

DEALS = ObjectType(
    name="deals",
    singular="deal",
    type_id="0-3",
    created="createdate",
    modified="hs_lastmodifieddate",
    defaults=(
        "amount",
        "closedate",
        "createdate",
        "dealname",
        "dealstage",
        "hs_lastmodifieddate",
        "hs_object_id",
        "pipeline",
    ),
    required=("dealname", "dealstage"),
    searched=("dealname", "pipeline", "dealstage", "description"),
    groups=("dealinformation", "deal_activity"),
    scope="deals",
    properties=_named(
        *_text("dealname", "description"),
        Property("amount", "Amount", type="number", field_type="number"),
        _choice("pipeline", (), external=True),
        _choice("dealstage", (), "radio", external=True),
        _choice("dealtype", ("newbusiness", "existingbusiness"), "radio"),
        _stamp("closedate", read_only=False),
        _stamp("createdate"),
        _stamp("hs_lastmodifieddate"),
        replace(
            _READ_ONLY_TEXT,
            name="hs_is_closed",
            label="Is closed",
            type="bool",
            field_type="booleancheckbox",
            calculated=True,
        ),
    ),
)

NOTES = ObjectType(
    name="notes",
    singular="note",
    type_id="0-46",
    created="hs_createdate",
    modified="hs_lastmodifieddate",
    defaults=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
    required=("hs_timestamp",),
    searched=("hs_note_body",),
    groups=("engagement",),
    # Notes run under the contacts' scopes; there are none of their own.
    scope="contacts",
    properties=_named(
        *_text("hs_note_body", field_type="html"),
        _stamp("hs_timestamp", read_only=False),
        *_text("hs_attachment_ids"),
        _stamp("hs_createdate"),
        _stamp("hs_lastmodifieddate"),
    ),
)

TASKS = ObjectType(
    name="tasks",
    singular="task",
    type_id="0-27",
    created="hs_createdate",
    modified="hs_lastmodifieddate",
    defaults=("hs_createdate", "hs_lastmodifieddate", "hs_object_id"),
    required=("hs_timestamp",),
    searched=("hs_task_subject", "hs_task_body"),
    groups=("engagement", "task"),
    # Tasks run under the contacts' scopes too.
    scope="contacts",
    properties=_named(
        *_text("hs_task_subject"),
        *_text("hs_task_body", field_type="html"),
        _stamp("hs_timestamp", read_only=False),
        _choice("hs_task_status", TASK_STATUSES),
        _choice("hs_task_priority", TASK_PRIORITIES),
        _choice("hs_task_type", TASK_TYPES),
        _stamp("hs_createdate"),
        _stamp("hs_lastmodifieddate"),
    ),
)

OBJECT_TYPES = {each.name: each for each in (CONTACTS, COMPANIES, DEALS, NOTES, TASKS)}
ACTIVITIES = frozenset({NOTES.name, TASKS.name})
_ALIASES = {alias: each for each in OBJECT_TYPES.values() for alias in (each.name, each.singular, each.type_id)}


def object_type_of(word: str) -> ObjectType:
    """The object type that a path names; raises ApiError (400) for a word HubSpot does not know."""
    found = _ALIASES.get(word.lower())
    if found is None:
        raise ApiError(400, f"Unable to infer object type from: {word}")
    return found
