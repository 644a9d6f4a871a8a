"""Networks that go deaf, and CRMs that misbehave."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Literal, Self

from sandbox.demo.faults import LIMITED
from sandbox.faults import Fault
from tests.listener.crms import KITS
from tests.listener.relay import WAYS, Relay, Way
from tests.prove.events import Event, Plan
from tests.prove.scene import MORE_THAN_A_MOMENT, Member, Scene, Tenant

TIMEOUT_SECONDS = 0.8
"""Of the daemons' calls, so that a delay beyond it does not take long."""
Ways = tuple[Way, ...]
DEAF: tuple[Ways, ...] = (WAYS, ("to_server",), ("to_client",))
WORDS = {WAYS: "both ways", ("to_server",): "towards it", ("to_client",): "from it"}


def _hear_again(relay: Relay, end: str) -> None:
    if end == "reset":
        relay.reset()
    relay.let_go()


Harm = Mapping[str, Any]


@dataclass(frozen=True)
class DeafDatabase(Event):
    name: ClassVar[str] = "deaf network to Postgres"
    weight: ClassVar[int] = 4
    daemon: int
    ways: Ways
    seconds: float
    end: Literal["goes on", "reset"]
    is_given_up: bool

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        is_given_up = chance.random() < 0.5
        seconds = MORE_THAN_A_MOMENT if is_given_up else chance.choice((0.2, 0.6, 1.2))
        end: Literal["goes on", "reset"] = chance.choice(("goes on", "reset"))
        return cls(chance.randrange(plan.daemons), chance.choice(DEAF), seconds, end, is_given_up)

    def strike(self, scene: Scene) -> None:
        member = scene.crew[self.daemon]
        member.relay.hold(*self.ways)
        if self.is_given_up:
            scene.bury(member)
        scene.later(self.seconds, lambda: self._mend(scene, member))

    def _mend(self, scene: Scene, member: Member) -> None:
        if (left := member.asleep_until - time.monotonic()) > 0:
            scene.later(left, lambda: self._mend(scene, member))
            return
        _hear_again(member.relay, self.end)
        if not member.is_stopped:
            scene.revive(member)

    def __str__(self) -> str:
        ending = "then all connections are reset" if self.end == "reset" else "then goes on"
        leases = ", its leases end meanwhile" if self.is_given_up else ""
        return (
            f"the network between daemon {self.daemon} and Postgres is deaf {WORDS[self.ways]} "
            f"for {self.seconds:g} s{leases}, {ending}"
        )


@dataclass(frozen=True)
class DeafCrm(Event):
    name: ClassVar[str] = "deaf network to a CRM"
    weight: ClassVar[int] = 3
    crm: str
    ways: Ways
    seconds: float
    end: Literal["goes on", "reset"]

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        end: Literal["goes on", "reset"] = chance.choice(("goes on", "reset"))
        return cls(chance.choice(plan.crms), chance.choice(DEAF), chance.choice((0.3, 0.7, 1.2)), end)

    def strike(self, scene: Scene) -> None:
        relay = scene.crms[self.crm].relay
        relay.hold(*self.ways)
        scene.later(self.seconds, lambda: _hear_again(relay, self.end))

    def __str__(self) -> str:
        ending = "then all connections are reset" if self.end == "reset" else "then goes on"
        return f"the network to {self.crm} is deaf {WORDS[self.ways]} for {self.seconds:g} s, {ending}"


@dataclass(frozen=True)
class CutOff(Event):
    name: ClassVar[str] = "connections refused"
    crm: str | None
    daemon: int
    seconds: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        crm = chance.choice((None, *plan.crms))
        return cls(crm, chance.randrange(plan.daemons), chance.choice((0.1, 0.4, 0.8)))

    def strike(self, scene: Scene) -> None:
        relay = scene.crew[self.daemon].relay if self.crm is None else scene.crms[self.crm].relay
        relay.cut()
        scene.later(self.seconds, relay.mend)

    def __str__(self) -> str:
        who = f"daemon {self.daemon} to Postgres" if self.crm is None else f"all to {self.crm}"
        return f"connections of {who} are reset and refused for {self.seconds:g} s"


@dataclass(frozen=True)
class _CrmFault(Event):
    crm: str
    stage: str
    times: int
    skip: int

    weight: ClassVar[int] = 3
    counts_itself: ClassVar[bool] = True
    words: ClassVar[str]
    harm: ClassVar[Harm] = {}

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        crm = chance.choice(plan.crms)
        stage = chance.choice(("any", *KITS[crm].stages))
        return cls(crm, stage, chance.choice((1, 2, 4)), chance.randint(0, 2))

    def strike(self, scene: Scene) -> None:
        stages = KITS[self.crm].stages
        path = ".*" if self.stage == "any" else stages[self.stage].path
        method = None if self.stage == "any" else stages[self.stage].method
        faults = scene.crms[self.crm].emulator.faults
        planned = faults.add(Fault(path=path, method=method, skip=self.skip, times=self.times, **self.as_it_is()))
        scene.at_the_end(lambda: scene.tell(self.name, planned.left < self.times))

    def as_it_is(self) -> Harm:
        """The harm as a `Fault` has it, where it depends on the CRM or on chance."""
        return self.harm

    def _where(self) -> str:
        calls = "calls" if self.stage == "any" else f"calls for {self.stage}"
        return f"{self.times} {calls} to {self.crm} (after {self.skip})"

    def __str__(self) -> str:
        return f"{self._where()}: {self.words}"


