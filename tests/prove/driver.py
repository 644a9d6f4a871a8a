"""`make prove`: many schedules, in lanes beside each other."""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import multiprocessing.util
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.nursery import die_with_parent
from tests.prove.disks import mount_disks
from tests.prove.judge import Verdict
from tests.prove.lane import Lane
from tests.prove.plants import PLANTS
from tests.prove.schedule import KINDS, Schedule
from tests.prove.shrink import shrink

SHRINK_SECONDS = 120.0
MOST_SHRUNK = 3
TRIES = 2
"""How often a part of a failing schedule may come out well before it is believed."""

_lane: Lane | None = None
_stack = ExitStack()


def open_lane(planted: str | None) -> None:
    """In a process of its own: make its lane, which ends with it."""
    global _lane  # noqa: PLW0603
    die_with_parent()
    multiprocessing.util.Finalize(None, _stack.close, exitpriority=10)
    _lane = Lane(_stack, None if planted is None else PLANTS[planted], mount_disks())


def play(seed: int, seconds: float, only: Sequence[int] | None) -> Verdict:
    schedule = Schedule.of(seed, seconds)
    assert _lane is not None
    return _lane.play(schedule if only is None else schedule.only(only))


def shrink_in_lane(verdict: Verdict) -> tuple[int, ...]:
    """The numbers of the fewest events with which this schedule still fails."""
    schedule = verdict.schedule

    def fails(numbers: Sequence[int]) -> bool:
        return any(play(schedule.seed, schedule.seconds, numbers).wrong for _ in range(TRIES))

    return shrink([each.number for each in schedule.events], fails, SHRINK_SECONDS)


@dataclass
class Tally:
    """What was tried, and what came of it."""

    schedules: Counter[str] = field(default_factory=Counter)
    times: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    rows: int = 0
    looks: int = 0
    count: int = 0
    has_disks: bool = True
    failed: list[Verdict] = field(default_factory=list)

    @property
    def words(self) -> str:
        return "nothing lost, nothing doubled" if not self.failed else f"{len(self.failed)} FAILED"

    def add(self, verdict: Verdict) -> None:
        self.count += 1
        self.has_disks = self.has_disks and verdict.has_disks
        names = [each.event.name for each in verdict.schedule.events]
        self.times.update(names)
        self.schedules.update(set(names))
        self.struck += verdict.struck
        self.transactions += verdict.transactions
        self.rows += verdict.rows
        self.looks += verdict.looks
        if verdict.wrong:
            self.failed.append(verdict)
            self.lost.update(set(names))

    def table(self) -> str:
        lines = [f"{'fault':42} {'schedules':>9} {'times':>6} {'struck':>6}  of these failed"]
        for kind in KINDS:
            name, failed = kind.name, self.lost[kind.name] or "none"
            lines.append(f"{name:42} {self.schedules[name]:9d} {self.times[name]:6d} {self.struck[name]:6d}  {failed}")
        return "\n".join(lines)


def command_of(schedule: Schedule, only: Sequence[int]) -> str:
    """What plays a part of a schedule again."""
    events = ",".join(map(str, only)) or "none"
    return f'make prove ARGS="--seed {schedule.seed} --seconds {schedule.seconds:g} --only {events}"'


def report(verdict: Verdict) -> None:
    """Everything about one that failed."""
    print(f"\nFAILED after {verdict.seconds:.1f} s: {verdict.schedule}", flush=True)
    for words in verdict.wrong[:20]:
        print(f"    wrong: {words}")
    if len(verdict.wrong) > 20:
        print(f"    … and {len(verdict.wrong) - 20} more")
    for words in verdict.notes[:10]:
        print(f"    note: {words}")


def numbers(text: str) -> list[int]:
    return [] if text == "none" else [int(each) for each in text.split(",")]


def at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("less than one proves nothing")
    return number


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """What was asked for; ends the process, with words, where it makes no sense."""
    parser = argparse.ArgumentParser(prog="make prove", description="Nothing lost, nothing doubled: prove it.")
    parser.add_argument("--schedules", type=at_least_one, default=320, help="how many (320)")
    parser.add_argument("--seconds", type=float, default=1.5, help="how long each has faults (1.5)")
    parser.add_argument("--lanes", type=at_least_one, default=3, help="how many are played at once (3)")
    parser.add_argument("--start", type=int, help="the first seed; random without")
    parser.add_argument("--seed", type=int, help="play this one alone")
    parser.add_argument("--only", type=numbers, help="with --seed: these of its events alone, as 2,5 or none")
    parser.add_argument("--repeat", type=at_least_one, default=1, help="with --seed: so many times")
    parser.add_argument("--minutes", type=float, default=14.0, help="start no schedule after that (14)")
    parser.add_argument("--plant", choices=sorted(PLANTS), help="break something first, until it is found")
    parser.add_argument("--verbose", action="store_true", help="print every schedule and the daemons' last words")
    given = parser.parse_args(arguments)
    if given.only is not None:
        if given.seed is None:
            parser.error("--only is about the events of one schedule: give its --seed")
        there = {each.number for each in Schedule.of(given.seed, given.seconds).events}
        if missing := set(given.only) - there:
            parser.error(f"schedule {given.seed} has no event {min(missing)}; it has {min(there)} to {max(there)}")
    return given


