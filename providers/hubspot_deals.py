"""Deals: one for each key, in a stage that the portal has, associated with their contact and company."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from providers.errors import Contended, ProviderError, Rejected
from providers.hubspot_fields import PIPELINE, STAGE
from providers.hubspot_pipelines import DEFAULTS, KnownPipelines
from providers.hubspot_rows import Pair, Record, Row
from providers.hubspot_wire import KEY, Wire
from providers.models import AnyDocument, DealDocument


class Deals:
    """One push of deal documents."""

    def __init__(self, wire: Wire, documents: Sequence[DealDocument], pipelines: KnownPipelines) -> None:
        self._wire = wire
        self._report = wire.report
        self._pipelines = pipelines
        self._asked_before = pipelines.asked
        self._by_key: dict[str, list[DealDocument]] = defaultdict(list)
        for document in documents:
            self._by_key[document.key].append(document)
        self._written: list[tuple[DealDocument, Record]] = []
        self._remarks: dict[str, str] = {}

    async def push(self) -> None:
        """Look for deals of unknown fate, write the others, associate them all."""
        existing = await self._find_uncertain()
        await self._upsert([key for key in self._by_key if key not in existing and self._is_open(key)])
        written = await self._associate("contacts", self._written)
        for document, record in await self._associate("companies", written):
            self._report.synced(
                document,
                record.id,
                company_external_id=document.company_external_id,
                created=record.is_new,
                remark=self._remarks.get(document.key),
            )

    async def _find_uncertain(self) -> set[str]:
        """Deals that an earlier push left behind: accepted as they are, since a person may have moved them."""
        keys = [key for key, sharing in self._by_key.items() if any(document.uncertain for document in sharing)]
        found = await self._wire.read("deals", keys, [KEY], id_property=KEY)
        for key, error in found.refused.items():
            self._fail(self._by_key[key], error)
        existing = {record.properties.get(KEY) or "": record for record in found.records}
        for key, record in existing.items():
            self._written += [(document, record) for document in self._by_key.get(key, ())]
        return set(existing)

    async def _upsert(self, keys: Sequence[str]) -> None:
        rows: list[Row] = []
        for key in keys:
            sharing = self._by_key[key]
            try:
                rows.append(Row(key, await self._properties(sharing[0]), tuple(sharing)))
            except (Rejected, Contended) as error:
                self._fail(sharing, error)
        outdated: list[str] = []
        async for row, result in self._wire.write("deals", "upsert", rows, id_property=KEY):
            if isinstance(result, Record):
                self._written += [(document, result) for document in self._by_key[row.key]]
            elif isinstance(result, Rejected) and result.field in (PIPELINE, STAGE) and self._may_be_outdated():
                outdated.append(row.key)
            else:
                self._fail(row.documents, result)
        if outdated:
            # A person has changed the pipelines since they were asked for.
            await self._pipelines.renew()
            await self._upsert(outdated)

    async def _properties(self, document: DealDocument) -> dict[str, str]:
        values = {name: field.value for name, field in document.fields.items() if field.value}
        chosen = values.get(PIPELINE, DEFAULTS[0]).strip(), values.get(STAGE, DEFAULTS[1]).strip()
        try:
            pipeline, stage, remark = (await self._pipelines.get()).resolve(*chosen)
        except Rejected:
            if not self._may_be_outdated():
                raise
            pipeline, stage, remark = (await self._pipelines.renew()).resolve(*chosen)
        if remark is not None:
            self._remarks[document.key] = remark
        return {**values, PIPELINE: pipeline, STAGE: stage}

    def _may_be_outdated(self) -> bool:
        """Whether the pipelines are from before this push."""
        return self._pipelines.asked == self._asked_before

    async def _associate(
        self, target: str, written: Sequence[tuple[DealDocument, Record]]
    ) -> list[tuple[DealDocument, Record]]:
        """Associate deals with their contacts or companies; returns those that may go on."""
        done: list[tuple[DealDocument, Record]] = []
        by_pair: dict[tuple[str, str], list[tuple[DealDocument, Record]]] = defaultdict(list)
        for document, record in written:
            target_id = self._wire.contact_id(document) if target == "contacts" else document.company_external_id
            if target_id is None:
                done.append((document, record))
            else:
                by_pair[record.id, target_id].append((document, record))
        pairs = [Pair(*ids, tuple(document for document, _ in sharing)) for ids, sharing in by_pair.items()]
        refused: list[tuple[DealDocument, ProviderError]] = []
        async for pair, error in self._wire.associate("deals", target, pairs):
            sharing = by_pair[pair.source, pair.target]
            if isinstance(error, Rejected) and target == "companies":
                # The deal and its contact matter more than a company that a person has deleted since.
                for document, _ in sharing:
                    self._remarks[document.key] = f"not associated with company {pair.target}: {error.message}"
            elif error is not None:
                refused += [(document, error) for document, _ in sharing]
                continue
            done += sharing
        await self._wire.blame_contacts(refused)
        return done

    def _fail(self, documents: Sequence[AnyDocument], error: ProviderError) -> None:
        for document in documents:
            self._report.failed(document, error)

    def _is_open(self, key: str) -> bool:
        return any(self._report.is_open(document) for document in self._by_key[key])
