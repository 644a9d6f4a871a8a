"""How much of a pipeline's throughput something costs that is done beside it once a second.

Asked is for one number: by how many percent fewer rows are carried. On a shared machine the rate itself is no measure
of that: it varies by a sixth from second to second with what others take of the processors, and a hundred pairs of
seconds leave the mean uncertain by points. What others take cancels out of another measure, rows for each second of a
processor that the pipeline takes (the daemons and all of the server's processes but who asks; by schedstat, which
leaves out what the hypervisor stole). So the loss is put together of its two causes:

- what is done takes A seconds of a processor each second, on the server and in the client, of the B that the
  machine's processors work without it. Whatever runs is taken to lose in proportion. On a machine of its own that is
  the pipeline, which loses all of A; time that was idle before counts as lost as well, so with idle processors it
  loses less than is said;
- what is done makes the pipeline's own work dearer (caches, contention): e rows for a second of a processor become
  e'. A contact takes more than a note, and legs have not the same of each, nor does a batch end where a leg does:
  what is composed and what is settled of each kind is weighed by what it took in all legs together, by least squares.

    loss = 1 - (1 - A / B) * e' / e

Not in it is what makes the pipeline wait without working, as a lock would. That is what the raw loss is for, of the
rates as they are, which is told beside it with its own error: where it is more than that error above this one,
something waits.

Legs with and without follow each other in blocks of four, as ABBA or BAAB by lot, so that what rises or falls is
nobody's, nor what comes every few seconds. The figures of the blocks are averaged without the tenth at each end; the
standard error is that of such a mean (Yuen's, of winsorized values).
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from operator import mul
from pathlib import Path
from statistics import fmean, stdev

import psycopg

from bench.workers import Workers

ROUNDS = 4
"""Of each leg, one a second: batches that are under way at its ends are an error."""
EARLY_SECONDS = 0.05
"""A leg ends with the first report after this much before its time: they come ten times a second."""
REPORT_SECONDS = 10.0
FEWEST_BLOCKS = 3
TRIMMED = 0.1
SEED = 5


@dataclass(frozen=True)
class Leg:
    """Some seconds, with what is done or without."""

    is_done: bool
    rows: int
    work: tuple[int, ...]
    """Done, of each kind."""
    seconds: float
    pipeline: float
    """Seconds of a processor that the pipeline took."""
    doing: float
    """Seconds of a processor that whoever does it took, on the server and here."""
    busy: float
    """Seconds that the processors worked, for whomever."""

    def __add__(self, other: Leg) -> Leg:
        return Leg(
            self.is_done,
            self.rows + other.rows,
            tuple(map(sum, zip(self.work, other.work, strict=True))) if self.work else other.work,
            self.seconds + other.seconds,
            self.pipeline + other.pipeline,
            self.doing + other.doing,
            self.busy + other.busy,
        )


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error, in percent."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} ± {self.error:.2f} %"


@dataclass(frozen=True)
class Loss:
    """What it cost."""

    loss: Estimate
    raw: Estimate
    share: float
    """Percent of the processors' work that what is done takes: the part of the loss that is nearly certain."""
    takes: float
    """Seconds of a processor that what is done takes, each second."""


def measure(
    workers: Workers,
    session: psycopg.Connection,
    do: Callable[[], object],
    blocks: int,
    most_rows: int,
    say: Callable[[str], None],
) -> Loss:
    """Have `do` done once a second in half of the legs; `session` is the one that it uses on the server.

    Of a fast machine's rows fewer blocks are made: none is begun that might run out of work.
    """
    meter = _Meter(workers, session)
    pairs: list[tuple[Leg, Leg]] = []
    lots = random.Random(SEED)
    due = time.monotonic()
    before = meter.read()
    carried = widest = 0
    for _ in range(blocks):
        if len(pairs) >= FEWEST_BLOCKS and carried + 2 * widest > most_rows:
            break
        without, with_it = Leg(False, 0, (), 0, 0, 0, 0), Leg(True, 0, (), 0, 0, 0, 0)
        for is_done in lots.choice(((True, False, False, True), (False, True, True, False))):
            for _ in range(ROUNDS):
                due += 1
                if is_done:
                    do()
                time.sleep(max(0.0, due - EARLY_SECONDS - time.monotonic()))
            after = meter.read()
            work = tuple(now - then for now, then in zip(after[1], before[1], strict=True))
            times = (now - then for now, then in zip(after[2:], before[2:], strict=True))
            leg = Leg(is_done, after[0] - before[0], work, *times)
            without, with_it = (without, with_it + leg) if is_done else (without + leg, with_it)
            before = after
        if not min(without.rows, with_it.rows):
            raise RuntimeError("nothing was carried any more: there are too few contacts for this machine")
        pairs.append((without, with_it))
        carried, widest = carried + without.rows + with_it.rows, max(widest, without.rows + with_it.rows)
        say(
            f"{without.rows / without.seconds:,.0f} rows/s, {with_it.rows / with_it.seconds:,.0f} with it; for a "
            f"second of a processor {without.rows / without.pipeline:,.0f} and {with_it.rows / with_it.pipeline:,.0f}"
        )
    return estimate(pairs)


