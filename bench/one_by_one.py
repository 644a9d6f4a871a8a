"""What most integrations do: search for a record, then create or update it, one call after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

COMPANIES_OF = 5
"""Contacts of one company, as in the backlog that this is compared with."""
DEALS_OF = 4
NOTE = "Re: hello\nThank you for your message, let us talk."


class Caller:
    """Calls an API with a token and, when it is told that it asked too much, waits and asks again."""

    def __init__(self, api: str, account: Mapping[str, Any], pause: float) -> None:
        self._http = httpx.Client(
            base_url=api, headers={"authorization": f"Bearer {account['access_token']}"}, timeout=30
        )
        self._pause = pause

    def __call__(self, method: str, path: str, json: Any = None, **params: str) -> Any:
        while True:
            response = self._http.request(method, path, json=json, params=params)
            if response.status_code not in (403, 429):
                response.raise_for_status()
                return response.json() if response.content else None
            time.sleep(self._pause)

    def close(self) -> None:
        self._http.close()


def hubspot(api: str, account: Mapping[str, Any], contacts: int, speed: float) -> None:
    """Contact, company, association, note, and a deal for some."""
    call = Caller(api, account, 1 / speed)
    base = "/crm/objects/2026-03"

    def found(kind: str, name: str, value: str) -> str | None:
        filters = [{"propertyName": name, "operator": "EQ", "value": value}]
        answer = call("POST", f"{base}/{kind}/search", {"filterGroups": [{"filters": filters}], "limit": 1})
        return next((each["id"] for each in answer["results"]), None)

    def saved(kind: str, known: str | None, properties: Mapping[str, str], *ends: tuple[str, int]) -> str:
        associations = [
            {"to": {"id": id_}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_}]}
            for id_, type_ in ends
        ]
        if known is not None:
            call("PATCH", f"{base}/{kind}/{known}", {"properties": properties})
            return known
        return str(call("POST", f"{base}/{kind}", {"properties": properties, "associations": associations})["id"])

    for number in range(contacts):
        email, company = f"p{number}@example.com", f"Company {number // COMPANIES_OF}"
        person = {"email": email, "firstname": f"First{number}", "lastname": f"Last{number}", "company": company}
        contact_id = saved("contacts", found("contacts", "email", email), person)
        company_id = found("companies", "name", company) or saved("companies", None, {"name": company})
        call("PUT", f"{base}/contacts/{contact_id}/associations/default/companies/{company_id}")
        saved(
            "notes",
            None,
            {"hs_timestamp": "2026-11-22T10:00:00Z", "hs_note_body": NOTE},
            (contact_id, 202),
            (company_id, 190),
        )
        if number % DEALS_OF == 0:
            name = f"First{number} - Email Lead"
            if found("deals", "dealname", name) is None:
                deal = {"dealname": name, "pipeline": "default", "dealstage": "appointmentscheduled", "amount": "1000"}
                saved("deals", None, deal, (contact_id, 3), (company_id, 341))
    call.close()


def pipedrive(api: str, account: Mapping[str, Any], contacts: int, speed: float) -> None:
    """Organization, person, note, and a deal for some; links are fields of the records."""
    call = Caller(api, account, 2 / speed)

    def found(kind: str, field: str, term: str) -> int | None:
        answer = call("GET", f"/api/v2/{kind}/search", term=term, fields=field, exact_match="true", limit="1")
        return next((each["item"]["id"] for each in answer["data"]["items"]), None)

    def saved(kind: str, known: int | None, members: Mapping[str, Any]) -> int:
        if known is not None:
            call("PATCH", f"/api/v2/{kind}/{known}", members)
            return known
        return int(call("POST", f"/api/v2/{kind}", members)["data"]["id"])

    for number in range(contacts):
        email, company = f"p{number}@example.com", f"Company {number // COMPANIES_OF}"
        org_id = found("organizations", "name", company) or saved("organizations", None, {"name": company})
        person = {
            "name": f"First{number} Last{number}",
            "emails": [{"value": email, "primary": True}],
            "org_id": org_id,
        }
        person_id = saved("persons", found("persons", "email", email), person)
        call("POST", "/api/v1/notes", {"content": NOTE, "person_id": person_id})
        if number % DEALS_OF == 0:
            title = f"First{number} - Email Lead"
            if found("deals", "title", title) is None:
                saved("deals", None, {"title": title, "value": 1000, "person_id": person_id, "org_id": org_id})
    call.close()


def salesforce(api: str, account: Mapping[str, Any], contacts: int, speed: float) -> None:
    """Account, contact, a completed task, and an opportunity with its contact role for some."""
    call = Caller(api, account, 1 / speed)
    base = "/services/data/v68.0"

    def found(kind: str, field: str, value: str) -> str | None:
        answer = call("GET", f"{base}/query", q=f"SELECT Id FROM {kind} WHERE {field} = '{value}' LIMIT 1")
        return next((each["Id"] for each in answer["records"]), None)

    def saved(kind: str, known: str | None, fields: Mapping[str, Any]) -> str:
        if known is not None:
            call("PATCH", f"{base}/sobjects/{kind}/{known}", fields)
            return known
        return str(call("POST", f"{base}/sobjects/{kind}", fields)["id"])

    for number in range(contacts):
        email, company = f"p{number}@example.com", f"Company {number // COMPANIES_OF}"
        account_id = found("Account", "Name", company) or saved("Account", None, {"Name": company})
        person = {"FirstName": f"First{number}", "LastName": f"Last{number}", "Email": email, "AccountId": account_id}
        contact_id = saved("Contact", found("Contact", "Email", email), person)
        saved("Task", None, {"Subject": "Re: hello", "Description": NOTE, "Status": "Completed", "WhoId": contact_id})
        if number % DEALS_OF == 0:
            name = f"First{number} - Email Lead"
            if found("Opportunity", "Name", name) is None:
                deal = {"Name": name, "StageName": "Prospecting", "CloseDate": "2026-12-22", "AccountId": account_id}
                opportunity_id = saved("Opportunity", None, deal)
                saved("OpportunityContactRole", None, {"OpportunityId": opportunity_id, "ContactId": contact_id})
    call.close()


WAYS: dict[str, Callable[[str, Mapping[str, Any], int, float], None]] = {
    "hubspot": hubspot,
    "salesforce": salesforce,
    "pipedrive": pipedrive,
}
