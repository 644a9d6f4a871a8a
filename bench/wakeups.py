"""Whether the doorbell wakes a sleeping daemon each time, also where transactions stay open for long.

The daemon polls every ten minutes here: a row that nobody rang for would wait so long. Producers commit at once or after
a while, with pauses in which the daemon falls asleep, and write down when they committed what.
"""

from __future__ import annotations

import random
import threading
import time
from uuid import UUID

import psycopg

from bench.cluster import Cluster
from bench.ours import FULL
from bench.workers import Workers

SECONDS = 15.0
PRODUCERS = 8
OPEN_SECONDS = (0.0, 0.0, 0.001, 0.01, 0.1, 0.5, 1.5)
"""How long a transaction stays open after its insert."""
PAUSE_SECONDS = (0.0, 0.002, 0.02, 0.2, 0.6)
LATE_SECONDS = 2.0
INSERT = """
insert into public.message_classifications (message_id, intent)
select id, 'question' from public.inbox_messages order by random() limit 1
returning id
"""
LATE = """
select count(*) from unnest(%s::uuid[], %s::float8[]) as p (id, committed_at)
where not exists (
  select from public.sync_queue as q
  where q.classification_id = p.id and q.queue_type = 'contact_sync' and q.started_at < to_timestamp(p.committed_at + %s)
)
"""


def lost_wakeups(running: Cluster) -> int:
    """How many of the commits no daemon had begun to work on within two seconds."""
    environ = FULL.environ(running.url) | {"CRM_SYNC_POLL_SECONDS": "600"}
    commits: list[tuple[UUID, float]] = []
    with Workers([FULL.command()], environ) as daemon:
        daemon.go()
        until = time.monotonic() + SECONDS
        producers = [
            threading.Thread(target=_produce, args=(running.url, until, seed, commits)) for seed in range(PRODUCERS)
        ]
        for producer in producers:
            producer.start()
        for producer in producers:
            producer.join()
        time.sleep(LATE_SECONDS)
        running.say(f"{len(commits):,} commits, some of transactions that were open for {max(OPEN_SECONDS)} s")
        ids, times = [str(each[0]) for each in commits], [each[1] for each in commits]
        return int(str(running.value(LATE, ids, times, LATE_SECONDS)))


def _produce(url: str, until: float, seed: int, commits: list[tuple[UUID, float]]) -> None:
    chance = random.Random(seed)
    with psycopg.connect(url) as connection:
        while time.monotonic() < until:
            row = connection.execute(INSERT).fetchone()
            assert row is not None
            time.sleep(chance.choice(OPEN_SECONDS))
            connection.commit()
            commits.append((row[0], time.time()))
            time.sleep(chance.choice(PAUSE_SECONDS))