def estimate(pairs: Sequence[tuple[Leg, Leg]]) -> Loss:
    """The loss by legs without and with what is done."""
    # what is done here in any case, as reading the clocks, is not of it
    idle = fmean(without.doing / without.seconds for without, _ in pairs)
    takes = fmean(done.doing / done.seconds for _, done in pairs) - idle
    share = takes / fmean(without.busy / without.seconds for without, _ in pairs)
    weights = weigh([leg for pair in pairs for leg in pair])
    work = [tuple(sum(map(mul, weights, leg.work)) for leg in pair) for pair in pairs]
    dearer = [(b / done.pipeline) / (a / without.pipeline) for (a, b), (without, done) in zip(work, pairs, strict=True)]
    slower = [(done.rows / done.seconds) / (without.rows / without.seconds) for without, done in pairs]
    return Loss(
        loss=trimmed([100 * (1 - (1 - share) * each) for each in dearer]),
        raw=trimmed([100 * (1 - each) for each in slower]),
        share=100 * share,
        takes=takes,
    )


def weigh(legs: Sequence[Leg]) -> list[float]:
    """What each kind of work takes, by least squares; nothing of a kind that there is none of."""
    kinds = [kind for kind, rows in enumerate(zip(*(leg.work for leg in legs), strict=True)) if any(rows)]
    table = [
        [sum(leg.work[one] * leg.work[other] for leg in legs) for other in kinds]
        + [sum(leg.work[one] * leg.pipeline for leg in legs)]
        for one in kinds
    ]
    for place, row in enumerate(table):  # Gauss and Jordan: the sums of squares are on the diagonal
        if not row[place]:
            continue
        row[:] = [each / row[place] for each in row]
        for other in table:
            if other is not row:
                other[:] = [each - other[place] * mine for each, mine in zip(other, row, strict=True)]
    found = dict(zip(kinds, (row[-1] for row in table), strict=True))
    return [found.get(kind, 0.0) for kind in range(len(legs[0].work))]


def trimmed(values: Sequence[float]) -> Estimate:
    """Their mean without the tenth at each end."""
    ordered = sorted(values)
    cut = int(TRIMMED * len(ordered))
    kept = ordered[cut : len(ordered) - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    return Estimate(fmean(kept), stdev(winsorized) / ((1 - 2 * cut / len(ordered)) * sqrt(len(ordered))))


class _Meter:
    """Rows, time and the processors' time so far."""

    def __init__(self, workers: Workers, session: psycopg.Connection) -> None:
        self._workers = workers
        self._asker = session.info.backend_pid
        self._server = parent(self._asker) or 0
        self._spent: dict[int, float] = {}

    def read(self) -> tuple[int, tuple[int, ...], float, float, float, float]:
        """With the next report: rows, work, seconds, of a processor the pipeline's and the asker's, and everybody's."""
        rows, work, at = self._workers.next_report(REPORT_SECONDS)
        for pid in {*children(self._server), *self._workers.pids} - {self._asker}:
            if (spent := processor_seconds(pid)) is not None:
                self._spent[pid] = spent  # of one that has ended, what it had at last
        doing = (processor_seconds(self._asker) or 0.0) + time.process_time()
        return rows, work, at, sum(self._spent.values()), doing, busy_seconds()


def busy_seconds() -> float:
    """What the processors have worked; neither idle time nor what the hypervisor stole."""
    user, nice, system, _idle, _iowait, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(each.name) for each in Path("/proc").glob("[0-9]*") if parent(int(each.name)) == pid]


def parent(pid: int) -> int | None:
    """Who started a process; None of one that is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def processor_seconds(pid: int) -> float | None:
    """What all threads of a process have taken of the processors; None of one that is gone, and of an autovacuum worker, whose
    work of many seconds falls to whichever leg it meets."""
    try:
        if b"autovacuum worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return None
        return sum(int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return None
