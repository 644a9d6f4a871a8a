"""People who are erased: HubSpot deletes the contact for good, and archives our deals, notes and tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx

from providers.batches import run_each, send_all
from providers.erasures import Eraser, Kind
from providers.errors import Contended, ProviderError, Rejected, Unexpected
from providers.hubspot_errors import NAME
from providers.hubspot_wire import CONTACT_KEY, KEY, MAX_OBJECTS, WIDTH, Caller, Wire
from providers.models import ErasureDocument

TYPES: dict[Kind, str] = {"tasks": "tasks", "activities": "notes", "deals": "deals", "contacts": "contacts"}


class Erasures(Eraser):
    """One push of erasures; `call` makes one call, as `Client.call`."""

    crm = "HubSpot"

    def __init__(self, wire: Wire, documents: Sequence[ErasureDocument], call: Caller, version: str) -> None:
        super().__init__(wire.report, documents)
        self._wire = wire
        self._call = call
        self._root = f"/crm/objects/{version}"

    async def found(self, document: ErasureDocument) -> dict[Kind, list[str]]:
        """Deals by our key; the contact by our id of it, which only the search index knows."""
        deals = await self._wire.read("deals", document.deal_keys, [], id_property=KEY) if document.deal_keys else None
        filters = [{"propertyName": CONTACT_KEY, "operator": "EQ", "value": str(document.contact_id)}]
        body = {"filterGroups": [{"filters": filters}], "properties": [], "limit": MAX_OBJECTS}
        answer = await self._call("POST", f"{self._root}/contacts/search", limit="search", json=body)
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise Unexpected("HubSpot's answer to a search has no results", provider=NAME)
        contacts = [str(result["id"]) for result in results if isinstance(result, dict) and result.get("id")]
        return {"contacts": contacts, "deals": [record.id for record in deals.records] if deals else []}

    async def delete(self, kind: Kind, ids: Sequence[str]) -> AsyncIterator[tuple[str, ProviderError | None]]:
        """A contact by a call of its own; the others in batches, in which what is gone is no error."""
        if kind == "contacts":
            for each, error in await self._purge(ids):
                yield each, error
            return

        async def send(part: Sequence[str]) -> None:
            path = f"{self._root}/{TYPES[kind]}/batch/archive"
            await self._call("POST", path, limit="core", json={"inputs": [{"id": each} for each in part]})

        async for part, answer in send_all(ids, MAX_OBJECTS, send, width=WIDTH):
            for each in part:
                yield each, answer

    async def _purge(self, ids: Sequence[str]) -> list[tuple[str, ProviderError | None]]:
        path = f"{self._root}/contacts/gdpr-delete"
        answers: list[tuple[str, ProviderError | None]] = []
        missing: list[tuple[str, ProviderError]] = []

        async def purge(contact_id: str) -> None:
            try:
                await self._call("POST", path, limit="core", json={"objectId": contact_id})
            except ProviderError as error:
                if error.status == httpx.codes.NOT_FOUND:
                    missing.append((contact_id, error))
                elif isinstance(error, Rejected | Contended):
                    answers.append((contact_id, error))
                else:
                    raise
            else:
                answers.append((contact_id, None))

        await run_each(ids, purge, WIDTH)
        if missing:
            # gone, or a path that is not there
            found = await self._wire.read("contacts", [each for each, _ in missing], [])
            there = {record.id for record in found.records} | set(found.refused)
            answers += [(each, error if each in there else None) for each, error in missing]
        return answers
