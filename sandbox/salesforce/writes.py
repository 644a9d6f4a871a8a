"""Writing one record as Salesforce does: bind, resolve, check, guard, store, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.salesforce import guards
from sandbox.salesforce.derived import derive, follow
from sandbox.salesforce.errors import ApiError, ParseError, deleted, missing_record, unknown_field
from sandbox.salesforce.ids import canonical
from sandbox.salesforce.records import Record
from sandbox.salesforce.relations import resolve
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.values import bind, check, moment

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org

_NOT_STORED = ("attributes",)


@dataclass
class Writer:
    """Who writes, and what was asked for along with the call.

    Attributes:
        by: `api`, or `user` for a person, whom rules and locks do not stop.
        may_duplicate: the caller said that an alert of a duplicate rule is to be ignored.
        created: ids that this very call created.
        records: how many records the call writes.
    """

    org: Org
    by: str = "api"
    may_duplicate: bool = False
    created: set[str] = field(default_factory=set)
    records: int = 1


def insert(writer: Writer, sobject: str, given: Mapping[str, Any]) -> Record:
    """Create a record; raises ApiError and leaves nothing."""
    org = writer.org
    definition = writable(org, sobject)
    values = _values(writer, definition, given, is_new=True)
    for each in definition.fields.values():
        if each.default not in (None, "") and values.get(each.name) is None:
            values[each.name] = each.default
    values.setdefault("OwnerId", org.user_id) if "OwnerId" in definition.fields else None
    set_values = {name: value for name, value in values.items() if value is not None}
    _require(definition, set_values, definition.fields)
    now = moment(org.clock())
    record = Record(org.new_id(sobject), sobject)
    derived = derive(org, record, set_values, set_values)
    _guard(writer, record, {**set_values, **derived}, set(set_values))
    stamps = {
        "CreatedDate": now,
        "CreatedById": org.user_id,
        "LastModifiedDate": now,
        "LastModifiedById": org.user_id,
        "SystemModstamp": now,
    }
    record.values = {**set_values, **{name: value for name, value in derived.items() if value is not None}, **stamps}
    org.keep(org.tables[sobject].add(record))
    writer.created.add(record.id)
    org.note_effect("created", record, writer.by, {**set_values})
    follow(org, record, set(set_values))
    return record


def update(writer: Writer, sobject: str, record_id: str, given: Mapping[str, Any], *, status: int = 400) -> Record:
    """Change a record; raises ApiError (of `status`, when there is no such record) and changes nothing."""
    org = writer.org
    definition = writable(org, sobject)
    record = existing(org, record_id, sobject, status)
    values = _values(writer, definition, given, is_new=False)
    if record.values.get("IsConverted"):
        raise ApiError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot update converted lead", [])
    _require(definition, values, values)
    merged = {**record.values, **values}
    changed = {name: value for name, value in values.items() if record.values.get(name) != value}
    derived = derive(org, record, merged, values)
    _guard(writer, record, {**merged, **derived}, set(changed))
    now = moment(org.clock())
    stamps = {"LastModifiedDate": now, "LastModifiedById": org.user_id, "SystemModstamp": now}
    org.keep(org.tables[sobject].set(record, {**values, **derived, **stamps}))
    org.note_effect("updated", record, writer.by, changed)
    follow(org, record, set(changed))
    return record


def delete(writer: Writer, record_id: str, sobject: str | None = None, *, status: int = 400) -> Record:
    """Delete a record and what hangs on it; raises ApiError."""
    org = writer.org
    record = existing(org, record_id, sobject, status)
    writable(org, record.sobject)
    _delete(writer, record)
    return record


def existing(org: Org, record_id: str, sobject: str | None, status: int) -> Record:
    """The live record of an id; raises ApiError as a row does or, with status 404, as a whole request does."""
    found_id = canonical(record_id)
    if found_id is None:
        if status == 404:
            raise missing_record(str(record_id))
        raise ApiError("MALFORMED_ID", f"malformed id {record_id}", ["Id"])
    record = org.find(found_id) if sobject is None else org.tables[sobject].get(found_id)
    if record is None:
        if status == 404:
            raise missing_record(record_id)
        raise ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [])
    if record.is_deleted:
        raise deleted(status)
    return record


def writable(org: Org, sobject: str) -> SObject:
    """The definition of an object that may be written; raises ApiError."""
    definition = org.objects.get(sobject)
    if definition is None:
        raise ApiError("INVALID_TYPE", f"sObject type '{sobject}' is not supported.")
    if not definition.is_writable:
        raise ApiError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be written: {sobject}", [])
    return definition


def _values(writer: Writer, definition: SObject, given: Mapping[str, Any], *, is_new: bool) -> dict[str, Any]:
    """The row's values by the fields' own names, relations resolved; raises ApiError."""
    bound: dict[str, tuple[Field, Any]] = {}
    relations: list[tuple[Field, Any]] = []
    for name, value in given.items():
        if name in _NOT_STORED:
            continue
        found = definition.find(name)
        relation = None if found else definition.find_relationship(name)
        if relation is not None:
            relations.append((relation, value))
        elif found is None:
            raise unknown_field(name, definition.name)
        elif isinstance(value, dict | list):
            raise ParseError(
                "JSON_PARSER_ERROR", f"Cannot deserialize instance of {found.type} from START_OBJECT value of {name}"
            )
        else:
            bound[found.name] = (found, bind(found, value))
    for relation, value in relations:
        if relation.name in bound:
            raise ApiError(
                "INVALID_FIELD",
                f"Cannot specify both an external ID reference {relation.relationship} and a salesforce id, "
                f"{relation.name}",
                [],
            )
        bound[relation.name] = (relation, resolve(writer.org, relation, value))
    _check_access([each for each, _ in bound.values()], is_new=is_new)
    is_international = writer.org.international_addresses
    values = {name: check(each, value, is_international=is_international) for name, (each, value) in bound.items()}
    # A yes or no has no third state.
    return {
        name: False if value is None and bound[name][0].type == "boolean" else value for name, value in values.items()
    }


def _check_access(fields: list[Field], *, is_new: bool) -> None:
    closed = [each.name for each in fields if not (each.createable if is_new else each.updateable)]
    if "Id" in closed:
        raise ApiError("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ["Id"])
    if closed:
        raise ApiError(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Unable to create/update fields: {', '.join(closed)}. Please check the security settings of this field "
            "and verify that it is read/write for your profile or permission set.",
            closed,
        )


def _require(definition: SObject, values: Mapping[str, Any], among: Mapping[str, Any]) -> None:
    missing = [
        name
        for name in among
        if not definition.fields[name].nillable and values.get(name) is None and definition.fields[name].is_required
    ] + [name for name in values if values[name] is None and definition.fields[name].default not in (None, False)]
    if missing:
        raise ApiError(
            "REQUIRED_FIELD_MISSING",
            f"Required fields are missing: [{', '.join(missing)}]",
            list(dict.fromkeys(missing)),
        )


def _guard(writer: Writer, record: Record, merged: dict[str, Any], changed: set[str]) -> None:
    org = writer.org
    if writer.by == "api":
        guards.refuse_unwritable(org, record)
        guards.refuse_locked(org, record)
        guards.refuse_person(record)
        guards.refuse_too_many(org, record.sobject, writer.records)
    guards.refuse_bad_references(org, record.sobject, merged, changed)
    guards.refuse_taken(org, record, merged, changed)
    if writer.by == "api":
        guards.refuse_invalid(org, record.sobject, merged)
        guards.refuse_duplicates(org, record, merged, changed, writer.created, may_save=writer.may_duplicate)


def _delete(writer: Writer, record: Record) -> None:
    org = writer.org
    org.keep(org.tables[record.sobject].delete(record))
    now = moment(org.clock())
    org.keep(org.tables[record.sobject].set(record, {"SystemModstamp": now, "LastModifiedDate": now}))
    org.note_effect("deleted", record, writer.by, {})
    for sobject, name in _TAKEN_ALONG.get(record.sobject, ()):
        for each in org.tables[sobject].where(name, record.id):
            if not each.is_deleted:
                _delete(writer, each)
    for sobject, name in _LET_GO.get(record.sobject, ()):
        for each in org.tables[sobject].where(name, record.id):
            org.keep(org.tables[sobject].set(each, {name: None}))


_TAKEN_ALONG = {
    "Account": (("Contact", "AccountId"), ("Opportunity", "AccountId"), ("Task", "WhatId")),
    "Contact": (("OpportunityContactRole", "ContactId"), ("Task", "WhoId")),
    "Lead": (("Task", "WhoId"),),
    "Opportunity": (("OpportunityContactRole", "OpportunityId"), ("Task", "WhatId")),
}
_LET_GO = {"Contact": (("Contact", "ReportsToId"),), "Account": (("Account", "ParentId"),)}
