"""People merge one record into another: the loser goes to the recycle bin and tells who won."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.salesforce import writes

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org

_MOVED = {
    "Account": (("Contact", "AccountId"), ("Opportunity", "AccountId"), ("Task", "WhatId"), ("Account", "ParentId")),
    "Contact": (("OpportunityContactRole", "ContactId"), ("Task", "WhoId"), ("Contact", "ReportsToId")),
    "Lead": (("Task", "WhoId"),),
}
"""What hangs on a record of each kind that can be merged, and goes over to the one that is kept."""


def merge(org: Org, sobject: str, kept_id: str, lost_id: str) -> None:
    """Keep one record as it is, and delete the other; raises ApiError, KeyError for a kind that is never merged."""
    kept, lost = (writes.existing(org, each, sobject, 400) for each in (kept_id, lost_id))
    for other, name in _MOVED[sobject]:
        table = org.tables[other]
        for each in table.where(name, lost.id):
            org.keep(table.set(each, {name: kept.id}))
    org.keep(org.tables[sobject].set(lost, {"MasterRecordId": kept.id}))
    writes.delete(writes.Writer(org, by="user"), lost.id, sobject)
