"""Messages as completed tasks on the timeline, and what a person is to do as open ones; marked so that a replay finds
what it left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from providers.errors import ProviderError, Unauthorized
from providers.models import ActivityDocument, TaskDocument
from providers.notes import marker_of, note_text, task_text
from providers.salesforce_codes import CONVERTED
from providers.salesforce_errors import FIELDS_MISSING, KEY, contact_gone, is_gone
from providers.salesforce_rows import LEAD, Found, Record, Row, Written
from providers.salesforce_schema import SYNONYMS_OF_DONE, Facts
from providers.salesforce_soql import Term
from providers.salesforce_wire import Wire

TASK = "Task"
SUBJECT = "Subject"
DESCRIPTION = "Description"
WHO, WHAT = "WhoId", "WhatId"
LONGEST_SUBJECT = 255
LONGEST_DESCRIPTION = 32_000
CLOCK_SLACK = timedelta(hours=1)
"""How far Salesforce's clock and ours may differ."""
KEY_REFUSALS = frozenset({"INVALID_FIELD", "NOT_FOUND", "INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"})
"""Why an upsert by a key that is not unique may be refused, to users who may not see all data."""

Document = ActivityDocument | TaskDocument


class Tasks:
    """One push of activity and task documents, which share Salesforce's one kind of task."""

    def __init__(self, wire: Wire, documents: Sequence[Document], facts: Facts) -> None:
        self._wire = wire
        self._report = wire.report
        self._documents = documents
        self._facts = facts
        self._by_key = facts.task_key

    async def push(self) -> None:
        """Settle those that are known, look for those of unknown fate, create the others."""
        await self._settle([(each.external_id, None, each) for each in self._documents if each.external_id])
        new = [document for document in self._documents if not document.external_id]
        await self._find_uncertain([document for document in new if document.uncertain])
        open_ones = [document for document in new if self._report.is_open(document)]
        refused = await self._create(open_ones)
        # An account that a person has deleted since must not keep the message off the contact's timeline.
        await self._create(refused, remark="Salesforce refused the task with its account: it is on the contact only")

    async def _settle(self, known: Sequence[tuple[str, Record | None, Document]]) -> None:
        """What becomes of tasks that Salesforce has: by their id, and the record if it was read.

        People work with what they are to do from the moment it is there: it stays as they leave it, deleted too.
        """
        rows: dict[str, Row] = {}
        for task_id, record, known_one in known:
            values = {SUBJECT: subject_of(known_one), DESCRIPTION: description_of(known_one)}
            is_same = record is not None and all(_unix(record.text(name)) == value for name, value in values.items())
            if isinstance(known_one, TaskDocument) or is_same:
                self._report.synced(known_one, task_id)
            else:
                sharing = rows[task_id].documents if task_id in rows else ()
                rows[task_id] = Row(task_id, values, (*sharing, known_one))
        async for row, result in self._wire.write(TASK, "update", list(rows.values())):
            for document in row.documents:
                if isinstance(result, Written):
                    self._report.synced(document, row.key)
                elif is_gone(result):
                    # Somebody took it off the timeline: writing it again would overrule a person.
                    remark = "the task was deleted in Salesforce and stays deleted"
                    self._report.synced(document, row.key, remark=remark)
                else:
                    self._report.failed(document, result)

    async def _find_uncertain(self, documents: Sequence[Document]) -> None:
        """By our key, or, in an org without one on tasks, by the marker among the contact's tasks of late."""
        if not documents:
            return
        terms = [self._term(document) for document in documents]
        try:
            found = await self._look(documents, terms)
        except Unauthorized as error:
            if error.code != FIELDS_MISSING or not self._by_key:
                raise
            self._by_key = False
            terms = [self._term(document) for document in documents]
            found = await self._look(documents, terms)
        for document, term in zip(documents, terms, strict=True):
            # One of those that could not be read may be the one: creating another could double it.
            refusal = next((found.refused[each] for each in term.values() if each in found.refused), None)
            if refusal is not None:
                self._report.failed(document, refusal)
        known: list[tuple[str, Record | None, Document]] = []
        for document in documents:
            for record in found.records:
                if record.key == document.key or marker_of(document.key) in (record.text(DESCRIPTION) or ""):
                    known.append((record.id, record, document))
                    break
        await self._settle([entry for entry in known if self._report.is_open(entry[2])])

    async def _look(self, documents: Sequence[Document], terms: Sequence[Term]) -> Found:
        also = ""
        if not self._by_key and all(document.queued_at for document in documents):
            since = min(document.queued_at for document in documents if document.queued_at) - CLOCK_SLACK
            also = f"AND CreatedDate >= {_moment(since)}"
        names = [SUBJECT, DESCRIPTION, KEY] if self._by_key else [SUBJECT, DESCRIPTION]
        return await self._wire.query(TASK, names, terms, also=also)

    def _term(self, document: Document) -> Term:
        return {KEY: document.key} if self._by_key else {WHO: self._wire.contact_id(document)}

    async def _create(self, documents: Sequence[Document], *, remark: str | None = None) -> list[Document]:
        """Create tasks, without their accounts if there is a remark to make of it; returns those refused for theirs."""
        rows: dict[str, Row] = {}
        for document in documents:
            sharing = rows[document.key].documents if document.key in rows else ()
            rows[document.key] = Row(document.key, self._values(document, remark is None), (*sharing, document))
        refused: list[Document] = []
        async for row, result in self._written(list(rows.values())):
            for document in [document for document in documents if document.key == row.key]:
                if isinstance(result, Written):
                    self._report.synced(document, result.id, created=result.is_new, remark=remark)
                elif WHAT in row.values and _is_about_account(result):
                    refused.append(document)
                else:
                    is_lost = is_gone(result) or result.code == CONVERTED
                    self._report.failed(document, contact_gone(result) if is_lost else result)
        return refused

    async def _written(self, rows: Sequence[Row]) -> AsyncIterator[tuple[Row, Written | ProviderError]]:
        """Write new tasks by our key, or without it where Salesforce does not let this connection use one for tasks."""
        answered: set[str] = set()
        again: list[Row] = []
        if self._by_key:
            try:
                async for row, result in self._wire.write(TASK, "upsert", rows):
                    answered.add(row.key)
                    if (
                        isinstance(result, ProviderError)
                        and result.code in KEY_REFUSALS
                        and result.field in (None, KEY)
                    ):
                        again.append(Row(row.key, {**row.values, KEY: row.key}, row.documents))
                    else:
                        yield row, result
            except Unauthorized as error:
                if error.code != FIELDS_MISSING:
                    raise
                self._by_key = False
        again += [row for row in rows if row.key not in answered]
        async for row, result in self._wire.write(TASK, "create", again):
            yield row, replace(result, is_new=True) if isinstance(result, Written) else result

    def _values(self, document: Document, with_account: bool) -> dict[str, Any]:
        who = self._wire.contact_id(document)
        values = {
            SUBJECT: subject_of(document),
            DESCRIPTION: description_of(document),
            "ActivityDate": _day(document.due_at if isinstance(document, TaskDocument) else document.occurred_at),
            WHO: who,
            **self._choices(document),
        }
        # Salesforce takes no task about a lead and an account
        if with_account and document.company_external_id is not None and not who.startswith(LEAD):
            values[WHAT] = document.company_external_id
        return values

    def _choices(self, document: Document) -> dict[str, str]:
        """Status, priority and kind, as far as this org has values for them."""
        wanted: dict[str, tuple[str, ...]]
        if isinstance(document, TaskDocument):
            wanted = {"Status": ("Not Started",), "Priority": ("High",) if document.is_urgent else ("Normal",)}
        else:
            wanted = {
                "Status": SYNONYMS_OF_DONE,
                "Priority": ("Normal",),
                "Type": ("Email",),
                "TaskSubtype": ("Email",),
            }
        chosen = {name: self._facts.choice(name, *values) for name, values in wanted.items()}
        for name in self._facts.task_needs:
            if chosen.get(name) is None and (options := self._facts.task.get(name)):
                # lists begin with what is open, and with what is urgent
                is_middling = name == "Priority" and wanted["Priority"] != ("High",)
                chosen[name] = options[len(options) // 2 if is_middling else 0]
        return {name: value for name, value in chosen.items() if value is not None}


def subject_of(document: Document) -> str:
    """At most as long as Salesforce takes it."""
    subject = " ".join(document.subject.split()) or "(no subject)"
    return subject if len(subject) <= LONGEST_SUBJECT else subject[: LONGEST_SUBJECT - 1] + "…"


def description_of(document: Document) -> str:
    """What people read, with the marker."""
    if isinstance(document, TaskDocument):
        return task_text(document, LONGEST_DESCRIPTION)
    return note_text(document, LONGEST_DESCRIPTION)


def _is_about_account(error: ProviderError) -> bool:
    return error.field == WHAT or (error.field != WHO and (is_gone(error) or error.code == "FIELD_INTEGRITY_EXCEPTION"))


def _unix(text: str | None) -> str | None:
    return None if text is None else text.replace("\r\n", "\n")


def _day(when: datetime) -> str:
    return when.astimezone(UTC).date().isoformat()


def _moment(when: datetime) -> str:
    """A time as SOQL writes it."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
