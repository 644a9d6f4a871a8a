"""Daemons beside daemons: how rates add up, that nothing is done twice, and what one tenant's backlog costs another.

A call takes 50 ms and carries 5 rows, one call of a daemon is under way at once: with four daemons two cores are less
than half busy, so that what is measured is whether daemons hinder each other, not how fast the cores are.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from bench.cluster import KEY, Cluster, furnish
from bench.hosts import Hosts, hosts
from bench.measure import Meter, spread
from bench.workers import Workers

DAEMONS = (1, 2, 4, 8)
ROUNDS = 2
CALL_SECONDS = 0.05
ORGANIZATIONS = 20
CONTACTS = 1_500
WARM_UP_SECONDS = 1.0
SECONDS = 3.0
CROWD = 100_000
STRANGERS = 10
COMMAND = (sys.executable, "-m", "bench.null_daemon")

BACKLOG = (
    "insert into public.message_classifications (message_id, intent) select id, 'question' from public.inbox_messages"
)
CROWD_SCRIPT = (
    f"""
    with k as (
      insert into public.contacts (organization_id, email)
      select o.id, 'crowd' || n || '@example.com' from (select id from public.organizations order by id limit 1) as o, generate_series(1, {CROWD}) as n
      returning organization_id, id
    )
    insert into public.inbox_messages (organization_id, contact_id, body) select organization_id, id, 'Hello' from k
    """,
    """
    insert into public.message_classifications (message_id, intent)
    select m.id, 'question' from public.inbox_messages as m where m.body = 'Hello'
    """,
    "vacuum analyze",
)
STRANGER = """
insert into public.message_classifications (message_id, intent)
select m.id, 'question'
from public.inbox_messages as m
join public.user_integrations as i on i.organization_id = m.organization_id
where i.id = %s and not exists (select from public.message_classifications as c where c.message_id = m.id)
limit 1
"""


def run(running: Cluster) -> dict[str, float | int | None]:
    """Rows per second by daemons, and in relation to as many times one; effects that happened twice; a stranger's wait."""
    furnish(running.url, ORGANIZATIONS, CONTACTS)
    rates: dict[int, list[float]] = {daemons: [] for daemons in DAEMONS}
    doubled = 0
    with hosts(max(DAEMONS), running.url) as places, tempfile.TemporaryDirectory() as folder:
        running.say("network namespaces" if places.are_namespaces else "processes in one network")
        running.execute(BACKLOG)
        running.execute("vacuum analyze")
        for number in range(1, ROUNDS + 1):
            for daemons in DAEMONS:
                rate, busy = _rate(running, places, daemons, Path(folder, "effects"))
                rates[daemons].append(rate)
                running.say(f"round {number}: {daemons} daemon(s) {rate:7,.0f} rows/s, {busy:.0%} of the processors")
        effects = Path(folder, "effects").read_text().split()
        doubled = len(effects) - len(set(effects))
    running.say(f"{len(effects):,} effects, {doubled} of them doubled")
    delays = _stranger_delays(running)
    median = {daemons: spread(values).median for daemons, values in rates.items()}
    running.more["series"] = {
        "rates": {str(daemons): [round(rate) for rate in found] for daemons, found in rates.items()}
    }
    running.more["spread"] = {"stranger_delay_ms": [round(min(delays)), round(max(delays))]}
    return {
        **{f"linear_{daemons}": round(median[daemons] / daemons / median[1], 2) for daemons in DAEMONS[1:]},
        **{f"rows_per_s_{daemons}": round(rate) for daemons, rate in median.items()},
        "doubled": doubled,
        "stranger_delay_ms": round(max(delays)),
        "namespaces": int(places.are_namespaces),
    }


def _environ(url: str, **more: object) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": url,
        "INTEGRATION_ENCRYPTION_KEY": KEY,
        "CRM_SYNC_LOG_LEVEL": "error",
        "BENCH_CALL_SECONDS": str(CALL_SECONDS),
        **{name: str(value) for name, value in more.items()},
    }


def _rate(running: Cluster, places: Hosts, daemons: int, effects: Path) -> tuple[float, float]:
    """Settled rows per second, and the share of all processors that was busy."""
    environ = _environ(places.url, CRM_SYNC_BATCH_SIZE=5, CRM_SYNC_CONCURRENCY=1, BENCH_EFFECTS=effects)
    with Workers([[*prefix, *COMMAND] for prefix in places.prefixes[:daemons]], environ) as workers:
        workers.go()
        time.sleep(WARM_UP_SECONDS)
        meter, before = Meter(running, workers.pids), workers.handled()
        time.sleep(SECONDS)
        cost, settled = meter.stop(), workers.handled() - before
    if not running.value("select exists (select from public.sync_queue where completed_at is null)"):
        raise RuntimeError("the backlog was too small for so many daemons")
    return settled / cost.seconds, (cost.server_cpu + cost.worker_cpu) / cost.seconds / (os.cpu_count() or 1)


def _stranger_delays(running: Cluster) -> Sequence[float]:
    """Milliseconds from a commit to the call that it leads to, while one daemon works on another tenant's backlog."""
    running.execute("truncate public.message_classifications, public.sync_queue")
    for statement in CROWD_SCRIPT:
        running.execute(statement)
    stranger = int(str(running.value("select max(id) from public.user_integrations")))
    environ = _environ(running.url, BENCH_STARTS_OF=stranger)
    delays = []
    with Workers([COMMAND], environ) as workers, psycopg.connect(running.url) as producer:
        workers.go()
        workers.wait_for(1, 60)
        for _ in range(STRANGERS):
            producer.execute(STRANGER, [stranger])
            while not workers.starts().empty():
                workers.starts().get()
            committed = time.monotonic_ns()
            producer.commit()
            delays.append((workers.starts().get(timeout=60) - committed) / 1e6)
            time.sleep(0.5)
        left = running.value("select count(*) from public.sync_queue where completed_at is null")
    running.say(f"a stranger's row waited {max(delays):.0f} ms at most, {left:,} rows of the crowd still waited")
    return delays
