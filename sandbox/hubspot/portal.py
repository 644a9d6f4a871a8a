"""One HubSpot account: its records, definitions, associations, limits and the journal of what happened to it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sandbox.front import Calls
from sandbox.hubspot.errors import ApiError
from sandbox.hubspot.links import End, Links
from sandbox.hubspot.pipelines import DEFAULT_PIPELINE
from sandbox.hubspot.records import Record, Store
from sandbox.hubspot.schema import OBJECT_TYPES, ObjectType, Property
from sandbox.hubspot.wire import iso
from sandbox.limits import DailyQuota, Window

if TYPE_CHECKING:
    from sandbox.hubspot.grants import Grants

APP_CALLS = 110
SEARCH_CALLS = 5
TIERS = {"free": (100, 250_000), "professional": (190, 625_000), "enterprise": (190, 1_000_000)}
"""Calls of a static token: in ten seconds, and in a day."""


class Portal:
    """An account that granted the app `scopes`.

    Attributes:
        scopes: what its tokens may do; may be changed while it lives.
        access_token, refresh_token: the first pair of the OAuth grant (None where there was no grant).
        static_token: a service key, which never expires.
        owners: ids that `hubspot_owner_id` accepts.
        required: properties by object type that an admin's rules demand of each new record.
        closed: object types that the permissions of whoever connected keep from the connection.
        locks: how many of the next calls that write to an object type find it locked.
        is_moving: the account is on its way to another data centre.
    """

    def __init__(
        self, hub_id: int, name: str, scopes: tuple[str, ...], *, clock: Callable[[], float], lag: float, tier: str
    ) -> None:
        self.hub_id = hub_id
        self.name = name
        self.scopes = scopes
        self.clock = clock
        self.created = clock()
        self.access_token = ""
        self.refresh_token = ""
        self.static_token = ""
        self.user = f"owner@portal-{hub_id}.test"
        self.stores = {each.name: Store(each) for each in OBJECT_TYPES.values()}
        self.groups = {each.name: set(each.groups) for each in OBJECT_TYPES.values()}
        self.pipelines = {DEFAULT_PIPELINE.id: DEFAULT_PIPELINE}
        self.owners: set[str] = {f"{hub_id}01"}
        self.required: dict[str, set[str]] = {}
        self.closed: set[str] = set()
        self.locks: dict[str, int] = {}
        self.is_moving = False
        self.links = Links()
        self.calls = Calls()
        self.effects: list[dict[str, Any]] = []
        self.refusals: list[ApiError] = []
        """What the next rows of batches are refused with, one after the other."""
        self.app_window = Window(APP_CALLS, 10.0)
        calls, daily = TIERS[tier]
        self.static_window = Window(calls, 10.0)
        self.daily = DailyQuota(daily)
        self.search_window = Window(SEARCH_CALLS, 1.0)
        self.lag = lag
        self._grants: Grants | None = None
        # One counter for all types: an id of the wrong type finds nothing.
        self._ids = itertools.count(101)

    def bind(self, grants: Grants) -> None:
        """Where this portal's tokens live."""
        self._grants = grants

    def expire_tokens(self) -> None:
        """Let every access token of the OAuth grant expire now; refresh tokens stay good."""
        if self._grants is not None:
            self._grants.expire(self)

    def revoke(self) -> None:
        """The customer uninstalls the app: no token of the OAuth grant is good any more."""
        if self._grants is not None:
            self._grants.revoke(self)

    def new_id(self) -> str:
        return str(next(self._ids))

    def options(self, object_type: ObjectType, definition: Property, pipeline: str | None) -> Collection[str]:
        """The allowed values of an enumeration, in order."""
        if definition.name == "hubspot_owner_id":
            return sorted(self.owners)
        if object_type.name == "deals" and definition.name == "pipeline":
            return list(self.pipelines)
        if object_type.name == "deals" and definition.name == "dealstage":
            stages = self.pipelines.get(pipeline or DEFAULT_PIPELINE.id, DEFAULT_PIPELINE).stages
            return [stage.id for stage in stages]
        return [value for value, _ in definition.options]

    def exists(self, end: End) -> bool:
        return self.stores[end.object_type].get(end.id) is not None

    def note_effect(self, effect: str, now: float, **details: Any) -> None:
        """Add to the journal of effects, which only grows."""
        self.effects.append({"at": iso(now), "effect": effect, **details})

    def associate(self, start: End, end: End, type_id: int | None, now: float) -> None:
        """Associate two existing records, by a type or by default; an effect only when it is new."""
        is_new = self.links.default(start, end) if type_id is None else self.links.labelled(start, end, type_id)
        if is_new:
            self.note_effect(
                "associated",
                now,
                from_type=start.object_type,
                from_id=start.id,
                to_type=end.object_type,
                to_id=end.id,
                type_ids=self.links.types(start, end),
            )

    def archive(self, store: Store, record: Record, now: float) -> None:
        """Archive a record and end its associations."""
        store.archive(record)
        record.updated = now
        record.remember(now, self.lag)
        self.links.remove_all(End(store.object_type.name, record.id))
        self.note_effect("archived", now, object_type=store.object_type.name, id=record.id)

    def purge(self, store: Store, record: Record, now: float) -> None:
        """Delete a record for good, with its associations."""
        self.links.remove_all(End(store.object_type.name, record.id))
        store.purge(record)
        self.note_effect("purged", now, object_type=store.object_type.name, id=record.id)

    def ledger(self) -> dict[str, Any]:
        """What the portal contains now: live records, associations (each in both directions) and calls."""
        return {
            **{
                name: [{"id": record.id, "properties": dict(record.properties)} for record in store]
                for name, store in self.stores.items()
            },
            "associations": [
                {
                    "from_type": start.object_type,
                    "from_id": start.id,
                    "to_type": end.object_type,
                    "to_id": end.id,
                    "type_id": type_id,
                    "label": self.links.label(start.object_type, end.object_type, type_id),
                }
                for start, end, type_id in self.links
            ],
            "calls": self.calls.document(),
        }
