"""A portal's deal pipelines, and the stage that a deal is to begin in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from providers.answers import order_of
from providers.codes import OwnCode
from providers.errors import Rejected, Unexpected
from providers.hubspot_errors import NAME
from providers.hubspot_fields import PIPELINE, STAGE

DEFAULTS = ("default", "appointmentscheduled")


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
                Pipeline(str(entry["id"]), str(entry["label"]), tuple(map(_stage, _ordered(entry["stages"]))))
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
        raise Rejected(
            "HubSpot has no deal pipeline with an open stage", provider=NAME, code=OwnCode.NO_OPEN_STAGE, field=PIPELINE
        )


class KnownPipelines:
    """A portal's pipelines, remembered for as long as its client lives, and asked for again when they seem outdated.

    Attributes:
        asked: how often HubSpot was asked.
    """

    def __init__(self, ask: Callable[[], Awaitable[Any]]) -> None:
        self._ask = ask
        self._held: Pipelines | None = None
        self.asked = 0

    async def get(self) -> Pipelines:
        """Those that are remembered, asked for where there are none; raises `ProviderError`."""
        return self._held or await self.renew()

    async def renew(self) -> Pipelines:
        """Those of today."""
        self.asked += 1
        self._held = Pipelines.of(await self._ask())
        return self._held


def _named(entries: Sequence[Any], name: str) -> Any:
    """By id, else by label whatever its case."""
    by_id = next((entry for entry in entries if entry.id == name), None)
    return by_id or next((entry for entry in entries if entry.label.casefold() == name.casefold()), None)


def _listed(entries: Sequence[Pipeline] | Sequence[Stage]) -> str:
    return ", ".join(f"{entry.id} ({entry.label})" for entry in entries) or "none"


def _ordered(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    alive = [entry for entry in entries if not entry.get("archived")]
    return sorted(alive, key=lambda entry: (order_of(entry.get("displayOrder")), str(entry["label"])))


def _stage(entry: dict[str, Any]) -> Stage:
    metadata = entry.get("metadata") or {}
    is_closed = str(metadata.get("isClosed", "")).lower() == "true"
    is_decided = str(metadata.get("probability")) in ("0", "0.0", "1", "1.0")
    return Stage(str(entry["id"]), str(entry["label"]), not (is_closed or is_decided))
