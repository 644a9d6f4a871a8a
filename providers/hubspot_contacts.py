"""Contacts and their companies: found first, so that the values people set in HubSpot win, then written in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from providers.codes import OwnCode
from providers.errors import ProviderError, Rejected
from providers.hubspot_errors import existing_id, is_gone
from providers.hubspot_rows import Pair, Record, Row
from providers.hubspot_wire import CONTACT_KEY, KEY, Wire
from providers.models import AnyDocument, Company, ContactDocument
from providers.report import Report

EMAIL = "email"
OTHER_EMAILS = "hs_additional_emails"
MADE_AT = "createdate"


class Contacts:
    """One push of contact documents."""

    def __init__(self, wire: Wire, documents: Sequence[ContactDocument]) -> None:
        self._wire = wire
        self._report: Report = wire.report
        self._documents = documents
        self._company_ids = {
            document.company.key: document.company.external_id
            for document in documents
            if document.company is not None and document.company.external_id is not None
        }
        self._confirmed: set[str] = set()
        self._unlinked: list[tuple[ContactDocument, Record]] = []
        self._properties = {
            EMAIL,
            OTHER_EMAILS,
            CONTACT_KEY,
            MADE_AT,
            *(name for document in documents for name in document.fields),
        }

    async def push(self) -> None:
        """Companies, look-ups, updates, upserts, associations; an empty step costs no call."""
        await self._write_companies(self._documents)
        existing, new = await self._find([document for document in self._documents if self._is_open(document)])
        new += await self._update(existing)
        held_elsewhere = await self._upsert(new)
        if held_elsewhere:
            await self._adopt(held_elsewhere)
        stale = await self._link(self._unlinked)
        if stale:
            await self._relink(stale)

    async def _write_companies(self, documents: Iterable[ContactDocument]) -> None:
        companies: dict[str, Company] = {}
        by_key: dict[str, list[ContactDocument]] = defaultdict(list)
        for document in documents:
            if document.company is not None and document.company.key not in self._company_ids:
                companies.setdefault(document.company.key, document.company)
                by_key[document.company.key].append(document)
        await self._find_companies(by_key)
        rows = [
            Row(key, _beginning_of(companies[key]), tuple(sharing))
            for key, sharing in by_key.items()
            if key not in self._company_ids and any(self._is_open(document) for document in sharing)
        ]
        async for row, result in self._wire.write("companies", "upsert", rows, id_property=KEY):
            if isinstance(result, ProviderError):
                self._fail(row.documents, result)
            else:
                self._company_ids[row.key] = result.id
                self._confirmed.add(row.key)

    async def _find_companies(self, by_key: Mapping[str, Sequence[ContactDocument]]) -> None:
        """Companies that an earlier push may have left behind: a person may have worked on them since."""
        keys = [key for key, sharing in by_key.items() if any(document.uncertain for document in sharing)]
        found = await self._wire.read("companies", keys, [KEY], id_property=KEY)
        for key, error in found.refused.items():
            self._fail(by_key[key], error)
        for record in found.records:
            key = record.properties.get(KEY) or ""
            if key in by_key:
                self._company_ids[key] = record.id
                self._confirmed.add(key)

    async def _find(
        self, documents: Sequence[ContactDocument]
    ) -> tuple[list[tuple[ContactDocument, Record]], list[ContactDocument]]:
        """Each document with its record in HubSpot, by the known id or else by e-mail; and those that have none."""
        ids = [document.external_id for document in documents if document.external_id]
        found = await self._wire.read("contacts", ids, self._properties)
        by_id = {record.id: record for record in found.records}
        rest = [document for document in documents if document.external_id not in by_id]
        # What could not be read may hold a person's values: it must not pass for missing.
        rest = self._without_refused(rest, {document.rows: document.external_id for document in rest}, found.refused)
        found = await self._wire.read(
            "contacts", [document.email for document in rest], self._properties, id_property=EMAIL
        )
        by_email = {address: record for record in found.records for address in _other_addresses(record)}
        by_email |= {(record.properties.get(EMAIL) or "").lower(): record for record in found.records}
        rest = self._without_refused(rest, {document.rows: document.email for document in rest}, found.refused)
        existing = [(document, by_id[document.external_id]) for document in documents if document.external_id in by_id]
        existing += [(document, by_email[document.email]) for document in rest if document.email in by_email]
        return existing, [document for document in rest if document.email not in by_email]

    def _without_refused(
        self,
        documents: Sequence[ContactDocument],
        asked: dict[tuple[int, ...], str | None],
        refused: dict[str, ProviderError],
    ) -> list[ContactDocument]:
        for document in documents:
            error = refused.get(asked[document.rows] or "")
            if error is not None:
                self._report.failed(document, error)
        return [document for document in documents if self._is_open(document)]

    async def _update(self, existing: Sequence[tuple[ContactDocument, Record]]) -> list[ContactDocument]:
        """Write what may be written to records that exist; returns those whose record is gone by now."""
        by_record: dict[str, list[ContactDocument]] = defaultdict(list)
        records = {record.id: record for _, record in existing}
        for document, record in existing:
            by_record[record.id].append(document)
        rows: list[Row] = []
        for record_id, sharing in by_record.items():
            changes = changes_to(records[record_id], sharing)
            if changes:
                rows.append(Row(record_id, changes, tuple(sharing)))
            else:
                self._written(sharing, records[record_id])
        gone: list[ContactDocument] = []
        async for row, result in self._wire.write("contacts", "update", rows):
            if isinstance(result, Record):
                self._written(by_record[row.key], Record(row.key))
            elif is_gone(result):
                gone += by_record[row.key]
            else:
                self._fail(row.documents, result)
        return gone

    async def _upsert(self, new: Sequence[ContactDocument]) -> list[tuple[ContactDocument, str]]:
        """Write contacts that HubSpot has not, by e-mail; returns those it has under another address after all."""
        by_email: dict[str, list[ContactDocument]] = defaultdict(list)
        for document in new:
            by_email[document.email].append(document)
        rows = [
            Row(email, {name: value for name, value in changes_to(None, sharing).items() if name != EMAIL}, (*sharing,))
            for email, sharing in by_email.items()
        ]
        held_elsewhere: list[tuple[ContactDocument, str]] = []
        async for row, result in self._wire.write("contacts", "upsert", rows, id_property=EMAIL):
            if isinstance(result, Record):
                self._written(by_email[row.key], result)
            elif (holder := existing_id(result)) is not None:
                held_elsewhere += [(document, holder) for document in by_email[row.key]]
            else:
                self._fail(row.documents, result)
        return held_elsewhere

    async def _adopt(self, held_elsewhere: Sequence[tuple[ContactDocument, str]]) -> None:
        found = await self._wire.read("contacts", [holder for _, holder in held_elsewhere], self._properties)
        by_id = {record.id: record for record in found.records}
        holders = {document.rows: holder for document, holder in held_elsewhere}
        lost = [document for document, holder in held_elsewhere if holder not in by_id]
        lost += await self._update(
            [(document, by_id[holder]) for document, holder in held_elsewhere if holder in by_id]
        )
        for document in lost:
            self._report.failed(
                document,
                Rejected(
                    f"HubSpot's contact {holders[document.rows]} holds this e-mail address, and this connection cannot "
                    "read it",
                    provider="hubspot",
                    code=OwnCode.ADDRESS_TAKEN,
                    field=EMAIL,
                ),
            )

    def _written(self, documents: Iterable[ContactDocument], record: Record) -> None:
        """The contact is there: settle those whose company is linked already, keep the others for `_link`."""
        for document in documents:
            company_id = self._company_id(document)
            is_linked = document.linked_company_id == company_id and document.external_id == record.id
            if company_id is None or is_linked:
                self._synced(document, record)
            else:
                self._unlinked.append((document, record))

    async def _link(
        self, unlinked: Sequence[tuple[ContactDocument, Record]], *, is_last: bool = False
    ) -> list[tuple[ContactDocument, Record]]:
        """Associate contacts with companies; returns those whose company seems to be gone, unless `is_last`."""
        by_pair: dict[tuple[str, str], list[tuple[ContactDocument, Record]]] = defaultdict(list)
        for document, record in unlinked:
            by_pair[record.id, self._company_id(document) or ""].append((document, record))
        pairs = [Pair(*ids, tuple(document for document, _ in sharing)) for ids, sharing in by_pair.items()]
        stale: list[tuple[ContactDocument, Record]] = []
        async for pair, error in self._wire.associate("contacts", "companies", pairs):
            sharing = by_pair[pair.source, pair.target]
            for document, record in sharing:
                if error is None:
                    self._synced(document, record)
                elif isinstance(error, Rejected) and not is_last and not self._is_confirmed(document):
                    stale.append((document, record))
                else:
                    self._report.failed(document, error)
        return stale

    async def _relink(self, stale: Sequence[tuple[ContactDocument, Record]]) -> None:
        """Companies known from earlier that a person has deleted since: make them again by their key."""
        for document, _ in stale:
            if document.company is not None:
                self._company_ids.pop(document.company.key, None)
        await self._write_companies([document for document, _ in stale])
        await self._link([entry for entry in stale if self._is_open(entry[0])], is_last=True)

    def _is_confirmed(self, document: ContactDocument) -> bool:
        """Whether HubSpot itself gave this company's id in this push, so that it cannot be stale."""
        return document.company is None or document.company.key in self._confirmed

    def _company_id(self, document: ContactDocument) -> str | None:
        return None if document.company is None else self._company_ids.get(document.company.key)

    def _synced(self, document: ContactDocument, record: Record) -> None:
        self._report.synced(document, record.id, company_external_id=self._company_id(document), created=record.is_new)

    def _fail(self, documents: Iterable[AnyDocument], error: ProviderError) -> None:
        for document in documents:
            self._report.failed(document, error)

    def _is_open(self, document: ContactDocument) -> bool:
        return self._report.is_open(document)


