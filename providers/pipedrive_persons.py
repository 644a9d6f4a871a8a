"""Contacts as persons: known ones by their id, others by e-mail address; what people set in Pipedrive wins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from providers.batches import run_each
from providers.errors import Contended, ProviderError, Rejected
from providers.models import ContactDocument, Field
from providers.pipedrive_directory import Directory, Wanted
from providers.pipedrive_errors import is_about, is_gone
from providers.pipedrive_organizations import Organizations
from providers.pipedrive_schema import PERSON
from providers.pipedrive_values import (
    CUSTOM,
    LISTS,
    Definition,
    Record,
    addresses,
    canonical,
    comparable,
    custom_of,
    folded,
    held_text,
    holds_address,
    id_number,
    with_address,
)
from providers.pipedrive_wire import WIDTH, Wire

EMAIL = "email"
ORGANIZATION_ID = "org_id"
MADE_AT = "add_time"


@dataclass
class Row:
    """One person to be written, for all documents that mean it.

    Attributes:
        record: as Pipedrive has it; None for a person that is not there yet.
        remark: what a human should know of it.
        is_detached: its organization cannot be had.
    """

    record: Record | None
    documents: list[ContactDocument]
    remark: str | None = None
    is_detached: bool = False


class Persons:
    """One push of contact documents."""

    def __init__(
        self,
        wire: Wire,
        documents: Sequence[ContactDocument],
        organizations: Organizations,
        sizes: dict[str, int],
    ) -> None:
        self._wire = wire
        self._report = wire.report
        self._documents = documents
        self._organizations = organizations
        self._names = sorted({name for document in documents for name in document.fields})
        self._definitions: Mapping[str, Definition] = {}
        self._directory = Directory(wire, PERSON, sizes, lambda term: folded(EMAIL, term), _emails_of, self._names)
        self._stale: list[Row] = []

    async def push(self) -> None:
        """What is unchanged costs no call; then organizations, look-ups, and a write for each person that changes."""
        for document in self._documents:
            if document.external_id is not None and is_unchanged(document):
                company_id = None if document.company is None else document.company.external_id
                self._report.synced(document, document.external_id, company_external_id=company_id)
        await self._organizations.resolve(self._open())
        rows = await self._find(self._open())
        custom = [name for name in self._names if CUSTOM.fullmatch(name)]
        if custom and any(self._report.is_open(document) for row in rows for document in row.documents):
            self._definitions = await self._wire.schema.definitions(PERSON, *custom)
        await run_each(rows, self._carry, WIDTH)
        stale, self._stale = self._stale, []
        if stale:
            await self._relink(stale)

    async def _find(self, documents: Sequence[ContactDocument]) -> list[Row]:
        known = [document.external_id for document in documents if document.external_id is not None]
        records = await self._wire.by_ids(PERSON, known, self._names) if known else {}
        rows: dict[str, Row] = {}
        wanted: dict[str, Wanted] = {}
        for document in documents:
            if document.external_id in records:
                record = records[document.external_id]
                rows.setdefault(str(record["id"]), Row(record, [])).documents.append(document)
            else:
                address = folded(EMAIL, document.email)
                wanted.setdefault(address, Wanted(str(document.contact_id), document.email, [])).documents.append(
                    document
                )
        await self._directory.find(list(wanted.values()))
        for address, each in wanted.items():
            meeting = [document for document in each.documents if isinstance(document, ContactDocument)]
            meeting = [document for document in meeting if self._report.is_open(document)]
            found, remark = self._directory.pick(each)
            row = rows.setdefault(str(found["id"]) if found is not None else address, Row(found, []))
            row.documents += meeting
            row.remark = row.remark or remark
        return [row for row in rows.values() if row.documents]

    async def _carry(self, row: Row, *, is_last: bool = False) -> None:
        try:
            body = self._changes(row)
            if row.record is None:
                record = await self._wire.write("POST", PERSON.path, body, row.documents, kind=PERSON)
            elif body:
                path = f"{PERSON.path}/{row.record['id']}"
                record = await self._wire.write("PATCH", path, body, row.documents, kind=PERSON)
            else:
                record = row.record
        except (Rejected, Contended) as error:
            await self._refused(row, error, is_last=is_last)
        else:
            self._synced(row, record, is_new=row.record is None)

    async def _refused(self, row: Row, error: ProviderError, *, is_last: bool) -> None:
        if row.record is not None and is_gone(error) and not is_about(error, ORGANIZATION_ID):
            # Deleted since it was read.
            await self._carry(replace(row, record=None), is_last=is_last)
        elif is_about(error, ORGANIZATION_ID) and self._has_company(row) and not row.is_detached:
            if not is_last:
                self._stale.append(row)
                return
            row.is_detached = True
            row.remark = f"Pipedrive takes the person without an organization only: {error.message}"
            await self._carry(row, is_last=True)
        else:
            self._wire.schema.forget_definitions()
            for document in row.documents:
                self._report.failed(document, error)

    async def _relink(self, stale: Sequence[Row]) -> None:
        """Organizations known from earlier that a person has deleted since: found or made anew."""
        documents = [document for row in stale for document in row.documents]
        self._organizations.doubt(documents)
        await self._organizations.resolve(documents)

        async def carry(row: Row) -> None:
            await self._carry(row, is_last=True)

        await run_each([row for row in stale if self._report.is_open(row.documents[0])], carry, WIDTH)

    def _changes(self, row: Row) -> dict[str, Any]:
        """What these documents, in their order, change in one person: only what their fields' policies allow."""
        record = row.record or {}
        draft = {**record, "custom_fields": dict(custom_of(record))}
        body: dict[str, Any] = {}
        custom: dict[str, Any] = {}
        key = self._wire.schema.key(PERSON)
        owner = canonical(draft["custom_fields"].get(key))
        for document in row.documents:
            is_known = bool(record) and document.external_id == str(record.get("id"))
            is_ours = document.has_made(owner, record.get(MADE_AT))
            # What we have not changed since it was last sent is the CRM's people's to change.
            for name in () if document.unchanged and is_known else document.fields:
                self._change(draft, body, custom, name, document.fields[name], is_ours=is_ours)
            organization = None if row.is_detached else self._organization(draft, document, is_known)
            if organization is not None:
                body[ORGANIZATION_ID] = draft[ORGANIZATION_ID] = organization
        if not owner:
            custom[key] = str(row.documents[0].contact_id)
        if not record:
            body.setdefault("name", row.documents[0].email)
            body.setdefault(LISTS[EMAIL], with_address({}, EMAIL, row.documents[0].email))
        return {**body, "custom_fields": custom} if custom else body

    def _change(
        self,
        draft: dict[str, Any],
        body: dict[str, Any],
        custom: dict[str, Any],
        name: str,
        field: Field,
        *,
        is_ours: bool,
    ) -> None:
        if not field.value:
            return
        held = held_text(draft, name)
        if name in LISTS:
            if not holds_address(draft, name, field.value) and field.may_replace(held, is_ours=is_ours):
                body[LISTS[name]] = draft[LISTS[name]] = with_address(draft, name, field.value)
            return
        value, field = comparable(field, self._definitions.get(name), name)
        if held == field.value or not field.may_replace(held, is_ours=is_ours):
            return
        if CUSTOM.fullmatch(name):
            custom[name] = draft["custom_fields"][name] = value
        else:
            body[name] = draft[name] = value

    def _organization(self, draft: Record, document: ContactDocument, is_known: bool) -> int | None:
        """The organization to link: where there is none, or where our own link is to be replaced by another of ours."""
        company_id = self._organizations.id_of(document)
        held = canonical(draft.get(ORGANIZATION_ID))
        is_ours = is_known and held is not None and held == document.linked_company_id
        if company_id is None or held == company_id or not (held is None or is_ours):
            return None
        return id_number(company_id, ORGANIZATION_ID)

    def _synced(self, row: Row, record: Record, *, is_new: bool) -> None:
        for document in row.documents:
            self._report.synced(
                document,
                str(record["id"]),
                company_external_id=None if row.is_detached else self._organizations.id_of(document),
                created=is_new,
                remark=row.remark,
            )

    def _has_company(self, row: Row) -> bool:
        return any(self._organizations.id_of(document) is not None for document in row.documents)

    def _open(self) -> list[ContactDocument]:
        return [document for document in self._documents if self._report.is_open(document)]


def is_unchanged(document: ContactDocument) -> bool:
    """Whether Pipedrive has all of it, so that nothing needs to be asked."""
    company_id = None if document.company is None else document.company.external_id
    is_linked = document.company is None or (company_id is not None and company_id == document.linked_company_id)
    return document.external_id is not None and document.unchanged and is_linked and not document.uncertain


def _emails_of(record: Record) -> Iterable[str]:
    return {folded(EMAIL, str(each["value"])) for each in addresses(record, EMAIL)}
