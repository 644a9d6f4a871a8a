"""Daemons that are struck between two calls of a batch, or when a record was made and they do not know of it yet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal, Self

from tests.listener.crms import KITS, Stage
from tests.prove.events import Event, Plan
from tests.prove.scene import MORE_THAN_A_MOMENT, Member, Scene
from tests.prove.traps import Trap

CATCH_SECONDS = 8.0
"""So long a call that is to be caught is waited for, if there is work to do."""
SAYING_SECONDS = 0.8
TAKEN_OVER_SECONDS = 8.0
SLOW_SECONDS = 0.4
"""Less than the daemons' calls may take."""
LAG_SECONDS, FACTOR = 30.0, 20.0
RECORDS = "(contacts|deals|notes|tasks|persons|activities|sobjects)"

HELD = """
select b.id, b.row_ids from crm_sync.batches as b join crm_sync.daemons as d on d.id = b.worker_id where d.pid = %s
"""
TAKEN_OVER = """
select not exists (select from crm_sync.batches as b where b.id = any (%(batches)s))
  and case when %(completed)s then bool_and(q.completed_at is not null)
    else bool_or(q.completed_at is not null or q.batch_id is not null) end
from public.sync_queue as q where q.id = any (%(rows)s)
"""


def _stage_of(crm: str, chance: Random) -> str:
    # what has no key that the CRM keeps unique is made again where nobody looks for it
    return chance.choice([name for name in KITS[crm].stages for _ in range(1 if name in ("companies", "roles") else 2)])


@dataclass(frozen=True)
class KillAfterMaking(Event):
    """The CRM has committed, its answer is lost with the daemon, and its search knows nothing yet."""

    name: ClassVar[str] = "SIGKILL after a record was made"
    weight: ClassVar[int] = 4
    needs_heir: ClassVar[bool] = True
    counts_itself: ClassVar[bool] = True
    crm: str
    stage: str
    skip: int
    again: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        crm = chance.choice(plan.crms)
        return cls(crm, _stage_of(crm, chance), chance.choice((0, 0, 1, 3)), chance.choice((0.0, 0.2, 0.6)))

    def prepare(self, scene: Scene) -> None:
        """Searching does not help whoever takes over."""
        if scene.index_lag < LAG_SECONDS:
            scene.index_lag, scene.clock.factor = LAG_SECONDS, FACTOR

    def strike(self, scene: Scene) -> None:
        trap = scene.crms[self.crm].busy.trap(KITS[self.crm].stages[self.stage], self.skip)
        scene.once(lambda: trap.is_sprung, CATCH_SECONDS, lambda _: self._kill(scene, trap))

    def _kill(self, scene: Scene, trap: Trap) -> None:
        member = scene.member_of(scene.crms[self.crm], trap)
        if member is not None:
            scene.end_daemon(member)
            scene.later(self.again, lambda: scene.start_daemon(member))
        scene.tell(self.name, member is not None)
        trap.release()

    def __str__(self) -> str:
        return (
            f"{self.crm} carries out a call for {self.stage} (after {self.skip}) whose daemon gets SIGKILL before it "
            f"hears of that, another one starts {self.again:g} s later; searches are {LAG_SECONDS:g} s behind"
        )


@dataclass(frozen=True)
class Overtaken(Event):
    """Between a CRM's answer and what the daemon says next to the database (another call, or the completion) it is
    frozen, until its lease has ended and another one has taken its rows over; then it goes on with what it had."""

    name: ClassVar[str] = "SIGSTOP between calls, and overtaken"
    weight: ClassVar[int] = 5
    needs_heir: ClassVar[bool] = True
    counts_itself: ClassVar[bool] = True
    crm: str
    stage: str
    skip: int
    next_words: Literal["heard before", "heard after"]
    until: Literal["taken over", "completed"]

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        crm = chance.choice(plan.crms)
        heard: tuple[Literal["heard before", "heard after"], ...] = ("heard before", "heard after")
        until: tuple[Literal["taken over", "completed"], ...] = ("taken over", "completed")
        return cls(
            crm, _stage_of(crm, chance), chance.choice((0, 0, 0, 1, 3)), chance.choice(heard), chance.choice(until)
        )

    def strike(self, scene: Scene) -> None:
        side = scene.crms[self.crm]
        trap = side.busy.trap(KITS[self.crm].stages[self.stage], self.skip)
        scene.once(lambda: trap.is_sprung, CATCH_SECONDS, lambda _: self._freeze(scene, trap))

    def _freeze(self, scene: Scene, trap: Trap) -> None:
        side = scene.crms[self.crm]
        member = scene.member_of(side, trap)
        child = None if member is None else member.child
        if member is None or child is None or member.is_stopped:
            trap.release()
            scene.tell(self.name, False)
            return
        held = scene.ask(HELD, [child.pid])
        # it hears the answer, and the next thing that it says to the database stays on the way
        heard = side.relay.passed["to_client"]
        member.relay.hold("to_server")
        trap.release()
        scene.wait_for(lambda: side.relay.passed["to_client"] > heard, SAYING_SECONDS)
        said = member.relay.passed["to_server"]
        scene.wait_for(lambda: member.relay.passed["to_server"] > said, SAYING_SECONDS)
        scene.stop_daemon(member)
        if self.next_words == "heard before":
            member.relay.let_go()  # the database answers, and the daemon does not know it yet
        if self.until == "completed":
            self._hand_over(scene, member, held)
        else:
            scene.later(MORE_THAN_A_MOMENT, lambda: self._hand_over(scene, member, held))

    def _hand_over(self, scene: Scene, member: Member, held: Sequence[tuple[Any, ...]]) -> None:
        """Its leases end; it goes on when another has got so far."""
        is_buried = member.is_stopped and scene.bury(member)
        busy = scene.crms[self.crm].busy
        slow: list[Trap] = []
        if self.until == "taken over":
            member.asleep_until = 0.0  # it has slept long enough
            slow = [busy.trap(Stage(RECORDS, KITS[self.crm].stages[self.stage].method))]
        about = {
            "batches": [id_ for id_, _ in held],
            "rows": [row for _, rows in held for row in rows],
            "completed": self.until == "completed",
        }

        def is_overtaken() -> bool:
            return scene.ask(TAKEN_OVER, about) == [(True,)]

        def wake(has_taken_over: bool) -> None:
            scene.tell(self.name, is_buried and has_taken_over)
            scene.continue_daemon(member)
            _let_go(scene, member)
            for each in slow:
                scene.later(SLOW_SECONDS, each.release)

        scene.once(is_overtaken, TAKEN_OVER_SECONDS if is_buried and held else 0.0, wake)

    def __str__(self) -> str:
        return (
            f"{self.crm} answers a call for {self.stage} (after {self.skip}) whose daemon is then frozen; what that "
            f"says next to the database is {self.next_words} its lease ends; it goes on when its rows are {self.until}"
        )


def _let_go(scene: Scene, member: Member) -> None:
    """Once it is awake."""
    if member.is_stopped and time.monotonic() < member.asleep_until:
        scene.later(member.asleep_until - time.monotonic(), lambda: _let_go(scene, member))
    else:
        member.relay.let_go()
