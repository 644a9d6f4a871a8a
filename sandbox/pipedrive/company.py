"""One Pipedrive company: its records, fields, people, limits and the journal of what happened to it."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any

from sandbox.front import Calls
from sandbox.pipedrive.fields import Option, standard_fields
from sandbox.pipedrive.quotas import BASE_TOKENS, PLANS, SEARCHES, Burst, Cloudflare, TokenBudget
from sandbox.pipedrive.records import Store
from sandbox.pipedrive.schemas import SCHEMAS
from sandbox.pipedrive.wire import iso
from sandbox.pipedrive.writes import Writer

if TYPE_CHECKING:
    from sandbox.pipedrive.grants import Grants

KINDS = tuple(SCHEMAS)


@dataclass(frozen=True)
class Pipeline:
    id: int
    name: str


@dataclass(frozen=True)
class Stage:
    id: int
    pipeline_id: int
    name: str
    probability: int = 100


@dataclass(frozen=True)
class ActivityType:
    id: int
    key: str
    name: str


@dataclass(frozen=True)
class User:
    id: int
    name: str
    email: str


STAGES = ("Qualified", "Contact Made", "Demo Scheduled", "Proposal Made", "Negotiations Started")
ACTIVITY_TYPES = ("call", "meeting", "task", "deadline", "email", "lunch")


class Company:
    """A company whose user granted the app `scopes`.

    Attributes:
        scopes: what its OAuth tokens may do; may be changed while it lives.
        is_paid: an account that is not is closed for everybody.
        access_token, refresh_token: the first pair of the OAuth grant.
        api_token: the user's own token, which never expires and may do everything.
    """

    def __init__(
        self,
        number: int,
        name: str,
        scopes: Collection[str],
        *,
        clock: Callable[[], float],
        lock: RLock,
        lag: float,
        penalty: float,
        plan: str,
        seats: int,
    ) -> None:
        self.number = number
        self.name = name
        self.scopes = tuple(scopes)
        self.is_paid = True
        self.clock = clock
        self.lock = lock
        self.lag = lag
        self.plan = plan
        self.created = clock()
        self.domain = "-".join(re.findall(r"[a-z0-9]+", name.lower())) or f"company-{number}"
        self.access_token = ""
        self.refresh_token = ""
        self.api_token = ""
        owner = User(number * 10 + 1, "Olga Owner", f"owner@company-{number}.test")
        self.users = {owner.id: owner}
        self.me = owner
        self.currency = "USD"
        self.pipelines = [Pipeline(1, "Pipeline")]
        self.stages = [Stage(place, 1, each) for place, each in enumerate(STAGES, 1)]
        self.activity_types = [ActivityType(place, key, key.title()) for place, key in enumerate(ACTIVITY_TYPES, 1)]
        self.fields = {kind: standard_fields(kind) for kind in KINDS if kind != "notes"}
        self.fields["activities"].get("type").options = [Option(each.id, each.name) for each in self.activity_types]
        self.stores = {kind: Store(kind) for kind in KINDS}
        self.calls = Calls()
        self.effects: list[dict[str, Any]] = []
        factor, oauth, by_token = PLANS[plan]
        self.tokens = TokenBudget(BASE_TOKENS * factor * seats)
        self.oauth_burst, self.token_burst = Burst(oauth, penalty), Burst(by_token, penalty)
        self.search_burst = Burst(SEARCHES, penalty)
        self.cloudflare = Cloudflare()
        self._grants: Grants | None = None
        # One counter for all kinds: an id of the wrong kind finds nothing.
        self.ids = itertools.count(1001)

    def bind(self, grants: Grants) -> None:
        """Where this company's tokens live."""
        self._grants = grants

    def expire_tokens(self) -> None:
        """Let every access token of the OAuth grant expire now; refresh tokens stay good."""
        if self._grants is not None:
            with self.lock:
                self._grants.expire(self)

    def revoke(self) -> None:
        """The customer uninstalls the app: no token of the OAuth grant is good any more."""
        if self._grants is not None:
            with self.lock:
                self._grants.revoke(self)

    def create(self, kind: str, **members: Any) -> int:
        """A person makes a record; the same rules as in the API; raises ValueError."""
        with self.lock:
            return Writer(self, kind, by="person").create(members).id

    def update(self, kind: str, record_id: int, **changes: Any) -> None:
        """A person changes a record; raises ValueError for bad values, KeyError for no such record."""
        with self.lock:
            record = self.stores[kind].get(record_id)
            if record is None:
                raise KeyError(record_id)
            Writer(self, kind, by="person").update(record, changes)

    def delete(self, kind: str, record_id: int) -> None:
        """A person deletes a record; raises KeyError when there is none."""
        with self.lock:
            record = self.stores[kind].get(record_id)
            if record is None:
                raise KeyError(record_id)
            Writer(self, kind, by="person").delete(record)

    def read(self, kind: str, record_id: int) -> dict[str, Any]:
        """A record as it is now, a deleted one with `is_deleted`; raises KeyError when there never was one."""
        with self.lock:
            record = self.stores[kind].find(record_id)
            if record is None:
                raise KeyError(record_id)
            return copy.deepcopy(Writer(self, kind).document(record))

    def add_field(self, kind: str, name: str, field_type: str = "varchar", options: Sequence[str] = ()) -> str:
        """A person adds a custom field; its code, 40 hex digits."""
        with self.lock:
            field = self.fields[kind].add(name, field_type, options, self.clock())
            self.note_effect("field_created", kind=kind, by="person", field_code=field.code, field_name=name)
            return field.code

    def remove_field(self, kind: str, code: str) -> None:
        """A person removes a custom field, and its values with it; raises KeyError."""
        with self.lock:
            self.fields[kind].remove(code)
            self.note_effect("field_deleted", kind=kind, by="person", field_code=code)

    def set_options(self, kind: str, code: str, labels: Sequence[str]) -> list[int]:
        """A person changes an enum's or set's choices; those of a known label keep their id. The ids, in order."""
        with self.lock:
            field = self.fields[kind].get(code)
            held = {each.label: each for each in field.options}
            field.options = [held.get(label) or self.fields[kind].new_options([label])[0] for label in labels]
            return [each.id for each in field.options]

    def add_pipeline(self, name: str, *stages: str) -> tuple[int, list[int]]:
        """A person adds a pipeline; its id and those of its stages."""
        with self.lock:
            pipeline = Pipeline(len(self.pipelines) + 1, name)
            first = len(self.stages) + 1
            self.pipelines.append(pipeline)
            self.stages += [Stage(first + place, pipeline.id, each) for place, each in enumerate(stages)]
            return pipeline.id, [each.id for each in self.stages if each.pipeline_id == pipeline.id]

    def add_user(self, name: str, email: str) -> int:
        """A further user of the company; its id."""
        with self.lock:
            user = User(max(self.users) + 1, name, email)
            self.users[user.id] = user
            return user.id

    def note_effect(self, effect: str, **details: Any) -> None:
        """Add to the journal of effects, which only grows."""
        self.effects.append({"at": iso(self.clock()), "effect": effect, **details})

    def ledger(self) -> dict[str, Any]:
        """What the company contains now: live records by kind, custom fields by kind, calls, tokens ever spent."""
        records: Mapping[str, list[dict[str, Any]]] = {
            kind: [Writer(self, kind).document(record) for record in store] for kind, store in self.stores.items()
        }
        return {
            **records,
            "fields": {kind: [each.document() for each in fields.customs()] for kind, fields in self.fields.items()},
            "calls": self.calls.document(),
            "tokens_spent": self.tokens.spent_ever,
        }
