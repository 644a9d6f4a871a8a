"""One schedule from its beginning to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from sandbox.hubspot import HubSpot
from sandbox.pipedrive import Pipedrive
from sandbox.salesforce import Salesforce
from sandbox.server import serve
from tests.house import House
from tests.listener.crms import KITS
from tests.listener.relay import relay
from tests.prove.events import Event
from tests.prove.faults_network import TIMEOUT_SECONDS
from tests.prove.judge import Verdict, judge_logs, judge_producers, judge_rows, last_words
from tests.prove.ledgers import differences
from tests.prove.producers import Producer
from tests.prove.scene import CrmSide, Scene, Tenant
from tests.prove.schedule import Schedule
from tests.prove.traps import Busy
from tests.prove.watch import Watch

STATEMENT_SECONDS = 1.0
"""So long a producer's statement may take at most."""
FLOWING_CALLS, FLOWING_SECONDS = 10, 15.0
"""The first fault waits until daemons have started and made so many calls; so long at most, on a busy machine."""
SETTLED_SECONDS = 40.0
"""Without any progress, however busy the machine is."""
PRODUCING_SECONDS = 30.0
DRAINED_SHARE = 5.0
"""Of the time of the faults, what has not struck yet may wait so much longer."""
PRODUCING_SHARE = 0.6
"""Of the time of the faults, the pauses between transactions take so much."""

OPEN = """
select count(*) filter (where completed_at is null), count(*) filter (where status = 'failed'),
  (select count(*) from crm_sync.orphans as o join public.inbox_messages as m on m.id = o.message_id),
  array(select id from public.user_integrations where status = 'error')
from public.sync_queue
"""
STUCK = """
select q.id, q.integration_id, q.queue_type, q.status, q.attempts, q.losses, q.next_attempt_at - now(), q.last_error,
  l.parked_kind, l.parked_until - now(), l.paused_at
from public.sync_queue as q left join crm_sync.lanes as l using (organization_id, integration_id)
where q.completed_at is null limit 5
"""


class Play:
    """A schedule in its scene: `begin`, `suffer`, `settle`, `judge`, in this order, and `end` in any case."""

    def __init__(self, scene: Scene, schedule: Schedule, verdict: Verdict) -> None:
        self.scene, self.schedule, self.verdict = scene, schedule, verdict
        self._producers: list[Producer] = []
        self._first_day = datetime.now(UTC).date()
        self._began = time.monotonic()
        self._watch: Watch | None = None

    def begin(self, stack: ExitStack) -> None:
        """CRMs and connections, then daemons, then producers."""
        scene, schedule = self.scene, self.schedule
        for planned in schedule.events:
            planned.event.prepare(scene)
            if planned.event.is_setting:
                _strike(planned.event, scene)
        with psycopg.connect(scene.url, autocommit=True) as connection:
            connection.execute("select crm_sync.claim_database()")
            _open_crms(scene, schedule, House(connection), stack)
        organizations: list[UUID] = list({tenant.organization: None for tenant in scene.tenants})
        for place, count in enumerate(schedule.transactions):
            pause = PRODUCING_SHARE * schedule.seconds / count
            seed = f"schedule {schedule.seed}"
            self._producers.append(
                Producer(scene.url, seed, place, organizations, count, pause, patience=STATEMENT_SECONDS)
            )
        self._watch = Watch(scene.url, stack.enter_context(_hurrying(scene)))
        for member in scene.crew:
            scene.start_daemon(member)
        self._watch.start()
        self._producers[0].start()
        if schedule.is_flowing:
            scene.wait_for(lambda: scene.answered >= FLOWING_CALLS, FLOWING_SECONDS)

    def suffer(self) -> None:
        """One event after the other, each at its time; at the end no fault goes on, and all is produced."""
        for producer in self._producers[1:]:
            producer.start()
        scene, start = self.scene, time.monotonic()
        for planned in self.schedule.events:
            if not planned.event.is_setting:
                scene.catch_up(start + planned.at)
                _strike(planned.event, scene)
        scene.catch_up(start + self.schedule.seconds)
        deadline = time.monotonic() + PRODUCING_SECONDS
        while any(producer.is_at_work for producer in self._producers) and time.monotonic() < deadline:
            scene.catch_up(time.monotonic() + 0.02)
        if any(producer.is_at_work for producer in self._producers):
            self.verdict.wrong.append("a producer did not come to its end")
        scene.finish_later(self._nothing_is_open, DRAINED_SHARE * self.schedule.seconds)
        _calm(scene)

    def _nothing_is_open(self) -> bool:
        try:
            with self.scene.connection() as connection:
                return connection.execute(OPEN).fetchone()[:3] == (0, 0, 0)  # type: ignore[index]
        except psycopg.Error:
            return False

    def settle(self) -> None:
        """Until no row is open; persons connect what needs them, operators retry what has failed."""
        scene, schedule, verdict = self.scene, self.schedule, self.verdict
        before, deadline = -1, 0.0
        with scene.connection() as connection:
            connection.execute("delete from prove.full_tables")
            while True:
                open_rows, failed, orphans, lost = connection.execute(OPEN).fetchone() or (0, 0, 0, [])
                if failed:
                    scene.notes.append(f"{failed} rows had failed, and were retried")
                    scene.operate("select crm_sync.retry_failed()")
                for tenant in scene.tenants:
                    if tenant.integration in lost:
                        _connect_again(scene, schedule, tenant, verdict)
                if not (open_rows or failed or orphans or lost):
                    return
                if open_rows != before:
                    before, deadline = open_rows, time.monotonic() + SETTLED_SECONDS
                elif time.monotonic() > deadline:
                    rows = connection.execute(STUCK).fetchall()
                    words = f"{open_rows} rows are open, and none has come to its end for {SETTLED_SECONDS:g} s"
                    verdict.wrong.append(f"{words}: {rows}")
                    return
                time.sleep(0.05)

    def judge(self) -> None:
        """Write into the verdict what is not as it should be; ends the daemons."""
        scene, verdict, watch = self.scene, self.verdict, self._watch
        assert watch is not None
        watch.stop()
        verdict.looks = watch.looks
        verdict.transactions = sum(producer.transactions for producer in self._producers)
        verdict.wrong += [f"{words} (seen {times} times)" for words, times in watch.wrong.items()]
        errors = (watch.error, *(producer.error for producer in self._producers))
        verdict.wrong += [f"{type(each).__name__}: {each}" for each in errors if each is not None]
        judge_producers(scene, self._producers, watch, verdict)
        judge_rows(scene, self.schedule, self._producers, verdict)
        voided = set().union(*(producer.voided for producer in self._producers))
        days = (self._first_day, datetime.now(UTC).date())
        verdict.wrong += differences(scene.url, scene.tenants, days, voided)
        end_daemons(scene)
        judge_logs(scene, verdict)
        verdict.wrong += scene.wrong
        verdict.notes = scene.notes
        verdict.struck = scene.struck
        if verdict.wrong:
            verdict.logs = last_words(scene)

    def end(self) -> None:
        for producer in self._producers:
            producer.stop()
        if self._watch is not None:
            self._watch.stop()
        self.scene.is_over = True


