"""The queue does what its model does, whatever happens in whatever order: `queue_model` is the model.

A short run is a part of `make test`; the long one:

    python -m pytest tests/sql/test_queue_model.py -n 0 --hypothesis-profile=prove --hypothesis-seed=0
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal, LiteralString
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.house import House
from tests.postgres import TestServer
from tests.sql import queue_model
from tests.sql.daemon import Daemon, connect, documents, elapse
from tests.sql.queue_model import PRIORITIES, Batch, Lane, Model, Outcome, Row, Seen
from tests.sql.test_transitions import WATCH

LOOK = """
with mine as (select %(organization)s::uuid as id)
select json_build_object(
  'now', extract(epoch from clock_timestamp()),
  'rows', (select coalesce(json_agg(json_build_array(
      q.id, q.integration_id, q.contact_id, q.queue_type, q.priority, q.payload ->> 'key', q.payload ? 'because',
      q.status, q.attempts, q.losses, q.uncertain, q.batch_id, q.superseded_by, q.last_error is not null,
      q.message_id, q.classification_id, extract(epoch from q.next_attempt_at), extract(epoch from q.scheduled_at),
      extract(epoch from q.completed_at)
    )), '[]') from public.sync_queue as q where q.organization_id = m.id),
  'lanes', (select json_agg(json_build_array(
      l.integration_id, i.status, l.parked_kind, extract(epoch from l.parked_until)::text, l.failures, l.batch_limit,
      l.synced, l.superseded
    )) from crm_sync.lanes as l
    join public.user_integrations as i on i.id = l.integration_id where l.organization_id = m.id),
  'batches', (select coalesce(json_agg(json_build_array(
      b.id, b.integration_id, b.worker_id, b.row_ids, b.contact_ids, extract(epoch from b.lease_until)
    )), '[]') from crm_sync.batches as b where b.organization_id = m.id),
  'observed', (select coalesce(json_agg(distinct jsonb_build_array(o.from_status, o.to_status, o.by_function)), '[]')
    from public.observed as o),
  'difference', (select json_agg(a.difference) from crm_sync.accounting as a where a.organization_id = m.id),
  'effects', (select coalesce(json_agg(json_build_array(e.integration_id, e.key)), '[]')
    from crm_sync.effects as e where e.organization_id = m.id),
  'mapped', (select coalesce(json_agg(json_build_array(
      p.integration_id, p.contact_id, p.external_contact_id is not null or p.conflict_data ? 'external_contact_id'
    )), '[]') from public.contact_sync_mappings as p where p.organization_id = m.id)
) from mine as m
"""
CHORES: tuple[LiteralString, ...] = (
    "select crm_sync.check_alerts()",
    "select crm_sync.take_tallies()",
    "select crm_sync.take_samples()",
    "select crm_sync.heal_pauses()",
    "select crm_sync.advance_slots()",
    "select crm_sync.adopt_orphans(10)",
    "select crm_sync.purge_remains(10)",
    "select crm_sync.reset_counters()",
    "select crm_sync.delete_disconnected(10)",
)
KINDS = [
    "synced", "released", "silent", "rejected", "contended", "bug", "gone", "unavailable", "rate_limited",
    "unauthorized", "synced",
]  # fmt: skip

numbers = st.integers(0, 11)
several = st.lists(numbers, min_size=1, max_size=5)
few = st.lists(numbers, min_size=1, max_size=2)
limits = st.sampled_from([1, 2, 3, 100])
leases = st.sampled_from([60, 600])
kinds = st.sampled_from(KINDS)
scopes = st.sampled_from(["integration", "organization", "provider", "everything"])
answers = st.lists(st.tuples(kinds, st.booleans(), st.sampled_from([None, 2, 30, 4_000])), min_size=1, max_size=4)
PRODUCERS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "reply": (st.lists(numbers, min_size=1, max_size=4),),
    "reply_with": (numbers, st.sampled_from(sorted(PRIORITIES)), st.booleans()),
    "speak_slowly": (st.lists(numbers, min_size=1, max_size=2), st.sampled_from(["interested", "unheard_of"])),
    "come_to_an_end": (st.booleans(),),
    "lose_or_regain_the_address": (numbers,),
}
DAEMONS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "work": (numbers, limits, answers),
    "work_all": (numbers, kinds),
    "claim": (numbers, limits, leases),
    "claim_what_is_due": (limits,),
    "answer": (numbers, answers),
    "confirm": (numbers,),
    "hand_back": (numbers,),
    "renew": (numbers, leases),
}
OPERATORS: dict[str, tuple[st.SearchStrategy[Any], ...]] = {
    "retry_failed": (numbers, st.booleans()),
    "cancel": (numbers, st.sampled_from(["all", "contact", "ids"]), several),
    "reprioritize": (numbers, st.integers(1, 10), st.sampled_from(["lane", "contact", "ids"]), several),
    "pause_or_resume": (
        numbers,
        st.sampled_from(["integration", "organization", "provider", "everything"]),
        st.booleans(),
    ),
    "resume_what_is_paused": (numbers,),
    "disconnect": (numbers,),
    "connect_again": (numbers,),
    "sync_now": (numbers,),
    "resync": (numbers,),
    "backfill": (numbers,),
    "purge_now": (numbers, st.booleans()),
    "purge": (),
    "keep_house": (st.sampled_from(CHORES),),
}


def any_of(deeds: dict[str, tuple[st.SearchStrategy[Any], ...]]) -> st.SearchStrategy[tuple[Any, ...]]:
    """A method's name and its arguments."""
    return st.sampled_from(sorted(deeds)).flatmap(lambda name: st.tuples(st.just(name), *deeds[name]))