def changes_to(record: Record | None, documents: Sequence[ContactDocument]) -> dict[str, str]:
    """What these documents, in their order, change in one contact: only what their fields' policies allow.

    `record` is None for a contact that HubSpot has not.
    """
    held = dict(record.properties) if record is not None else {}
    owner = held.get(CONTACT_KEY)
    changes: dict[str, str] = {}
    for document in documents:
        is_known = record is not None and document.external_id == record.id
        is_ours = document.has_made(owner, held.get(MADE_AT))
        # What we have not changed since it was last sent is the CRM's people's to change.
        fields = {} if document.unchanged and is_known else document.fields
        for name, field in fields.items():
            if field.value and field.may_replace(held.get(name), is_ours=is_ours):
                changes[name] = held[name] = field.value
        if not held.get(CONTACT_KEY):
            changes[CONTACT_KEY] = held[CONTACT_KEY] = str(document.contact_id)
    return changes


def _beginning_of(company: Company) -> dict[str, str]:
    """What a company that is made new begins with, next to our key."""
    given = {name: value for name, value in company.fields.items() if value}
    return given or {"name": company.name}


def _other_addresses(record: Record) -> list[str]:
    """A contact answers to its further addresses too."""
    return [address.strip().lower() for address in (record.properties.get(OTHER_EMAILS) or "").split(";")]
