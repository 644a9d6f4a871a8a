"""A lead becomes a contact of an account, and maybe an opportunity."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sandbox.salesforce import writes
from sandbox.salesforce.standard import CONVERTED
from sandbox.salesforce.values import moment

if TYPE_CHECKING:
    from sandbox.salesforce.org import Org

_TO_CONTACT = {
    **{
        name: name
        for name in (
            "Salutation", "FirstName", "LastName", "Title", "Email", "Phone", "MobilePhone", "Fax", "LeadSource",
            "HasOptedOutOfEmail", "DoNotCall", "Description", "OwnerId",
        )
    },
    **{name: f"Mailing{name}" for name in ("Street", "City", "State", "PostalCode", "Country")},
}  # fmt: skip
_TO_ACCOUNT = {
    "Company": "Name", "Website": "Website", "Industry": "Industry", "AnnualRevenue": "AnnualRevenue",
    "NumberOfEmployees": "NumberOfEmployees", "Rating": "Rating", "OwnerId": "OwnerId",
}  # fmt: skip
_DAYS_TO_CLOSE = 90


def convert(org: Org, lead_id: str, account_id: str | None, opportunity: str | None) -> str:
    """The contact's id; raises ApiError. Custom fields stay with the lead, its tasks go to the contact."""
    writer = writes.Writer(org, by="user")
    lead = writes.existing(org, lead_id, "Lead", 400)
    if account_id is None:
        account_id = writes.insert(writer, "Account", _mapped(lead.values, _TO_ACCOUNT)).id
    contact = writes.insert(writer, "Contact", {**_mapped(lead.values, _TO_CONTACT), "AccountId": account_id})
    now = moment(org.clock())
    changes: dict[str, Any] = {
        "IsConverted": True,
        "Status": CONVERTED,
        "ConvertedDate": now[:10],
        "ConvertedAccountId": account_id,
        "ConvertedContactId": contact.id,
        "LastModifiedDate": now,
        "SystemModstamp": now,
    }
    if opportunity is not None:
        closes = datetime.fromtimestamp(org.clock(), UTC).date() + timedelta(days=_DAYS_TO_CLOSE)
        deal = {"Name": opportunity, "StageName": "Prospecting", "CloseDate": closes.isoformat()}
        changes["ConvertedOpportunityId"] = writes.insert(writer, "Opportunity", {**deal, "AccountId": account_id}).id
        role = {"OpportunityId": changes["ConvertedOpportunityId"], "ContactId": contact.id, "IsPrimary": True}
        writes.insert(writer, "OpportunityContactRole", role)
    org.keep(org.tables["Lead"].set(lead, changes))
    tasks = org.tables["Task"]
    for task in tasks.where("WhoId", lead.id):
        org.keep(tasks.set(task, {"WhoId": contact.id, "AccountId": account_id}))
    org.note_effect("converted", lead, "user", changes)
    return contact.id


def _mapped(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {target: values[source] for source, target in names.items() if source in values}
