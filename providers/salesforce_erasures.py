"""People who are erased: contacts or leads, our opportunities and tasks go to Salesforce's recycle bin."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from providers.batches import send_all
from providers.erasures import Eraser, Kind
from providers.errors import ProviderError, Rejected, Unexpected
from providers.models import ErasureDocument
from providers.salesforce_errors import KEY, NAME, RECORD_ID, is_gone, row_error, silence
from providers.salesforce_rows import LEAD
from providers.salesforce_schema import Facts
from providers.salesforce_wire import MAX_RECORDS, Wire

NO_IDS = frozenset({"MALFORMED_ID", "INVALID_ID_FIELD", "INVALID_CROSS_REFERENCE_KEY"})
"""Said of ids that lead to nothing."""


class Caller(Protocol):
    async def __call__(self, method: str, path: str, *, limit: str, json: Any = None) -> Any: ...


class Erasures(Eraser):
    """One push of erasures; `call` makes one call, as `Client.call`."""

    crm = "Salesforce"

    def __init__(self, wire: Wire, documents: Sequence[ErasureDocument], call: Caller, facts: Facts) -> None:
        super().__init__(wire.report, documents)
        self._wire = wire
        self._call = call
        self._facts = facts

    async def found(self, document: ErasureDocument) -> dict[Kind, list[str]]:
        """Contacts, leads and deals by our keys; their tasks go with them."""
        more: dict[Kind, list[str]] = {"contacts": [], "deals": []}
        for object_name in ("Contact", "Lead"):
            more["contacts"] += await self._ids(object_name, [str(document.contact_id)])
        more["deals"] += await self._ids("Opportunity", document.deal_keys)
        return more

    async def delete(self, kind: Kind, ids: Sequence[str]) -> AsyncIterator[tuple[str, ProviderError | None]]:
        """In collections. A contact that people have merged into another is followed: that one is the person now."""
        lost: list[str] = []
        async for each, error in self._delete([each for each in ids if RECORD_ID.fullmatch(each)]):
            if error is not None and kind == "contacts" and is_gone(error):
                lost.append(each)
            else:
                yield each, None if error is not None and (is_gone(error) or error.code in NO_IDS) else error
        masters: dict[str, str] = {}
        for object_name, some in (
            ("Lead", [each for each in lost if each.startswith(LEAD)]),
            ("Contact", [each for each in lost if not each.startswith(LEAD)]),
        ):
            masters |= await self._wire.masters(object_name, some) if some else {}
        merged = {master: each for each in lost if (master := _named(masters, each))}
        async for master, error in self._delete(list(merged)):
            yield merged[master], None if error is not None and is_gone(error) else error

    async def _delete(self, ids: Sequence[str]) -> AsyncIterator[tuple[str, ProviderError | None]]:
        async def send(part: Sequence[str]) -> list[ProviderError | None]:
            path = f"{self._wire.root}/composite/sobjects?ids={','.join(part)}&allOrNone=false"
            answer = await self._call("DELETE", path, limit="core")
            if not isinstance(answer, list) or len(answer) != len(part):
                raise Unexpected("Salesforce's answer is not a list of results", provider=NAME)
            return [_error_of(result) for result in answer]

        async for part, answer in send_all(ids, MAX_RECORDS, send):
            for place, each in enumerate(part):
                yield each, answer if isinstance(answer, ProviderError) else answer[place]

    async def _ids(self, object_name: str, keys: Sequence[str]) -> list[str]:
        if not keys:
            return []
        found = await self._wire.query(object_name, [KEY], [{KEY: key} for key in keys])
        for error in found.refused.values():
            if isinstance(error, Rejected) and error.code in ("INVALID_TYPE", "INVALID_FIELD"):
                return []  # an org without leads, or without our field on them, holds none of ours there
            raise error
        return [record.id for record in found.records]


def _error_of(result: Any) -> ProviderError | None:
    if not isinstance(result, dict) or result.get("success") not in (True, False):
        return silence()
    errors = result.get("errors")
    return None if result["success"] else row_error(errors if isinstance(errors, list) else [])


def _named(masters: dict[str, str], lost: str) -> str | None:
    """Ids have 15 or 18 characters, of which the first 15 tell."""
    return next((master for each, master in masters.items() if each[:15] == lost[:15]), None)
