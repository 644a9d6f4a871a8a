"""What goes wrong when: the same for the same seed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from random import Random

from tests.prove import faults_daemons, faults_database, faults_disks, faults_moments, faults_network
from tests.prove.events import Event, Plan

KINDS: tuple[type[Event], ...] = (
    faults_daemons.Kill,
    faults_daemons.KillBetween,
    faults_moments.KillAfterMaking,
    faults_daemons.Freeze,
    faults_moments.Overtaken,
    faults_daemons.Restart,
    faults_daemons.ClockSkew,
    faults_database.Crash,
    faults_database.Terminate,
    faults_database.DiskFull,
    faults_disks.DataFull,
    faults_disks.LogFull,
    faults_database.Migrate,
    faults_database.Operate,
    faults_database.Retry,
    faults_database.Cancel,
    faults_network.DeafDatabase,
    faults_network.DeafCrm,
    faults_network.CutOff,
    faults_network.DroppedAnswer,
    faults_network.CutBody,
    faults_network.CutCall,
    faults_network.TooMany,
    faults_network.ServerError,
    faults_network.Html,
    faults_network.Late,
    faults_network.Slow,
    faults_network.Tokens,
    faults_network.Revocation,
    faults_network.Rotation,
    faults_network.IndexLag,
)
CRMS = ("hubspot", "salesforce", "pipedrive")
FEWEST, MOST = 4, 9


@dataclass(frozen=True)
class Planned:
    """An event, and when it happens: seconds from the beginning."""

    number: int
    at: float
    event: Event

    def __str__(self) -> str:
        when = "always " if self.event.is_setting else f"{self.at:4.2f} s "
        return f"{self.number:3d}. {when} {self.event}"


@dataclass(frozen=True)
class Schedule:
    """Who takes part and what happens to them.

    Attributes:
        oauth: for each connection whether it has tokens that expire; first those of the organization that has all CRMs,
            then that of the one that has the first of them.
        transactions: of each producer.
        is_flowing: the first fault comes when rows arrive already, instead of when daemons start.
    """

    seed: int
    crms: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    oauth: tuple[bool, ...]
    transactions: tuple[int, ...]
    seconds: float
    events: tuple[Planned, ...]
    is_flowing: bool

    @classmethod
    def of(cls, seed: int, seconds: float) -> Schedule:
        chance = Random(f"schedule {seed}")
        crms = tuple(chance.sample(CRMS, chance.choice((1, 1, 2, 2, 3))))
        daemons = chance.choice((1, 2, 2, 3))
        plan = Plan(crms, daemons)
        chosen = chance.choices(KINDS, [kind.weight for kind in KINDS], k=chance.randint(FEWEST, MOST))
        events = [
            (0.0 if kind.is_setting else round(chance.uniform(0.05, seconds), 2), kind.make(chance, plan))
            for kind in chosen
        ]
        if any(event.needs_heir for _, event in events):
            daemons = max(daemons, 2)
        events.sort(key=lambda each: (not each[1].is_setting, each[0]))
        return cls(
            seed,
            crms,
            tuple(chance.choice((3, 10, 100)) for _ in range(daemons)),
            # of these CRMs only Salesforce has no token that never expires
            tuple(crm == "salesforce" or chance.random() < 0.7 for crm in (*crms, crms[0])),
            tuple(max(4, round(chance.randint(10, 18) * seconds / 1.5)) for _ in range(2)),
            seconds,
            tuple(Planned(number, at, event) for number, (at, event) in enumerate(events, start=1)),
            chance.random() < 0.8,
        )

    def only(self, numbers: Collection[int]) -> Schedule:
        """The same with these events alone."""
        return replace(self, events=tuple(each for each in self.events if each.number in numbers))

    @property
    def permits(self) -> frozenset[str]:
        return frozenset().union(*(each.event.permits for each in self.events))

    def __str__(self) -> str:
        who = f"{len(self.batch_sizes)} daemon(s), {' and '.join(self.crms)}, {sum(self.transactions)} transactions"
        return "\n".join([f"seed {self.seed}: {who}", *map(str, self.events)])
