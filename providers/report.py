"""What becomes of a batch, document by document, while it is being pushed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import UUID

from providers.errors import ProviderError
from providers.models import AnyDocument, Batch, ContactDocument, Failure, Outcome


class Report:
    """Collects one outcome for each document of a batch while it is being pushed.

    Whatever the push has not spoken of when it ends, by an exception or by a shutdown, is settled by `close`.
    """

    def __init__(self, batch: Batch) -> None:
        self._open: dict[tuple[int, ...], AnyDocument] = {document.rows: document for document in batch.documents}
        self._sent: set[tuple[int, ...]] = set()
        self._started = time.monotonic()
        self.started_at = time.time()
        self.outcomes: list[Outcome] = []
        self.contact_ids: dict[UUID, str] = {}
        """The CRM's ids of the contacts that this push has confirmed: newer than those in the other documents."""

    def is_open(self, document: AnyDocument) -> bool:
        """Whether nothing was said of this document yet."""
        return document.rows in self._open

    def sending(self, documents: Iterable[AnyDocument]) -> None:
        """From here on the CRM may have these, even if no answer comes back."""
        self._sent.update(document.rows for document in documents)

    def refused(self, documents: Iterable[AnyDocument]) -> None:
        """The CRM said that it did not take what was sent for these: no effect of it can be hidden there."""
        self._sent.difference_update(document.rows for document in documents)

    def synced(
        self,
        document: AnyDocument,
        external_id: str,
        *,
        company_external_id: str | None = None,
        created: bool = False,
        takes_deals: bool = True,
        remark: str | None = None,
    ) -> None:
        """The CRM has confirmed this document under `external_id`."""
        if isinstance(document, ContactDocument):
            self.contact_ids[document.contact_id] = external_id
        self._settle(
            Outcome(
                rows=document.rows,
                echo=document.echo,
                status="synced",
                external_id=external_id,
                company_external_id=company_external_id,
                created=created,
                takes_deals=takes_deals,
                remark=remark,
                duration_ms=self._elapsed_ms(),
            )
        )

    def erased(self, document: AnyDocument) -> None:
        """The CRM has nothing of this person any more that was made by us; no id of it is kept."""
        self._settle(Outcome(rows=document.rows, echo=document.echo, status="synced", duration_ms=self._elapsed_ms()))

    def failed(self, document: AnyDocument, error: ProviderError) -> None:
        """This document did not arrive, and why."""
        self._fail(document, error, uncertain=error.uncertain)

    def close(self, error: ProviderError | None = None) -> list[Outcome]:
        """Settle what is still open: failed by `error`, or released when there is none; return all outcomes."""
        for document in list(self._open.values()):
            if error is not None:
                # Only what was sent can be uncertain: a lost answer about one document says nothing of the others.
                self._fail(document, error, uncertain=False)
            else:
                self._settle(
                    Outcome(
                        rows=document.rows,
                        echo=document.echo,
                        status="released",
                        uncertain=document.uncertain or document.rows in self._sent,
                        duration_ms=self._elapsed_ms(),
                    )
                )
        return self.outcomes

    def _fail(self, document: AnyDocument, error: ProviderError, *, uncertain: bool) -> None:
        self._settle(
            Outcome(
                rows=document.rows,
                echo=document.echo,
                status="failed",
                failure=Failure.of(error),
                uncertain=document.uncertain or uncertain or document.rows in self._sent,
                duration_ms=self._elapsed_ms(),
            )
        )

    def _settle(self, outcome: Outcome) -> None:
        if self._open.pop(outcome.rows, None) is not None:
            self.outcomes.append(outcome)

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)
