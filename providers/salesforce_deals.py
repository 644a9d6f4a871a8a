"""Opportunities: one for each key, with its contact as a role in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from providers.codes import OwnCode
from providers.errors import ProviderError, Rejected
from providers.models import AnyDocument, DealDocument
from providers.salesforce_errors import KEY, NAME, contact_gone, is_gone
from providers.salesforce_lengths import cut
from providers.salesforce_rows import LEAD, Row, Written, typed
from providers.salesforce_schema import Facts
from providers.salesforce_wire import Wire

OPPORTUNITY = "Opportunity"
ROLE = "OpportunityContactRole"
ACCOUNT_ID = "AccountId"


class Deals:
    """One push of deal documents."""

    def __init__(self, wire: Wire, documents: Sequence[DealDocument], facts: Facts) -> None:
        self._wire = wire
        self._report = wire.report
        self._types = facts.types_of(OPPORTUNITY)
        self._lengths = facts.lengths_of(OPPORTUNITY)
        self._accounts: dict[str, str] = {}
        self._by_key: dict[str, list[DealDocument]] = defaultdict(list)
        for document in documents:
            self._by_key[document.key.casefold()].append(document)
        self._written: dict[str, Written] = {}
        self._remarks: dict[str, str] = {}

    async def push(self) -> None:
        """Look for opportunities of unknown fate, write the others, give all of them their contact."""
        self._refuse_leads()
        await self._find_uncertain()
        new = [key for key in self._open_keys() if key not in self._written]
        await self._ask_for_accounts([key for key in new if self._by_key[key][0].company_external_id is None])
        refused = await self._upsert(new)
        # The deal matters more than an account that a person has deleted, or merged into another, since.
        await self._ask_for_accounts(refused)
        await self._upsert(refused, is_again=True)
        await self._give_roles()

    def _refuse_leads(self) -> None:
        for sharing in self._by_key.values():
            for document in sharing:
                if self._wire.contact_id(document).startswith(LEAD):
                    words = "a Salesforce lead takes no opportunity before somebody has converted it"
                    self._report.failed(
                        document, Rejected(words, provider=NAME, code=OwnCode.LEAD_TAKES_NO_OPPORTUNITY)
                    )

    async def _find_uncertain(self) -> None:
        """What an earlier push left behind is accepted as it is, since a person may have moved it."""
        keys = [key for key in self._open_keys() if any(document.uncertain for document in self._by_key[key])]
        found = await self._wire.query(OPPORTUNITY, [KEY], [{KEY: self._by_key[key][0].key} for key in keys])
        for value, error in found.refused.items():
            self._fail(self._by_key[value.casefold()], error)
        for record in found.records:
            self._written[(record.key or "").casefold()] = Written(record.id)

    async def _ask_for_accounts(self, keys: Sequence[str]) -> None:
        """The accounts in which the contacts of these are themselves; nothing for those that cannot be asked for."""
        ids = [self._wire.contact_id(self._by_key[key][0]) for key in keys]
        found = await self._wire.retrieve("Contact", ids, [ACCOUNT_ID])
        self._accounts |= {record.id: held for record in found.records if (held := record.text(ACCOUNT_ID))}

    async def _upsert(self, keys: Sequence[str], *, is_again: bool = False) -> list[str]:
        """Write the opportunities; returns the keys of those that were refused for their account."""
        refused: list[str] = []
        rows = [self._row(self._by_key[key], is_again=is_again) for key in keys]
        async for row, result in self._wire.write(OPPORTUNITY, "upsert", rows):
            key = row.key.casefold()
            if isinstance(result, Written):
                self._written[key] = result
            elif not is_again and ACCOUNT_ID in row.values and is_gone(result):
                refusal = f"not linked to account {row.values[ACCOUNT_ID]}: {result.message}"
                self._remarks[key] = "; ".join(filter(None, (self._remarks.get(key), refusal)))
                refused.append(key)
            else:
                self._fail(row.documents, result)
        return refused

    def _row(self, sharing: Sequence[DealDocument], *, is_again: bool) -> Row:
        document = sharing[0]
        values: dict[str, Any] = {}
        for name, field in document.fields.items():
            value, remark = cut(OPPORTUNITY, name, field.value, self._lengths)
            if remark is not None:
                self._remarks.setdefault(document.key.casefold(), remark)
            if value:
                values[name] = typed(name, value, self._types)
        theirs = self._accounts.get(self._wire.contact_id(document))
        account_id = theirs if is_again else document.company_external_id or theirs
        if account_id is not None:
            values[ACCOUNT_ID] = account_id
        return Row(document.key, values, tuple(sharing))

    async def _give_roles(self) -> None:
        """Contacts that are not in their opportunity yet; the first one is primary where a person has chosen none."""
        wanted = {
            (self._written[key].id, self._wire.contact_id(document)): key
            for key in self._open_keys()
            if key in self._written
            for document in self._by_key[key]
            if self._report.is_open(document)
        }
        found = await self._wire.query(
            ROLE,
            ["OpportunityId", "ContactId", "IsPrimary"],
            [{"OpportunityId": deal} for deal in {w.id for key, w in self._written.items() if not w.is_new}],
        )
        for deal_id, error in found.refused.items():
            self._fail(
                [each for pair, key in wanted.items() if pair[0] == deal_id for each in self._by_key[key]], error
            )
        there = {(record.text("OpportunityId"), record.text("ContactId")) for record in found.records}
        has_primary = {
            record.text("OpportunityId") for record in found.records if record.values.get("IsPrimary") is True
        }
        rows: list[Row] = []
        pairs: dict[str, tuple[str, str]] = {}
        for pair in wanted:
            documents = tuple(document for document in self._documents_of(pair, wanted))
            if pair not in there and documents:
                values = {"OpportunityId": pair[0], "ContactId": pair[1], "IsPrimary": pair[0] not in has_primary}
                has_primary.add(pair[0])
                rows.append(Row(f"{pair[0]} {pair[1]}", values, documents))
                pairs[rows[-1].key] = pair
        async for row, result in self._wire.write(ROLE, "create", rows, is_sequel=True):
            if isinstance(result, ProviderError):
                self._fail(row.documents, contact_gone(result) if is_gone(result) else result)
        for pair in wanted:
            for document in self._documents_of(pair, wanted):
                self._synced(document)

    def _documents_of(self, pair: tuple[str, str], wanted: dict[tuple[str, str], str]) -> list[DealDocument]:
        sharing = self._by_key[wanted[pair]]
        return [each for each in sharing if self._wire.contact_id(each) == pair[1] and self._report.is_open(each)]

    def _synced(self, document: DealDocument) -> None:
        key = document.key.casefold()
        self._report.synced(
            document,
            self._written[key].id,
            company_external_id=document.company_external_id,
            created=self._written[key].is_new,
            remark=self._remarks.get(key),
        )

    def _open_keys(self) -> list[str]:
        return [key for key, sharing in self._by_key.items() if any(map(self._report.is_open, sharing))]

    def _fail(self, documents: Sequence[AnyDocument], error: ProviderError) -> None:
        for document in documents:
            self._report.failed(document, error)
