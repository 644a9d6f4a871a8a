"""People who are erased: persons, deals, notes and activities of ours are deleted in Pipedrive, a call each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx

from providers.batches import run_each
from providers.erasures import Eraser, Kind
from providers.errors import Contended, ProviderError, Rejected
from providers.models import ErasureDocument
from providers.notes import MARKER_START
from providers.pipedrive_schema import DEAL, PERSON, Caller
from providers.pipedrive_schema import Kind as Records
from providers.pipedrive_wire import NOTES_PATH, TASKS_PATH, WIDTH, Wire

DELETE, V1_DELETE = 3, 6
"""What calls cost of the daily budget of tokens."""
PLACES: dict[Kind, tuple[str, int]] = {
    "tasks": (TASKS_PATH, DELETE),
    "activities": (NOTES_PATH, V1_DELETE),
    "deals": (DEAL.path, DELETE),
    "contacts": (PERSON.path, DELETE),
}


class Erasures(Eraser):
    """One push of erasures; `call` makes one call, as `Client.call`."""

    crm = "Pipedrive"

    def __init__(self, wire: Wire, documents: Sequence[ErasureDocument], call: Caller) -> None:
        super().__init__(wire.report, documents)
        self._wire = wire
        self._call = call

    async def found(self, document: ErasureDocument) -> dict[Kind, list[str]]:
        """Persons and deals by our keys, notes and activities of the person by our mark."""
        more: dict[Kind, list[str]] = {"contacts": await self._search(PERSON, str(document.contact_id)), "deals": []}
        for key in document.deal_keys:
            more["deals"] += await self._search(DEAL, key)
        more["activities"], more["tasks"] = [], []
        for person_id in {*document.contacts, *more["contacts"]}:
            async for records in self._wire.list_notes({"person_id": person_id}):
                more["activities"] += [str(each["id"]) for each in records if MARKER_START in str(each.get("content"))]
            async for records in self._wire.list_tasks({"person_id": person_id}):
                more["tasks"] += [str(each["id"]) for each in records if MARKER_START in str(each.get("note"))]
        return more

    async def delete(self, kind: Kind, ids: Sequence[str]) -> AsyncIterator[tuple[str, ProviderError | None]]:
        """What cannot be an id leads to nothing."""
        path, cost = PLACES[kind]
        answers: list[tuple[str, ProviderError | None]] = []

        async def delete(record_id: str) -> None:
            try:
                await self._call("DELETE", f"{path}/{record_id}", limit="core", cost=cost)
            except (Rejected, Contended) as error:
                is_gone = error.status in (httpx.codes.NOT_FOUND, httpx.codes.GONE)
                answers.append((record_id, None if is_gone else error))
            else:
                answers.append((record_id, None))

        await run_each([each for each in ids if each.isdecimal()], delete, WIDTH)
        for answer in answers:
            yield answer

    async def _search(self, kind: Records, key: str) -> list[str]:
        return await self._wire.search(kind, key, field="custom_fields")
