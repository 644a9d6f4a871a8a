"""What all CRMs share when somebody is erased: what was made for them is deleted by its ids, the record itself last."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal

import httpx

from providers.codes import OwnCode
from providers.errors import ProviderError, Rejected, Unauthorized
from providers.models import ErasureDocument
from providers.report import Report

Kind = Literal["tasks", "activities", "deals", "contacts"]
Owners = dict[Kind, dict[str, list[ErasureDocument]]]
KINDS: tuple[Kind, ...] = ("tasks", "activities", "deals", "contacts")


class Eraser(ABC):
    """One push of erasures. What is gone already counts as deleted, so each may be done again from the beginning.

    Attributes:
        crm: as people call it.
    """

    crm: str

    def __init__(self, report: Report, documents: Sequence[ErasureDocument]) -> None:
        self.report = report
        self._documents = documents

    @abstractmethod
    async def found(self, document: ErasureDocument) -> dict[Kind, list[str]]:
        """Ids that nobody has confirmed to us, by our keys; asked for those of unknown fate only."""

    @abstractmethod
    def delete(self, kind: Kind, ids: Sequence[str]) -> AsyncIterator[tuple[str, ProviderError | None]]:
        """Delete these; each comes back once, with None when it is there no more."""

    async def push(self) -> None:
        """Look for what may be there, then delete kind by kind; a document whose part is refused ends with that."""
        owners: Owners = {kind: {} for kind in KINDS}
        for document in self._documents:
            try:
                more = await self.found(document) if _is_doubtful(document) else {}
            except Rejected as error:
                self.report.failed(document, error)
                continue
            for kind in KINDS:
                for each in (*document.ids_of(kind), *more.get(kind, ())):
                    owners[kind].setdefault(each, []).append(document)
        for kind in KINDS:
            await self._delete_all(kind, owners[kind])
        for document in self._documents:
            if self.report.is_open(document):
                self.report.erased(document)

    async def _delete_all(self, kind: Kind, owners: Mapping[str, Sequence[ErasureDocument]]) -> None:
        wanted = [each for each, documents in owners.items() if any(map(self.report.is_open, documents))]
        try:
            async for each, error in self.delete(kind, wanted):
                if error is not None:
                    self._fail(kind, owners[each], error)
        except Unauthorized as error:
            if error.status != httpx.codes.FORBIDDEN:
                raise
            for each in wanted:
                self._fail(kind, owners[each], error)

    def _fail(self, kind: Kind, documents: Sequence[ErasureDocument], error: ProviderError) -> None:
        for document in documents:
            self.report.failed(document, self._refusal(kind, error))

    def _refusal(self, kind: Kind, error: ProviderError) -> ProviderError:
        """To lack the right to delete is no reason to stop all other work of the connection."""
        if not isinstance(error, Unauthorized):
            return error
        return Rejected(
            f"{self.crm} does not let this connection delete {kind}: give it the right and retry this row, or delete "
            f"there by hand what was made for this person: {error.message}",
            provider=error.provider,
            status=error.status,
            code=OwnCode.ERASURE_FORBIDDEN,
            correlation_id=error.correlation_id,
        )


def _is_doubtful(document: ErasureDocument) -> bool:
    """Whether there may be more in the CRM than was confirmed to us."""
    return document.uncertain or bool(document.deal_keys) or not document.contacts
