"""HubSpot in the contract suite: its emulator, and accounts in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from providers import oauth
from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.models import Field, Fields, Policy
from sandbox.faults import Fault
from sandbox.hubspot import HubSpot
from sandbox.server import serve
from tests.providers import contract

VERSION = "2026-03"
RANKS = (("NEW", "OPEN"), ("CONNECTED",), ("IN_PROGRESS",), ("OPEN_DEAL",))
PATHS: dict[contract.Stage, str] = {
    "companies": "/companies/batch/upsert",
    "contacts": "/contacts/batch/upsert",
    "deals": "/deals/batch/upsert",
    "activities": "/notes/batch/create",
    "tasks": "/tasks/batch/create",
}
KINDS = ("contacts", "companies", "deals", "notes", "tasks")
BODIES: dict[int, dict[str, Any]] = {
    401: {"category": "INVALID_AUTHENTICATION", "message": "Authentication credentials not found."},
    403: {
        "category": "MISSING_SCOPES",
        "message": "This app hasn't been granted all required scopes to make this call.",
        "errors": [
            {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": ["crm.objects.contacts.write"]},
            }
        ],
    },
    404: {"category": "OBJECT_NOT_FOUND", "message": "Object not found. objectId are usually numeric."},
    409: {"category": "CONFLICT", "message": "Another request changes this object."},
    422: {"category": "VALIDATION_ERROR", "message": "The values do not fit."},
    423: {"category": "LOCKED", "message": "The resource is locked."},
    429: {
        "errorType": "RATE_LIMIT",
        "policyName": "TEN_SECONDLY_ROLLING",
        "message": "You have reached your ten_secondly_rolling limit.",
    },
    500: {"category": "INTERNAL_ERROR", "message": "internal error"},
}
# What HubSpot sets by itself, or what depends on when and in which order records were made.
OWN = {"createdate", "lastmodifieddate", "hs_lastmodifieddate", "hs_createdate", "hs_object_id"}
_hub_ids = itertools.count(7001)


class HubSpotAccount(contract.Account):
    def __init__(self, hubspot: HubSpot, url: str) -> None:
        self.hubspot = hubspot
        self.portal = hubspot.open_portal(hub_id=next(_hub_ids))
        self.config = ProviderConfig(
            api_base_url=url,
            account_hosts=("*.hubspot.com",),
            api_version=VERSION,
            auth_url=f"{url}/oauth/authorize",
            token_url=f"{url}/oauth/{VERSION}/token",
            revoke_url=f"{url}/oauth/{VERSION}/token/revoke",
            timeout_seconds=30,
        )
        self._refresh_token = SecretStr(self.portal.refresh_token)

    def credentials(self) -> Credentials:
        return Credentials(
            access_token=SecretStr(self.portal.access_token), refresh_token=SecretStr(self.portal.refresh_token)
        )

    async def renew(self, http: httpx.AsyncClient) -> Credentials:
        answer = await oauth.refresh(
            self.config,
            self.hubspot.client_id,
            SecretStr(self.hubspot.client_secret),
            self._refresh_token,
            http,
            provider="hubspot",
        )
        return Credentials(access_token=answer.access_token, refresh_token=answer.refresh_token)

    def expire(self) -> None:
        self.portal.expire_tokens()

    def kill(self) -> None:
        self.portal.revoke()

    def disturb(self, stage: contract.Stage, *, times: int = 1, skip: int = 0, **harm: Any) -> None:
        self.disturb_path(PATHS[stage], times=times, skip=skip, **harm)

    def disturb_path(self, path: str, *, times: int = 1, skip: int = 0, **harm: Any) -> None:
        status = harm.get("status")
        if status is not None and not harm.get("html"):
            correlation = {"status": "error", "correlationId": f"corr-{status}"}
            harm.setdefault("body", {**correlation, **BODIES.get(status, {})})
        if (wait := harm.pop("retry_after", None)) is not None:
            harm["headers"] = {"Retry-After": str(wait)}
        self.hubspot.faults.add(Fault(path=path, account=self.portal.hub_id, times=times, skip=skip, **harm))

    def calm(self) -> None:
        self.hubspot.faults.clear()

    def effects(self) -> int:
        return len(self.hubspot.effects(self.portal.hub_id))

    def ledger(self) -> dict[str, Any]:
        return self.hubspot.ledger(self.portal.hub_id)

    def facts(self) -> dict[str, Any]:
        ledger = self.ledger()
        names = {(kind, record["id"]): _name(kind, record["properties"]) for kind in KINDS for record in ledger[kind]}
        facts: dict[str, Any] = {
            kind: sorted(
                sorted((name, value) for name, value in record["properties"].items() if name not in OWN)
                for record in ledger[kind]
            )
            for kind in KINDS
        }
        facts["associations"] = sorted(
            (names[each["from_type"], each["from_id"]], names[each["to_type"], each["to_id"]], each["type_id"])
            for each in ledger["associations"]
        )
        return facts


class HubSpotSample(contract.Sample):
    name = "hubspot"
    refused_field = "hs_lead_status"

    def __init__(self, hubspot: HubSpot, url: str) -> None:
        self.hubspot = hubspot
        self._url = url

    def open_account(self) -> HubSpotAccount:
        return HubSpotAccount(self.hubspot, self._url)

    def contact_fields(self, email: str, first_name: str, last_name: str) -> Fields:
        return {
            "email": Field(value=email, policy=Policy.IF_BLANK),
            "firstname": Field(value=first_name, policy=Policy.IF_BLANK),
            "lastname": Field(value=last_name, policy=Policy.IF_BLANK),
            "hs_lead_status": Field(value="OPEN_DEAL", policy=Policy.FORWARD_ONLY, ranks=RANKS),
            "crm_sync_lead_source": Field(value="Email Campaign", policy=Policy.IF_BLANK),
        }

    def company_fields(self, name: str) -> dict[str, str]:
        return {"name": name}

    def deal_fields(self, name: str) -> Fields:
        return {
            "dealname": Field(value=name),
            "pipeline": Field(value="default"),
            "dealstage": Field(value="appointmentscheduled"),
            "amount": Field(value="1000"),
            "closedate": Field(value="2026-12-22T00:00:00Z"),
        }

    def refused_fields(self) -> Fields:
        return {"firstname": Field(value="Eve"), "hs_lead_status": Field(value="QUALIFIED")}


def _name(kind: str, properties: dict[str, str]) -> str:
    key = {"contacts": "email", "notes": "hs_note_body", "tasks": "hs_task_subject"}.get(kind, "crm_sync_key")
    return f"{kind} {properties[key]}"


@contextmanager
def open_sample() -> Iterator[HubSpotSample]:
    hubspot = HubSpot()
    with serve(hubspot.app) as server:
        yield HubSpotSample(hubspot, server.url)
