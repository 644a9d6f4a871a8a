"""Deals: one for each key, in a stage that the portal has, associated with their contact and company."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from providers.errors import Contended, ProviderError, Rejected, Unexpected
from providers.hubspot_errors import NAME
from providers.hubspot_rows import Pair, Record, Row
from providers.hubspot_wire import KEY, Wire
from providers.models import AnyDocument, DealDocument

DEFAULTS = ("default", "appointmentscheduled")
PIPELINE = "pipeline"
STAGE = "dealstage"


@dataclass(frozen=True)
class Stage:
    id: str
    label: str
    is_open: bool


@dataclass(frozen=True)
class Pipeline:
    id: str
    label: str
    stages: tuple[Stage, ...]


class Pipelines:
    """The portal's deal pipelines, in the order in which people see them."""

    def __init__(self, pipelines: Sequence[Pipeline]) -> None:
        self._pipelines = pipelines

    @classmethod
    def of(cls, answer: Any) -> Pipelines:
        """From the answer of `GET /crm/pipelines/{version}/deals`; raises `Unexpected` when it is another."""
        try:
            pipelines = [
                Pipeline(entry["id"], entry["label"], tuple(_stage(stage) for stage in _ordered(entry["stages"])))
                for entry in _ordered(answer["results"])
            ]
        except (TypeError, KeyError, AttributeError):
            raise Unexpected("HubSpot's answer does not list pipelines", provider=NAME) from None
        return cls(pipelines)

    def resolve(self, pipeline: str, stage: str) -> tuple[str, str, str | None]:
        """The ids of a pipeline and a stage given by id or label, and a remark when they had to be substituted.

        Raises `Rejected`, naming the values there are, when somebody chose a pair that does not exist.
        """
        chosen = _named(self._pipelines, pipeline)
        found = None if chosen is None else _named(chosen.stages, stage)
        if chosen is not None and found is not None:
            return chosen.id, found.id, None
        if (pipeline, stage) == DEFAULTS:
            return self._substitute()
        if chosen is None:
            raise Rejected(
                f"HubSpot has no deal pipeline {pipeline!r}; it has {_listed(self._pipelines)}",
                provider=NAME,
                code="INVALID_OPTION",
                field=PIPELINE,
            )
        raise Rejected(
            f"HubSpot's pipeline {chosen.label!r} has no stage {stage!r}; it has {_listed(chosen.stages)}",
            provider=NAME,
            code="INVALID_OPTION",
            field=STAGE,
        )

    def _substitute(self) -> tuple[str, str, str]:
        for pipeline in self._pipelines:
            for stage in pipeline.stages:
                if stage.is_open:
                    remark = (
                        f"this HubSpot account has no stage {DEFAULTS[1]!r} in a pipeline {DEFAULTS[0]!r}: "
                        f"the deal went to {stage.label!r} in {pipeline.label!r}"
                    )
                    return pipeline.id, stage.id, remark
        raise Rejected("HubSpot has no deal pipeline with an open stage", provider=NAME, field=PIPELINE)


class Deals:
    """One push of deal documents; `pipelines` is asked only if a deal has to be written."""

    def __init__(
        self, wire: Wire, documents: Sequence[DealDocument], pipelines: Callable[[], Awaitable[Pipelines]]
    ) -> None:
        self._wire = wire
        self._report = wire.report
        self._pipelines = pipelines
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
        pipelines: Pipelines | None = None
        for key in keys:
            sharing = self._by_key[key]
            try:
                pipelines = pipelines or await self._pipelines()
                rows.append(Row(key, self._properties(sharing[0], pipelines), tuple(sharing)))
            except (Rejected, Contended) as error:
                self._fail(sharing, error)
        async for row, result in self._wire.write("deals", "upsert", rows, id_property=KEY):
            if isinstance(result, ProviderError):
                self._fail(row.documents, result)
            else:
                self._written += [(document, result) for document in self._by_key[row.key]]

    def _properties(self, document: DealDocument, pipelines: Pipelines) -> dict[str, str]:
        values = {name: field.value for name, field in document.fields.items() if field.value}
        pipeline, stage, remark = pipelines.resolve(
            values.get(PIPELINE, DEFAULTS[0]).strip(), values.get(STAGE, DEFAULTS[1]).strip()
        )
        if remark is not None:
            self._remarks[document.key] = remark
        return {**values, PIPELINE: pipeline, STAGE: stage}

    async def _associate(
        self, target: str, written: Sequence[tuple[DealDocument, Record]]
    ) -> list[tuple[DealDocument, Record]]:
        """Associate deals with their contacts or companies; returns those that may go on."""
        done: list[tuple[DealDocument, Record]] = []
        by_pair: dict[tuple[str, str], list[tuple[DealDocument, Record]]] = defaultdict(list)
        for document, record in written:
            target_id = document.contact_external_id if target == "contacts" else document.company_external_id
            if target_id is None:
                done.append((document, record))
            else:
                by_pair[record.id, target_id].append((document, record))
        pairs = [Pair(*ids, tuple(document for document, _ in sharing)) for ids, sharing in by_pair.items()]
        async for pair, error in self._wire.associate("deals", target, pairs):
            sharing = by_pair[pair.source, pair.target]
            if isinstance(error, Rejected) and target == "companies":
                # The deal and its contact matter more than a company that a person has deleted since.
                for document, _ in sharing:
                    self._remarks[document.key] = f"not associated with company {pair.target}: {error.message}"
            elif error is not None:
                self._fail(pair.documents, error)
                continue
            done += sharing
        return done

    def _fail(self, documents: Sequence[AnyDocument], error: ProviderError) -> None:
        for document in documents:
            self._report.failed(document, error)

    def _is_open(self, key: str) -> bool:
        return any(self._report.is_open(document) for document in self._by_key[key])


def _named(entries: Sequence[Any], name: str) -> Any:
    """By id, else by label whatever its case."""
    by_id = next((entry for entry in entries if entry.id == name), None)
    return by_id or next((entry for entry in entries if entry.label.casefold() == name.casefold()), None)


def _listed(entries: Sequence[Pipeline] | Sequence[Stage]) -> str:
    return ", ".join(f"{entry.id} ({entry.label})" for entry in entries) or "none"


def _ordered(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    alive = [entry for entry in entries if not entry.get("archived")]
    return sorted(alive, key=lambda entry: (entry.get("displayOrder", 0), entry["label"]))


def _stage(entry: dict[str, Any]) -> Stage:
    metadata = entry.get("metadata") or {}
    is_closed = str(metadata.get("isClosed", "")).lower() == "true" or metadata.get("probability") in ("0.0", "1.0")
    return Stage(entry["id"], entry["label"], not is_closed)
