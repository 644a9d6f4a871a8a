"""From the commit of one classification in an idle system to the HTTP request that the emulated CRM receives.

The contacts are new to the CRM, its account and schema are known. Beside the peers, from the commit of one job to the
start of its handler in the worker's own process: they have no claim to compose, no budget to ask and no request to send.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

import psycopg

from bench.cluster import Cluster, furnish
from bench.daemon import daemon
from bench.measure import percentile, spread
from bench.peers import PEERS
from bench.peers.contest import PAUSE_SECONDS, WARM_UP, installed, latency
from bench.portal import portal

SINGLES = 300
PEER_SINGLES = 90
ROUNDS = 3
LOOK_SECONDS = 0.005
LONGEST_SECONDS = 20.0

INSERT = """
insert into public.message_classifications (message_id, intent)
select m.id, 'question' from public.inbox_messages as m
where not exists (select from public.message_classifications as c where c.message_id = m.id)
limit 1
"""
IS_IDLE = """
select not exists (select from public.sync_queue where completed_at is null)
  and coalesce((select bool_and(armed) from crm_sync.daemons), false)
"""


def run(running: Cluster) -> dict[str, float | int | None]:
    """Milliseconds at the 50th and 99th percentile, ours and each peer's, and our median in relation to the best's."""
    peers = installed(PEERS, running)
    furnish(running.url, organizations=1, contacts=SINGLES + WARM_UP)
    found: dict[str, list[float]] = {name: [] for name in ("pg-crm-sync", *(peer.name for peer in peers))}
    medians: list[float] = []
    with _ours(running) as singles:
        for number in range(1, ROUNDS + 1):
            mine = [singles() for _ in range(SINGLES // ROUNDS)]
            medians.append(percentile(mine, 50))
            found["pg-crm-sync"] += mine
            for peer in peers:
                found[peer.name] += latency(peer, running, PEER_SINGLES // ROUNDS)
            for name, values in found.items():
                p50, p99 = percentile(values, 50), percentile(values, 99)
                running.say(f"round {number}: {name:16} p50 {p50:6.2f} ms, p99 {p99:6.2f} ms so far")
    figures: dict[str, float | int | None] = {}
    for name, values in found.items():
        prefix = "" if name == "pg-crm-sync" else f"{name}_"
        figures[f"{prefix}p50_ms"] = round(percentile(values, 50), 2)
        figures[f"{prefix}p99_ms"] = round(percentile(values, 99), 2)
    best = min((percentile(found[peer.name], 50) for peer in peers), default=None)
    figures["vs_best_peer_p50"] = None if best is None else round(percentile(found["pg-crm-sync"], 50) / best, 2)
    rounds = spread(medians)
    running.more["spread"] = {"p50_ms": [round(rounds.low, 2), round(rounds.high, 2)]}
    running.more["series"] = {"ms": {name: [round(value, 2) for value in values] for name, values in found.items()}}
    return figures


@contextmanager
def _ours(running: Cluster) -> Iterator[Callable[[], float]]:
    """A daemon at rest beside its CRM; each call is one single, and returns when all of it has come to rest again."""
    with (
        portal(running) as crm,
        daemon(running),
        psycopg.connect(running.url) as producer,
        psycopg.connect(running.url, autocommit=True) as watcher,
    ):

        def single() -> float:
            producer.execute(INSERT)
            _forget(crm.starts())
            committed = time.monotonic_ns()
            producer.commit()
            try:
                arrived = crm.starts().get(timeout=LONGEST_SECONDS)
            except Empty:
                raise TimeoutError("no request arrived") from None
            _wait_until_idle(watcher)
            return (arrived - committed) / 1e6

        _wait_until_idle(watcher)
        for _ in range(WARM_UP):
            single()
        yield single


def _forget(arrivals: SimpleQueue[int]) -> None:
    """Of the single before, what came after its first request."""
    while not arrivals.empty():
        arrivals.get()


def _wait_until_idle(watcher: psycopg.Connection) -> None:
    """Until nothing is under way and the daemon asks to be rung; and a moment more."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while (row := watcher.execute(IS_IDLE).fetchone()) is None or not row[0]:
        if time.monotonic() > deadline:
            raise TimeoutError("the daemon did not come to rest")
        time.sleep(LOOK_SECONDS)
    time.sleep(random.uniform(*PAUSE_SECONDS))
