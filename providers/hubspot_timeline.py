"""What hangs on a contact's timeline: found again by its marker where its fate is unknown, otherwise created."""

from __future__ import annotations

import html
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, TypeVar

from providers.errors import ProviderError, Rejected
from providers.hubspot_rows import Record, Row
from providers.hubspot_wire import MAX_OBJECTS, Wire
from providers.models import ActivityDocument, TaskDocument
from providers.notes import marker_of

Document = TypeVar("Document", ActivityDocument, TaskDocument)

TIME = "hs_timestamp"
LONGEST_BODY = 64_000
"""Of HubSpot's 65,536 characters; the rest is for those that it may count as two."""


class Timeline(ABC, Generic[Document]):
    """One push of documents of one kind.

    Attributes:
        object_type: HubSpot's word for them in paths.
        noun: the same for people.
        body: the property that holds the marker.
        to_contact, to_company: the types of their associations.
    """

    object_type: ClassVar[str]
    noun: ClassVar[str]
    body: ClassVar[str]
    to_contact: ClassVar[int]
    to_company: ClassVar[int]

    def __init__(self, wire: Wire, documents: Sequence[Document]) -> None:
        self._wire = wire
        self._report = wire.report
        self._documents: Sequence[Document] = documents

    @abstractmethod
    def properties(self, document: Document) -> dict[str, str]:
        """What a new one begins with."""

    @abstractmethod
    async def settle(self, known: Sequence[tuple[str, str | None, Document]]) -> None:
        """What becomes of those that HubSpot has: by their id and their body, None where it was not read."""

    async def push(self) -> None:
        """Settle those that are known, look for those of unknown fate, create the others."""
        await self.settle([(each.external_id, None, each) for each in self._documents if each.external_id])
        await self._find_uncertain([each for each in self._documents if each.uncertain and not each.external_id])
        new = [document for document in self._documents if not document.external_id]
        await self._create([document for document in new if self._report.is_open(document)])

    async def _find_uncertain(self, documents: Sequence[Document]) -> None:
        """By association and marker, not by search, whose index lags behind."""
        if not documents:
            return
        contacts = {document.rows: self._wire.contact_id(document) for document in documents}
        linked, asked = await self._wire.associated("contacts", self.object_type, contacts.values())
        for document in documents:
            if (error := asked.refused.get(contacts[document.rows])) is not None:
                self._report.failed(document, error)
        missing = {marker_of(document.key): document for document in documents if self._report.is_open(document)}
        ids = {each for document in missing.values() for each in linked.get(contacts[document.rows], ())}
        # What was lost is young: the highest ids first, and no further than needed.
        newest = sorted(ids, key=lambda record_id: (len(record_id), record_id), reverse=True)
        known: list[tuple[str, str | None, Document]] = []
        while newest and missing:
            page, newest = newest[:MAX_OBJECTS], newest[MAX_OBJECTS:]
            found = await self._wire.read(self.object_type, page, [self.body])
            for record in found.records:
                held = record.properties.get(self.body) or ""
                text = html.unescape(held)
                known += [(record.id, held, missing.pop(marker)) for marker in list(missing) if marker in text]
            for error in found.refused.values():
                # One of these may be the one that is looked for: creating another could double it.
                for document in missing.values():
                    self._report.failed(document, error)
                missing.clear()
                break
        await self.settle(known)

    async def _create(self, documents: Sequence[Document]) -> None:
        refused: list[tuple[Document, ProviderError]] = []
        async for document, result in self._created([(each, each.company_external_id) for each in documents]):
            if isinstance(result, Record):
                self._report.synced(document, result.id, created=True)
            else:
                refused.append((document, result))
        # A company that a person has deleted since must not keep the message off the contact's timeline.
        again = await self._without_company(refused)
        rows = {document.rows for document in again}
        refused = [(document, error) for document, error in refused if document.rows not in rows]
        async for document, result in self._created([(each, None) for each in again]):
            if isinstance(result, Record):
                remark = (
                    f"HubSpot refused the {self.noun} with company {document.company_external_id}: it is on the contact"
                )
                self._report.synced(document, result.id, created=True, remark=remark)
            else:
                refused.append((document, result))
        await self._wire.blame_contacts(refused)

    async def _without_company(self, refused: Sequence[tuple[Document, ProviderError]]) -> list[Document]:
        """Those that were refused because of their company: the refusal names it, or HubSpot has it no more."""
        named: list[Document] = []
        suspects: list[tuple[Document, str]] = []
        for document, error in refused:
            company_id = document.company_external_id
            if isinstance(error, Rejected) and company_id is not None:
                if re.search(rf"\b{re.escape(company_id)}\b", error.message):
                    named.append(document)
                else:
                    suspects.append((document, company_id))
        found = await self._wire.read("companies", [company_id for _, company_id in suspects], [])
        there = {record.id for record in found.records} | set(found.refused)
        return named + [document for document, company_id in suspects if company_id not in there]

    async def _created(
        self, wanted: Sequence[tuple[Document, str | None]]
    ) -> AsyncIterator[tuple[Document, Record | ProviderError]]:
        documents = {document.rows: document for document, _ in wanted}
        rows = [self._row(document, company_id) for document, company_id in wanted]
        async for row, result in self._wire.write(self.object_type, "create", rows):
            yield documents[row.documents[0].rows], result

    def _row(self, document: Document, company_id: str | None) -> Row:
        associations = [_association(self._wire.contact_id(document), self.to_contact)]
        if company_id is not None:
            associations.append(_association(company_id, self.to_company))
        return Row(document.key, self.properties(document), (document,), tuple(associations))


def moment(when: datetime) -> str:
    """A time as HubSpot writes it."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _association(record_id: str, type_id: int) -> Mapping[str, Any]:
    return {
        "to": {"id": record_id},
        "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}],
    }
