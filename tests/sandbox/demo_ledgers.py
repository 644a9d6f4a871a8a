"""One reply that needs a human, and what each CRM has after it, written by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sandbox.demo.oracle import Demand, Rows, demands
from sandbox.demo.people import Contact
from sandbox.demo.scenario import Classification, Message

ORGANIZATION = UUID(int=1)
TODAY = date(2026, 11, 22)
MOMENT = datetime(2026, 11, 21, 9, 30, 0, 123_000, tzinfo=UTC)
ADA = Contact(UUID(int=11), ORGANIZATION, " Ada@Example.com ", "Ada", "O'Neil", "Acme  GmbH", "+1 555")
HTML = "<p>Re: &lt;hello&gt; &amp; more</p><ul><li>Intent: interested</li></ul><p>Yes!<br>Ada</p>"
TEXT = "Re: <hello> & more\n\nIntent: interested\n\nYes!\nAda"
Ledger = dict[str, Any]


def rows_of(*intents: str | None) -> Rows:
    """Ada's replies, an hour apart."""
    messages = [
        Message(UUID(int=20 + n), ORGANIZATION, ADA.id, "Re: <hello> & more", "Yes!\nAda", MOMENT + timedelta(hours=n))
        for n in range(len(intents))
    ]
    said = [classification(30 + n, messages[n].id, intent) for n, intent in enumerate(intents)]
    return Rows([ADA], messages, said)


def classification(number: int, message_id: UUID, intent: str | None) -> Classification:
    return Classification(UUID(int=number), message_id, intent, None, None, False, None, None)


def demand_of(*intents: str | None) -> Demand:
    """What these demand."""
    return demands(rows_of(*intents), [ORGANIZATION])[ORGANIZATION]


def reply_demand() -> Demand:
    """What one reply demands that is interested and needs a human."""
    rows = rows_of("interested")
    said = [Classification(UUID(int=30), UUID(int=20), "interested", None, None, True, None, None)]
    return demands(Rows(rows.contacts, rows.messages, said), [ORGANIZATION])[ORGANIZATION]


def hubspot() -> Ledger:
    pairs = [
        ("contacts", "1", "companies", "2"),
        ("deals", "3", "contacts", "1"),
        ("deals", "3", "companies", "2"),
        ("notes", "4", "contacts", "1"),
        ("notes", "4", "companies", "2"),
        ("tasks", "5", "contacts", "1"),
    ]
    contact = {
        "email": "ada@example.com",
        "firstname": "Ada",
        "lastname": "O'Neil",
        "company": "Acme  GmbH",
        "phone": "+1 555",
        "hs_lead_status": "OPEN_DEAL",
        "crm_sync_lead_source": "Email Campaign",
    }
    deal = {
        "dealname": "Ada - Email Lead",
        "pipeline": "default",
        "dealstage": "appointmentscheduled",
        "amount": "1000",
        "closedate": "2026-12-22T00:00:00.000Z",
    }
    task = {"hs_task_subject": "Reply to Ada O'Neil: Re: <hello> & more", "hs_task_body": "<p>Yes!<br>Ada</p>"}
    return {
        "contacts": [{"id": "1", "properties": contact}],
        "companies": [{"id": "2", "properties": {"name": "Acme GmbH"}}],
        "deals": [{"id": "3", "properties": deal}],
        "notes": [{"id": "4", "properties": {"hs_timestamp": "2026-11-21T09:30:00.123Z", "hs_note_body": HTML}}],
        "tasks": [{"id": "5", "properties": task}],
        "associations": [
            {"from_type": a, "from_id": b, "to_type": c, "to_id": d, "type_id": 0, "label": None}
            for a, b, c, d in pairs
        ],
    }


def salesforce() -> Ledger:
    contact = {
        "Email": "ada@example.com",
        "FirstName": "Ada",
        "LastName": "O'Neil",
        "Phone": "+1 555",
        "LeadSource": "Email Campaign",
        "AccountId": "001A",
    }
    opportunity = {
        "Name": "Ada - Email Lead",
        "StageName": "Prospecting",
        "Amount": 1000,
        "CloseDate": "2026-12-22",
        "AccountId": "001A",
    }
    message = {"Status": "Completed", "WhoId": "003A", "Subject": "Re: <hello> & more", "Description": TEXT}
    attention = {
        "Status": "Not Started",
        "WhoId": "003A",
        "Subject": "Reply to Ada O'Neil: Re: <hello> & more",
        "Description": "The reply needs a person.\n\nYes!\nAda",
    }
    return {
        "accounts": [{"id": "001A", "fields": {"Name": "Acme GmbH"}}],
        "contacts": [{"id": "003A", "fields": contact}],
        "leads": [],
        "opportunities": [{"id": "006A", "fields": opportunity}],
        "opportunity_contact_roles": [{"id": "00KA", "fields": {"OpportunityId": "006A", "ContactId": "003A"}}],
        "tasks": [{"id": "00TA", "fields": message}, {"id": "00TB", "fields": attention}],
    }


def pipedrive() -> Ledger:
    return {
        "persons": [
            {
                "id": 1,
                "name": "Ada O'Neil",
                "emails": [{"value": "ada@example.com", "primary": True, "label": "work"}],
                "phones": [{"value": "+1 555", "primary": True, "label": "work"}],
                "org_id": 2,
            }
        ],
        "organizations": [{"id": 2, "name": "Acme GmbH"}],
        "deals": [
            {
                "id": 3,
                "title": "Ada - Email Lead",
                "value": 1000,
                "status": "open",
                "person_id": 1,
                "org_id": 2,
                "expected_close_date": "2026-12-22",
            }
        ],
        "notes": [{"id": 4, "content": HTML, "person_id": 1}],
        "activities": [
            {
                "id": 5,
                "type": "task",
                "done": False,
                "subject": "Reply to Ada O'Neil: Re: <hello> & more",
                "note": "<p>Yes!<br>Ada</p>",
                "participants": [{"person_id": 1, "primary": True}],
            }
        ],
    }


LEDGERS = {"hubspot": hubspot, "salesforce": salesforce, "pipedrive": pipedrive}