def outcome_of(document: dict[str, Any], answer: tuple[str, bool, int | None]) -> tuple[Outcome, dict[str, Any] | None]:
    """What the model is told, and what the database is told."""
    kind, uncertain, retry_after = answer
    is_gone = kind == "gone"
    outcome = Outcome(document["rows"], "rejected" if is_gone else kind, uncertain, retry_after, is_gone)
    said: dict[str, Any] = {"rows": document["rows"], "echo": document.get("echo", {})}
    if kind == "silent":
        return outcome, None
    if kind == "synced":
        record = "crm-" + str(document.get("key") or document["email"])
        return outcome, {**said, "status": "synced", "external_id": record, "created": True, "duration_ms": 1}
    if kind == "released":
        return outcome, {**said, "status": "released", "uncertain": uncertain}
    failure = {"kind": outcome.kind, "message": "no", "retry_after": retry_after}
    if is_gone:
        failure["code"] = "CONTACT_GONE"
    return outcome, {**said, "status": "failed", "uncertain": uncertain, "failure": failure}


class Queue(RuleBasedStateMachine):
    """One organization, two connections, five contacts, of whom two share an address; daemons, producers, operators."""

    def __init__(self, house: House, slow: psycopg.Connection) -> None:
        super().__init__()
        self.house, self.slow = house, slow
        house.connection.execute("select setseed(0.5)")
        self.organization = house.organization()
        ids = {name: house.integration(self.organization, name, sync_settings=SETTINGS) for name in PROVIDERS}
        addresses = ["ada@example.com", "bob@example.com", "cy@example.com", "dee@example.com", "DEE@example.com "]
        self.contacts = [house.contact(self.organization, address) for address in addresses]
        self.addresses = dict(zip(self.contacts, addresses, strict=True))
        most = "select crm_sync.allowed_in_flight(config, 0, 2) from public.integration_providers where name = %s"
        lanes = {id_: Lane(id_, name, house.value(most, name)) for name, id_ in ids.items()}
        self.model = Model(lanes, dict(self.addresses), organization=str(self.organization))
        self.held: list[tuple[Daemon, Batch, list[dict[str, Any]]]] = []  # by a daemon, lost ones too
        self.said: dict[UUID, tuple[str, bool]] = {}
        self.unborn: list[Row] | None = None  # of the producer that has not committed
        self.known: set[tuple[int, UUID]] = set()
        self.mapped: set[tuple[int, UUID]] = set()
        self.effects: set[tuple[int, str]] = set()
        self.may_be_ready: int | None = None
        self.ways = {
            tuple(way) for way in house.rows("select from_status, to_status, by_function from crm_sync.transitions")
        }
        self.operator = Daemon(house)
        self.compare()

    # helpers

    def lane(self, number: int) -> Lane:
        return list(self.model.lanes.values())[number % 2]

    def begin(self) -> None:
        self.model.step += 1
        self.may_be_ready = None

    def away_from_edges(self) -> None:
        """Nothing may change by itself while a function runs that asks for the time."""
        while any(-1 < edge - self.model.now < 3 for edge in self.model.edges()):
            self.move(5)

    def move(self, seconds: float) -> None:
        elapse(self.house, f"{seconds} seconds")
        self.model.elapse(seconds)

    def rows_of(self, lane: Lane) -> list[Row]:
        return [row for row in self.model.rows.values() if row.lane == lane.id]

    def look(self) -> Seen:
        found = self.house.connection.execute(LOOK.encode(), {"organization": self.organization}).fetchone()
        assert found is not None
        there = found[0]
        rows, lanes, batches = {}, {}, {}
        for each in there["rows"]:
            rows[each[0]] = Row(
                id=each[0], lane=each[1], contact=UUID(each[2]), kind=each[3], priority=each[4], key=each[5],
                because=each[6], status=each[7], attempts=each[8], losses=each[9], uncertain=each[10], batch=each[11],
                leader=each[12], has_error=each[13], message=each[14] and UUID(each[14]),
                classification=each[15] and UUID(each[15]), next=each[16], scheduled=each[17], completed=each[18],
            )  # fmt: skip
        for id_, status, kind, until, failures, limit, synced, superseded in there["lanes"]:
            lanes[id_] = Lane(
                id_, "", 0, status, kind, None if until is None else float(until), failures, limit, synced, superseded
            )
        for id_, lane, worker, row_ids, contacts, lease in there["batches"]:
            batches[id_] = Batch(id_, lane, UUID(worker), row_ids, set(map(UUID, contacts)), lease, 0)
        ways = {tuple(way) for way in there["observed"]}
        assert ways <= self.ways, "not among crm_sync.transitions"
        assert set(there["difference"]) == {0}, "the books do not balance"
        self.effects = {(lane, key) for lane, key in there["effects"]}
        self.mapped = {(lane, UUID(contact)) for lane, contact, _ in there["mapped"]}
        self.known = {(lane, UUID(contact)) for lane, contact, is_known in there["mapped"] if is_known}
        return Seen(there["now"], rows, lanes, batches)

    def compare(self) -> None:
        seen = self.look()
        if self.model.now == 0.0:
            self.model.now = seen.now
        self.model.look(seen, self.may_be_ready)
        self.house.connection.execute("delete from public.observed")
        running: dict[tuple[int | None, UUID], set[int | None]] = {}
        for row in seen.rows.values():
            if row.status == "processing":
                running.setdefault((row.lane, row.contact), set()).add(row.batch)
        assert all(len(batches) == 1 for batches in running.values()), "two batches have rows of one contact"

    @invariant()
    def the_queue_equals_the_model(self) -> None:
        self.compare()

    # producers

    @rule(deed=any_of(PRODUCERS))
    def let_a_producer(self, deed: tuple[Any, ...]) -> None:
        name, *arguments = deed
        getattr(self, name)(*arguments)

    def speak(self, connection: psycopg.Connection, who: list[int], intent: str, *, attention: bool) -> list[Row]:
        """One statement of a producer, with a classification for each of these contacts."""
        contacts = [self.contacts[number % len(self.contacts)] for number in who]
        messages = [self.house.message(self.organization, contact) for contact in contacts]
        with House(connection).as_role("crm_sync_producer"):
            connection.execute(
                "insert into public.message_classifications (message_id, intent, requires_human_attention) "
                "select u.id, %s, %s from unnest(%s::uuid[]) with ordinality as u (id, n) order by n",
                [intent, attention, messages],
            )
        query = "select id from public.message_classifications where message_id = %s"
        rows: list[Row] = []
        for contact, message in zip(contacts, messages, strict=True):
            found = connection.execute(query, [message]).fetchone()
            assert found is not None
            self.said[found[0]] = (intent, attention)
            rows += self.model.enqueue(contact, message, found[0], intent)
        return rows

    def reply(self, who: list[int], intent: str = "interested") -> None:
        self.begin()
        self.model.born += self.speak(self.house.connection, who, intent, attention=False)

    def reply_with(self, who: int, intent: str, attention: bool) -> None:
        self.begin()
        self.model.born += self.speak(self.house.connection, [who], intent, attention=attention)

    def speak_slowly(self, who: list[int], intent: str) -> None:
        """A producer whose transaction stays open: its ids are given out, and its rows cannot be seen yet."""
        self.begin()
        if self.unborn is None:
            self.slow.execute("begin")
            self.unborn = []
        self.unborn += self.speak(self.slow, who, intent, attention=False)

    def come_to_an_end(self, commits: bool) -> None:
        self.begin()
        if self.unborn is None:
            return
        self.slow.execute("commit" if commits else "rollback")
        self.model.born += self.unborn if commits else []
        self.unborn = None

    def lose_or_regain_the_address(self, who: int) -> None:
        self.begin()
        contact = self.contacts[who % 3]
        address = self.addresses[contact] if self.model.emails[contact] is None else None
        self.model.emails[contact] = address
        self.house.connection.execute("update public.contacts set email = %s where id = %s", [address, contact])

    # daemons

    @rule(deed=any_of(DAEMONS))
    def let_a_daemon(self, deed: tuple[Any, ...]) -> None:
        name, *arguments = deed
        getattr(self, name)(*arguments)

    @rule(deed=any_of(DAEMONS))
    def let_another_daemon(self, deed: tuple[Any, ...]) -> None:
        self.let_a_daemon(deed)

    @rule(numbers=few, which=few)
    def lose_a_claim(self, numbers: list[int], which: list[int]) -> None:
        """A daemon that hangs until its lease has ended, and comes back when others have, or have not, taken over."""
        self.claim(numbers[0], 100, 60)
        self.compare()
        self.let_time_pass(90)
        for number in numbers[1:]:
            self.compare()
            self.claim(number, 2, 60)
        for number in which:
            self.compare()
            self.confirm(number)

    def claim(self, number: int, limit: int, lease: int) -> None:
        self.begin()
        self.take(self.lane(number), limit, lease)

    def claim_what_is_due(self, limit: int) -> None:
        """Whatever can be claimed is due; what is due first is served."""
        self.begin()
        self.away_from_edges()
        self.look()
        order = "select integration_id from crm_sync.due_lanes() where is_due order by last_claimed_at nulls first, 1"
        due = [id_ for (id_,) in self.house.rows(order)]
        for lane in self.model.lanes.values():
            if self.model.claimable(lane)[0]:
                assert lane.id in due, f"lane {lane.id} has work that nobody would look for"
            if lane.id in due:
                assert self.model.is_free(lane)
        if due:
            self.take(self.model.lanes[due[0]], limit, 60)

    def take(self, lane: Lane, limit: int, lease: int) -> bool:
        """Claim, and see that what was claimed may be claimed; returns whether anything was."""
        model = self.model
        self.away_from_edges()
        ready, withheld = model.claimable(lane)
        at_once = lane.batch_limit if lane.batch_limit is not None and lane.batch_limit < limit else limit
        daemon = Daemon(self.house)
        document = daemon.try_claim(limit, lane.id, f"{lease} seconds")
        seen = self.look()
        if model.is_free(lane):
            model.take_over(lane)
            self.may_be_ready = lane.id
        batch = next((seen.batches[id_] for id_ in seen.batches.keys() - model.batches.keys()), None)
        skipped = {id_ for id_, row in model.rows.items() if row.is_waiting and seen.rows[id_].status == "skipped"}
        chosen = skipped | set(batch.rows if batch else [])
        assert (document is None) == (batch is None)
        if not withheld:
            assert bool(chosen) == bool(ready), "nothing that can be claimed is never claimed"
        contacts = {model.rows[id_].contact for id_ in chosen}
        assert contacts <= ready
        assert len(contacts) <= at_once
        for contact in contacts:
            waiting = model.waiting(lane, contact)
            taken = [row for row in waiting if row.id in chosen]
            assert taken == waiting[: len(taken)], "the oldest of a contact go first"
            assert len(taken) in (len(waiting), limit) or len(chosen) == 5 * limit
        for id_ in chosen:
            row = model.rows[id_]
            is_strange = row.kind != "contact_sync" and (lane.id, row.contact) not in self.known
            assert (id_ in skipped) == (model.address(row.contact) is None or is_strange)
        model.claim(lane, batch, skipped)
        if batch is not None and document is not None:
            papers = documents(document)
            assert sorted(id_ for each in papers for id_ in each["rows"]) == sorted(batch.rows), (
                "each row is in a document"
            )
            for each in papers:
                assert {model.rows[id_].contact for id_ in each["rows"]} == {UUID(each["contact_id"])}
            assert document["integration_id"] == lane.id
            assert seen.now + lease - 3 < batch.lease <= seen.now + lease
            self.held.append((daemon, batch, papers))
        return bool(chosen)

    def work(self, number: int, limit: int, answers: list[tuple[str, bool, int | None]]) -> None:
        if not any(row.is_waiting for row in self.rows_of(self.lane(number))):
            self.reply([number, number + 1])
            self.compare()
        self.begin()
        if self.take(self.lane(number), limit, 60) and self.held:
            self.compare()
            self.begin()
            self.finish(self.held.pop(), answers)

    def work_all(self, number: int, kind: str) -> None:
        self.work(number, 100, [(kind, False, None)])

    def answer(self, which: int, answers: list[tuple[str, bool, int | None]]) -> None:
        """The CRM has answered, be it to a daemon that has lost its claim by now."""
        if not self.held:
            self.claim(which, 2, 60)
            self.compare()
        self.begin()
        if self.held:
            self.finish(self.held.pop(which % len(self.held)), answers)

    def confirm(self, which: int) -> None:
        self.answer(which, [("synced", False, None)])

    def finish(
        self, held: tuple[Daemon, Batch, list[dict[str, Any]]], answers: list[tuple[str, bool, int | None]]
    ) -> None:
        daemon, batch, papers = held
        model = self.model
        self.away_from_edges()
        effects = set(self.effects)
        said = [outcome_of(paper, answers[n % len(answers)]) for n, paper in enumerate(papers)]
        count = daemon.finish(batch_document(batch), [outcome for _, outcome in said if outcome is not None])
        if batch.id not in model.batches:
            assert count == 0, "a claim that was lost completes nothing"
            return
        outcomes = [outcome for outcome, told in said if told is not None]
        assert count == sum(len(outcome.rows) for outcome in outcomes)
        batch = model.batches[batch.id]
        model.finish(batch, outcomes)
        model.follow(batch, outcomes, effects, self.said)

    def hand_back(self, which: int) -> None:
        self.begin()
        if not self.held:
            return
        daemon, batch, _ = self.held.pop(which % len(self.held))
        count = daemon.call("select crm_sync.release_batch(%s)", batch.id)
        assert count == (len(batch.rows) if batch.id in self.model.batches else 0)
        if batch.id in self.model.batches:
            self.model.finish(self.model.batches[batch.id], [])

    def renew(self, which: int, lease: int) -> None:
        self.begin()
        if not self.held:
            return
        daemon, batch, _ = self.held[which % len(self.held)]
        renew = "select crm_sync.extend_leases(%s, %s, %s::interval)"
        renewed = daemon.call(renew, daemon.id, [batch.id], f"{lease} seconds")
        assert renewed == ([batch.id] if batch.id in self.model.batches else [])
        if renewed:
            self.model.batches[batch.id].lease = self.look().now + lease

    @rule(seconds=st.sampled_from([2, 40, 90, 700, 3_600, 90_000, 300_000]))
    def let_time_pass(self, seconds: int) -> None:
        self.begin()
        self.move(seconds)

    def keep_house(self, chore: LiteralString) -> None:
        self.begin()
        self.operator.call(chore)

    # operators

    @rule(deed=any_of(OPERATORS))
    def let_an_operator(self, deed: tuple[Any, ...]) -> None:
        name, *arguments = deed
        getattr(self, name)(*arguments)

    def retry_failed(self, number: int, is_one: bool) -> None:
        self.begin()
        lane = self.lane(number)
        count = self.operator.call("select crm_sync.retry_failed(%s)", lane.id if is_one else None)
        chosen = self.rows_of(lane) if is_one else list(self.model.rows.values())
        assert count == self.model.put_back(chosen)

    def cancel(self, number: int, by: Literal["all", "contact", "ids"], ids: list[int]) -> None:
        self.begin()
        lane, contact = self.lane(number), self.contacts[ids[0] % len(self.contacts)]
        rows = self.rows_of(lane)
        if by == "all":
            count = self.operator.call("select crm_sync.cancel(%s, p_all => true)", lane.id)
            rows = [row for row in rows if row.is_waiting]
        elif by == "contact":
            count = self.operator.call("select crm_sync.cancel(%s, p_contact_id => %s)", lane.id, contact)
            rows = [row for row in rows if row.contact == contact and row.is_waiting]
        else:
            chosen = self.some(ids)
            count = self.operator.call("select crm_sync.cancel(%s, p_queue_ids => %s)", lane.id, chosen)
            rows = [row for row in rows if row.id in chosen]
        assert count == self.model.cancel(rows)

    def some(self, numbers: list[int]) -> list[int]:
        """Ids of some rows, and of one that there is not."""
        ids = sorted(self.model.rows)
        return [ids[number % len(ids)] for number in numbers if ids] + [10**15]

    def reprioritize(self, number: int, priority: int, by: str, ids: list[int]) -> None:
        self.begin()
        lane, contact, chosen = self.lane(number), self.contacts[ids[0] % len(self.contacts)], self.some(ids)
        calls: dict[str, tuple[LiteralString, Any, Callable[[Row], bool]]] = {
            "lane": ("p_integration_id", lane.id, lambda row: row.lane == lane.id),
            "contact": ("p_contact_id", contact, lambda row: row.contact == contact),
            "ids": ("p_queue_ids", chosen, lambda row: row.id in chosen),
        }
        name, value, is_chosen = calls[by]
        count = self.operator.call(f"select crm_sync.reprioritize(%s, {name} => %s)", priority, value)
        moved = [r for r in self.model.rows.values() if r.is_waiting and r.priority != priority and is_chosen(r)]
        for row in moved:
            row.priority = priority
        assert count == len(moved)

    def pause_or_resume(self, number: int, scope: str, stops: bool) -> None:
        self.begin()
        lane = self.lane(number)
        key = {"integration": str(lane.id), "organization": str(self.organization), "provider": lane.provider}.get(
            scope
        )
        # whoever pauses waits until no call can be under way any more that was paid with its claim: not here
        self.house.connection.execute("update crm_sync.batches set claimed_at = claimed_at - interval '1 second'")
        self.house.connection.execute("update crm_sync.lanes set connected_at = connected_at - interval '1 second'")
        verb = "pause_all" if stops else "resume_all"
        before = {each.id: self.model.is_paused(each) for each in self.model.lanes.values()}
        count = self.operator.call(f"select crm_sync.{verb}(%s, %s)", scope, key)
        is_new = (scope, key or "") not in self.model.pauses
        (self.model.pauses.add if stops else self.model.pauses.discard)((scope, key or ""))
        after = {each.id: self.model.is_paused(each) for each in self.model.lanes.values()}
        concerned = {"integration": 1, "provider": 1}.get(scope, 2)
        turned = sum(before[id_] != after[id_] for id_ in before)
        assert count == (concerned if is_new else 0) if stops else count == turned

    def resume_what_is_paused(self, number: int) -> None:
        self.begin()
        pauses = sorted(self.model.pauses)
        if pauses:
            scope, key = pauses[number % len(pauses)]
            self.operator.call("select crm_sync.resume_all(%s, %s)", scope, key or None)
            self.model.pauses.discard((scope, key))

    def disconnect(self, number: int) -> None:
        self.begin()
        lane = self.lane(number)
        assert self.operator.call("select crm_sync.disconnect(%s)", lane.id) is (lane.status != "disconnected")
        lane.status = "disconnected"

    def connect_again(self, number: int) -> None:
        self.begin()
        lane = self.lane(number)
        query = "select is_new from crm_sync.connect_integration(%s, %s, 'default', %s, null)"
        credentials = json.dumps({"access_token": f"token {self.model.step}"})
        assert self.operator.call(query, self.organization, lane.provider, credentials) is False
        self.model.reconnect(lane)

    def sync_now(self, number: int) -> None:
        self.begin()
        lane = self.lane(number)
        count = self.operator.call("select crm_sync.sync_now(%s)", lane.id)
        deferred = [row for row in self.rows_of(lane) if row.is_waiting and row.next is not None]
        for row in deferred:
            row.next = None
        assert count == len(deferred)
        if lane.parked_kind == "unavailable":
            lane.parked_until = queue_model.Soon(0, 0)

    def resync(self, who: int) -> None:
        self.begin()
        contact = self.contacts[who % len(self.contacts)]
        lanes = [lane for lane in self.model.lanes.values() if lane.status != "disconnected"]
        query = "select crm_sync.resync(%s)"
        if self.model.address(contact) is None or not lanes:
            with pytest.raises(psycopg.Error) as refusal:
                self.operator.call(query, contact)
            assert refusal.value.sqlstate == "CS059"
            return
        count = 0
        for lane in lanes:
            waiting = [row for row in self.model.waiting(lane, contact) if row.kind == "contact_sync"]
            for row in waiting:
                row.next, row.uncertain = None, True
            if not waiting:
                self.model.born.append(Row(lane.id, contact, "contact_sync", 2, uncertain=True))
            count += len(waiting) or 1
        assert self.operator.call(query, contact) == count

    def backfill(self, number: int) -> None:
        self.begin()
        lane = self.lane(number)
        query = "select enqueued from crm_sync.backfill(%s)"
        if lane.status == "disconnected":
            with pytest.raises(psycopg.Error) as refusal:
                self.operator.call(query, lane.id)
            assert refusal.value.sqlstate == "CS057"
            return
        self.look()
        heard = (
            "select m.contact_id from public.inbox_messages as m "
            "join public.message_classifications as c on c.message_id = m.id"
        )
        spoken = {contact for (contact,) in self.house.rows(heard)}
        busy = {r.contact for r in self.rows_of(lane) if r.kind == "contact_sync" and r.status in queue_model.OPEN}
        fresh = [
            contact
            for contact in self.contacts
            if contact in spoken - busy and self.model.address(contact) and (lane.id, contact) not in self.mapped
        ]
        self.model.born += [Row(lane.id, contact, "contact_sync", 9) for contact in fresh]
        assert self.operator.call(query, lane.id) == len(fresh)

    def purge_now(self, number: int, is_one: bool) -> None:
        self.begin()
        lane = self.lane(number)
        count = self.operator.call("select crm_sync.purge_now('0', %s)", lane.id if is_one else None)
        assert count == self.model.forget(lambda row: not is_one or row.lane == lane.id)

    def purge(self) -> None:
        self.begin()
        self.away_from_edges()
        before = self.model.now - queue_model.RETAIN_FINISHED
        since = "-infinity"
        while since is not None:
            since = self.operator.call("select crm_sync.purge(%s::timestamptz, 5)", since)
        self.model.forget(lambda row: row.completed is not None and row.completed < before)

    # progress

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:  # nothing has gone wrong so far
                self.come_to_an_end(commits=True)
                self.compare()
                self.drain()
        finally:
            if self.slow.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self.slow.execute("rollback")
            self.house.connection.execute("delete from crm_sync.pauses")
            self.house.connection.execute("delete from public.organizations")
            self.house.connection.execute("delete from public.sync_queue")  # those of no connection are still there
            self.house.connection.execute("delete from public.observed")

    def drain(self) -> None:
        """With nothing in the way, claims and confirmations bring all there is to its end."""
        for scope, key in sorted(self.model.pauses):
            self.operator.call("select crm_sync.resume_all(%s, %s)", scope, key or None)
        self.model.pauses.clear()
        for lane in self.model.lanes.values():
            if lane.status != "connected":
                self.connect_again(list(self.model.lanes).index(lane.id))
            self.compare()
        for _ in range(len(self.model.rows) * 4 + 10):
            if not any(row.status in queue_model.OPEN for row in self.model.rows.values()):
                return
            self.begin()
            self.move(7_200)
            self.compare()
            for lane in self.model.lanes.values():
                self.begin()
                took = self.take(lane, 100, 60)
                self.compare()
                if took and self.held and self.held[-1][1].id in self.model.batches:
                    self.begin()
                    self.finish(self.held.pop(), [("synced", False, None)])
                    self.compare()
        raise AssertionError("work is left that nobody ever does")