def seeds(given: argparse.Namespace) -> Iterator[int]:
    if given.seed is not None:
        yield from [given.seed] * given.repeat
        return
    start = secrets.randbelow(1_000_000) if given.start is None else given.start
    print(f"start seed {start} (--start {start} plays the same ones again)", flush=True)
    about = set() if given.plant is None else set(PLANTS[given.plant].shown_by)
    asked = (
        seed
        for seed in itertools.count(start)
        if not about or about & {type(each.event).__name__ for each in Schedule.of(seed, given.seconds).events}
    )
    yield from itertools.islice(asked, given.schedules)


class Driver:
    """Plays schedules in lanes, processes of their own, and has parts of those that fail played again."""

    def __init__(self, lanes: int, seconds: float, *, planted: str | None = None, verbose: bool = False) -> None:
        self.tally = Tally()
        self.seconds = seconds
        self._lanes, self._verbose = lanes, verbose
        self._pool = ProcessPoolExecutor(lanes, multiprocessing.get_context("spawn"), open_lane, (planted,))

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def play(
        self,
        seeds: Iterable[int],
        *,
        only: Sequence[int] | None = None,
        minutes: float = 60.0,
        shrinks: int = 0,
        until_failed: bool = False,
    ) -> Tally:
        """Play these, as long as there are minutes left; then shrink the first few that failed.

        `until_failed`: begin no other once one has failed.
        """
        began, waiting = time.monotonic(), iter(seeds)
        playing: set[Future[Verdict]] = set()

        def play_next() -> None:
            is_over = time.monotonic() > began + minutes * 60 or (until_failed and self.tally.failed)
            seed = None if is_over else next(waiting, None)
            if seed is not None:
                playing.add(self._pool.submit(play, seed, self.seconds, only))

        for _ in range(self._lanes):
            play_next()
        while playing:
            ended, playing_on = wait(playing, return_when=FIRST_COMPLETED)
            playing.intersection_update(playing_on)
            for future in ended:
                self._take(future.result(), began)
                play_next()
        futures = [(self._pool.submit(shrink_in_lane, each), each) for each in self.tally.failed[:shrinks]]
        for shrunk, verdict in futures:
            kept = shrunk.result()
            print(f"\nseed {verdict.schedule.seed} still fails with these alone:")
            print("\n".join(map(str, verdict.schedule.only(kept).events)) or "   (no event at all)")
            print(f"    {command_of(verdict.schedule, kept)}", flush=True)
        return self.tally

    def _take(self, verdict: Verdict, began: float) -> None:
        self.tally.add(verdict)
        if self._verbose:
            words = [f"  note: {note}" for note in verdict.notes]
            print(
                "\n".join([f"{verdict.seconds:5.1f} s {verdict.schedule}", f"  {verdict.phases}", *words]), flush=True
            )
        if verdict.wrong:
            report(verdict)
            if self._verbose:
                print("\n".join(verdict.logs), flush=True)
        elif self.tally.count % 20 == 0:
            print(f"{self.tally.count} schedules, {time.monotonic() - began:.0f} s", flush=True)


def main(arguments: Sequence[str]) -> int:
    given = options(arguments)
    began = time.monotonic()
    lanes = given.lanes if given.seed is None else min(given.lanes, given.repeat)
    driver = Driver(lanes, given.seconds, planted=given.plant, verbose=given.verbose)
    try:
        shrinks = MOST_SHRUNK if given.seed is None and given.plant is None else 0
        until_failed = given.plant is not None
        tally = driver.play(
            seeds(given), only=given.only, minutes=given.minutes, shrinks=shrinks, until_failed=until_failed
        )
    finally:
        driver.close()
    seconds = time.monotonic() - began
    print(f"\n{tally.table()}\n")
    counted = f"{tally.count} schedules, {tally.transactions} transactions, {tally.rows} rows, {tally.looks} snapshots"
    print(f"{counted}, {seconds:.0f} s: {tally.words}")
    if not tally.has_disks:
        print("No disk was really full: that takes root, the right to mount, and an empty /mnt, /media, /srv or /opt.")
        print("Instead the daemons' tables refused with 53100, and Postgres was stopped at once.")
    if given.plant is not None:
        words = f"found after {tally.count} schedules, {seconds:.0f} s" if tally.failed else "NOT FOUND"
        print(f"planted: {PLANTS[given.plant].words}: {words}")
    elif given.seed is None and tally.count < given.schedules:
        print(f"The {given.minutes:g} minutes were over before all {given.schedules} had been played.")
    failed = [each.schedule.seed for each in tally.failed]
    print(json.dumps({"schedules": tally.count, "failed": failed, "seconds": round(seconds, 1)}))
    return int(bool(tally.failed) != (given.plant is not None))
