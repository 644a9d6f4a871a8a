"""The accounts of contacts: ours by their key, people's by their name, and new ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from providers.errors import ProviderError
from providers.models import Company, ContactDocument
from providers.salesforce_errors import KEY, is_gone
from providers.salesforce_rows import Record, Row, typed
from providers.salesforce_schema import Facts
from providers.salesforce_wire import Wire

ACCOUNT = "Account"
NAME_FIELD = "Name"


class Accounts:
    """Which account each company is, over the whole push."""

    def __init__(self, wire: Wire, facts: Facts) -> None:
        self._wire = wire
        self._types = facts.types_of(ACCOUNT)
        self._ids: dict[str, str] = {}
        self._confirmed: set[str] = set()
        self._keyed: set[str] = set()

    async def ensure(self, documents: Sequence[ContactDocument], *, is_again: bool = False) -> None:
        """Have an account for each company; documents whose company cannot have one are failed.

        What is known from earlier is believed, unless `is_again`: then it has turned out to be gone.
        """
        wanted: dict[str, list[ContactDocument]] = defaultdict(list)
        companies: dict[str, Company] = {}
        for document in documents:
            company = document.company
            if company is None or not self._wire.report.is_open(document):
                continue
            key = company.key.casefold()
            if company.external_id is not None and not is_again:
                self._ids.setdefault(key, company.external_id)
            if key not in self._ids or (is_again and key not in self._confirmed):
                wanted[key].append(document)
                companies.setdefault(key, company)
        for key in wanted:
            self._ids.pop(key, None)
        if wanted:
            await self._find(wanted, companies)
            await self._make(wanted, companies)

    def id_of(self, document: ContactDocument) -> str | None:
        """The account's id of a document's company."""
        return None if document.company is None else self._ids.get(document.company.key.casefold())

    def link_to(self, document: ContactDocument) -> Mapping[str, Any]:
        """What makes a contact one of this account: by our key where the account carries it, else by its id."""
        assert document.company is not None
        if document.company.key.casefold() in self._keyed:
            return {ACCOUNT: {KEY: document.company.key}}
        return {"AccountId": self.id_of(document)}

    async def _find(self, wanted: Mapping[str, list[ContactDocument]], companies: Mapping[str, Company]) -> None:
        terms = [{KEY: company.key, NAME_FIELD: company.name} for company in companies.values() if company.name]
        terms += [{KEY: company.key} for company in companies.values() if not company.name]
        found = await self._wire.query(ACCOUNT, [KEY, NAME_FIELD], terms)
        by_name: dict[str, list[Record]] = defaultdict(list)
        for record in found.records:
            if record.key is None:
                by_name[_folded(record.text(NAME_FIELD))].append(record)
            elif record.key.casefold() in wanted:
                self._settle(record.key, record.id)
        adopted: list[Row] = []
        for key, company in companies.items():
            if (error := found.refused.get(company.key)) is not None:
                self._fail(wanted[key], error)
            # several of one name: which of them is meant is not ours to guess
            elif key not in self._ids and len(same := by_name.pop(_folded(company.name), [])) == 1:
                adopted.append(Row(same[0].id, {KEY: company.key}, tuple(wanted[key])))
        async for row, result in self._wire.write(ACCOUNT, "update", adopted):
            if not isinstance(result, ProviderError):
                self._settle(str(row.values[KEY]), row.key)
            elif not is_gone(result):
                self._fail(wanted[str(row.values[KEY]).casefold()], result)

    async def _make(self, wanted: Mapping[str, list[ContactDocument]], companies: Mapping[str, Company]) -> None:
        rows = [
            Row(company.key, self._beginning_of(company), tuple(wanted[key]))
            for key, company in companies.items()
            if key not in self._ids and any(self._wire.report.is_open(document) for document in wanted[key])
        ]
        async for row, result in self._wire.write(ACCOUNT, "upsert", rows):
            if isinstance(result, ProviderError):
                self._fail(wanted[row.key.casefold()], result)
            else:
                self._settle(row.key, result.id)

    def _beginning_of(self, company: Company) -> dict[str, Any]:
        given = {name: typed(name, value, self._types) for name, value in company.fields.items() if value}
        return given or {NAME_FIELD: company.name}

    def _settle(self, key: str, account_id: str) -> None:
        self._ids[key.casefold()] = account_id
        self._confirmed.add(key.casefold())
        self._keyed.add(key.casefold())

    def _fail(self, documents: Sequence[ContactDocument], error: ProviderError) -> None:
        for document in documents:
            self._wire.report.failed(document, error)


def _folded(name: str | None) -> str:
    return " ".join((name or "").split()).casefold()
