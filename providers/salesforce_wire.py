"""Salesforce's collection calls and queries: rows in, one answer for each row out, whatever the shape of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from providers.batches import send_all
from providers.errors import ProviderError, Rejected, Stopping, Unauthorized, Unexpected
from providers.models import ActivityDocument, DealDocument, TaskDocument
from providers.paging import Pages
from providers.report import Report
from providers.salesforce_errors import KEY, NAME, RECORD_ID, is_overloaded, silence
from providers.salesforce_rows import Found, Record, Row, Written, joined, record_of
from providers.salesforce_soql import Term, encoded, pieces, select

MAX_RECORDS = 200
SHRINKING = 8
"""How many times fewer records a call has after the org's own automation could not take so many: 200, 25, 3, 1."""
MAX_RETRIEVED = 2_000
MAX_MERGES = 5
"""A record that was merged may have been merged again; so often it is followed."""
MASTER = "MasterRecordId"
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
        self,
        object_name: str,
        action: Action,
        rows: Sequence[Row],
        *,
        is_sequel: bool = False,
        most: int = MAX_RECORDS,
    ) -> AsyncIterator[tuple[Row, Written | ProviderError]]:
        """`create`, `update` or `upsert` the rows, of distinct keys; each comes back once.

        `is_sequel`: something of the same documents is written already, so a refusal does not mean that nothing is.
        Rows that are too many at once for the org's own triggers and flows are sent again, fewer in a call than `most`.
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
        overloading: list[Row] = []
        ending: Unauthorized | None = None
        async for part, answer in send_all(rows, most, send, is_guilty):
            for row, result in [(row, answer) for row in part] if isinstance(answer, ProviderError) else answer:
                self._heard(row, result, is_sequel=is_sequel)
                if result is None:
                    unnamed.append(row)
                elif isinstance(result, Unauthorized):
                    ending = ending or result
                elif len(part) > 1 and is_overloaded(result):
                    overloading.append(row)
                else:
                    yield row, _with_field(result, row)
            if ending is not None:
                break
        async for named in self._named(object_name, action, unnamed):
            yield named
        if ending is not None:
            raise ending
        if overloading:
            fewer = max(1, most // SHRINKING)
            async for each in self.write(object_name, action, overloading, is_sequel=is_sequel, most=fewer):
                yield each

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

    async def query(
        self,
        object_name: str,
        fields: Iterable[str],
        terms: Sequence[Term],
        *,
        also: str = "",
        with_deleted: bool = False,
    ) -> Found:
        """All records that answer to any of the terms, over all pages; refusals by any value of their terms."""
        names = sorted({"Id", *fields})
        path = f"{self.root}/{'queryAll' if with_deleted else 'query'}"

        async def send(part: Sequence[Term]) -> list[Record]:
            soql = encoded(select(object_name, names, part, also=also))
            return await self._pages(f"{path}?q={soql}")

        found = Found()
        for piece in pieces(object_name, names, terms, also=also):
            async for part, answer in send_all(piece, len(piece), send, _blames_all):
                if isinstance(answer, ProviderError):
                    found.refused.update({value: answer for term in part for value in term.values()})
                else:
                    found.records += answer
        return found

    async def masters(self, object_name: str, ids: Iterable[str]) -> dict[str, str]:
        """Of records that are deleted, those that people have merged into another, with that one's id.

        Salesforce tells for as long as the loser lies in its recycle bin; what cannot be looked for counts as not
        merged: it is then found by key or address, or made again.
        """
        became: dict[str, str] = {}
        pending = {each for each in ids if RECORD_ID.fullmatch(each)}
        for _ in range(MAX_MERGES):
            found = await self.query(object_name, [MASTER], [{"Id": each} for each in pending], with_deleted=True)
            merged = {record.id: kept for record in found.records if (kept := record.text(MASTER))}
            became |= merged
            pending = set(merged.values()) - set(became)
        return {lost: _last(lost, became) for lost in became}

    def contact_id(self, document: DealDocument | ActivityDocument | TaskDocument) -> str:
        """Its contact's or lead's id: that of a record which this push has made again, or found converted, is newer."""
        return self.report.contact_ids.get(document.contact_id, document.contact_external_id)

    async def _pages(self, path: str | None) -> list[Record]:
        records: list[Record] = []
        pages = Pages(NAME)
        while path is not None:
            pages.turn_to(path)
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

    def _heard(self, row: Row, result: Written | ProviderError | None, *, is_sequel: bool) -> None:
        if isinstance(result, ProviderError) and not result.uncertain and not is_sequel:
            self.report.refused(row.documents)

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


def _last(lost: str, became: dict[str, str]) -> str:
    """Whom a merged record was merged into in the end."""
    kept = became[lost]
    for _ in range(MAX_MERGES):
        kept = became.get(kept, kept)
    return kept


def _with_field(result: Written | ProviderError, row: Row) -> Written | ProviderError:
    """Salesforce names no field where it cannot read a value, only the value: the field is the one that has it."""
    if isinstance(result, ProviderError) and result.field is None and result.code == "JSON_PARSER_ERROR":
        texts = {name: str(value) for name, value in row.values.items() if not isinstance(value, Mapping)}
        named = [name for name, text in texts.items() if text and f" value {text} " in f"{result.message} "]
        if len(named) == 1:
            [result.field] = named
    return result


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
