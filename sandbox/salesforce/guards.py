"""What the database and the org's rules refuse about values that are well formed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.salesforce.errors import ApiError, deleted
from sandbox.salesforce.records import Record

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org

_MATCHED_BY = {"Contact": "Email", "Lead": "Email", "Account": "Name"}


def refuse_locked(org: Org, record: Record) -> None:
    """Raises ApiError while somebody else holds the record's lock."""
    if org.locks.get(record.sobject, 0):
        org.locks[record.sobject] -= 1
        raise ApiError(
            "UNABLE_TO_LOCK_ROW", f"unable to obtain exclusive access to this record or 1 records: {record.id}", []
        )


def refuse_unwritable(org: Org, record: Record) -> None:
    """Raises ApiError where the user may not write, an approval holds the record, a flow fails, or nothing has room."""
    standing, sobject = org.standing, record.sobject
    if sobject in standing.read_only:
        raise ApiError("INSUFFICIENT_ACCESS_OR_READONLY", f"insufficient access rights on object id: {record.id}", [])
    if record.id in standing.approvals:
        raise ApiError("ENTITY_IS_LOCKED", "the entity is locked for editing", [])
    if standing.is_full and not record.values:
        raise ApiError("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded", [])
    if sobject in standing.flows:
        raise ApiError("CANNOT_EXECUTE_FLOW_TRIGGER", standing.flows[sobject], [])


def refuse_bad_references(org: Org, sobject: str, merged: Mapping[str, Any], changed: set[str]) -> None:
    """Raises ApiError for a reference to what is not there, not of the right type, or not to be referred to."""
    for name in changed:
        definition = org.objects[sobject].fields[name]
        target_id = merged.get(name)
        if definition.type != "reference" or target_id is None:
            continue
        target = org.find(target_id)
        if target is None or target.sobject not in definition.refers_to:
            prefixes = {org.objects[each].prefix for each in definition.refers_to}
            if target_id[:3] not in prefixes:
                raise ApiError(
                    "FIELD_INTEGRITY_EXCEPTION",
                    f"{definition.label or name}: id value of incorrect type: {target_id}",
                    [name],
                )
            raise ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", [name])
        if target.is_deleted:
            raise deleted()
        if target.values.get("IsConverted"):
            raise ApiError("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead", [])
        _refuse_unreachable(org, sobject, name, target)
    if sobject == "Task" and str(merged.get("WhoId") or "").startswith("00Q") and merged.get("WhatId"):
        raise ApiError(
            "FIELD_INTEGRITY_EXCEPTION", "Related To ID: must be empty while Name ID refers to a lead", ["WhatId"]
        )


def _refuse_unreachable(org: Org, sobject: str, name: str, target: Record) -> None:
    """Raises ApiError for a record that may not stand in this field."""
    if target.id in org.standing.hidden:
        words = f"insufficient access rights on cross-reference id: {target.id}"
        raise ApiError("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", words, [])
    if name == "OwnerId" and target.values.get("IsActive") is False:
        words = f"operation performed with inactive user [{target.id}] as owner of {sobject.lower()}"
        raise ApiError("INACTIVE_OWNER_OR_USER", words, [name])
    refuses = org.standing.filters.get((sobject, name))
    if refuses is not None and refuses(target.values):
        words = "Value does not exist or does not match filter criteria."
        raise ApiError("FIELD_FILTER_VALIDATION_EXCEPTION", words, [name])


def refuse_taken(org: Org, record: Record, merged: Mapping[str, Any], changed: set[str]) -> None:
    """Raises ApiError when another record has the value of a unique field."""
    for name in changed:
        value = merged.get(name)
        if not org.objects[record.sobject].fields[name].unique or value is None:
            continue
        for other in org.tables[record.sobject].where(name, str(value)):
            if other is not record and other.id != record.id and not other.is_deleted:
                raise ApiError(
                    "DUPLICATE_VALUE",
                    f"duplicate value found: {name} duplicates value on record with id: {other.id[:15]}",
                    [],
                )


def refuse_invalid(org: Org, sobject: str, merged: Mapping[str, Any]) -> None:
    """Raises ApiError for what a validation rule of the org refuses."""
    for refuses, message in org.validations.get(sobject, ()):
        if refuses(dict(merged)):
            raise ApiError("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, [])


def refuse_person(record: Record) -> None:
    """Raises ApiError for the contact of a person account, which is written through its account."""
    if record.values.get("IsPersonAccount"):
        raise ApiError(
            "INVALID_FIELD_FOR_INSERT_UPDATE", "The contact of a person account is changed through its account", []
        )


def refuse_too_many(org: Org, sobject: str, records: int) -> None:
    """Raises ApiError when the org's own trigger cannot take so many records of one call."""
    if records > org.automation.get(sobject, records):
        raise ApiError(
            "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
            f"{sobject}Trigger: execution of AfterInsert caused by: System.LimitException: Too many SOQL queries: 101",
            [],
        )


def refuse_duplicates(
    org: Org, record: Record, merged: Mapping[str, Any], changed: set[str], created: set[str], *, may_save: bool
) -> None:
    """Raises ApiError when a duplicate rule finds another record; those of the same call are not compared."""
    action, name = org.rules.get(record.sobject), _MATCHED_BY.get(record.sobject)
    if action is None or name is None or name not in changed or (action == "alert" and may_save):
        return
    wanted = merged.get(name)
    found = [
        each
        for each in (org.tables[record.sobject].where(name, wanted) if isinstance(wanted, str) else ())
        if not each.is_deleted and each.id != record.id and each.id not in created
    ]
    if found:
        raise ApiError(
            "DUPLICATES_DETECTED",
            "Use one of these records?",
            None,
            extra={"duplicateResult": _described(record.sobject, action, found)},
        )


def _described(sobject: str, action: str, found: list[Record]) -> dict[str, Any]:
    records = [
        {
            "additionalInformation": [],
            "fieldDiffs": [],
            "matchConfidence": 100.0,
            "record": {
                "attributes": {"type": sobject, "url": f"/services/data/v68.0/sobjects/{sobject}/{each.id}"},
                "Id": each.id,
            },
        }
        for each in found
    ]
    return {
        "allowSave": action == "alert",
        "duplicateRule": f"{sobject}_Rule",
        "duplicateRuleEntityType": sobject,
        "errorMessage": "Use one of these records?",
        "matchResults": [
            {
                "entityType": sobject,
                "errors": [],
                "matchEngine": "ExactMatchEngine",
                "matchRecords": records,
                "rule": f"{sobject}_Match",
                "size": len(records),
                "success": True,
            }
        ],
    }
