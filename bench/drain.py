"""Rows per second from a backlog, the full way: claim, compose, null provider, mapping, log, counters, follow-ups."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from bench.cluster import KEY, Cluster, furnish

ORGANIZATIONS = 20
CONTACTS = 500
ROUNDS = 3


def run(running: Cluster) -> dict[str, float | int | None]:
    """Settled rows per second with one and two daemons."""
    furnish(running, ORGANIZATIONS, CONTACTS)
    rates: dict[int, list[float]] = {1: [], 2: []}
    for round_number in range(ROUNDS):
        for daemons, found in rates.items():
            rate = _drain(running, daemons)
            found.append(rate)
            running.say(f"round {round_number + 1}: {daemons} daemon(s) {rate:8,.0f} rows/s")
    return {
        "full_rows_per_s": round(statistics.median(rates[1])),
        "full_rows_per_s_2": round(statistics.median(rates[2])),
    }


def _drain(running: Cluster, daemons: int) -> float:
    running.execute(
        "truncate public.message_classifications, public.sync_queue, public.contact_sync_mappings, crm_sync.effects, "
        "public.sync_activity_logs"
    )
    running.execute(
        "insert into public.message_classifications (message_id, intent) "
        "select id, case when random() < 0.25 then 'interested' else 'question' end from public.inbox_messages"
    )
    running.execute("vacuum analyze public.sync_queue")
    environ = {
        **os.environ,
        "DATABASE_URL": running.url,
        "INTEGRATION_ENCRYPTION_KEY": KEY,
        "CRM_SYNC_LOG_LEVEL": "error",
        "CRM_SYNC_BATCH_SIZE": "500",
    }
    started = time.monotonic()
    workers = [subprocess.Popen([sys.executable, "-m", "bench.null_daemon"], env=environ) for _ in range(daemons)]
    try:
        deadline = started + 300
        while running.value(
            "select exists (select from public.sync_queue where status in ('pending', 'processing', 'retry'))"
        ):
            if time.monotonic() > deadline:
                raise TimeoutError("the backlog was not drained")
            time.sleep(0.05)
        elapsed = time.monotonic() - started
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(10)
    return int(str(running.value("select count(*) from public.sync_queue where status = 'completed'"))) / elapsed
