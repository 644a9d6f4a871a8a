"""Rate of claim and complete with more and more rows waiting, and with ten million finished rows in the table."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

import psycopg

from bench.cluster import Cluster
from bench.load import load
from bench.ours import CORE, Ours
from bench.peers.contest import stage, url_of
from bench.workers import Workers

WAITING = (10_000, 100_000, 1_000_000, 5_000_000)
FINISHED = 10_000_000
ROUNDS = 2
WARM_UP = 10_000
"""Rows whose time is not counted: each connection plans its statements once."""
ROWS = 90_000
"""Rows whose time is; a backlog of fewer is filled up as often as it takes."""
LONGEST_SECONDS = 120.0


def run(running: Cluster) -> Mapping[str, float | None]:
    """Rows per second by the size of the backlog, and the worst of them in relation to that of the smallest."""
    sizes = {str(rows): (rows, 0) for rows in WAITING} | {"finished": (WAITING[1], FINISHED)}
    contenders = {name: replace(CORE, name=f"{CORE.name}_{name}") for name in sizes}
    rates: dict[str, list[float]] = {name: [] for name in sizes}
    for name, (waiting, finished) in sizes.items():
        begun = time.monotonic()
        url = stage(contenders[name], running)
        load(url, waiting if waiting > WAITING[1] else 0, finished)
        running.say(f"{waiting:,} waiting and {finished:,} finished rows: {time.monotonic() - begun:.0f} s")
    for number in range(ROUNDS):
        for name, (waiting, _) in sizes.items():
            rates[name].append(_rate(contenders[name], running, waiting))
            running.say(f"round {number + 1}: {name:>9} {rates[name][-1]:8,.0f} rows/s")
    found = {name: median(each) for name, each in rates.items()}
    smallest, *others = found.values()
    running.more["series"] = {"rates": {name: [round(rate) for rate in each] for name, each in rates.items()}}
    running.more["spread"] = {
        f"rows_per_s_{name}": (round(min(each)), round(max(each))) for name, each in rates.items()
    }
    return {"flat": round(min(others) / smallest, 2)} | {
        f"rows_per_s_{name}": round(rate) for name, rate in found.items()
    }


def _rate(contender: Ours, running: Cluster, waiting: int) -> float:
    """Rows per second from a backlog of this size, which is made up again to that size first."""
    url = url_of(contender, running)
    fills = max(1, (WARM_UP + ROWS) // waiting)
    environ = contender.environ(url) | {"BENCH_ROWS": str(WARM_UP + ROWS)}
    if fills == 1:
        with psycopg.connect(url, autocommit=True) as connection:
            missing = waiting - _waiting(connection)
        contender.fill(url, missing)
    running.execute("checkpoint")
    with Workers([contender.command()], environ) as workers, psycopg.connect(url, autocommit=True) as producer:
        workers.go()
        if fills == 1:
            workers.wait_for(WARM_UP, LONGEST_SECONDS)
            begun, before = time.monotonic(), workers.handled()
            workers.wait_for(WARM_UP + ROWS, LONGEST_SECONDS)
            return (workers.handled() - before) / (time.monotonic() - begun)
        seconds = 0.0
        for number in range(fills):
            producer.execute(contender.enqueue.encode(), {"jobs": waiting})
            begun = time.monotonic()
            workers.wait_for((number + 1) * waiting, LONGEST_SECONDS)
            seconds += time.monotonic() - begun if number else 0.0
        return (fills - 1) * waiting / seconds


def _waiting(connection: psycopg.Connection) -> int:
    row = connection.execute("select count(*) from public.sync_queue where status in ('pending', 'retry')").fetchone()
    assert row is not None
    return int(row[0])
