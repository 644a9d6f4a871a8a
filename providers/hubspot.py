"""HubSpot: contacts, companies, deals, notes and tasks by the dated batch endpoints, in as few calls as they allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from providers import base
from providers.account import AccountFacts, CrmField
from providers.base import Budget, Http
from providers.codes import OwnCode
from providers.config import ProviderConfig
from providers.credentials import Credentials, Tokens, account_url
from providers.errors import Contended, ProviderError, Rejected, Unauthorized, Unexpected
from providers.hubspot_contacts import Contacts
from providers.hubspot_deals import Deals
from providers.hubspot_errors import NAME, error_of
from providers.hubspot_fields import OBJECTS, fields_of, with_pipelines
from providers.hubspot_notes import Notes
from providers.hubspot_pipelines import KnownPipelines
from providers.hubspot_tasks import Tasks
from providers.hubspot_wire import CONTACT_KEY, KEY, LEAD_SOURCE, Wire
from providers.models import Batch
from providers.report import Report

UNIQUE_KEY = {
    "name": KEY,
    "label": "Sync key (CRM sync)",
    "description": "Set by the CRM sync so that a record is never made twice. Please leave it as it is.",
    "hasUniqueValue": True,
}
PROPERTIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("companies", {**UNIQUE_KEY, "groupName": "companyinformation"}),
    ("deals", {**UNIQUE_KEY, "groupName": "dealinformation"}),
    (
        "contacts",
        {
            "name": CONTACT_KEY,
            "label": "Contact id (CRM sync)",
            "description": "The contact's id in the system that the CRM sync reads from.",
            "groupName": "contactinformation",
        },
    ),
    (
        "contacts",
        {
            "name": LEAD_SOURCE,
            "label": "Lead source (CRM sync)",
            "description": "Where the CRM sync found this contact first.",
            "groupName": "contactinformation",
        },
    ),
)


class Client(base.Client):
    """One HubSpot portal."""

    name: ClassVar[str] = NAME

    def __init__(self, config: ProviderConfig, tokens: Tokens, budget: Budget, http: Http) -> None:
        super().__init__(config, tokens, budget, http)
        self._pipelines = KnownPipelines(self._ask_pipelines)

    async def push(self, batch: Batch, report: Report) -> None:
        """Contacts with their companies, then deals, notes and tasks: each settled in `report` as it is confirmed."""
        wire = Wire(self.call, self.config.api_version, report, self.ensure_schema)
        if batch.erasures:
            from providers.hubspot_erasures import Erasures  # noqa: PLC0415 - seldom needed, and memory is

            await Erasures(wire, batch.erasures, self.call, self.config.api_version).push()
        if batch.contacts:
            await Contacts(wire, batch.contacts).push()
        if batch.deals:
            await Deals(wire, batch.deals, self._pipelines).push()
        if batch.activities:
            await Notes(wire, batch.activities).push()
        if batch.tasks:
            await Tasks(wire, batch.tasks).push()

    async def ensure_schema(self) -> dict[str, Any]:
        """Make the properties that hold our keys.

        Raises `Unauthorized`, in words for an administrator, when the connection may not make one or when one is there
        that cannot serve as a key.
        """
        for object_type, definition in PROPERTIES:
            path = f"/crm/properties/{self.config.api_version}/{object_type}"
            body = {"type": "string", "fieldType": "text", **definition}
            try:
                await self.call("POST", path, limit="core", json=body)
            except Unauthorized as error:
                # the scope is needed to make it, not to use what somebody else has made
                if error.status != httpx.codes.FORBIDDEN or not await self._exists(f"{path}/{definition['name']}"):
                    raise
                if definition.get("hasUniqueValue"):
                    await self._check_unique(object_type, f"{path}/{definition['name']}")
            except (Contended, Rejected) as error:
                if error.status == httpx.codes.LOCKED:
                    raise
                if error.status != httpx.codes.CONFLICT and "already exists" not in error.message.lower():
                    raise self._unmade(object_type, definition["name"], error) from None
                if definition.get("hasUniqueValue"):
                    await self._check_unique(object_type, f"{path}/{definition['name']}")
        return {}

    async def describe(self) -> list[CrmField]:
        """The properties of contacts, companies and deals; pipelines and stages are options of theirs."""
        fields: list[CrmField] = []
        for kind, object_type in OBJECTS:
            path = f"/crm/properties/{self.config.api_version}/{object_type}"
            fields += fields_of(kind, await self.call("GET", path, limit="core"))
        return list(with_pipelines(fields, await self._ask_pipelines()))

    async def identify(self) -> AccountFacts:
        """The portal behind the connection; HubSpot tells its number and where people open it, and no name."""
        found = await self.call("GET", f"/account-info/{self.config.api_version}/details", limit="core")
        try:
            url = account_url(f"https://{found.get('uiDomain')}", self.config, NAME)
            return AccountFacts(id=str(found["portalId"]), name="HubSpot account", url=url)
        except (AttributeError, KeyError, ValueError):
            raise Unexpected("HubSpot's answer does not name the account", provider=NAME) from None

    def costs_of(self, limit: str, cost: int, credentials: Credentials) -> Mapping[str, int]:
        """A static token (service key, private app) has a limit of its own, lower than an app's on small plans."""
        return {"static" if limit == "core" and credentials.refresh_token is None else limit: cost}

    def base_url(self, credentials: Credentials) -> str:
        """The same for all portals."""
        return self.config.api_base_url

    def error_of(self, response: httpx.Response) -> ProviderError:
        """See `hubspot_errors`."""
        return error_of(response)

    async def _ask_pipelines(self) -> Any:
        return await self.call("GET", f"/crm/pipelines/{self.config.api_version}/deals", limit="core")

    async def _exists(self, path: str) -> bool:
        try:
            await self.call("GET", path, limit="core")
        except ProviderError as error:
            if error.status in (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND):
                return False
            raise
        return True

    async def _check_unique(self, object_type: str, path: str) -> None:
        held = await self.call("GET", path, limit="core")
        # An answer may say nothing of it: then an upsert will tell.
        if not isinstance(held, dict) or held.get("hasUniqueValue") is False:
            raise Unauthorized(
                f"HubSpot has a property {KEY} on {object_type} that does not require unique values, which cannot be "
                "changed afterwards: an administrator has to delete it in HubSpot's settings, then it is made again",
                provider=NAME,
                code=OwnCode.PROPERTY_NOT_UNIQUE,
                field=KEY,
            )

    def _unmade(self, object_type: str, name: str, error: ProviderError) -> Unauthorized:
        return Unauthorized(
            f"HubSpot does not make the property {name} on {object_type}, an administrator has to: {error.message}",
            provider=NAME,
            status=error.status,
            code=error.code,
            correlation_id=error.correlation_id,
            field=name,
        )
