"""What a daemon costs that has nothing to do, and how soon one is at work: memory, processor time, start."""

from __future__ import annotations

import time

from bench.cluster import Cluster, furnish
from bench.daemon import daemon
from bench.measure import Meter, rss_bytes, spread
from bench.portal import portal

STARTS = 5
SETTLE_SECONDS = 3.0
IDLE_SECONDS = 20.0
ORGANIZATIONS = 5
CONTACTS = 800
LONGEST_SECONDS = 60.0

BACKLOG = """
insert into public.message_classifications (message_id, intent)
select id, case when row_number() over () % 4 = 0 then 'interested' else 'question' end from public.inbox_messages
"""
OPEN = "select exists (select from public.sync_queue where completed_at is null)"


def run(running: Cluster) -> dict[str, float | int | None]:
    """Megabytes (a million bytes) of resident memory, percent of a core, seconds from exec to READY."""
    furnish(running.url, ORGANIZATIONS, CONTACTS)
    ready = spread([_start(running) for _ in range(STARTS)])
    running.say(f"ready after {ready.median:.2f} s ({ready.low:.2f} to {ready.high:.2f}, {STARTS} starts)")
    with portal(running), daemon(running) as ours:
        time.sleep(SETTLE_SECONDS)
        meter = Meter(running, [ours.pid])
        time.sleep(IDLE_SECONDS)
        idle, idle_rss = meter.stop(), rss_bytes(ours.pid)
        running.say(
            f"idle: {idle_rss / 1e6:.1f} MB, {100 * idle.worker_cpu / idle.seconds:.2f} % of a core, "
            f"the server {100 * idle.server_cpu / idle.seconds:.2f} %"
        )
        running.execute(BACKLOG)
        _wait_until_settled(running)
        worked_rss = rss_bytes(ours.pid)
        running.say(f"after a backlog of {ORGANIZATIONS * CONTACTS:,} replies: {worked_rss / 1e6:.1f} MB")
    running.more["spread"] = {"ready_s": [round(ready.low, 2), round(ready.high, 2)]}
    return {
        "rss_mb": round(max(idle_rss, worked_rss) / 1e6, 1),
        "rss_idle_mb": round(idle_rss / 1e6, 1),
        "idle_cpu_pct": round(100 * idle.worker_cpu / idle.seconds, 2),
        "idle_server_cpu_pct": round(100 * idle.server_cpu / idle.seconds, 2),
        "ready_s": round(ready.median, 2),
    }


def _start(running: Cluster) -> float:
    with daemon(running) as ours:
        return ours.ready_seconds


def _wait_until_settled(running: Cluster) -> None:
    deadline = time.monotonic() + LONGEST_SECONDS
    while running.value(OPEN):
        if time.monotonic() > deadline:
            raise TimeoutError("the backlog was not worked off")
        time.sleep(0.1)
