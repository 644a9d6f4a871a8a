"""The companies of contacts as organizations: each found or made once a push, and marked with our key."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from providers.batches import run_each
from providers.errors import Contended, Rejected
from providers.models import Company, ContactDocument
from providers.pipedrive_directory import Directory, Wanted
from providers.pipedrive_errors import is_gone
from providers.pipedrive_schema import ORGANIZATION
from providers.pipedrive_values import CUSTOM, LISTS, Record, canonical, custom_of, json_of
from providers.pipedrive_wire import WIDTH, Wire

LONGEST_NAME = 255


class Organizations:
    """The organizations of one push. `making` is shared by the pushes of a client: of two that need the same new
    organization at the same moment, the second waits and finds it."""

    def __init__(self, wire: Wire, sizes: dict[str, int], making: asyncio.Lock) -> None:
        self._wire = wire
        self._making = making
        self._directory = Directory(wire, ORGANIZATION, sizes, folded_name, _names_of)
        self._ids: dict[str, str] = {}
        self._confirmed: set[str] = set()
        self._doubted: set[str] = set()

    async def resolve(self, documents: Iterable[ContactDocument]) -> None:
        """See that the companies of these contacts have an id; a company that is refused fails its contacts."""
        wanted: dict[str, Wanted] = {}
        companies: dict[str, Company] = {}
        for document in documents:
            company = document.company
            if company is None or company.key in self._confirmed:
                continue
            if company.external_id is not None and company.key not in self._doubted:
                self._ids.setdefault(company.key, company.external_id)
            if company.key not in self._ids:
                companies.setdefault(company.key, company)
                wanted.setdefault(company.key, Wanted(company.key, company.name, [])).documents.append(document)
        if not wanted:
            return
        async with self._making:
            await self._directory.find(list(wanted.values()))

            async def carry(each: Wanted) -> None:
                await self._settle(each, companies[each.key])

            await run_each([each for each in wanted.values() if self._is_open(each)], carry, WIDTH)

    def id_of(self, document: ContactDocument) -> str | None:
        """The id of a contact's organization; None when it has none."""
        return None if document.company is None else self._ids.get(document.company.key)

    def doubt(self, documents: Iterable[ContactDocument]) -> None:
        """Forget ids known from earlier that Pipedrive refused, so that `resolve` looks for them anew."""
        for document in documents:
            if document.company is not None and document.company.key not in self._confirmed:
                self._ids.pop(document.company.key, None)
                self._doubted.add(document.company.key)

    async def _settle(self, wanted: Wanted, company: Company) -> None:
        contacts = _contacts(wanted)
        record, _ = self._directory.pick(wanted)
        try:
            if record is not None:
                record = await self._adopt(record, company, contacts)
            if record is None:
                body = await self._body(company)
                record = await self._wire.write("POST", ORGANIZATION.path, body, contacts, kind=ORGANIZATION)
        except (Rejected, Contended) as error:
            self._wire.schema.forget_definitions()
            for document in contacts:
                self._wire.report.failed(document, error)
        else:
            self._ids[company.key] = str(record["id"])
            self._confirmed.add(company.key)

    async def _adopt(self, record: Record, company: Company, documents: Sequence[ContactDocument]) -> Record | None:
        """Mark an organization that people made with our key; None when it is gone by now."""
        key = self._wire.schema.key(ORGANIZATION)
        if canonical(custom_of(record).get(key)):
            return record
        body = {"custom_fields": {key: company.key}}
        try:
            return await self._wire.write(
                "PATCH", f"{ORGANIZATION.path}/{record['id']}", body, documents, kind=ORGANIZATION
            )
        except Rejected as error:
            if is_gone(error):
                return None
            raise

    async def _body(self, company: Company) -> dict[str, Any]:
        names = [name for name in company.fields if CUSTOM.fullmatch(name)]
        definitions = await self._wire.schema.definitions(ORGANIZATION, *names) if names else {}
        body: dict[str, Any] = {}
        custom: dict[str, Any] = {}
        for name, text in company.fields.items():
            if text and name not in LISTS:
                value = json_of(name, text, definitions.get(name))
                (custom if CUSTOM.fullmatch(name) else body)[name] = value
        body["name"] = str(body.get("name") or company.name)[:LONGEST_NAME]
        return {**body, "custom_fields": {**custom, self._wire.schema.key(ORGANIZATION): company.key}}

    def _is_open(self, wanted: Wanted) -> bool:
        return any(self._wire.report.is_open(document) for document in _contacts(wanted))


def folded_name(name: str) -> str:
    """What spellings that differ in case or white space only share."""
    return " ".join(name.split()).casefold()


def _names_of(record: Record) -> Iterable[str]:
    return [folded_name(str(record.get("name") or ""))]


def _contacts(wanted: Wanted) -> list[ContactDocument]:
    return [document for document in wanted.documents if isinstance(document, ContactDocument)]
