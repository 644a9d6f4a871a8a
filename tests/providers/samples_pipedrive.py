"""Pipedrive in the contract suite: its emulator, and accounts in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
from pydantic import SecretStr

from providers import oauth
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.models import Company, ContactDocument, Field, Fields, Policy
from sandbox.faults import Fault
from sandbox.pipedrive import CLIENT_ID, CLIENT_SECRET, Pipedrive
from sandbox.server import serve
from tests.providers import contract

# Each stage is one call for each record; a disturbance of a stage strikes all that are under way at once.
STAGES: dict[contract.Stage, tuple[str, int]] = {
    "companies": ("/api/v2/organizations$", 2),
    "contacts": ("/api/v2/persons$", 4),
    "deals": ("/api/v2/deals$", 4),
    "activities": ("/api/v1/notes$", 4),
    "tasks": ("/api/v2/activities$", 1),
}
ERRORS = {
    401: "unauthorized access",
    403: "Scope and URL mismatch",
    404: "Record not found",
    409: "The record is being changed by another request",
    422: "The values do not fit",
    423: "The record is locked",
    429: "request over limit",
    500: "internal error",
}
ADA = "ada@example.com"
MINE = {"primary": True, "label": "work"}
DEAL_FACTS = ("title", "value", "currency", "expected_close_date", "status")


class PipedriveAccount(contract.Account):
    def __init__(self, pipedrive: Pipedrive, url: str) -> None:
        self.pipedrive = pipedrive
        self.company = pipedrive.open_company()
        self.config = ProviderConfig(
            api_base_url=url,
            api_version="v2",
            auth_url=f"{url}/oauth/authorize",
            token_url=f"{url}/oauth/token",
            revoke_url=f"{url}/oauth/revoke",
            client_auth="basic",
            timeout_seconds=30,
        )
        self._refresh_token = SecretStr(self.company.refresh_token)

    def credentials(self) -> Credentials:
        return Credentials(
            access_token=SecretStr(self.company.access_token),
            refresh_token=SecretStr(self.company.refresh_token),
            api_domain=self.config.api_base_url,
        )

    async def renew(self, http: httpx.AsyncClient) -> Credentials:
        answer = await oauth.refresh(
            self.config,
            CLIENT_ID,
            SecretStr(CLIENT_SECRET),
            self._refresh_token,
            http,
            client_auth="basic",
            provider="pipedrive",
        )
        return Credentials(
            access_token=answer.access_token,
            refresh_token=answer.refresh_token,
            api_domain=self.config.api_base_url,
        )

    def expire(self) -> None:
        self.company.expire_tokens()

    def kill(self) -> None:
        self.company.revoke()

    def disturb(self, stage: contract.Stage, *, times: int = 1, skip: int = 0, **harm: Any) -> None:
        path, width = STAGES[stage]
        self.disturb_path(path, times=times * width, skip=skip * width, method="POST", **harm)

    def disturb_path(self, path: str, *, times: int = 1, skip: int = 0, **harm: Any) -> None:
        status = harm.get("status")
        if status is not None and not harm.get("html"):
            harm.setdefault("body", {"success": False, "error": ERRORS.get(status, "no"), "errorCode": status})
        if (wait := harm.pop("retry_after", None)) is not None:
            harm["headers"] = {"Retry-After": str(wait)}
        self.pipedrive.faults.add(Fault(path=path, account=self.company.number, times=times, skip=skip, **harm))

    def calm(self) -> None:
        self.pipedrive.faults.clear()

    def effects(self) -> int:
        return len(self.pipedrive.effects(self.company.number))

    def ledger(self) -> dict[str, Any]:
        return self.pipedrive.ledger(self.company.number)

    def facts(self) -> dict[str, Any]:
        ledger = self.ledger()
        names: dict[Any, str] = {None: "nobody"}
        for person in ledger["persons"]:
            names["person", person["id"]] = person["emails"][0]["value"]
        for organization in ledger["organizations"]:
            names["org", organization["id"]] = organization["name"]

        def links(record: dict[str, Any]) -> list[str | None]:
            return [names.get(("person", record.get("person_id"))), names.get(("org", record.get("org_id")))]

        def key(record: dict[str, Any], fact: str) -> Any:
            return record["custom_fields"][self.learned[fact]]

        return {
            "persons": sorted(
                [each["name"], [entry["value"] for entry in each["emails"]], key(each, "person_key"), *links(each)[1:]]
                for each in ledger["persons"]
            ),
            "organizations": sorted([each["name"], key(each, "organization_key")] for each in ledger["organizations"]),
            "deals": sorted(
                [
                    each["title"],
                    each["value"],
                    each["currency"],
                    each["expected_close_date"],
                    key(each, "deal_key"),
                    *links(each),
                ]
                for each in ledger["deals"]
            ),
            "notes": sorted([each["content"], *links(each)] for each in ledger["notes"]),
            "activities": sorted(
                [each["subject"], each["due_date"], each["note"], each["done"], *links(each)]
                for each in ledger["activities"]
            ),
        }


class PipedriveSample(contract.Sample):
    name = "pipedrive"
    refused_field = "owner_id"

    def __init__(self, pipedrive: Pipedrive, url: str) -> None:
        self.pipedrive = pipedrive
        self._url = url

    def open_account(self) -> PipedriveAccount:
        return PipedriveAccount(self.pipedrive, self._url)

    def contact_fields(self, email: str, first_name: str, last_name: str) -> Fields:
        return {
            "name": Field(value=f"{first_name} {last_name}", policy=Policy.IF_BLANK),
            "email": Field(value=email, policy=Policy.IF_BLANK),
        }

    def company_fields(self, name: str) -> dict[str, str]:
        return {"name": name}

    def deal_fields(self, name: str) -> Fields:
        return {
            "title": Field(value=name),
            "pipeline_id": Field(value="default"),
            "stage_id": Field(value="default"),
            "value": Field(value="1000"),
            "currency": Field(value="EUR"),
            "expected_close_date": Field(value="2026-12-22"),
        }

    def refused_fields(self) -> Fields:
        return {"name": Field(value="Eve"), "owner_id": Field(value="987654321")}


class Person:
    """A person at work in a Pipedrive company, through the plain API, next to the client under test."""

    def __init__(self, account: PipedriveAccount) -> None:
        self._http = httpx.Client(
            base_url=account.config.api_base_url, headers={"x-api-token": account.company.api_token}
        )

    def create(self, kind: str, **body: Any) -> Any:
        return self.call("POST", f"/api/v2/{kind}", body)

    def change(self, kind: str, record_id: Any, **body: Any) -> Any:
        return self.call("PATCH", f"/api/v2/{kind}/{record_id}", body)

    def read(self, kind: str, record_id: Any) -> Any:
        return self.call("GET", f"/api/v2/{kind}/{record_id}")

    def delete(self, kind: str, record_id: Any, version: str = "v2") -> None:
        self.call("DELETE", f"/api/{version}/{kind}/{record_id}")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()["data"]

    def close(self) -> None:
        self._http.close()


@contextmanager
def open_sample(**options: Any) -> Iterator[PipedriveSample]:
    """`options` are the emulator's."""
    pipedrive = Pipedrive(**options)
    with serve(pipedrive.app) as server:
        yield PipedriveSample(pipedrive, server.url)


def contact(number: int = 1, email: str = ADA, fields: Fields | None = None, **more: Any) -> ContactDocument:
    """A contact whose name and address people may have set otherwise."""
    given = {
        "email": Field(value=email, policy=Policy.IF_BLANK),
        "name": Field(value=f"Person {number}", policy=Policy.IF_BLANK),
        **(fields or {}),
    }
    return ContactDocument(rows=(number,), contact_id=UUID(int=number), email=email, fields=given, **more)


def works_at(name: str, external_id: str | None = None) -> Company:
    """A company of that name."""
    return Company(key=f"company-{name}", name=name, external_id=external_id, fields={"name": name})


def held_by(company: PipedriveAccount, kind: str = "persons") -> list[dict[str, Any]]:
    """The account's records of one kind."""
    return list(company.ledger()[kind])
