"""Rows per second from a backlog: the queue's core beside the peers, and the full way, with one and two daemons."""

from __future__ import annotations

from collections.abc import Mapping

from bench.cluster import Cluster
from bench.measure import Spread, spread
from bench.ours import CORE, FULL
from bench.peers import PEERS, Peer
from bench.peers.contest import Drained, drain, installed

ROUNDS = 3
ROWS = 150_000
FEWER_ROUNDS = {"procrastinate": 1, "pg_boss": 1}
"""Who is half as fast as the next at most is not asked again."""
FEWER_ROWS = {FULL.name: 36_000, "procrastinate": 1_500}
"""Who would take minutes gets less to do, which is no disadvantage."""
PROCESSES = (1, 2)
NAMES = {CORE.name: "pg-crm-sync", FULL.name: "pg-crm-sync full"}

Found = dict[tuple[str, int], list[Drained]]
Rates = dict[tuple[str, int], Spread]


def run(running: Cluster) -> Mapping[str, float | None]:
    """Rows per second. A ratio is that of the best rates: ours by the peer's, each with as many processes as suit it."""
    peers = installed(PEERS, running)
    found: Found = {}
    for number in range(ROUNDS):
        for contender in (CORE, *peers, FULL):
            if number >= FEWER_ROUNDS.get(contender.name, ROUNDS):
                continue
            for processes in PROCESSES:
                drained = drain(contender, running, FEWER_ROWS.get(contender.name, ROWS), processes)
                found.setdefault((contender.name, processes), []).append(drained)
                running.say(f"round {number + 1}: {_words(contender, processes, drained)}")
    rates = {key: spread(each.rate for each in drained) for key, drained in found.items()}
    best = {"core_rows_per_s": _best(CORE, rates), "full_rows_per_s": _best(FULL, rates)}
    running.more["spread"] = {name: (round(each.low), round(each.high)) for name, each in best.items()}
    running.more["series"] = {"rates": _series(found)}
    return {**{name: round(each.median) for name, each in best.items()}, **_ratios(rates), **_costs(found)}


def _best(contender: Peer, rates: Rates) -> Spread:
    return max((rates[contender.name, processes] for processes in PROCESSES), key=lambda each: each.median)


def _ratios(rates: Rates) -> Mapping[str, float | None]:
    figures: dict[str, float | None] = {}
    for processes in PROCESSES:
        figures[f"core_rows_per_s_{processes}"] = round(rates[CORE.name, processes].median)
        figures[f"full_rows_per_s_{processes}"] = round(rates[FULL.name, processes].median)
    for peer in PEERS:
        is_there = (peer.name, 1) in rates
        ours = _best(CORE, rates).median
        figures[f"vs_{peer.name}"] = round(ours / _best(peer, rates).median, 2) if is_there else None
        for processes in PROCESSES if is_there else ():
            ratio = rates[CORE.name, processes].median / rates[peer.name, processes].median
            figures[f"vs_{peer.name}_{processes}"] = round(ratio, 2)
    return figures


def _costs(found: Found) -> Mapping[str, float | None]:
    """Microseconds of a core and bytes of WAL for each row, with one process: these hardly vary."""
    figures: dict[str, float | None] = {}
    for (name, processes), drained in found.items():
        if processes == 1:
            figures[f"{name}_cpu_us"] = round(spread(each.cpu_us for each in drained).median, 1)
            figures[f"{name}_wal_bytes"] = round(spread(each.wal_bytes / each.jobs for each in drained).median)
    return figures


def _series(found: Found) -> dict[str, dict[str, list[float]]]:
    series: dict[str, dict[str, list[float]]] = {}
    for (name, processes), drained in found.items():
        series.setdefault(NAMES.get(name, name), {})[str(processes)] = [round(each.rate) for each in drained]
    return series


def _words(contender: Peer, processes: int, drained: Drained) -> str:
    return (
        f"{contender.name:16} {processes} process(es) {drained.rate:8,.0f} rows/s"
        f" {drained.cpu_us:7,.1f} us of a core and {drained.wal_bytes / drained.jobs:6,.0f} bytes of WAL a row"
    )
