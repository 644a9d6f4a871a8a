"""Members of a record that v2 answers only when `include_fields` asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.pipedrive.records import Record

if TYPE_CHECKING:
    from sandbox.pipedrive.company import Company

_ALWAYS = ("next_activity_id", "last_activity_id", "activities_count", "done_activities_count")
_COUNTS = ("undone_activities_count", "files_count", "notes_count", "followers_count", "email_messages_count")
_DEALS = ("open_deals_count", "closed_deals_count", "won_deals_count", "lost_deals_count")
_MAIL = ("last_incoming_mail_time", "last_outgoing_mail_time", "smart_bcc_email")
ON_REQUEST = ("website", "linkedin", "industry", "annual_revenue", "employee_count")
"""Members of an organization that can be written as any other, and are answered only when asked for."""
EXTRAS = {
    "persons": (*_ALWAYS, *_COUNTS, *_DEALS, *_MAIL),
    "organizations": (*_ALWAYS, *_COUNTS, *_DEALS, "people_count", "smart_bcc_email", *ON_REQUEST),
    "deals": (*_ALWAYS, *_COUNTS, *_MAIL, "products_count", "participants_count", "first_won_time", "source_lead_id"),
    "activities": ("attendees",),
}
_LINK = {"persons": "person_id", "organizations": "org_id", "deals": "deal_id"}
_STATUS = {
    "open_deals_count": ("open",),
    "closed_deals_count": ("won", "lost"),
    "won_deals_count": ("won",),
    "lost_deals_count": ("lost",),
}


def extra(company: Company, kind: str, record: Record, name: str) -> Any:
    """The value of one such member."""
    linked = {
        other: [each for each in company.stores[other] if each.data.get(_LINK[kind]) == record.id]
        for other in ("activities", "notes", "persons", "deals")
    }
    activities = linked["activities"]
    done = [each for each in activities if each.data["done"]]
    if name in _STATUS:
        return sum(each.data["status"] in _STATUS[name] for each in linked["deals"])
    counted = {
        "activities_count": len(activities),
        "done_activities_count": len(done),
        "undone_activities_count": len(activities) - len(done),
        "notes_count": len(linked["notes"]),
        "people_count": len(linked["persons"]),
        "next_activity_id": next((each.id for each in activities if not each.data["done"]), None),
        "last_activity_id": done[-1].id if done else None,
        "first_won_time": record.data.get("won_time"),
        "participants_count": int(record.data.get("person_id") is not None),
        "smart_bcc_email": f"{company.domain}@pipedrivemail.com",
    }
    # What the sandbox has none of: files, followers, products, mail.
    return counted[name] if name in counted else 0 if name.endswith("_count") else None
