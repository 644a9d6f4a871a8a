"""Pipedrive: persons, organizations, deals and activities by v2, notes by v1, a call for each record that changes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from providers import base
from providers.account import AccountFacts, CrmField
from providers.base import Budget
from providers.config import ProviderConfig
from providers.credentials import Credentials, Tokens, account_url, host_of
from providers.errors import ProviderError, Unexpected
from providers.models import Batch
from providers.pipedrive_deals import Deals
from providers.pipedrive_errors import NAME, error_of
from providers.pipedrive_fields import describe
from providers.pipedrive_organizations import Organizations
from providers.pipedrive_persons import Persons, is_unchanged
from providers.pipedrive_schema import Schema
from providers.pipedrive_timeline import Notes, Tasks
from providers.pipedrive_wire import Wire
from providers.report import Report

PERSONAL_TOKEN = re.compile(r"[0-9a-f]{40}")
ABOUT_ME_COST = 2


class Client(base.Client):
    """One Pipedrive company."""

    name: ClassVar[str] = NAME

    def __init__(self, config: ProviderConfig, tokens: Tokens, budget: Budget, http: httpx.AsyncClient) -> None:
        super().__init__(config, tokens, budget, http)
        self._schema = Schema(self.call)
        self._sizes: dict[str, int] = {}
        self._making_organizations = asyncio.Lock()

    async def push(self, batch: Batch, report: Report) -> None:
        """Contacts with their companies, then deals, notes and tasks: each settled in `report` as it is confirmed."""
        wire = Wire(self.call, report, self._schema)
        if batch.deals or not all(is_unchanged(document) for document in batch.contacts):
            await self._schema.know(batch.account)
        if batch.erasures:
            from providers.pipedrive_erasures import Erasures  # noqa: PLC0415 - seldom needed, and memory is

            await Erasures(wire, batch.erasures, self.call).push()
        if batch.contacts:
            organizations = Organizations(wire, self._sizes, self._making_organizations)
            await Persons(wire, batch.contacts, organizations, self._sizes).push()
        if batch.deals:
            await Deals(wire, batch.deals).push()
        if batch.activities:
            await Notes(wire, batch.activities).push()
        if batch.tasks:
            await Tasks(wire, batch.tasks).push()

    async def ensure_schema(self) -> dict[str, Any]:
        """Make the custom fields that hold our keys; returns their codes, as `{"person_key": "<40 hex digits>", …}`.

        Raises `Unauthorized`, in words for an administrator, when the connection may not make them.
        """
        return await self._schema.ensure()

    async def describe(self) -> list[CrmField]:
        """The fields of persons, organizations and deals, with their options."""
        return await describe(self._schema)

    async def identify(self) -> AccountFacts:
        """The company behind the connection."""
        answer = await self.call("GET", "/api/v1/users/me", limit="core", cost=ABOUT_ME_COST)
        credentials = await self._tokens.current()
        try:
            me = answer["data"]
            domain = me.get("company_domain")
            place = credentials.api_domain or (f"https://{domain}.pipedrive.com" if domain else None)
            url = account_url(place, self.config, NAME)
            return AccountFacts(id=str(me["company_id"] or ""), name=me.get("company_name"), url=url)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise Unexpected("Pipedrive's answer does not name the company", provider=NAME) from None

    def costs_of(self, limit: str, cost: int, credentials: Credentials) -> Mapping[str, int]:
        """One call of the burst limit, which is lower for a personal token, and its tokens of the day's budget."""
        burst = "static" if _is_personal(credentials) else "core"
        return {burst: 1, **({"search": 1} if limit == "search" else {}), "daily": cost}

    def authorize(self, credentials: Credentials) -> dict[str, str]:
        """A personal API token has a header of its own."""
        if _is_personal(credentials):
            return {"x-api-token": credentials.access_token.get_secret_value()}
        return super().authorize(credentials)

    def base_url(self, credentials: Credentials) -> str:
        """The company's own domain, as it was named when the connection was made."""
        return host_of(credentials.api_domain or self.config.api_base_url, self.config, NAME)

    def error_of(self, response: httpx.Response) -> ProviderError:
        """See `pipedrive_errors`."""
        return error_of(response)


def _is_personal(credentials: Credentials) -> bool:
    token = credentials.access_token.get_secret_value()
    return credentials.refresh_token is None and PERSONAL_TOKEN.fullmatch(token) is not None
