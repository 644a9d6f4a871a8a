"""Salesforce in the contract suite: its emulator, orgs in it, and a person at work in one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from providers import oauth
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.models import Field, Fields, Policy
from providers.salesforce import Client
from sandbox.faults import Fault
from sandbox.salesforce import CLIENT_ID, CLIENT_SECRET, Salesforce
from sandbox.salesforce.org import Org
from sandbox.server import serve
from tests.providers import contract

VERSION = "v68.0"
KEY = "CRM_Sync_Key__c"
KINDS = ("accounts", "contacts", "leads", "opportunities", "opportunity_contact_roles", "tasks")
# Activities and tasks are one kind of record: the first call with any of them is struck.
STAGES: dict[contract.Stage, str] = {
    "companies": f"/composite/sobjects/Account/{KEY}$",
    "contacts": f"/composite/sobjects/Contact/{KEY}$",
    "deals": f"/composite/sobjects/Opportunity/{KEY}$",
    "activities": f"/composite/sobjects/Task/{KEY}$",
    "tasks": f"/composite/sobjects/Task/{KEY}$",
}
ERRORS: dict[int, tuple[str, str]] = {
    401: ("INVALID_SESSION_ID", "Session expired or invalid"),
    403: ("API_DISABLED_FOR_ORG", "The REST API is not enabled for this Organization."),
    404: ("NOT_FOUND", "What was asked for is not there"),
    409: ("CONFLICT", "Another request changes this record."),
    422: ("INVALID_INPUT", "The values do not fit."),
    423: ("LOCKED", "The record is locked."),
    429: ("TOO_MANY_REQUESTS", "Too many requests."),
    500: ("UNKNOWN_EXCEPTION", "An unexpected error occurred."),
}
REFERENCES = ("AccountId", "WhoId", "WhatId", "OpportunityId", "ContactId")
# What Salesforce sets by itself, or what depends on when records were made.
OWN = {
    "Id",
    "CreatedDate",
    "LastModifiedDate",
    "SystemModstamp",
    "CompletedDateTime",
    "CreatedById",
    "LastModifiedById",
}
OWN |= {"OwnerId"}


class SalesforceAccount(contract.Account):
    """One org."""

    def __init__(self, salesforce: Salesforce, url: str, **options: Any) -> None:
        self.salesforce = salesforce
        self.org = salesforce.open_org(**options)
        self.config = ProviderConfig(
            api_base_url=url,
            api_version=VERSION,
            auth_url=f"{url}/services/oauth2/authorize",
            token_url=f"{url}/services/oauth2/token",
            revoke_url=f"{url}/services/oauth2/revoke",
            timeout_seconds=30,
        )
        self._refresh_token = SecretStr(self.org.refresh_token)

    def credentials(self) -> Credentials:
        return Credentials(
            access_token=SecretStr(self.org.access_token),
            refresh_token=self._refresh_token,
            instance_url=self.config.api_base_url,
        )

    async def renew(self, http: httpx.AsyncClient) -> Credentials:
        answer = await oauth.refresh(
            self.config, CLIENT_ID, SecretStr(CLIENT_SECRET), self._refresh_token, http, provider="salesforce"
        )
        self._refresh_token = answer.refresh_token or self._refresh_token
        return Credentials(
            access_token=answer.access_token,
            refresh_token=self._refresh_token,
            instance_url=self.config.api_base_url,
        )

    def expire(self) -> None:
        self.org.expire_tokens()

    def kill(self) -> None:
        self.org.revoke()

    def disturb(self, stage: contract.Stage, *, times: int = 1, skip: int = 0, **harm: Any) -> None:
        self.disturb_path(STAGES[stage], times=times, skip=skip, **harm)

    def disturb_path(self, path: str, *, times: int = 1, skip: int = 0, **harm: Any) -> None:
        """`body` may be JSON of any shape; a dictionary's words become an error as Salesforce writes one."""
        status = harm.get("status")
        if status is not None and not harm.get("html"):
            code, words = ERRORS.get(status, ("SOME_CODE", "Some words"))
            body = harm.get("body", {})
            if isinstance(body, dict):
                body = [{"message": body.get("message", words), "errorCode": body.get("category", code)}]
            harm["body"] = json.dumps(body)
        if (wait := harm.pop("retry_after", None)) is not None:
            harm["headers"] = {"Retry-After": str(wait)}
        self.salesforce.faults.add(Fault(path=path, account=self.org.number, times=times, skip=skip, **harm))

    def calm(self) -> None:
        self.salesforce.faults.clear()

    def effects(self) -> int:
        return len(self.salesforce.effects(self.org.number))

    def ledger(self) -> dict[str, Any]:
        return self.salesforce.ledger(self.org.number)

    def only(self, kind: str) -> dict[str, Any]:
        """The fields of the one record of a kind."""
        [record] = self.ledger()[kind]
        fields: dict[str, Any] = record["fields"]
        return fields

    def facts(self) -> dict[str, Any]:
        ledger = self.ledger()
        names = {record["id"]: _name(record["fields"]) for kind in KINDS for record in ledger[kind]}
        return {
            kind: sorted(
                sorted(
                    (name, str(names.get(value, value) if name in REFERENCES else value))
                    for name, value in record["fields"].items()
                    if name not in OWN and value is not None
                )
                for record in ledger[kind]
            )
            for kind in KINDS
        }


