"""What travels between the database and the daemon: claims on the way in, outcomes on the way out, other work."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

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


class Headline(NamedTuple):
    """How it stands; `waiting` is at most one more than was to be counted, `oldest_seconds` None if nothing waits."""

    connections: int
    need_person: int
    waiting: int
    oldest_seconds: float | None


class IdleConnection(NamedTuple):
    """A connection whose token is to be kept alive; `config` is JSON text."""

    integration_id: int
    provider: str
    config: str


class Revocation(NamedTuple):
    """Credentials of a connection that has ended; `config` and `credentials` are JSON text, and the latter secret."""

    organization_id: UUID
    id: int
    attempts: int
    integration_id: int
    provider: str
    config: str
    credentials: str

    def __repr__(self) -> str:
        return f"Revocation(id={self.id}, integration_id={self.integration_id}, provider={self.provider!r})"


class Delivery(NamedTuple):
    """A message for the webhook; `payload` is its body, to the letter."""

    id: UUID
    type: str
    payload: str
    attempts: int


class Deletion(NamedTuple):
    """A connection of which a piece was deleted, or the last."""

    integration_id: int
    provider: str
    is_gone: bool


class Seals(NamedTuple):
    """How much is sealed with one key; `opens`: we have it."""

    key_id: str
    is_current: bool
    opens: bool
    connections: int
    revocations: int


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
            for kind in ("erasures", "contacts", "deals", "activities", "tasks")
            for each in document.get(kind, ())
        ],
        [".".join(map(str, detail["loc"])) for detail in error.errors(include_input=False, include_context=False)],
    )
