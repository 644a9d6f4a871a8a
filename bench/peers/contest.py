"""What a peer does in a cluster of ours: its rate from a backlog, its rate under a held snapshot, its latency."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty
from urllib.parse import urlsplit

import psycopg

from bench.cluster import Cluster
from bench.measure import Meter
from bench.peers.base import Peer
from bench.peers.install import UnavailableError
from bench.workers import Workers

LONGEST_SECONDS = 300.0
LOOK_SECONDS = 0.005
WARM_UP = 10
PAUSE_SECONDS = (0.02, 0.06)
"""Between two singles, once nothing is under way any more: nobody's timers shall meet."""


@dataclass(frozen=True)
class Drained:
    """One backlog that was worked off.

    Attributes:
        seconds: from `go` until none is left.
        server_cpu: seconds of a core.
        worker_cpu: seconds of a core, of all worker processes.
    """

    jobs: int
    seconds: float
    server_cpu: float
    worker_cpu: float
    wal_bytes: int

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of a core for each job."""
        return 1e6 * (self.server_cpu + self.worker_cpu) / self.jobs


def installed(peers: Iterable[Peer], running: Cluster) -> list[Peer]:
    """Those that can be had on this machine, installed; of any other it says why not, as its figures will be null."""
    found = []
    for peer in peers:
        try:
            peer.install()
        except UnavailableError as error:
            print(f"{peer.name} is unavailable: {error}", file=sys.stderr, flush=True)
        else:
            found.append(peer)
            running.say(f"{peer.name} {peer.version}: {peer.settings}")
    running.more["peers"] = {peer.name: {"version": peer.version, "settings": peer.settings} for peer in found}
    return found


def url_of(peer: Peer, running: Cluster) -> str:
    """Of the peer's own database on this cluster."""
    return urlsplit(running.url)._replace(path=f"/bench_{peer.name}").geturl()


def stage(peer: Peer, running: Cluster) -> str:
    """The peer's own database, with its schema and without jobs; returns its URL."""
    url = url_of(peer, running)
    name = urlsplit(url).path[1:]
    if running.value("select exists (select from pg_database where datname = %s)", name):
        peer.clear(url)
    else:
        running.execute(f"create database {name}")
        peer.prepare(url)
    return url


def drain(peer: Peer, running: Cluster, jobs: int, processes: int) -> Drained:
    """Work off so many jobs with so many worker processes."""
    url = stage(peer, running)
    peer.fill(url, jobs)
    with Workers([peer.command()] * processes, peer.environ(url)) as workers, _watcher(url) as watcher:
        running.execute("checkpoint")
        meter = Meter(running, workers.pids)
        workers.go()
        workers.wait_for(jobs, LONGEST_SECONDS)
        _wait_until_empty(peer, watcher)
        cost = meter.stop()
    return Drained(jobs, cost.seconds, cost.server_cpu, cost.worker_cpu, cost.wal_bytes)


def pinned(peer: Peer, running: Cluster, free: int, held: int, processes: int, jobs: int) -> list[float]:
    """Jobs per second in each of `free` seconds, and then of `held` seconds in which another session holds a snapshot.

    `jobs` must be enough for the whole run: the rate without a snapshot times the seconds always is.
    """
    url = stage(peer, running)
    peer.fill(url, jobs)
    rates: list[float] = []
    with Workers([peer.command()] * processes, peer.environ(url)) as workers, _watcher(url) as holder:
        running.execute("checkpoint")
        workers.go()
        handled, begun = 0, time.monotonic()
        at = begun
        while len(rates) < free + held:
            if len(rates) == free:
                holder.execute("begin isolation level repeatable read")
                holder.execute("select 1")
            time.sleep(max(0.0, begun + len(rates) + 1 - time.monotonic()))
            before, handled = handled, workers.handled()
            before_at, at = at, time.monotonic()
            if handled >= jobs:
                raise RuntimeError(f"{jobs:,} jobs were not enough for {free + held} s of {peer.name}")
            rates.append((handled - before) / (at - before_at))
    return rates


def latency(peer: Peer, running: Cluster, singles: int) -> list[float]:
    """Milliseconds from the commit of one job in an idle system to the start of its handler."""
    url = stage(peer, running)
    environ = peer.environ(url) | {"BENCH_LATENCY": "1"}
    with (
        Workers([peer.command()], environ) as workers,
        psycopg.connect(url) as producer,
        _watcher(url) as watcher,
    ):
        workers.go()
        return [_single(peer, workers, producer, watcher) for _ in range(WARM_UP + singles)][WARM_UP:]


def _single(peer: Peer, workers: Workers, producer: psycopg.Connection, watcher: psycopg.Connection) -> float:
    peer.enqueue_one(producer)
    committed = time.monotonic_ns()
    producer.commit()
    try:
        started = workers.starts().get(timeout=LONGEST_SECONDS)
    except Empty:
        raise TimeoutError(f"{peer.name} did not start a job") from None
    _wait_until_empty(peer, watcher)
    time.sleep(random.uniform(*PAUSE_SECONDS))
    return (started - committed) / 1e6


def _wait_until_empty(peer: Peer, watcher: psycopg.Connection) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while peer.is_waiting(watcher):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{peer.name} handled all jobs but did not finish them")
        time.sleep(LOOK_SECONDS)


@contextmanager
def _watcher(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection
