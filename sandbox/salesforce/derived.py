"""What Salesforce sets by itself when a record is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.salesforce.records import Record
from sandbox.salesforce.standard import STAGES
from sandbox.salesforce.values import moment

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org


def derive(org: Org, record: Record, merged: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values that follow from a record's own, `given` being those of this write."""
    match record.sobject:
        case "Contact" | "Lead":
            name = " ".join(filter(None, (merged.get("FirstName"), merged.get("LastName"))))
            return {"Name": name, **({"IsConverted": False} if record.sobject == "Lead" else {})}
        case "Opportunity":
            probability, is_closed, is_won = STAGES.get(merged.get("StageName", ""), (0, False, False))
            follows = {"Probability": float(probability)} if "StageName" in given and "Probability" not in given else {}
            return {"IsClosed": is_closed, "IsWon": is_won, **follows}
        case "Task":
            is_closed = merged.get("Status") == "Completed"
            done = record.values.get("CompletedDateTime") or moment(org.clock()) if is_closed else None
            return {
                "IsClosed": is_closed,
                "IsHighPriority": merged.get("Priority") == "High",
                "CompletedDateTime": done,
                "AccountId": _account_of(org, merged),
            }
    return {}


def follow(org: Org, record: Record, changed: set[str]) -> None:
    """What a write changes in other records."""
    if record.sobject == "OpportunityContactRole" and "IsPrimary" in changed and record.values.get("IsPrimary"):
        table = org.tables["OpportunityContactRole"]
        for other in table.where("OpportunityId", record.values["OpportunityId"]):
            if other is not record and other.values.get("IsPrimary"):
                org.keep(table.set(other, {"IsPrimary": False}))


def _account_of(org: Org, merged: Mapping[str, Any]) -> str | None:
    for name in ("WhatId", "WhoId"):
        target = org.find(merged[name]) if merged.get(name) else None
        if target is None:
            continue
        if target.sobject == "Account":
            return target.id
        if target.values.get("AccountId"):
            return str(target.values["AccountId"])
    return None