def _open_crms(scene: Scene, schedule: Schedule, house: House, stack: ExitStack) -> None:
    makers: dict[str, Callable[[], Any]] = {
        "hubspot": lambda: HubSpot(
            scene.clock, limits=False, search_lag=scene.index_lag, rotate_refresh_tokens=scene.rotates
        ),
        "salesforce": lambda: Salesforce(scene.clock, limits=False),
        "pipedrive": lambda: Pipedrive(
            scene.clock, limits=False, search_lag=scene.index_lag, rotate_refresh_tokens=scene.rotates
        ),
    }
    for crm in schedule.crms:
        emulator = makers[crm]()
        busy = Busy(emulator.app)
        server = stack.enter_context(serve(busy))
        way = stack.enter_context(relay(server.url))
        scene.crms[crm] = CrmSide(KITS[crm], emulator, busy, way)
        limits = {name: {"calls": 10_000, "seconds": 2} for name in ("core", "static", "search")}
        config = {**KITS[crm].config(way.url), "timeout_seconds": TIMEOUT_SECONDS, "limits": limits}
        house.connection.execute(
            "update public.integration_providers set config = config || %s where name = %s",
            [Jsonb(config), crm],
        )
    large, small = house.organization("All of them"), house.organization("One of them")
    owners = [*((large, crm) for crm in schedule.crms), (small, schedule.crms[0])]
    for (organization, crm), oauth in zip(owners, schedule.oauth, strict=True):
        side = scene.crms[crm]
        options = {"rotate": scene.rotates} if crm == "salesforce" else {}
        account = side.kit.account(side.emulator, side.relay.url, **options)
        integration = house.integration(organization, crm, credentials=account.credentials(oauth=oauth))
        scene.tenants.append(Tenant(crm, side, organization, integration, account, oauth))


@contextmanager
def _hurrying(scene: Scene) -> Iterator[Callable[[], None]]:
    """What lets time pass and looks after the daemons, to be called now and then."""
    held: list[psycopg.Connection] = []

    def hurry() -> None:
        scene.look_after_daemons()
        try:
            if not held or held[0].closed:
                held[:] = [
                    psycopg.connect(
                        scene.url,
                        autocommit=True,
                        connect_timeout=5,
                        application_name="prove time",
                        options="-c lock_timeout=200ms",
                    )
                ]
            scene.hurry(held[0])
        except (psycopg.OperationalError, psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            return  # it is away, or busy: the next time is soon

    yield hurry
    for connection in held:
        connection.close()


def _strike(event: Event, scene: Scene) -> None:
    try:
        event.strike(scene)
        if not event.counts_itself:
            scene.tell(event.name)
    except psycopg.OperationalError as error:
        scene.notes.append(f"{event}: {str(error).splitlines()[0]}")  # it met a database that was away


def _calm(scene: Scene) -> None:
    """No fault goes on; each place has a daemon."""
    for side in scene.crms.values():
        side.emulator.faults.clear()
        side.busy.release()
    for thread in scene.workers:
        thread.join(30)
    for member in scene.crew:
        if member.child is None:
            scene.start_daemon(member)


def _connect_again(scene: Scene, schedule: Schedule, tenant: Tenant, verdict: Verdict) -> None:
    if not tenant.oauth or not schedule.events:
        verdict.wrong.append(f"connection {tenant.integration} was lost, and nothing of the schedule explains it")
    scene.notes.append(f"connection {tenant.integration} ({tenant.crm}) needed a person")
    scene.reconnect(tenant)


def end_daemons(scene: Scene) -> None:
    for member in scene.crew:
        if member.child is not None:
            scene.end_daemon(member)
