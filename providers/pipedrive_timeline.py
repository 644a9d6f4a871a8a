"""Messages as notes and tasks as activities, each marked so that a replay finds what it left behind."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from providers.batches import run_each
from providers.errors import Contended, Rejected
from providers.models import CLOCK_SKEW, ActivityDocument, TaskDocument
from providers.notes import marker_of, note_html, task_html
from providers.pipedrive_deals import contact_gone
from providers.pipedrive_directory import moment
from providers.pipedrive_errors import is_about, is_gone
from providers.pipedrive_values import Record, id_number
from providers.pipedrive_wire import NOTES_PATH, TASKS_PATH, V1_WRITE, WIDTH, WRITE, Wire
from providers.report import Report

LONGEST_NOTE = 60_000
LONGEST_SUBJECT = 255

Entry = TypeVar("Entry", ActivityDocument, TaskDocument)


class Timeline(ABC, Generic[Entry]):
    """What notes and tasks share: those of unknown fate are looked up by their person, the others made."""

    path: str
    text: str
    cost: int

    def __init__(self, wire: Wire, documents: Sequence[Entry]) -> None:
        self._wire = wire
        self._report: Report = wire.report
        self._documents: Sequence[Entry] = documents

    async def push(self) -> None:
        """Known ones, then those of unknown fate, then the new."""
        await run_each([each for each in self._documents if each.external_id is not None], self._known, WIDTH)
        doubtful: dict[str, list[Entry]] = defaultdict(list)
        for document in self._documents:
            if document.uncertain and document.external_id is None:
                doubtful[self._person_id(document)].append(document)
        await run_each(doubtful.values(), self._find, WIDTH)
        await run_each([each for each in self._documents if self._report.is_open(each)], self._create, WIDTH)

    @abstractmethod
    async def _known(self, document: Entry) -> None:
        """What becomes of one whose id is known."""

    @abstractmethod
    async def _left_behind(self, document: Entry, record: Record) -> None:
        """What becomes of one that was of unknown fate and is there."""

    @abstractmethod
    async def _search(self, person_id: str, since: datetime | None, see: Callable[[list[Record]], bool]) -> None:
        """Show `see` the person's records by the page, the newest first, until it has seen enough."""

    @abstractmethod
    def _body(self, document: Entry, person_id: int, organization_id: int | None) -> dict[str, Any]:
        """What a new one is made of."""

    async def _find(self, documents: Sequence[Entry]) -> None:
        """All documents of one person whose fate is unknown."""
        missing = {marker_of(document.key): document for document in documents}
        found: list[tuple[Entry, Record]] = []

        def see(records: list[Record]) -> bool:
            for record in records:
                text = html.unescape(str(record.get(self.text) or ""))
                for marker in [marker for marker in missing if marker in text]:
                    found.append((missing.pop(marker), record))
            return not missing

        queued = [document.queued_at for document in documents if document.queued_at is not None]
        since = min(queued) - CLOCK_SKEW if len(queued) == len(documents) else None
        try:
            await self._search(self._person_id(documents[0]), since, see)
        except (Rejected, Contended) as error:
            # One of its records may be what is looked for: making another could double it.
            for document in documents:
                self._report.failed(document, contact_gone(error))
            return
        for document, record in found:
            await self._left_behind(document, record)

    async def _create(self, document: Entry) -> None:
        remark = None
        try:
            person_id = id_number(self._person_id(document), "person_id")
            company_id = document.company_external_id
            organization_id = None if company_id is None else id_number(company_id, "org_id")
            try:
                record = await self._send(document, person_id, organization_id)
            except Rejected as error:
                if organization_id is None or not is_about(error, "org_id"):
                    raise
                # An organization that somebody has deleted since must not keep it from the person.
                remark = f"Pipedrive refused it with organization {organization_id}: it is with the person only"
                record = await self._send(document, person_id, None)
        except (Rejected, Contended) as error:
            self._report.failed(document, contact_gone(error))
        else:
            self._report.synced(document, str(record["id"]), created=True, remark=remark)

    async def _send(self, document: Entry, person_id: int, organization_id: int | None) -> Mapping[str, Any]:
        body = self._body(document, person_id, organization_id)
        return await self._wire.write("POST", self.path, body, [document], cost=self.cost)

    def _person_id(self, document: Entry) -> str:
        return self._report.contact_ids.get(document.contact_id, document.contact_external_id)


class Notes(Timeline[ActivityDocument]):
    """One push of classified messages."""

    path = NOTES_PATH
    text = "content"
    cost = V1_WRITE

    async def _known(self, document: ActivityDocument) -> None:
        await self._rewrite(document, document.external_id or "")

    async def _left_behind(self, document: ActivityDocument, record: Record) -> None:
        if record.get("content") == note_html(document, LONGEST_NOTE):
            self._report.synced(document, str(record["id"]))
        else:
            # Left there by a push that knew less: the message has been classified again since.
            await self._rewrite(document, str(record["id"]))

    async def _rewrite(self, document: ActivityDocument, note_id: str) -> None:
        body = {"content": note_html(document, LONGEST_NOTE)}
        try:
            note_path = f"{NOTES_PATH}/{id_number(note_id, 'id')}"
            await self._wire.write("PUT", note_path, body, [document], cost=V1_WRITE)
        except (Rejected, Contended) as error:
            if is_gone(error):
                # Somebody took it off the timeline: writing it again would overrule a person.
                self._report.synced(document, note_id, remark="the note was deleted in Pipedrive and stays deleted")
            else:
                self._report.failed(document, error)
        else:
            self._report.synced(document, note_id)

    async def _search(self, person_id: str, since: datetime | None, see: Callable[[list[Record]], bool]) -> None:
        params = {"person_id": person_id, "sort": "add_time DESC"}
        if since is not None:
            # Days are those of the account's time zone.
            params["start_date"] = (since.astimezone(UTC) - timedelta(days=1)).date().isoformat()
        async for records in self._wire.list_notes(params):
            if see(records):
                return

    def _body(self, document: ActivityDocument, person_id: int, organization_id: int | None) -> dict[str, Any]:
        linked = {} if organization_id is None else {"org_id": organization_id}
        return {"content": note_html(document, LONGEST_NOTE), "person_id": person_id, **linked}


class Tasks(Timeline[TaskDocument]):
    """One push of to-dos."""

    path = TASKS_PATH
    text = "note"
    cost = WRITE

    async def _known(self, document: TaskDocument) -> None:
        """People work with it: it stays as they have it."""
        self._report.synced(document, document.external_id or "")

    async def _left_behind(self, document: TaskDocument, record: Record) -> None:
        self._report.synced(document, str(record["id"]))

    async def _search(self, person_id: str, since: datetime | None, see: Callable[[list[Record]], bool]) -> None:
        params = {"person_id": person_id, "sort_by": "id", "sort_direction": "desc"}
        if since is not None:
            params["updated_since"] = moment(since)
        async for records in self._wire.list_tasks(params):
            if see(records):
                return

    def _body(self, document: TaskDocument, person_id: int, organization_id: int | None) -> dict[str, Any]:
        # What a priority is called by number differs from account to account: the subject says it.
        subject = f"Urgent: {document.subject}" if document.is_urgent else document.subject
        linked = {} if organization_id is None else {"org_id": organization_id}
        return {
            "subject": (subject or "(no subject)")[:LONGEST_SUBJECT],
            "type": "task",
            "due_date": document.due_at.astimezone(UTC).date().isoformat(),
            "done": False,
            "note": task_html(document, LONGEST_NOTE),
            "participants": [{"person_id": person_id, "primary": True}],
            **linked,
        }
