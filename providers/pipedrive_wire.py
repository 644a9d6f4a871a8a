"""Pipedrive's calls as a push makes them: pages, records by id, searches, and writes that the report knows of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from providers.answers import id_in
from providers.batches import chunks
from providers.errors import ProviderError, Rejected, Stopping, Unexpected
from providers.models import AnyDocument
from providers.paging import Pages
from providers.pipedrive_errors import NAME
from providers.pipedrive_schema import Caller, Kind, Schema
from providers.pipedrive_values import CUSTOM, Record
from providers.report import Report

MAX_IDS = 100
MAX_CUSTOM_FIELDS = 15
"""How many custom fields an answer can be restricted to."""
PAGE = 500
NOTES_PATH = "/api/v1/notes"
TASKS_PATH = "/api/v2/activities"
WIDTH = 16
"""Calls under way at a time: concurrency within the budget stands in for batches."""

# What calls cost of the daily budget of tokens.
LIST, WRITE, SEARCH, V1_LIST, V1_WRITE = 10, 5, 20, 20, 10


class Wire:
    """The calls of one push."""

    def __init__(self, call: Caller, report: Report, schema: Schema) -> None:
        self.report = report
        self.schema = schema
        self._call = call
        self._is_remade = False
        self._remaking = asyncio.Lock()

    async def pages(
        self, kind: Kind, params: Mapping[str, str], names: Iterable[str] = (), *, room: int | None = None
    ) -> AsyncIterator[tuple[list[Record], bool]]:
        """The records that are there, by the page, at most `room` pages, and whether a page is the last there is.

        Of the custom fields only our key and those among `names`, if Pipedrive can restrict itself to so few.
        """
        paging: dict[str, str] | None = {"limit": str(PAGE)}
        count = 0
        turned = Pages(NAME)
        while paging is not None and (room is None or count < room):
            turned.turn_to(paging.get("cursor"))
            answer = await self._read(kind, names, {**params, **paging})
            count += 1
            paging = _next_page(answer)
            yield _alive(answer), paging is None

    async def by_ids(self, kind: Kind, ids: Iterable[str], names: Iterable[str] = ()) -> dict[str, Record]:
        """The records under these ids; those that are gone are missing, and what cannot be an id is of none."""
        found: dict[str, Record] = {}
        for part in chunks([each for each in dict.fromkeys(ids) if each.isdecimal()], MAX_IDS):
            answer = await self._read(kind, names, {"ids": ",".join(part), "limit": str(MAX_IDS)})
            found.update({str(record["id"]): record for record in _alive(answer)})
        return found

    async def search(self, kind: Kind, term: str, *, field: str | None = None) -> list[str]:
        """The ids of records that the search index has under exactly this term."""
        params = {"term": term, "fields": field or kind.search_field, "exact_match": "true", "limit": "100"}
        answer = await self._call("GET", f"{kind.path}/search", limit="search", cost=SEARCH, params=params)
        data = answer.get("data", ()) if isinstance(answer, Mapping) else ()
        items = data.get("items") if isinstance(data, Mapping) else [] if data in (None, []) else None
        if not isinstance(items, list):
            raise Unexpected("Pipedrive's answer to a search has no items", provider=NAME)
        found = [entry.get("item") for entry in items if isinstance(entry, Mapping)]
        return [str(item["id"]) for item in found if isinstance(item, Mapping) and is_numbered(item)]

    async def list_tasks(self, params: Mapping[str, str]) -> AsyncIterator[list[Record]]:
        """Activities by the page."""
        paging: dict[str, str] | None = {"limit": str(PAGE)}
        turned = Pages(NAME)
        while paging is not None:
            turned.turn_to(paging.get("cursor"))
            answer = await self._call("GET", TASKS_PATH, limit="core", cost=LIST, params={**params, **paging})
            paging = _next_page(answer)
            yield _alive(answer)

    async def list_notes(self, params: Mapping[str, str]) -> AsyncIterator[list[Record]]:
        """Notes by the page; v1 counts where v2 has cursors."""
        start = 0
        turned = Pages(NAME)
        while True:
            turned.turn_to(start)
            answer = await self._call(
                "GET",
                NOTES_PATH,
                limit="core",
                cost=V1_LIST,
                params={**params, "start": str(start), "limit": str(PAGE)},
            )
            yield [record for record in _alive(answer) if record.get("active_flag") is not False]
            additional = answer.get("additional_data")
            paging = additional.get("pagination") if isinstance(additional, Mapping) else None
            if not isinstance(paging, Mapping) or not paging.get("more_items_in_collection"):
                return
            named = paging.get("next_start")
            start = named if isinstance(named, int) and named else start + PAGE

    async def write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        documents: Sequence[AnyDocument],
        *,
        kind: Kind | None = None,
        cost: int = WRITE,
    ) -> Record:
        """Send one record for these documents; `kind` is given where the body may carry our key.

        Returns the record as it is now. If Pipedrive does not know the field of our key any more, the field is made
        again, once a push, and the record sent with it.
        """
        custom = body.get("custom_fields") or {}
        held = self.schema.key(kind) if kind is not None and self.schema.key(kind) in custom else None
        try:
            return await self._send(method, path, body, documents, cost)
        except Rejected as error:
            if kind is None or held is None or not _speaks_of(error, held) or not await self._made_anew(kind, held):
                raise
        custom = {(self.schema.key(kind) if name == held else name): value for name, value in custom.items()}
        return await self._send(method, path, {**body, "custom_fields": custom}, documents, cost)

    async def _send(
        self, method: str, path: str, body: Mapping[str, Any], documents: Sequence[AnyDocument], cost: int
    ) -> Record:
        self.report.sending(documents)
        try:
            answer = await self._call(method, path, limit="core", cost=cost, json=dict(body))
            data = answer.get("data") if isinstance(answer, Mapping) else None
            if not isinstance(data, Mapping) or not is_numbered(data):
                raise Unexpected("Pipedrive's answer does not tell the record's id", provider=NAME, uncertain=True)
        except (ProviderError, Stopping) as error:
            if not getattr(error, "uncertain", False):
                self.report.refused(documents)
            raise
        return data

    async def _read(self, kind: Kind, names: Iterable[str], params: Mapping[str, str]) -> Mapping[str, Any]:
        key = self.schema.key(kind)
        try:
            answer = await self._ask(kind, key, names, params)
        except Rejected as error:
            if not _speaks_of(error, key) or not await self._made_anew(kind, key):
                raise
            answer = await self._ask(kind, self.schema.key(kind), names, params)
        if not isinstance(answer, Mapping):
            raise Unexpected("Pipedrive's answer is no list of records", provider=NAME)
        return answer

    async def _ask(self, kind: Kind, key: str, names: Iterable[str], params: Mapping[str, str]) -> Any:
        custom = [key, *dict.fromkeys(name for name in names if CUSTOM.fullmatch(name))]
        restricted = {"custom_fields": ",".join(custom)} if len(custom) <= MAX_CUSTOM_FIELDS else {}
        return await self._call("GET", kind.path, limit="core", cost=LIST, params={**params, **restricted})

    async def _made_anew(self, kind: Kind, key: str) -> bool:
        """Whether the field of our key is another than `key` now."""
        async with self._remaking:
            if not self._is_remade and self.schema.key(kind) == key:
                await self.schema.ensure()
                self._is_remade = True
        return self.schema.key(kind) != key


def _next_page(answer: Any) -> dict[str, str] | None:
    """What asks for the page after this one; None after the last."""
    additional = answer.get("additional_data") if isinstance(answer, Mapping) else None
    cursor = additional.get("next_cursor") if isinstance(additional, Mapping) else None
    return {"limit": str(PAGE), "cursor": str(cursor)} if cursor else None


def _alive(answer: Any) -> list[Record]:
    """The records of a list that are not deleted; an empty list may come as null."""
    data = answer.get("data") if isinstance(answer, Mapping) else False
    if data is None:
        return []
    if not isinstance(data, list) or not all(isinstance(record, dict) and is_numbered(record) for record in data):
        raise Unexpected("Pipedrive's answer is no list of records", provider=NAME)
    return [record for record in data if not record.get("is_deleted")]


def is_numbered(record: Record) -> bool:
    """Whether a record says its number: without, it is none."""
    found = id_in(record.get("id"))
    return found is not None and found.isdecimal()


def _speaks_of(error: ProviderError, key: str) -> bool:
    return error.field == key or key in error.message
