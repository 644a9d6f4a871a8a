"""What a run costs: processor time from /proc, resident memory, write-ahead log; and the spread of repeated figures.

Processor time and WAL for each row hardly vary where rates vary by a factor of two: they are printed beside the rates.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.cluster import Cluster

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Spread:
    """Of repeated runs: what is quoted, and between what it varied."""

    median: float
    low: float
    high: float


def spread(values: Iterable[float]) -> Spread:
    found = list(values)
    return Spread(statistics.median(found), min(found), max(found))


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that is not exceeded by so many percent of them."""
    found = sorted(values)
    return found[max(0, -int(-percent * len(found) // 100) - 1)]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of all its descendants, those that it has outlived included."""
    children: dict[int, list[int]] = defaultdict(list)
    spent: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked; its parent has its time
            children[int(fields[1])].append(int(folder.name))
            spent[int(folder.name)] = sum(int(field) for field in fields[11:15])
    total, family = 0, [pid]
    while family:
        member = family.pop()
        total += spent.get(member, 0)
        family += children[member]
    return total / TICKS


def rss_bytes(pid: int) -> int:
    """Resident memory of one process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES


def postmaster(running: Cluster) -> int:
    """The process all of the server's others descend from."""
    return int(str(running.value("select split_part(pg_read_file('postmaster.pid'), e'\\n', 1)")))


@dataclass(frozen=True)
class Cost:
    """What passed between the construction of a `Meter` and its `stop`.

    Attributes:
        server_cpu: seconds of a core, of all of the server's processes.
        worker_cpu: seconds of a core, of the processes that were named.
    """

    seconds: float
    server_cpu: float
    worker_cpu: float
    wal_bytes: int


class Meter:
    """Measures from its construction on. The processes must live until `stop`."""

    def __init__(self, running: Cluster, pids: Sequence[int] = ()) -> None:
        self._running = running
        self._server = postmaster(running)
        self._pids = tuple(pids)
        self._wal = self._wal_bytes()
        self._server_cpu, self._worker_cpu = self._cpu()
        self._begun = time.monotonic()

    def stop(self) -> Cost:
        seconds = time.monotonic() - self._begun
        server_cpu, worker_cpu = self._cpu()
        return Cost(
            seconds=seconds,
            server_cpu=server_cpu - self._server_cpu,
            worker_cpu=worker_cpu - self._worker_cpu,
            wal_bytes=self._wal_bytes() - self._wal,
        )

    def _cpu(self) -> tuple[float, float]:
        return cpu_seconds(self._server), sum(cpu_seconds(pid) for pid in self._pids)

    def _wal_bytes(self) -> int:
        return int(str(self._running.value("select pg_current_wal_lsn() - '0/0'")))
