"""The queue in plain Python: what each row, lane and batch must be after each thing that can happen to them.

Times are seconds of the database's clock. What the database alone can know (an id, the jitter of a delay) is taken over
from it by `look`, after it was checked to be possible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

INFINITY = float("inf")
DAY = 86_400.0
RETAIN_FINISHED = 14 * DAY
GIVE_UP_AFTER = 7 * DAY
OPEN = ("pending", "retry", "processing")
DEALS = {"interested"}
PRIORITIES = {"interested": 3, "question": 5, "not_interested": 7, "unheard_of": 6}
ROW_FACTS = (
    "lane", "contact", "kind", "priority", "key", "because", "status",
    "attempts", "losses", "uncertain", "batch", "leader", "has_error",
)  # fmt: skip
LANE_FACTS = ("status", "parked_kind", "failures", "batch_limit", "synced", "superseded")
PARKING = ("unauthorized", "rate_limited", "unavailable")


@dataclass(frozen=True)
class Soon:
    """A time between so many seconds from now: a delay has jitter."""

    least: float
    most: float


When = float | Soon | None


@dataclass
class Row:
    lane: int | None
    contact: UUID
    kind: str
    priority: int
    key: str | None = None
    because: bool = False
    classification: UUID | None = None
    message: UUID | None = None
    id: int = 0
    status: str = "pending"
    attempts: int = 0
    losses: int = 0
    uncertain: bool = False
    batch: int | None = None
    leader: int | None = None
    has_error: bool = False
    next: When = None
    scheduled: float = 0.0
    completed: float | None = None
    stumbled: int = 0  # the step

    @property
    def is_waiting(self) -> bool:
        return self.status in ("pending", "retry")

    def is_ready(self, now: float) -> bool:
        return self.is_waiting and (self.next is None or (isinstance(self.next, float) and self.next <= now))

    def end(self, status: str) -> None:
        self.status, self.batch, self.next, self.completed = status, None, None, 0.0

    def facts(self) -> dict[str, Any]:
        """What must equal the row in the database, exactly."""
        return {name: getattr(self, name) for name in ROW_FACTS}


@dataclass
class Batch:
    id: int
    lane: int
    worker: UUID
    rows: list[int]
    contacts: set[UUID]
    lease: float
    step: int


@dataclass
class Lane:
    id: int
    provider: str
    most_in_flight: int
    status: str = "connected"
    parked_kind: str | None = None
    parked_until: When = None
    failures: int = 0
    batch_limit: int | None = None
    synced: int = 0
    superseded: int = 0
    succeeded: int = 0  # the step
    connected: int = 0  # the step

    @property
    def allowed(self) -> int:
        return 1 if self.failures else self.most_in_flight

    def facts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in LANE_FACTS}


@dataclass
class Outcome:
    """What the CRM said to one document; `kind` is synced, released, silent or a kind of failure."""

    rows: list[int]
    kind: str
    uncertain: bool = False
    retry_after: float | None = None
    is_gone: bool = False

    @property
    def failure(self) -> str:
        return "contended" if self.is_gone else self.kind


@dataclass
class Seen:
    """What there is, as the database says."""

    now: float
    rows: dict[int, Row]
    lanes: dict[int, Lane]
    batches: dict[int, Batch]


@dataclass
class Model:
    lanes: dict[int, Lane]
    emails: dict[UUID, str | None]
    rows: dict[int, Row] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    pauses: set[tuple[str, str]] = field(default_factory=set)
    born: list[Row] = field(default_factory=list)
    organization: str = ""
    step: int = 0
    now: float = 0.0

    # what can happen

    def enqueue(self, contact: UUID, message: UUID, classification: UUID, intent: str) -> list[Row]:
        """Rows of a classification; they are there once the producer has committed."""
        takers: list[int | None] = [lane.id for lane in self.lanes.values() if lane.status != "disconnected"]
        rows = [
            Row(lane, contact, "contact_sync", PRIORITIES[intent], message=message, classification=classification)
            for lane in takers or [None]
        ]
        for row in rows:
            if row.lane is None:
                row.has_error = True
                row.end("skipped")
        return rows

    def is_paused(self, lane: Lane) -> bool:
        scopes = {("integration", str(lane.id)), ("provider", lane.provider), ("organization", self.organization)}
        return bool(self.pauses & (scopes | {("everything", "")}))

    def is_free(self, lane: Lane) -> bool:
        """Whether anything may be claimed from it at all."""
        is_parked = isinstance(lane.parked_until, float) and lane.parked_until > self.now
        return lane.status in ("connected", "syncing") and not self.is_paused(lane) and not is_parked

    def under_way(self, lane: Lane) -> list[Batch]:
        return [batch for batch in self.batches.values() if batch.lane == lane.id]

    def waiting(self, lane: Lane, contact: UUID) -> list[Row]:
        """The open rows of a contact that nobody holds, oldest first."""
        found = [r for r in self.rows.values() if r.lane == lane.id and r.contact == contact and r.is_waiting]
        return sorted(found, key=lambda row: row.id)

    def claimable(self, lane: Lane) -> tuple[set[UUID], set[UUID]]:
        """Contacts with ready work that nobody works on; and those whose address somebody else's batch has."""
        if not self.is_free(lane):
            return set(), set()
        live = [batch for batch in self.under_way(lane) if batch.lease > self.now]
        lost = {row for batch in self.under_way(lane) if batch.lease <= self.now for row in batch.rows}
        if len(live) >= lane.allowed:
            return set(), set()
        busy = {contact for batch in live for contact in batch.contacts}
        held = {
            (self.address(self.rows[row].contact), self.rows[row].contact)
            for batch in live
            for row in batch.rows
            if self.rows[row].kind == "contact_sync"
        }
        ready = {
            row.contact
            for row in self.rows.values()
            if row.lane == lane.id and row.contact not in busy and (row.is_ready(self.now) or row.id in lost)
        }
        withheld = {
            contact
            for contact in ready
            if any(address == self.address(contact) and other != contact for address, other in held if address)
        }
        return ready - withheld, withheld

    def address(self, contact: UUID) -> str | None:
        email = self.emails[contact]
        return None if email is None else email.strip().lower()

    def take_over(self, lane: Lane) -> None:
        """Batches whose daemon has vanished: their rows are free, and in doubt."""
        for batch in [b for b in self.under_way(lane) if b.lease <= self.now]:
            for row in map(self.rows.__getitem__, batch.rows):
                has_failed = row.losses >= 9
                row.status, row.batch, row.next = "retry", None, None
                row.losses, row.attempts, row.uncertain, row.has_error = row.losses + 1, row.attempts - 1, True, True
                if has_failed:
                    row.end("failed")
            del self.batches[batch.id]

    def claim(self, lane: Lane, batch: Batch | None, skipped: set[int]) -> None:
        """These rows were taken, and those were skipped instead."""
        for id_ in skipped:
            row = self.rows[id_]
            row.has_error = True
            row.end("skipped")
        if batch is not None:
            for id_ in batch.rows:
                row = self.rows[id_]
                row.status, row.batch, row.next, row.attempts = "processing", batch.id, None, row.attempts + 1
            self.batches[batch.id] = replace(batch, step=self.step)

    def finish(self, batch: Batch, outcomes: Iterable[Outcome]) -> None:
        """The rows and the lane; what is born of it is for `follow`."""
        lane = self.lanes[batch.lane]
        said = {id_: outcome for outcome in outcomes for id_ in outcome.rows}
        for id_ in batch.rows:
            self.settle(self.rows[id_], lane, said.get(id_) or Outcome([id_], "silent"))
        del self.batches[batch.id]
        park = self.park(lane, batch, list(said.values()))
        done = [self.rows[id_] for id_ in batch.rows if self.rows[id_].status == "completed"]
        synced = sum(row.leader is None for row in done)
        lane.synced += synced
        lane.superseded += len(done) - synced
        if synced:
            lane.succeeded = self.step
        if synced and park is None and (lane.failures or lane.batch_limit is not None or lane.parked_kind):
            lane.failures = 0
            grown = None if lane.batch_limit is None or lane.batch_limit >= 1000 else lane.batch_limit * 2
            lane.batch_limit = grown
            if not (isinstance(lane.parked_until, float) and lane.parked_until > self.now):
                lane.parked_kind = lane.parked_until = None

    def settle(self, row: Row, lane: Lane, outcome: Outcome) -> None:
        kind, was_last = outcome.failure, row.attempts >= 3
        row.batch = row.next = row.leader = None
        if kind == "synced":
            row.end("completed")
            row.uncertain, row.has_error = False, False
            row.leader = outcome.rows[-1] if row.kind == "contact_sync" and outcome.rows[-1] != row.id else None
            return
        if kind in ("silent", "released"):
            is_fresh = row.attempts <= 1 and not row.has_error
            row.status, row.attempts = "pending" if is_fresh else "retry", row.attempts - 1
            row.uncertain = row.uncertain if kind == "silent" else outcome.uncertain
            return
        costs = kind in ("rejected", "contended", "bug") or (
            kind == "unavailable" and 0 < row.stumbled < lane.succeeded
        )
        attempts, row.status, row.uncertain, row.has_error = row.attempts, "retry", outcome.uncertain, True
        row.attempts -= 0 if costs else 1
        is_too_old = kind == "unavailable" and self.now - row.scheduled > GIVE_UP_AFTER
        if kind == "unavailable":
            row.stumbled = self.step
        if kind == "rejected" or (costs and was_last) or is_too_old:
            row.end("failed")
        elif kind in ("contended", "bug"):
            delay = min(600.0, 2.0 * 2 ** (attempts - 1))
            wait = outcome.retry_after or 0.0
            row.next = Soon(max(wait, 0.75 * delay), max(wait, 1.25 * delay))
        elif kind == "unavailable":
            rest = 1.5 * max(outcome.retry_after or 0.0, min(300.0, 2.0 ** min(lane.failures, 20)))
            row.next = Soon(rest, rest + 2)

    def park(self, lane: Lane, batch: Batch, outcomes: list[Outcome]) -> str | None:
        kinds = {outcome.failure for outcome in outcomes}
        kind = next((each for each in PARKING if each in kinds), None)
        if kind is None:
            return None
        waits = [o.retry_after for o in outcomes if o.failure == kind and o.retry_after is not None]
        wait = max(waits, default=None)
        if kind == "unauthorized" and lane.connected <= batch.step:
            lane.parked_until, lane.parked_kind = INFINITY, "unauthorized"
            lane.status = "error" if lane.status == "connected" else lane.status
            return kind
        was_until, is_lost = lane.parked_until, lane.parked_until == INFINITY
        if kind == "rate_limited":
            rest = min(max(10.0 if wait is None else wait, 0.05), DAY)
            until = Soon(rest, rest)
        else:
            lane.failures += 1
            lane.batch_limit = max(1, len(batch.rows) // 4)
            delay = min(300.0, 2.0 ** (lane.failures - 1))
            until = Soon(max(wait or 0.0, 0.75 * delay), max(wait or 0.0, 1.25 * delay))
        if not is_lost:
            lane.parked_kind = "rate_limited" if kind == "rate_limited" else "unavailable"
        if isinstance(was_until, float) and was_until > self.now + until.least:
            lane.parked_until = was_until if was_until > self.now + until.most + 5 else Soon(until.least, INFINITY)
        else:
            lane.parked_until = until
        return kind

    def follow(
        self, batch: Batch, outcomes: list[Outcome], effects: set[tuple[int, str]], said: dict[UUID, tuple[str, bool]]
    ) -> None:
        """Deals, messages and tasks that synced contacts ask for, and contacts that are made again."""
        deals: set[str] = set()
        tasks: set[str] = set()
        done = [self.rows[i] for o in outcomes if o.kind == "synced" for i in o.rows]
        for row in sorted(done, key=lambda each: each.id):
            if row.kind != "contact_sync" or row.because or row.message is None:
                continue
            intent, needs_person = said[row.classification] if row.classification else ("", False)
            deal, task = f"deal:{row.contact}:{intent}", f"task:{row.message}"
            if intent in DEALS and (batch.lane, deal) not in effects and deal not in deals:
                deals.add(deal)
                self.bear(row, "deal_sync", deal)
            self.bear(row, "activity_sync", f"message:{row.message}")
            if needs_person and (batch.lane, task) not in effects:
                if task not in tasks:
                    self.bear(row, "activity_sync", task)
                tasks.add(task)
        gone = [self.rows[outcome.rows[-1]] for outcome in outcomes if outcome.is_gone]
        newest = {
            r.contact: r for r in sorted(gone, key=lambda row: row.id) if r.kind != "contact_sync" and r.is_waiting
        }
        for contact, row in newest.items():
            if not any(r.kind == "contact_sync" for r in self.waiting(self.lanes[batch.lane], contact)):
                self.bear(row, "contact_sync", None, because=True)

    def bear(self, of: Row, kind: str, key: str | None, *, because: bool = False) -> None:
        self.born.append(
            Row(
                of.lane,
                of.contact,
                kind,
                of.priority,
                key,
                because,
                classification=of.classification,
                message=of.message,
            )
        )

    def put_back(self, rows: Iterable[Row]) -> int:
        """Failed rows with all their attempts, and deferred ones now; returns how many."""
        count = 0
        for row in rows:
            if row.status == "failed":
                row.status, row.attempts, row.losses, row.stumbled, row.completed = "retry", 0, 0, 0, None
                row.scheduled = self.now
                count += 1
            elif row.status == "retry" and row.next is not None:
                row.next = None
                count += 1
        return count

    def cancel(self, rows: Iterable[Row]) -> int:
        chosen = [row for row in rows if row.is_waiting or row.status == "failed"]
        for row in chosen:
            row.has_error = True
            row.end("skipped")
        return len(chosen)

    def reconnect(self, lane: Lane) -> None:
        lane.status, lane.connected = "connected", self.step
        if lane.parked_kind == "unauthorized":
            lane.parked_until = lane.parked_kind = lane.batch_limit = None
            lane.failures = 0

    def forget(self, doomed: Callable[[Row], bool]) -> int:
        gone = [id_ for id_, row in self.rows.items() if row.completed is not None and doomed(row)]
        for id_ in gone:
            del self.rows[id_]
        return len(gone)

    def elapse(self, seconds: float) -> None:
        def earlier(when: When) -> When:
            return when - seconds if isinstance(when, float) else when

        for row in self.rows.values():
            row.next = earlier(row.next)
            row.scheduled -= seconds
            row.completed = None if row.completed is None else row.completed - seconds
        for lane in self.lanes.values():
            lane.parked_until = earlier(lane.parked_until)
        for batch in self.batches.values():
            batch.lease -= seconds

    def edges(self) -> Iterable[float]:
        """Times at which something changes by itself."""
        for row in self.rows.values():
            if row.completed is not None:
                yield row.completed + RETAIN_FINISHED
            elif isinstance(row.next, float):
                yield row.next
            if row.status == "processing":
                yield row.scheduled + GIVE_UP_AFTER
        yield from (lane.parked_until for lane in self.lanes.values() if isinstance(lane.parked_until, float))
        yield from (batch.lease for batch in self.batches.values())

    # what there is, against what must be

    def look(self, seen: Seen, may_be_ready: int | None = None) -> None:
        """Compare, and take over what only the database can know. A claim of a lane may make its due rows ready."""
        began = self.now
        for id_ in sorted(seen.rows.keys() - self.rows.keys()):
            found = seen.rows[id_]
            row = next((each for each in self.born if is_it(each, found)), None)
            assert row is not None, f"nobody knows where this row comes from: {found}"
            self.born.remove(row)
            self.rows[id_] = replace(
                row,
                id=id_,
                scheduled=found.scheduled,
                message=found.message,
                classification=found.classification,
                completed=found.completed if row.completed is not None else None,
            )
        assert self.born == [], "rows that should be there are not"
        assert self.rows.keys() - seen.rows.keys() == set(), "rows are gone"
        for id_, row in self.rows.items():
            found = seen.rows[id_]
            assert row.facts() == found.facts(), f"row {id_}"
            if row.lane == may_be_ready and row.is_waiting and isinstance(row.next, float) and row.next <= seen.now:
                row.next = row.next if found.next is not None else None
            row.next = same_time(row.next, found.next, began, seen.now, f"next attempt of row {id_}")
            assert (row.completed is None) == (found.completed is None), f"row {id_}"
            row.completed = found.completed
        for lane in self.lanes.values():
            there = seen.lanes[lane.id]
            assert lane.facts() == there.facts(), f"lane {lane.id}"
            name = f"end of the rest of lane {lane.id}"
            lane.parked_until = same_time(lane.parked_until, there.parked_until, began, seen.now, name)
        assert {id_: sorted(batch.rows) for id_, batch in self.batches.items()} == {
            id_: sorted(batch.rows) for id_, batch in seen.batches.items()
        }
        self.now = seen.now


def is_it(expected: Row, found: Row) -> bool:
    """Whether a new row is the one that was expected; what was last said of a contact is the database's to say."""
    is_same = expected.facts() == found.facts()
    return is_same and (expected.classification is None or expected.classification == found.classification)


def same_time(expected: When, found: When, began: float, now: float, name: str) -> When:
    if isinstance(expected, Soon):
        assert isinstance(found, float), name
        assert began + expected.least - 0.01 <= found <= now + expected.most + 0.01, (name, expected, found - now)
    elif expected is None or found is None or expected == INFINITY:
        assert expected == found, name
    else:
        assert isinstance(found, float), name
        assert abs(found - expected) < 0.01, (name, found - expected)
    return found