class DroppedAnswer(_CrmFault):
    name = "answer dropped after committing"
    weight = 5
    words = "carried out, the answer is dropped"
    harm: ClassVar[Harm] = {"drop_answer": True}


class CutBody(_CrmFault):
    name = "cut body"
    words = "carried out, half of the answer arrives"
    harm: ClassVar[Harm] = {"cut_body": True}


class CutCall(_CrmFault):
    name = "connection cut before the call"
    weight = 2
    words = "cut, and not carried out"
    harm: ClassVar[Harm] = {"cut": True}


class TooMany(_CrmFault):
    name = "burst of 429"
    words = "refused as too many, for a second"

    def as_it_is(self) -> Harm:
        return LIMITED[self.crm]


class ServerError(_CrmFault):
    name = "burst of 5xx"
    words = "answered with 503"
    harm: ClassVar[Harm] = {"status": 503, "body": "busy"}


class Html(_CrmFault):
    name = "HTML instead of JSON"
    words = "answered with a page of HTML"

    def as_it_is(self) -> Harm:
        return {"html": True, "status": 200 if self.skip else 502}


class Late(_CrmFault):
    name = "delay beyond the timeout"
    words = "carried out after the caller has given up"
    harm: ClassVar[Harm] = {"delay": TIMEOUT_SECONDS + 0.2}


class Slow(_CrmFault):
    name = "slow answers"
    weight = 2
    words = "answered late, but in time"
    harm: ClassVar[Harm] = {"delay": 0.3}


def _with_tokens(scene: Scene, place: float) -> Tenant | None:
    """A connection whose tokens can end."""
    tenants = [tenant for tenant in scene.tenants if tenant.oauth]
    return tenants[int(place * len(tenants))] if tenants else None


@dataclass(frozen=True)
class Tokens(Event):
    name: ClassVar[str] = "token expiry"
    counts_itself: ClassVar[bool] = True
    weight: ClassVar[int] = 3
    place: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.random())

    def strike(self, scene: Scene) -> None:
        if (tenant := _with_tokens(scene, self.place)) is not None:
            tenant.crm_side.emulator.end_tokens(tenant.account.number, "expire")
        scene.tell(self.name, tenant is not None)

    def __str__(self) -> str:
        return "the access tokens of a connection expire"


@dataclass(frozen=True)
class Revocation(Event):
    name: ClassVar[str] = "token revocation, and connected again"
    counts_itself: ClassVar[bool] = True
    permits: ClassVar[frozenset[str]] = frozenset({"reconnect"})
    place: float
    seconds: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.random(), chance.choice((0.0, 0.3, 0.8)))

    def strike(self, scene: Scene) -> None:
        tenant = _with_tokens(scene, self.place)
        scene.tell(self.name, tenant is not None)
        if tenant is not None:
            tenant.crm_side.emulator.end_tokens(tenant.account.number, "revoke")
            scene.later(self.seconds, lambda: scene.reconnect(tenant))

    def __str__(self) -> str:
        return f"the tokens of a connection are revoked, and a person connects it again {self.seconds:g} s later"


@dataclass(frozen=True)
class Rotation(Event):
    name: ClassVar[str] = "rotating refresh tokens"
    is_setting: ClassVar[bool] = True
    permits: ClassVar[frozenset[str]] = frozenset({"reconnect"})

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls()

    def strike(self, scene: Scene) -> None:
        scene.rotates = True

    def __str__(self) -> str:
        return "each refresh ends the refresh token that was used"


@dataclass(frozen=True)
class IndexLag(Event):
    name: ClassVar[str] = "index lag"
    weight: ClassVar[int] = 4
    is_setting: ClassVar[bool] = True
    seconds: float
    factor: float

    @classmethod
    def make(cls, chance: Random, plan: Plan) -> Self:
        return cls(chance.choice((2.0, 10.0, 30.0, 30.0)), chance.choice((1.0, 10.0, 20.0)))

    def strike(self, scene: Scene) -> None:
        scene.index_lag = self.seconds
        scene.clock.factor = self.factor

    def __str__(self) -> str:
        return f"the CRMs' search is {self.seconds:g} s behind, by a clock that runs {self.factor:g} times as fast"
