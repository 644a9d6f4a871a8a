"""Classification inserts per second: our doorbell, NOTIFY in every transaction, no NOTIFY at all, and no trigger."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.cluster import KEY, Cluster, furnish

SECONDS = 4
ROUNDS = 3
SCRIPT = """
\\set n random(1, 5000)
insert into public.message_classifications (message_id, intent)
select id, 'question' from bench_messages where n = :n;
"""
RING = "create or replace function crm_sync.ring() returns void language plpgsql set search_path = '' as $$ begin {} end; $$"
WAYS = {
    "notify": RING.format("perform pg_catalog.pg_notify('crm_sync', '');"),
    "silent": RING.format("null;"),
    "bare": "alter table public.message_classifications disable trigger crm_sync_insert",
}


def run(running: Cluster) -> dict[str, float | int | None]:
    """Rates by 1, 16 and 64 clients, and the ratios that are claimed."""
    furnish(running, organizations=1, contacts=5_000)
    running.execute("create table bench_messages as select row_number() over () as n, id from public.inbox_messages")
    running.execute("create unique index on bench_messages (n)")
    doorbell = str(running.value("select pg_get_functiondef('crm_sync.ring()'::regprocedure)"))
    rates: dict[tuple[str, int], list[float]] = {}
    for round_number in range(ROUNDS):
        for clients in (1, 16, 64):
            for way in ("doorbell", *WAYS):
                running.execute(WAYS.get(way, doorbell))
                rate = _measure(running, clients)
                rates.setdefault((way, clients), []).append(rate)
                running.say(f"round {round_number + 1}: {way:8} {clients:2} clients {rate:8,.0f} inserts/s")
                running.execute("alter table public.message_classifications enable trigger crm_sync_insert")
                running.execute("truncate public.sync_queue, public.message_classifications")
    median = {key: statistics.median(values) for key, values in rates.items()}
    figures: dict[str, float | int | None] = {
        f"vs_{way}_{clients}": round(median["doorbell", clients] / median[way, clients], 2)
        for way in WAYS
        for clients in (1, 16, 64)
    }
    return figures | {f"inserts_per_s_{clients}": round(median["doorbell", clients]) for clients in (1, 16, 64)}


def _measure(running: Cluster, clients: int) -> float:
    """Inserts per second while a daemon drains what they enqueue."""
    environ = {
        **os.environ,
        "DATABASE_URL": running.url,
        "INTEGRATION_ENCRYPTION_KEY": KEY,
        "CRM_SYNC_LOG_LEVEL": "error",
    }
    daemon = subprocess.Popen([sys.executable, "-m", "bench.null_daemon"], env=environ, stdout=subprocess.PIPE)
    try:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "insert.sql"
            script.write_text(SCRIPT)
            done = subprocess.run(
                [
                    running.bin_dir / "pgbench",
                    "-n",
                    "-M",
                    "prepared",
                    "-f",
                    script,
                    "-c",
                    str(clients),
                    "-j",
                    "2",
                    "-T",
                    str(SECONDS),
                    running.url,
                ],
                capture_output=True,
                text=True,
                check=True,
            )
    finally:
        daemon.terminate()
        daemon.wait(10)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found.group(1))
