"""Activities as notes on the timeline: readable for people, marked so that a replay finds what it left behind."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

from providers.errors import ProviderError, Rejected
from providers.hubspot_errors import is_gone
from providers.hubspot_rows import Record, Row
from providers.hubspot_wire import Wire
from providers.models import ActivityDocument

LONGEST_NOTE = 64_000
"""Of HubSpot's 65,536 characters; the rest is for those that it may count as two."""
LONGEST_EXCERPT = 10_000
"""Characters of a message's body: enough to read what it says; the whole message stays where it came from."""
LONGEST_SUBJECT = 300
LONGEST_FACT = 120
BODY = "hs_note_body"
TIME = "hs_timestamp"
NOTE_TO_CONTACT = 202
NOTE_TO_COMPANY = 190


class Notes:
    """One push of activity documents."""

    def __init__(self, wire: Wire, documents: Sequence[ActivityDocument]) -> None:
        self._wire = wire
        self._report = wire.report
        self._documents = documents

    async def push(self) -> None:
        """Look for notes of unknown fate, rewrite those that are known, create the others."""
        await self._update([(each.external_id, each) for each in self._documents if each.external_id])
        await self._find_uncertain(
            [document for document in self._documents if document.uncertain and not document.external_id]
        )
        new = [document for document in self._documents if not document.external_id]
        await self._create([document for document in new if self._report.is_open(document)])

    async def _update(self, known: Sequence[tuple[str, ActivityDocument]]) -> None:
        by_id: dict[str, list[ActivityDocument]] = defaultdict(list)
        for note_id, document in known:
            by_id[note_id].append(document)
        rows = [Row(note_id, {BODY: note_of(sharing[-1])}, tuple(sharing)) for note_id, sharing in by_id.items()]
        async for row, result in self._wire.write("notes", "update", rows):
            for document in by_id[row.key]:
                if isinstance(result, Record):
                    self._report.synced(document, row.key)
                elif is_gone(result):
                    # Somebody took it off the timeline: writing it again would overrule a person.
                    self._report.synced(document, row.key, remark="the note was deleted in HubSpot and stays deleted")
                else:
                    self._report.failed(document, result)

    async def _find_uncertain(self, documents: Sequence[ActivityDocument]) -> None:
        """By association and marker, not by search, whose index lags behind."""
        if not documents:
            return
        linked, asked = await self._wire.associated(
            "contacts", "notes", [document.contact_external_id for document in documents]
        )
        for document in documents:
            if document.contact_external_id in asked.refused:
                self._report.failed(document, asked.refused[document.contact_external_id])
        missing = {marker_of(document): document for document in documents if self._report.is_open(document)}
        contacts = {document.contact_external_id for document in missing.values()}
        ids = {note_id for contact in contacts for note_id in linked.get(contact, ())}
        # What was lost is young: the highest ids first, and no further than needed.
        newest = sorted(ids, key=lambda note_id: (len(note_id), note_id), reverse=True)
        outdated: list[tuple[str, ActivityDocument]] = []
        while newest and missing:
            page, newest = newest[:100], newest[100:]
            found = await self._wire.read("notes", page, [BODY])
            for record in found.records:
                held = record.properties.get(BODY) or ""
                body = html.unescape(held)
                for marker in [marker for marker in missing if marker in body]:
                    document = missing.pop(marker)
                    if held == note_of(document):
                        self._report.synced(document, record.id)
                    else:
                        # Left there by a push that knew less: the message has been classified again since.
                        outdated.append((record.id, document))
            for error in found.refused.values():
                # One of these may be the note that is looked for: creating another could double it.
                for document in missing.values():
                    self._report.failed(document, error)
                missing.clear()
                break
        await self._update(outdated)

    async def _create(self, documents: Sequence[ActivityDocument]) -> None:
        again: list[ActivityDocument] = []
        async for document, result in self._created([(each, each.company_external_id) for each in documents]):
            if isinstance(result, Rejected) and document.company_external_id is not None:
                again.append(document)
            elif isinstance(result, ProviderError):
                self._report.failed(document, result)
            else:
                self._report.synced(document, result.id, created=True)
        # A company that a person has deleted since must not keep the message off the contact's timeline.
        async for document, result in self._created([(each, None) for each in again]):
            if isinstance(result, ProviderError):
                self._report.failed(document, result)
            else:
                remark = f"HubSpot refused the note with company {document.company_external_id}: it is on the contact"
                self._report.synced(document, result.id, created=True, remark=remark)

    async def _created(
        self, wanted: Sequence[tuple[ActivityDocument, str | None]]
    ) -> AsyncIterator[tuple[ActivityDocument, Record | ProviderError]]:
        documents = {document.rows: document for document, _ in wanted}
        rows = [_row(document, company_id) for document, company_id in wanted]
        async for row, result in self._wire.write("notes", "create", rows):
            yield documents[row.documents[0].rows], result


def _row(document: ActivityDocument, company_id: str | None) -> Row:
    occurred = document.occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    associations = [_association(document.contact_external_id, NOTE_TO_CONTACT)]
    if company_id is not None:
        associations.append(_association(company_id, NOTE_TO_COMPANY))
    return Row(document.key, {TIME: occurred, BODY: note_of(document)}, (document,), tuple(associations))


def _association(record_id: str, type_id: int) -> Mapping[str, Any]:
    return {
        "to": {"id": record_id},
        "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}],
    }


def marker_of(document: ActivityDocument) -> str:
    """The line by which a note is found again; closed on both sides, so that no key is the beginning of another."""
    return f"[crm-sync {document.key}]"


def note_of(document: ActivityDocument) -> str:
    """The note's HTML, at most `LONGEST_NOTE` characters; the excerpt gives way, the marker never does."""
    head = f"<p><strong>{_escaped(document.subject or '(no subject)', LONGEST_SUBJECT)}</strong></p>"
    facts = "".join(f"<li>{name}: {_escaped(value, LONGEST_FACT)}</li>" for name, value in _facts(document))
    facts = f"<ul>{facts}</ul>" if facts else ""
    tail = f"<p><small>{html.escape(marker_of(document))}</small></p>"
    room = LONGEST_NOTE - len(head) - len(facts) - len(tail) - len("<p></p>")
    body = _excerpt(document.body.strip(), room)
    return head + facts + (f"<p>{body}</p>" if body else "") + tail


def _facts(document: ActivityDocument) -> Iterator[tuple[str, str]]:
    if document.requires_human_attention:
        yield "Needs attention", "yes"
    for name, value in (
        ("Intent", document.intent),
        ("Sentiment", document.sentiment),
        ("Priority", document.priority),
        ("Next action", document.next_action),
    ):
        if value:
            yield name, value.replace("_", " ")
    if document.confidence is not None:
        yield "Confidence", f"{document.confidence:.0%}"


def _escaped(text: str, longest: int) -> str:
    return html.escape(text if len(text) <= longest else text[: longest - 1] + "…")


def _excerpt(text: str, room: int) -> str:
    """As much of the text as fits into `room` characters of HTML, an ellipsis where it was cut."""
    room -= len("…")
    written: list[str] = []
    for character in text[:LONGEST_EXCERPT].replace("\r\n", "\n"):
        piece = "<br>" if character == "\n" else html.escape(character)
        room -= len(piece)
        if room < 0:
            return "".join(written) + "…"
        written.append(piece)
    return "".join(written) + ("…" if len(text) > LONGEST_EXCERPT else "")
