"""Salesforce: accounts, contacts or leads, opportunities and tasks by the collection calls, 200 records each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from providers import base
from providers.account import AccountFacts, CrmField
from providers.credentials import Credentials, account_url, host_of
from providers.errors import ProviderError, Rejected, Unexpected
from providers.models import Batch
from providers.report import Report
from providers.salesforce_deals import Deals
from providers.salesforce_errors import NAME, error_of
from providers.salesforce_people import push_people
from providers.salesforce_schema import Facts, Schema
from providers.salesforce_tasks import Tasks
from providers.salesforce_wire import Wire

DAY_LIMIT = "core"
"""One limit: the calls that all apps of an org may make in a rolling day."""
USAGE = re.compile(r"(?:^|[;,\s])api-usage=([0-9]{1,12})/([0-9]{1,12})(?![0-9])")

IDENTITY = re.compile(r"/id/(00D\w+)/(005\w+)$")


class Client(base.Client):
    """One Salesforce org."""

    name: ClassVar[str] = NAME
    _facts: Facts | None = None

    async def push(self, batch: Batch, report: Report) -> None:
        """People with their accounts, then opportunities, then tasks: each settled in `report` as it is confirmed."""
        if not batch.documents:
            return
        wire = Wire(self.call, self.config.api_version, report)
        facts = await self._known(batch.account)
        if batch.erasures:
            from providers.salesforce_erasures import Erasures  # noqa: PLC0415 - seldom needed, and memory is

            await Erasures(wire, batch.erasures, self.call, facts).push()
        if batch.contacts:
            await push_people(wire, batch.contacts, facts, self._schema)
        if batch.deals:
            await Deals(wire, batch.deals, facts).push()
        if batch.activities or batch.tasks:
            await Tasks(wire, (*batch.activities, *batch.tasks), facts).push()

    async def ensure_schema(self) -> dict[str, Any]:
        """Look for the fields that hold our keys; only an administrator can make them.

        Returns `salesforce_schema.Facts` as JSON. Raises `Unauthorized` (code FIELDS_MISSING) with the steps otherwise.
        """
        self._facts = await self._schema.facts()
        return self._facts.model_dump()

    async def describe(self) -> list[CrmField]:
        """The fields of accounts, contacts, leads and opportunities."""
        return await self._schema.describe()

    async def identify(self) -> AccountFacts:
        """The org behind the connection, by its name and id, or by its id alone where its name may not be read."""
        root = f"/services/data/{self.config.api_version}"
        credentials = await self._tokens.current()
        url = account_url(credentials.instance_url, self.config, NAME)
        try:
            answer = await self.call(
                "GET", f"{root}/query", limit=DAY_LIMIT, params={"q": "SELECT Id, Name FROM Organization"}
            )
            entry = answer["records"][0]
            return AccountFacts(id=str(entry["Id"]), name=entry["Name"], url=url)
        except Rejected:
            entry = await self.call("GET", f"{root}/", limit=DAY_LIMIT)
            if isinstance(entry, dict) and (found := IDENTITY.search(str(entry.get("identity")))):
                return AccountFacts(id=found[1], url=url)
        except (TypeError, KeyError, IndexError, ValueError):
            pass
        raise Unexpected("Salesforce's answer does not name the org", provider=NAME)

    def base_url(self, credentials: Credentials) -> str:
        """The org's own host, as Salesforce named it when the connection was made or refreshed."""
        return host_of(credentials.instance_url or self.config.api_base_url, self.config, NAME)

    def observe(self, response: httpx.Response) -> None:
        """Salesforce says with each answer how much of its day the org has used."""
        found = USAGE.search(response.headers.get("sforce-limit-info", ""))
        if found and int(found[2]):
            self._budget.observe(DAY_LIMIT, int(found[1]), int(found[2]))

    def error_of(self, response: httpx.Response) -> ProviderError:
        """See `salesforce_errors`."""
        return error_of(response)

    @property
    def _schema(self) -> Schema:
        return Schema(self.call, self.config.api_version)

    async def _known(self, account: Mapping[str, Any]) -> Facts:
        """What was learned when the connection was prepared; asked for once where that has not been kept."""
        if "task_key" in account:
            return Facts.model_validate(account)
        if self._facts is None:
            await self.ensure_schema()
        assert self._facts is not None
        return self._facts
