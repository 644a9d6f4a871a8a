"""HubSpot's batch endpoints: rows in, one answer for each row out, whatever the order, status or gaps of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from providers.answers import inner
from providers.batches import send_all
from providers.errors import ProviderError, Rejected, Stopping
from providers.hubspot_errors import NAME, contact_gone, context_values, is_gone
from providers.hubspot_rows import (
    Found,
    Lists,
    Pair,
    Record,
    Row,
    error_for,
    id_of,
    input_of,
    joined,
    lists_of,
    record_of,
    target_ids,
)
from providers.models import ActivityDocument, DealDocument, TaskDocument
from providers.paging import Pages
from providers.report import Report

MAX_OBJECTS = 100
MAX_ASSOCIATIONS = 2_000
MAX_ASSOCIATION_READS = 1_000
WIDTH = 5
"""Calls of one step that are under way at once."""

KEY = "crm_sync_key"
CONTACT_KEY = "crm_sync_contact_id"
LEAD_SOURCE = "crm_sync_lead_source"
OWN_PROPERTIES = frozenset({KEY, CONTACT_KEY, LEAD_SOURCE})

Dependent = DealDocument | ActivityDocument | TaskDocument


class Caller(Protocol):
    async def __call__(self, method: str, path: str, *, limit: str, json: Any = None) -> Any: ...


class Wire:
    """The batch calls of one push; `make_schema` is asked once if a property of ours turns out to be missing."""

    def __init__(
        self, call: Caller, version: str, report: Report, make_schema: Callable[[], Awaitable[object]]
    ) -> None:
        self.report = report
        self._call = call
        self._version = version
        self._make_schema = make_schema
        self._schema_made = False

    async def write(
        self, object_type: str, action: str, rows: Sequence[Row], *, id_property: str | None = None
    ) -> AsyncIterator[tuple[Row, Record | ProviderError]]:
        """`create`, `update` or `upsert` the rows; each comes back once, with its record or with what was refused."""
        path = f"/crm/objects/{self._version}/{object_type}/batch/{action}"

        async def send(part: Sequence[Row]) -> list[tuple[Row, Record | ProviderError]]:
            answer = await self._send(path, [input_of(row, action, id_property) for row in part], part)
            return list(joined(part, answer, id_property, is_create=action == "create"))

        def is_guilty(error: ProviderError, row: Row) -> bool:
            return _is_missing_property(error) and (error.field in row.properties or error.field == id_property)

        again: list[Row] = []
        async for part, answer in send_all(rows, MAX_OBJECTS, send, is_guilty, WIDTH):
            for row, result in [(row, answer) for row in part] if isinstance(answer, ProviderError) else answer:
                if isinstance(result, ProviderError) and not result.uncertain:
                    self.report.refused(row.documents)
                    if self._wants_schema(result):
                        again.append(row)
                        continue
                yield row, result
        if again:
            await self._make_schema_once()
            async for answered in self.write(object_type, action, again, id_property=id_property):
                yield answered

    async def read(
        self, object_type: str, ids: Iterable[str], properties: Iterable[str], *, id_property: str | None = None
    ) -> Found:
        """The records under these ids (or values of `id_property`), with these properties."""
        body: dict[str, Any] = {"properties": sorted(properties), "propertiesWithHistory": []}
        if id_property is not None:
            body["idProperty"] = id_property
        path = f"/crm/objects/{self._version}/{object_type}/batch/read"

        async def send(part: Sequence[str]) -> Lists:
            return lists_of(await self._ask(path, {**body, "inputs": [{"id": value} for value in part]}))

        def blames_all(error: ProviderError, value: str) -> bool:
            return _is_missing_property(error)

        found, again = Found(), list[str]()
        async for part, answer in send_all(list(dict.fromkeys(ids)), MAX_OBJECTS, send, blames_all, WIDTH):
            if isinstance(answer, ProviderError):
                if self._wants_schema(answer):
                    again += part
                elif not is_gone(answer):
                    found.refused.update(dict.fromkeys(part, answer))
                continue
            results, errors = answer
            records = [record_of(result) for result in results]
            found.records += records
            read = {record.id if id_property is None else record.properties.get(id_property) for record in records}
            for error, item in errors:
                if not is_gone(error):
                    named = set(context_values(item)) & set(part)
                    found.refused.update(dict.fromkeys(named or set(part) - read, error))
        if again:
            await self._make_schema_once()
            rest = await self.read(object_type, again, properties, id_property=id_property)
            found.records += rest.records
            found.refused.update(rest.refused)
        return found

    async def associate(
        self, source: str, target: str, pairs: Sequence[Pair]
    ) -> AsyncIterator[tuple[Pair, ProviderError | None]]:
        """Make default associations; each pair comes back once, with None when it exists now."""
        path = f"/crm/associations/{self._version}/{source}/{target}/batch/associate/default"

        async def send(part: Sequence[Pair]) -> Lists:
            inputs = [{"from": {"id": pair.source}, "to": {"id": pair.target}} for pair in part]
            self.report.sending(document for pair in part for document in pair.documents)
            return lists_of(await self._ask(path, {"inputs": inputs}))

        async for part, answer in send_all(pairs, MAX_ASSOCIATIONS, send, width=WIDTH):
            if isinstance(answer, ProviderError):
                for pair in part:
                    yield pair, answer
                continue
            results, errors = answer
            made = {(id_of(result.get("from")), id_of(result.get("to"))) for result in results}
            unnamed = [pair for pair in part if (pair.source, pair.target) not in made]
            if unnamed and not errors:
                # Nothing was refused: an answer may leave out what existed before.
                made |= await self._there(source, target, unnamed)
            for pair in part:
                yield pair, None if (pair.source, pair.target) in made else error_for(pair, errors)

    async def associated(self, source: str, target: str, ids: Iterable[str]) -> tuple[dict[str, list[str]], Found]:
        """The ids associated with each id, over all pages, and in `Found.refused` what could not be asked."""
        path = f"/crm/associations/{self._version}/{source}/{target}/batch/read"

        async def send(part: Sequence[Mapping[str, str]]) -> Lists:
            return lists_of(await self._ask(path, {"inputs": list(part)}))

        linked: dict[str, list[str]] = {}
        found = Found()
        turned = Pages(NAME)
        inputs: list[Mapping[str, str]] = [{"id": value} for value in dict.fromkeys(ids)]
        while inputs:
            pages: list[Mapping[str, str]] = []
            async for part, answer in send_all(inputs, MAX_ASSOCIATION_READS, send, width=WIDTH):
                asked = [entry["id"] for entry in part]
                if isinstance(answer, ProviderError):
                    if not is_gone(answer):
                        found.refused.update(dict.fromkeys(asked, answer))
                    continue
                results, errors = answer
                for result in results:
                    source_id = id_of(result.get("from"))
                    linked.setdefault(source_id, []).extend(target_ids(result))
                    after = inner(result, "paging", "next", "after")
                    if after is not None:
                        turned.turn_to((source_id, after))
                        pages.append({"id": source_id, "after": str(after)})
                for error, item in errors:
                    if not is_gone(error):
                        named = set(context_values(item)) & set(asked)
                        found.refused.update(dict.fromkeys(named or set(asked), error))
            inputs = pages
        return linked, found

    async def _there(self, source: str, target: str, pairs: Sequence[Pair]) -> set[tuple[str, str]]:
        linked, _ = await self.associated(source, target, [pair.source for pair in pairs])
        return {(one, other) for one, others in linked.items() for other in others}

    def contact_id(self, document: Dependent) -> str:
        """The contact that this hangs on: one that this push has just made again has a newer id than the document."""
        return self.report.contact_ids.get(document.contact_id, document.contact_external_id)

    async def blame_contacts(self, refused: Sequence[tuple[Dependent, ProviderError]]) -> None:
        """Settle what HubSpot refused to hang on a contact: by `CONTACT_GONE` where that contact is there no more."""
        suspects = [self.contact_id(document) for document, error in refused if isinstance(error, Rejected)]
        found = await self.read("contacts", suspects, [])
        there = {record.id for record in found.records} | set(found.refused)
        for document, error in refused:
            lost = isinstance(error, Rejected) and self.contact_id(document) not in there
            self.report.failed(document, contact_gone(error) if lost else error)

    async def _send(self, path: str, inputs: list[dict[str, Any]], rows: Sequence[Row]) -> Any:
        documents = [document for row in rows for document in row.documents]
        self.report.sending(documents)
        try:
            return await self._call("POST", path, limit="core", json={"inputs": inputs})
        except (ProviderError, Stopping) as error:
            if not getattr(error, "uncertain", False):
                self.report.refused(documents)
            raise

    async def _ask(self, path: str, body: dict[str, Any]) -> Any:
        return await self._call("POST", path, limit="core", json=body)

    def _wants_schema(self, error: ProviderError) -> bool:
        named = error.field in OWN_PROPERTIES or any(name in error.message for name in OWN_PROPERTIES)
        return named and _is_missing_property(error) and not self._schema_made

    async def _make_schema_once(self) -> None:
        self._schema_made = True
        await self._make_schema()


def _is_missing_property(error: ProviderError) -> bool:
    words = error.message.lower()
    return isinstance(error, Rejected) and (error.code == "PROPERTY_DOESNT_EXIST" or "does not exist" in words)
