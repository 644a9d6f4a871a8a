"""Salesforce's collection calls and queries: rows in, one answer for each row out, whatever the shape of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal, Protocol

from providers.base import Report
from providers.batches import send_all
from providers.errors import ProviderError, Rejected, Stopping, Unauthorized, Unexpected
from providers.models import ActivityDocument, DealDocument, TaskDocument
from providers.salesforce_errors import KEY, NAME, silence
from providers.salesforce_rows import Found, Record, Row, Written, joined, record_of
from providers.salesforce_soql import Term, encoded, pieces, select

MAX_RECORDS = 200
MAX_RETRIEVED = 2_000
Action = Literal["create", "update", "upsert"]


class Caller(Protocol):
    async def __call__(self, method: str, path: str, *, limit: str, json: Any = None) -> Any: ...


class Wire:
    """The calls of one push.

    They go one after the other: records of one account that are written at the same time lock each other out.
    """

    def __init__(self, call: Caller, version: str, report: Report) -> None:
        self.report = report
        self.root = f"/services/data/{version}"
        self._call = call

    async def write(
        self, object_name: str, action: Action, rows: Sequence[Row], *, is_sequel: bool = False
    ) -> AsyncIterator[tuple[Row, Written | ProviderError]]:
        """`create`, `update` or `upsert` the rows, of distinct keys; each comes back once.

        `is_sequel`: something of the same documents is written already, so a refusal does not mean that nothing is.
        Raises what concerns the whole connection, a lack of our field among it.
        """
        path, method = f"{self.root}/composite/sobjects", "POST" if action == "create" else "PATCH"
        if action == "upsert":
            path += f"/{object_name}/{KEY}"

        async def send(part: Sequence[Row]) -> list[tuple[Row, Written | ProviderError | None]]:
            body = {"allOrNone": False, "records": [_input(object_name, action, row) for row in part]}
            answer = await self._send(method, path, body, part, is_sequel=is_sequel)
            return list(joined(part, answer))

        def is_guilty(error: ProviderError, row: Row) -> bool:
            return error.code == "INVALID_TYPE" or (error.code == "INVALID_FIELD" and error.field in row.values)

        unnamed: list[Row] = []
        async for part, answer in send_all(rows, MAX_RECORDS, send, is_guilty):
            for row, result in [(row, answer) for row in part] if isinstance(answer, ProviderError) else answer:
                if result is None:
                    unnamed.append(row)
                    continue
                if isinstance(result, ProviderError) and not result.uncertain and not is_sequel:
                    self.report.refused(row.documents)
                if isinstance(result, Unauthorized):
                    raise result
                yield row, result
        if unnamed:
            async for named in self._named(object_name, action, unnamed):
                yield named

    async def retrieve(self, object_name: str, ids: Iterable[str], fields: Iterable[str]) -> Found:
        """The records under these ids; those that are deleted, or no ids at all, are missing."""
        path, names = f"{self.root}/composite/sobjects/{object_name}", sorted({"Id", *fields})

        async def send(part: Sequence[str]) -> Any:
            return await self._call("POST", path, limit="core", json={"ids": list(part), "fields": names})

        found = Found()
        async for part, answer in send_all(list(dict.fromkeys(ids)), MAX_RETRIEVED, send, _blames_all):
            if isinstance(answer, ProviderError):
                if answer.code not in ("MALFORMED_ID", "INVALID_ID_FIELD", "INVALID_CROSS_REFERENCE_KEY"):
                    found.refused.update(dict.fromkeys(part, answer))
                continue
            if not isinstance(answer, list):
                raise Unexpected("Salesforce's answer is not a list of records", provider=NAME)
            found.records += [record_of(entry) for entry in answer if entry]
        return found

    async def query(self, object_name: str, fields: Iterable[str], terms: Sequence[Term], *, also: str = "") -> Found:
        """All records that answer to any of the terms, over all pages; refusals by any value of their terms."""
        names = sorted({"Id", *fields})

        async def send(part: Sequence[Term]) -> list[Record]:
            soql = encoded(select(object_name, names, part, also=also))
            return await self._pages(f"{self.root}/query?q={soql}")

        found = Found()
        for piece in pieces(object_name, names, terms, also=also):
            async for part, answer in send_all(piece, len(piece), send, _blames_all):
                if isinstance(answer, ProviderError):
                    found.refused.update({value: answer for term in part for value in term.values()})
                else:
                    found.records += answer
        return found

    def contact_id(self, document: DealDocument | ActivityDocument | TaskDocument) -> str:
        """Its contact's or lead's id: that of a record which this push has made again, or found converted, is newer."""
        return self.report.contact_ids.get(document.contact_id, document.contact_external_id)

    async def _pages(self, path: str | None) -> list[Record]:
        records: list[Record] = []
        while path is not None:
            page = await self._call("GET", path, limit="core")
            entries = page.get("records") if isinstance(page, dict) else None
            if not isinstance(entries, list):
                raise Unexpected("Salesforce's answer has no list of records", provider=NAME)
            records += [record_of(entry) for entry in entries]
            path = None if page.get("done", True) else page.get("nextRecordsUrl")
            if path is not None and not str(path).startswith(f"{self.root}/query"):
                raise Unexpected("Salesforce names a next page that is none of its own", provider=NAME)
        return records

    async def _send(self, method: str, path: str, body: Any, rows: Sequence[Row], *, is_sequel: bool) -> Any:
        documents = [document for row in rows for document in row.documents]
        self.report.sending(documents)
        try:
            return await self._call(method, path, limit="core", json=body)
        except (ProviderError, Stopping) as error:
            if not getattr(error, "uncertain", False) and not is_sequel:
                self.report.refused(documents)
            raise

    async def _named(
        self, object_name: str, action: Action, rows: Sequence[Row]
    ) -> AsyncIterator[tuple[Row, Written | ProviderError]]:
        """Rows that were written although the answer has no id for them: an upsert's are found by their keys."""
        ids: dict[str, str] = {}
        if action == "upsert":
            found = await self.query(object_name, [KEY], [{KEY: row.key} for row in rows])
            ids = {(record.key or "").casefold(): record.id for record in found.records}
        elif action == "update":
            ids = {row.key.casefold(): row.key for row in rows}
        for row in rows:
            record_id = ids.get(row.key.casefold())
            yield row, silence() if record_id is None else Written(record_id)


def _input(object_name: str, action: Action, row: Row) -> dict[str, Any]:
    key = {} if action == "create" else {"id" if action == "update" else KEY: row.key}
    return {"attributes": {"type": object_name}, **row.values, **key}


def _blames_all(error: ProviderError, _row: object) -> bool:
    """A field or an object that is not there is not the fault of one of those looked for."""
    return isinstance(error, Rejected) and error.code in (
        "INVALID_FIELD",
        "INVALID_TYPE",
        "NOT_FOUND",
        "MALFORMED_QUERY",
    )