PROVIDERS = ("hubspot", "pipedrive")
SETTINGS = {"auto_create_deals": True, "log_activities": True, "attention_tasks": True}


def batch_document(batch: Batch) -> dict[str, Any]:
    return {"id": batch.id}


@pytest.fixture
def sessions(postgres: TestServer, template: str) -> Iterator[tuple[House, psycopg.Connection]]:
    """Two sessions of a database whose queue is watched; everything is committed, as floors and marks live by that."""
    url = postgres.create_database(template)
    with connect(url) as ours, connect(url) as slow:
        ours.execute("select crm_sync.claim_database()")
        ours.execute("update crm_sync.fence set doubtful_before = null")  # time that passes here is moved in the rows
        ours.execute(WATCH.encode())
        for each in (ours, slow):
            each.execute("set lock_timeout = '2s'")
            each.execute("set client_min_messages = 'error'")
            each.execute("set synchronous_commit = 'off'")
        yield House(ours), slow
    postgres.drop_database(url)


def test_the_queue_does_what_its_model_does(sessions: tuple[House, psycopg.Connection]) -> None:
    class OnThese(Queue):
        def __init__(self) -> None:
            super().__init__(*sessions)

    run_state_machine_as_test(OnThese, settings=chosen())


def chosen() -> settings:
    """What the profile says, and a few seconds' worth where it is the default."""
    common: dict[str, Any] = {
        "deadline": None,
        "database": None,
        "suppress_health_check": list(HealthCheck),
        "phases": [Phase.generate, Phase.shrink],
    }
    if settings.get_current_profile_name() == "prove":
        return settings(**common)
    return settings(max_examples=20, stateful_step_count=35, **common)
