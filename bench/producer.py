"""Classification inserts per second while a daemon drains them: our doorbell beside other ways, and no trigger at all."""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg

from bench.cluster import Cluster, furnish
from bench.ours import FULL
from bench.wakeups import lost_wakeups
from bench.workers import Workers

SECONDS = 2
PACE = {"BENCH_CALL_SECONDS": "0.5", "CRM_SYNC_BATCH_SIZE": "125"}
"""Two batches at a time, 500 rows a second: no daemon is faster than its CRM, and this is what HubSpot's documented limit of
110 calls in 10 s comes to. One without a limit would take the producers' two cores, whoever rings for it."""
UNRUNG = {"CRM_SYNC_LISTEN": "false", "CRM_SYNC_POLL_SECONDS": "1"}
"""Where nobody rings the daemon polls, so that it drains beside the producers as in the other ways."""
ROUNDS = 3
"""The ratios that are claimed are of many clients; one by itself is measured in the first only."""
CLIENTS = (1, 16, 64)
LONGEST_SECONDS = 120.0
MESSAGES = 5_000
SCRIPT = f"""
\\set n random(1, {MESSAGES})
insert into public.message_classifications (message_id, intent)
select id, 'question' from bench_messages where n = :n;
"""
SLEEPERS = "create or replace view crm_sync.sleepers with (security_invoker = true) as "
WAYS = {
    "notify": SLEEPERS + "select '00000000-0000-4000-8000-000000000000'::uuid as id",
    "silent": SLEEPERS + "select null::uuid as id where false",
    "bare": "alter table public.message_classifications disable trigger crm_sync_insert",
}


def run(running: Cluster) -> Mapping[str, float | None]:
    """Rates by 1, 16 and 64 clients, the ratios that are claimed, rows that were not drained, and wake-ups that were lost."""
    furnish(running.url, organizations=1, contacts=MESSAGES)
    running.execute("create table bench_messages as select row_number() over () as n, id from public.inbox_messages")
    running.execute("create unique index on bench_messages (n)")
    doorbell = SLEEPERS + str(running.value("select pg_get_viewdef('crm_sync.sleepers'::regclass)"))
    rates: dict[str, dict[str, list[float]]] = {
        way: {str(clients): [] for clients in CLIENTS} for way in ("doorbell", *WAYS)
    }
    undrained = 0
    for number in range(ROUNDS):
        for clients in CLIENTS[1:] if number else CLIENTS:
            for way in (*list(rates)[number:], *list(rates)[:number]):  # nobody always follows the same one
                running.execute(WAYS.get(way, doorbell))
                is_last = way == "doorbell" and number == ROUNDS - 1
                rate, left = _measure(running, clients, UNRUNG if way == "silent" else {}, until_drained=is_last)
                rates[way][str(clients)].append(rate)
                undrained += left if is_last else 0
                running.say(f"round {number + 1}: {way:8} {clients:2} clients {rate:8,.0f} inserts/s")
                running.execute("alter table public.message_classifications enable trigger crm_sync_insert")
                FULL.clear(running.url)
    running.execute(doorbell)
    lost = lost_wakeups(running)
    running.say(f"{undrained} rows were not drained, {lost} wake-ups were lost")
    running.more["series"] = {"rates": rates}
    return {**_figures(rates), "undrained": undrained, "lost_wakeups": lost}


def _figures(rates: dict[str, dict[str, list[float]]]) -> Mapping[str, float | None]:
    median = {
        way: {clients: statistics.median(each) for clients, each in found.items()} for way, found in rates.items()
    }
    ratios = {
        f"vs_{way}_{clients}": round(median["doorbell"][str(clients)] / median[way][str(clients)], 2)
        for way in WAYS
        for clients in CLIENTS
    }
    return {**ratios, **{f"inserts_per_s_{clients}": round(median["doorbell"][str(clients)]) for clients in CLIENTS}}


def _measure(running: Cluster, clients: int, settings: dict[str, str], *, until_drained: bool) -> tuple[float, int]:
    """Inserts per second while a daemon drains what they enqueue, and how many rows it left, if it is waited for."""
    with Workers([FULL.command()], FULL.environ(running.url) | PACE | settings) as daemon:
        daemon.go()
        rate = _pgbench(running, clients)
    if not until_drained:
        return rate, 0
    with Workers([FULL.command()], FULL.environ(running.url)) as daemon:
        daemon.go()
        with psycopg.connect(running.url, autocommit=True) as watcher:
            deadline = time.monotonic() + LONGEST_SECONDS
            while FULL.is_waiting(watcher) and time.monotonic() < deadline:
                time.sleep(0.1)
        return rate, int(str(running.value(f"select count(*) from ({FULL.unfinished}) as q")))


def _pgbench(running: Cluster, clients: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(SCRIPT)
        words = [
            "-n",
            "-M",
            "prepared",
            "-f",
            str(script),
            "-c",
            str(clients),
            "-j",
            "2",
            "-T",
            str(SECONDS),
            running.url,
        ]
        done = subprocess.run([running.bin_dir / "pgbench", *words], capture_output=True, text=True, check=True)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found is not None, done.stdout
    return round(float(found[1]), 1)
