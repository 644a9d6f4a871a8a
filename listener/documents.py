"""What travels between the database and the daemon, as text: claims on the way in, outcomes on the way out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from providers.errors import FailureKind
from providers.models import Batch, Failure, Outcome

_OUTCOMES = TypeAdapter(list[Outcome])


@dataclass(frozen=True)
class Unreadable:
    """A batch that was claimed but is not what `providers.models` describes.

    Attributes:
        batch_id: to settle it by.
        outcomes: what to settle it with: one failed row must not take the daemon and the other tenants along.
        places: where the documents differ, without their values.
    """

    batch_id: int
    outcomes: list[Outcome]
    places: list[str]


@dataclass(frozen=True)
class Claim:
    """Answer to a claim.

    Attributes:
        batch: the work, or None when there is none to take.
        due: ids of other integrations that have work now.
        next_due_at: when the next work is due that is not due yet.
        look_seconds: how long it took to look who is due; 0 when the integrations were given.
        is_prepaid: room for the opening call that was asked for has been taken from the budget.
        unreadable: instead of `batch`, work that this version does not understand.
    """

    batch: Batch | None
    due: tuple[int, ...]
    next_due_at: datetime | None
    look_seconds: float = 0.0
    is_prepaid: bool = False
    unreadable: Unreadable | None = None


def claim_of(text: str | None, **answer: Any) -> Claim:
    """A claim from the batch's JSON text, and what else the `answer` says of it."""
    if text is None:
        return Claim(None, **answer)
    try:
        return Claim(Batch.model_validate_json(text), **answer)
    except ValidationError as error:
        return Claim(None, unreadable=_unreadable(text, error), **answer)


def json_of(outcomes: list[Outcome]) -> str:
    """Outcomes as jsonb takes them: a CRM's words may hold what Postgres stores in no text."""
    try:
        text = _OUTCOMES.dump_json(outcomes)
    except PydanticSerializationError:  # half of a surrogate pair
        pass
    else:
        if b"\\u0000" not in text:
            return text.decode()
    return json.dumps(storable(_OUTCOMES.dump_python(outcomes)))


def storable(value: Any) -> Any:
    """The same without what Postgres stores in no text: NUL, and halves of surrogate pairs."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {storable(key): storable(each) for key, each in value.items()}
    return [storable(each) for each in value] if isinstance(value, list | tuple) else value


def _unreadable(text: str, error: ValidationError) -> Unreadable:
    document = json.loads(text)
    failure = Failure(
        kind=FailureKind.BUG, message="the daemon's version does not understand what the database composed"
    )
    return Unreadable(
        document["id"],
        [
            Outcome(rows=tuple(each["rows"]), status="failed", failure=failure, uncertain=bool(each.get("uncertain")))
            for each in (*document["contacts"], *document["deals"], *document["activities"], *document["tasks"])
        ],
        [".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False, include_context=False)],
    )
