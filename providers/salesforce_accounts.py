"""The accounts of contacts: ours by their key, people's by their name, and new ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from providers.errors import ProviderError
from providers.models import Company, ContactDocument
from providers.salesforce_errors import KEY, is_gone
from providers.salesforce_lengths import cut
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
        self._lengths = facts.lengths_of(ACCOUNT)
        self._remarks: dict[str, str] = {}
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
            merged = await self._merged(companies) if is_again else []
            await self._find(wanted, companies, merged)
            await self._make(wanted, companies)

    def id_of(self, document: ContactDocument) -> str | None:
        """The account's id of a document's company."""
        return None if document.company is None else self._ids.get(document.company.key.casefold())

    def remark_of(self, document: ContactDocument) -> str | None:
        """What a human should know of the account that was made for a document's company."""
        return None if document.company is None else self._remarks.get(document.company.key.casefold())

    def link_to(self, document: ContactDocument) -> Mapping[str, Any]:
        """What makes a contact one of this account: by our key where the account carries it, else by its id."""
        assert document.company is not None
        if document.company.key.casefold() in self._keyed:
            return {ACCOUNT: {KEY: document.company.key}}
        return {"AccountId": self.id_of(document)}

    async def _merged(self, companies: Mapping[str, Company]) -> list[tuple[str, Record]]:
        """Accounts that turned out to be gone because people merged them: by the company's key what they became."""
        lost = {key: company.external_id for key, company in companies.items() if company.external_id is not None}
        masters = await self._wire.masters(ACCOUNT, lost.values())
        found = await self._wire.retrieve(ACCOUNT, masters.values(), [KEY])
        kept = {record.id: record for record in found.records}
        return [(key, kept[masters[each]]) for key, each in lost.items() if masters.get(each) in kept]

    async def _find(
        self,
        wanted: Mapping[str, list[ContactDocument]],
        companies: Mapping[str, Company],
        merged: Sequence[tuple[str, Record]],
    ) -> None:
        terms = [
            {KEY: company.key, NAME_FIELD: self._name_of(company)} for company in companies.values() if company.name
        ]
        terms += [{KEY: company.key} for company in companies.values() if not company.name]
        found = await self._wire.query(ACCOUNT, [KEY, NAME_FIELD], terms)
        by_name: dict[str, list[Record]] = defaultdict(list)
        for record in found.records:
            if record.key is None:
                by_name[_folded(record.text(NAME_FIELD))].append(record)
            elif record.key.casefold() in wanted:
                self._settle(record.key, record.id)
        for key, company in companies.items():
            if (error := found.refused.get(company.key)) is not None:
                self._fail(wanted[key], error)
        adopted = self._adopted(companies, merged, by_name)
        rows = [Row(account_id, {KEY: companies[key].key}, tuple(wanted[key])) for account_id, key in adopted.items()]
        async for row, result in self._wire.write(ACCOUNT, "update", rows):
            if not isinstance(result, ProviderError):
                self._settle(str(row.values[KEY]), row.key)
            elif not is_gone(result):
                self._fail(wanted[str(row.values[KEY]).casefold()], result)

    def _adopted(
        self,
        companies: Mapping[str, Company],
        merged: Sequence[tuple[str, Record]],
        by_name: dict[str, list[Record]],
    ) -> dict[str, str]:
        """The accounts of people's that are to carry our keys from now on: by their ids the keys."""
        adopted: dict[str, str] = {}
        for key, record in merged:
            if key in self._ids:
                continue
            if record.key is None and record.id not in adopted:
                adopted[record.id] = key
            else:
                # it has another company's key, or is about to
                self._ids[key] = record.id
                self._confirmed.add(key)
        met = {*adopted.values(), *self._ids}
        for key, company in companies.items():
            same = by_name.pop(_folded(self._name_of(company)), []) if key not in met else []
            # several of one name: which of them is meant is not ours to guess
            if len(same) == 1 and same[0].id not in adopted:
                adopted[same[0].id] = key
        return adopted

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
        given: dict[str, Any] = {}
        for name, value in (company.fields or {NAME_FIELD: company.name}).items():
            fitting, remark = cut(ACCOUNT, name, value, self._lengths)
            if remark is not None:
                self._remarks[company.key.casefold()] = f"the account's {remark}"
            if value:
                given[name] = typed(name, fitting, self._types)
        return given

    def _name_of(self, company: Company) -> str:
        return cut(ACCOUNT, NAME_FIELD, company.name, self._lengths)[0]

    def _settle(self, key: str, account_id: str) -> None:
        self._ids[key.casefold()] = account_id
        self._confirmed.add(key.casefold())
        self._keyed.add(key.casefold())

    def _fail(self, documents: Sequence[ContactDocument], error: ProviderError) -> None:
        for document in documents:
            self._wire.report.failed(document, error)


def _folded(name: str | None) -> str:
    return " ".join((name or "").split()).casefold()
