"""Daemons that are killed, stand still, are told to stop, or are wrong about the time."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from random import Random
from typing import ClassVar, Literal, Self

from tests.prove.events import Event, Plan
from tests.prove.scene import MORE_THAN_A_MOMENT, Scene

CALL_SECONDS = 0.6


@dataclass(frozen=True)
class Kill(Event):
    name: ClassVar[str] = "SIGKILL of a daemon"
    weight: ClassVar[int] = 4
    daemon: int
    again: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.randrange(plan.daemons), chance.choice((0.0, 0.1, 0.4)))

    def strike(self, scene: Scene) -> None:
        member = scene.crew[self.daemon]
        scene.end_daemon(member)
        scene.later(self.again, lambda: scene.start_daemon(member))

    def __str__(self) -> str:
        return f"daemon {self.daemon} gets SIGKILL, another one starts {self.again:g} s later"


@dataclass(frozen=True)
class KillBetween(Event):
    """Between the CRM's answer and the completion, in each of the ways there are."""

    name: ClassVar[str] = "SIGKILL between answer and completion"
    weight: ClassVar[int] = 4
    daemon: int
    where: Literal["answer", "completion", "confirmation"]

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.randrange(plan.daemons), chance.choice(("answer", "completion", "confirmation")))

    def strike(self, scene: Scene) -> None:
        member = scene.crew[self.daemon]
        relays = [side.relay for side in scene.crms.values()] if self.where == "answer" else [member.relay]
        done = scene.answered
        if self.where == "answer":
            for relay in relays:
                relay.hold("to_client")
            scene.wait_for(lambda: scene.answered > done, CALL_SECONDS)
        else:
            # the CRM has answered one call more, and the next thing said to the database does not get there, or back
            scene.wait_for(lambda: scene.answered > done, CALL_SECONDS)
            relay = member.relay
            relay.hold("to_server" if self.where == "completion" else "to_client")
            said = relay.passed["to_server"]
            scene.wait_for(lambda: relay.passed["to_server"] > said + 200, CALL_SECONDS)
        scene.end_daemon(member)
        for relay in relays:
            relay.let_go()
        scene.start_daemon(member)

    def __str__(self) -> str:
        words = {
            "answer": "before it hears a CRM's answer",
            "completion": "after a CRM's answer, before the database hears of it",
            "confirmation": "after the database has heard of a CRM's answer, before it confirms",
        }
        return f"daemon {self.daemon} gets SIGKILL {words[self.where]}"


@dataclass(frozen=True)
class Freeze(Event):
    name: ClassVar[str] = "SIGSTOP of a daemon"
    weight: ClassVar[int] = 4
    daemon: int
    seconds: float
    is_given_up: bool

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        is_given_up = chance.random() < 0.7
        # leases end after a minute: what takes the daemons for dead lasts longer here than what they call a moment
        seconds = MORE_THAN_A_MOMENT if is_given_up else chance.choice((0.2, 0.6, 1.2))
        return cls(chance.randrange(plan.daemons), seconds, is_given_up)

    def strike(self, scene: Scene) -> None:
        member = scene.crew[self.daemon]
        scene.stop_daemon(member)
        if self.is_given_up and not scene.bury(member):
            scene.notes.append(f"daemon {self.daemon} stood still with a call under way: its leases go on")
        scene.later(self.seconds, lambda: scene.continue_daemon(member))

    def __str__(self) -> str:
        leases = "its leases end meanwhile" if self.is_given_up else "its leases last"
        return f"daemon {self.daemon} stands still (SIGSTOP) for {self.seconds:g} s, {leases}"


@dataclass(frozen=True)
class Restart(Event):
    name: ClassVar[str] = "SIGTERM of a daemon"
    daemon: int

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.randrange(plan.daemons))

    def strike(self, scene: Scene) -> None:
        member = scene.crew[self.daemon]
        scene.end_daemon(member, signal.SIGTERM)
        scene.start_daemon(member)

    def __str__(self) -> str:
        return f"daemon {self.daemon} gets SIGTERM, and another one starts"


@dataclass(frozen=True)
class ClockSkew(Event):
    name: ClassVar[str] = "clock skew of a daemon"
    is_setting: ClassVar[bool] = True
    daemon: int
    seconds: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.randrange(plan.daemons), chance.choice((-86400.0, -600.0, -3.0, 3.0, 600.0, 86400.0)))

    def strike(self, scene: Scene) -> None:
        scene.crew[self.daemon].clock_shift = self.seconds

    def __str__(self) -> str:
        return f"the clock of daemon {self.daemon} is {self.seconds:+g} s off the database's"
