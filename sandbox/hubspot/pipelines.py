"""The deal pipeline of a fresh portal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.hubspot.wire import iso


@dataclass(frozen=True)
class Stage:
    id: str
    label: str
    probability: str

    @property
    def is_closed(self) -> bool:
        return self.probability in ("0.0", "1.0")


@dataclass(frozen=True)
class Pipeline:
    """A deal pipeline; stages belong to one pipeline each."""

    id: str
    label: str
    stages: tuple[Stage, ...]

    def document(self, created: float) -> dict[str, Any]:
        """The pipeline as the pipelines API answers it."""
        times = {"createdAt": iso(created), "updatedAt": iso(created), "archived": False}
        return {
            "id": self.id,
            "label": self.label,
            "displayOrder": 0,
            **times,
            "stages": [
                {
                    "id": stage.id,
                    "label": stage.label,
                    "displayOrder": order,
                    "metadata": {"isClosed": str(stage.is_closed).lower(), "probability": stage.probability},
                    "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
                    **times,
                }
                for order, stage in enumerate(self.stages)
            ],
        }


DEFAULT_PIPELINE = Pipeline(
    "default",
    "Sales Pipeline",
    (
        Stage("appointmentscheduled", "Appointment Scheduled", "0.2"),
        Stage("qualifiedtobuy", "Qualified To Buy", "0.4"),
        Stage("presentationscheduled", "Presentation Scheduled", "0.6"),
        Stage("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
        Stage("contractsent", "Contract Sent", "0.9"),
        Stage("closedwon", "Closed Won", "1.0"),
        Stage("closedlost", "Closed Lost", "0.0"),
    ),
)