class SalesforceSample(contract.Sample):
    name = "salesforce"
    refused_field = "Email"

    def __init__(self, salesforce: Salesforce, url: str) -> None:
        self.salesforce = salesforce
        self._url = url

    def open_account(self) -> SalesforceAccount:
        return SalesforceAccount(self.salesforce, self._url)

    def open_org(self, **options: Any) -> SalesforceAccount:
        """An org that differs from the usual."""
        return SalesforceAccount(self.salesforce, self._url, **options)

    async def prepared_org(
        self, prepare: Callable[[Org], None] = lambda org: None, **options: Any
    ) -> SalesforceAccount:
        """An org that differs from the usual, as all but the first push find it."""
        account = self.open_org(**options)
        prepare(account.org)
        async with httpx.AsyncClient() as http:
            client = Client(account.config, contract.Tokens(account, http), contract.Budget(), http)
            account.learned = await client.ensure_schema()
        return account

    def contact_fields(self, email: str, first_name: str, last_name: str) -> Fields:
        return {
            "FirstName": Field(value=first_name, policy=Policy.IF_BLANK),
            "LastName": Field(value=last_name, policy=Policy.IF_BLANK),
            "Email": Field(value=email, policy=Policy.IF_BLANK),
            "LeadSource": Field(value="Email Campaign", policy=Policy.IF_BLANK),
        }

    def company_fields(self, name: str) -> dict[str, str]:
        return {"Name": name}

    def deal_fields(self, name: str) -> Fields:
        return {
            "Name": Field(value=name),
            "StageName": Field(value="Prospecting"),
            "Amount": Field(value="1000"),
            "CloseDate": Field(value="2026-12-22"),
        }

    def refused_fields(self) -> Fields:
        return {"LastName": Field(value="Eve"), "Email": Field(value="not an address")}


class Person:
    """A person at work in an org, next to the client under test."""

    def __init__(self, account: SalesforceAccount) -> None:
        self._org = account.org

    def create(self, kind: str, **fields: Any) -> str:
        return self._org.create(kind, **fields)

    def change(self, kind: str, record_id: str, **fields: Any) -> None:
        self._org.update(kind, record_id, **fields)

    def read(self, kind: str, record_id: str, *names: str) -> dict[str, Any]:
        held = self._org.read(kind, record_id)
        return {name: held.get(name) for name in names}

    def delete(self, kind: str, record_id: str) -> None:
        self._org.delete(kind, record_id)

    def convert(self, lead_id: str) -> str:
        """The id of the contact that the lead became."""
        return self._org.convert_lead(lead_id)


def _name(fields: dict[str, Any]) -> str:
    return str(
        fields.get(KEY) or fields.get("Description") or f"{fields.get('OpportunityId')} {fields.get('ContactId')}"
    )


@contextmanager
def open_sample() -> Iterator[SalesforceSample]:
    salesforce = Salesforce()
    with serve(salesforce.app) as server:
        yield SalesforceSample(salesforce, server.url)
