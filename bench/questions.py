"""Every question of docs/questions.md, with a million rows that wait and ten million that are finished.

How long each takes a reader while a daemon works with all it has, and what it costs that daemon that all of them are asked
every second, by what `bench.loss` makes of it; beside it the loss of the rates as they are, and what the questions take of the
processors, all together and the dearest.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import mean, median
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench import loss, standing
from bench.cluster import KEY, Cluster
from bench.workers import Workers
from docs.questions import questions

BLOCKS = 15
"""Of four legs each, four minutes, where the rows last."""
MOST_ROWS = 600_000
"""Carried while it is measured: there are 700,000 contacts, and those who are left have to feed the last batches."""
ALONE_ROUNDS = 10
EVERY_SECONDS = 1.0
WARM_UP_ROUNDS = 15
READY_SECONDS = 60.0
Statements = Mapping[str, tuple[bytes, dict[str, Any] | None]]
COMMAND = (sys.executable, "-m", "bench.null_daemon")
GIVEN = """
select i.id as integration_id, i.organization_id, q.contact_id, q.message_id, now() - interval '1 hour' as at, now() - interval '1 hour' as since
from public.user_integrations as i
join lateral (
  select q.contact_id, q.message_id from public.sync_queue as q
  where q.integration_id = i.id and q.completed_at is null and q.next_attempt_at is null and q.priority = 5
  order by q.id
  limit 1
) as q on true
order by i.id
limit 1
"""


def run(running: Cluster) -> Mapping[str, float | None]:
    """How many there are; the milliseconds of the slowest, as a median; percent of the daemon's rate that it costs to
    ask all of them every second, with its standard error, and by the rates alone; percent of the processors that all of them
    take then, with whoever asks, and the dearest of them."""
    standing.fill(running)
    return ask(running)


def ask(running: Cluster) -> Mapping[str, float | None]:
    took: dict[str, list[float]] = defaultdict(list)
    environ = {
        **os.environ,
        "DATABASE_URL": running.url,
        "INTEGRATION_ENCRYPTION_KEY": KEY,
        "CRM_SYNC_LOG_LEVEL": "error",
    }
    with (
        Workers([COMMAND], environ) as workers,
        psycopg.connect(running.url, autocommit=True) as reader,
    ):
        workers.go()
        given = reader.cursor(row_factory=dict_row).execute(GIVEN).fetchone()
        statements = {
            asked.title: (asked.statement.encode(), given if asked.parameters else None) for asked in questions()
        }
        reader.execute("set role crm_sync_reader")
        _wait_for_tallies(running)
        for _ in range(WARM_UP_ROUNDS):  # statements are prepared, plans are made
            for statement, parameters in statements.values():
                reader.execute(statement, parameters).fetchall()
        spent = _processor_time_of_each(reader, statements)
        lost = loss.measure(workers, reader, lambda: _ask_all(reader, statements, took), BLOCKS, MOST_ROWS, running.say)
    figures = {title: (round(median(each), 1), round(max(each), 1)) for title, each in took.items()}
    for title, (middle, most) in sorted(figures.items(), key=lambda each: -spent[each[0]]):
        running.say(f"{1000 * spent[title]:6.2f} ms of a processor, {middle:6.1f} ms, {most:6.1f} at most: {title}")
    running.more["series"] = {"ms": {title: list(each) for title, each in figures.items()}}
    running.say(f"lost {lost.loss}, of which time {lost.share:.2f} %; by the rates alone {lost.raw}")
    running.more["spread"] = {
        name: (round(each.mean - each.error, 2), round(each.mean + each.error, 2))
        for name, each in (("throughput_loss", lost.loss), ("raw_loss", lost.raw))
    }
    processors = os.cpu_count() or 1
    return {
        "questions": len(statements),
        "worst_ms": max(middle for middle, _ in figures.values()),
        "throughput_loss": round(lost.loss.mean, 2),
        "throughput_loss_error": round(lost.loss.error, 2),
        "raw_loss": round(lost.raw.mean, 2),
        "raw_loss_error": round(lost.raw.error, 2),
        "all_asked_cpu_pct": round(100 * lost.takes / EVERY_SECONDS / processors, 2),
        "dearest_cpu_pct": round(100 * max(spent.values()) / EVERY_SECONDS / processors, 2),
    }


def _ask_all(reader: psycopg.Connection, statements: Statements, took: dict[str, list[float]]) -> None:
    """Each question once; what it took goes to `took`, in milliseconds."""
    for title, (statement, parameters) in statements.items():
        begun = time.monotonic()
        reader.execute(statement, parameters).fetchall()
        took[title].append(1000 * (time.monotonic() - begun))


def _processor_time_of_each(reader: psycopg.Connection, statements: Statements) -> dict[str, float]:
    """What each question takes of a processor on the server, in seconds, asked as often as in the legs."""
    spent: dict[str, list[float]] = defaultdict(list)
    for _ in range(ALONE_ROUNDS):
        time.sleep(EVERY_SECONDS)  # others work meanwhile, as between two rounds of a leg
        for title, (statement, parameters) in statements.items():
            before = _processor_seconds(reader)
            reader.execute(statement, parameters).fetchall()
            spent[title].append(_processor_seconds(reader) - before)
    return {title: mean(each) for title, each in spent.items()}


def _processor_seconds(session: psycopg.Connection) -> float:
    """What the server's process of a session has taken of a processor, to the nanosecond."""
    return int(Path(f"/proc/{session.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


def _wait_for_tallies(running: Cluster) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not running.value("select count(*) = (select count(*) from crm_sync.lanes) from crm_sync.tallies"):
        if time.monotonic() > deadline:
            raise TimeoutError("the daemon has not counted what waits")
        time.sleep(0.5)
