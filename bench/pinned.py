"""Rate while another session holds a REPEATABLE READ snapshot for a minute, ours beside the peers'.

Each contender works at full speed for a while before the snapshot is taken, in the same run and from the same backlog:
what the snapshot costs is seen beside that, and not beside another table on another minute of the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

from bench.cluster import Cluster
from bench.ours import CORE
from bench.peers import PEERS
from bench.peers.contest import installed, pinned, url_of

FREE_SECONDS = 8
HELD_SECONDS = 60
PEERS_HELD_SECONDS = 15
"""What a snapshot costs a peer grows with time: theirs are their better seconds."""
LAST_SECONDS = 10
WARM_UP_SECONDS = 2
PROCESSES = 1
JOBS = {CORE.name: 5_500_000, "graphile_worker": 1_600_000, "pgqueuer": 600_000, "procrastinate": 30_000}
"""More than each can do in that time."""
NAMES = {CORE.name: "pg-crm-sync"}


def run(running: Cluster) -> Mapping[str, float | None]:
    """The rate of the last seconds in relation to that before the snapshot, and to the best peer's in the same state."""
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    seconds: dict[str, list[float]] = {}
    for contender in (CORE, *installed([peer for peer in PEERS if peer.name in JOBS], running)):
        name = contender.name
        held = HELD_SECONDS if contender is CORE else PEERS_HELD_SECONDS
        rates = pinned(contender, running, FREE_SECONDS, held, PROCESSES, JOBS[name])
        first[name], last[name] = mean(rates[WARM_UP_SECONDS:FREE_SECONDS]), mean(rates[-LAST_SECONDS:])
        seconds[NAMES.get(name, name)] = [round(rate) for rate in rates[FREE_SECONDS:]]
        running.say(f"{name:16} {first[name]:8,.0f} rows/s before, {last[name]:8,.0f} at last")
        contender.clear(url_of(contender, running))
    running.more["series"] = {
        "seconds": seconds,
        "unpinned": {NAMES.get(name, name): round(rate) for name, rate in first.items()},
    }
    peers = [rate for name, rate in last.items() if name != CORE.name]
    return {
        "vs_unpinned": round(last[CORE.name] / first[CORE.name], 2),
        "vs_best_peer": round(last[CORE.name] / max(peers), 2) if peers else None,
        **{f"{name}_rows_per_s": round(rate) for name, rate in last.items()},
        **{f"{name}_vs_unpinned": round(last[name] / first[name], 2) for name in last},
    }
