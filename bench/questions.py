"""Every question of docs/questions.md, with a million rows that wait and ten million that are finished.

How long each takes a reader while a daemon works with all it has, and what it costs that daemon that all of them are asked
every second: legs of the same length follow each other, with questions and without. Rates vary by more than a tenth from
leg to leg, processor time hardly does: what the questions take of the processors stands beside the loss.
"""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench import standing
from bench.cluster import KEY, Cluster
from bench.workers import Workers
from docs.questions import Question, questions

BLOCKS = 5
"""Of four legs each, the inner two or the outer two with questions: a rate that falls or rises is nobody's."""
LEG_ROUNDS = 3
EVERY_SECONDS = 1.0
WARM_UP_ROUNDS = 15
READY_SECONDS = 60.0
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
    ask all of them every second, as a median; percent of the processors that all of them take then, and the dearest of them."""
    standing.fill(running)
    return ask(running)


def ask(running: Cluster) -> Mapping[str, float | None]:
    asked = questions()
    took: dict[str, list[float]] = defaultdict(list)
    losses: list[float] = []
    environ = {
        **os.environ,
        "DATABASE_URL": running.url,
        "INTEGRATION_ENCRYPTION_KEY": KEY,
        "CRM_SYNC_LOG_LEVEL": "error",
    }
    with (
        Workers([COMMAND], environ) as workers,
        psycopg.connect(running.url, autocommit=True, row_factory=dict_row) as reader,
    ):
        workers.go()
        given = reader.execute(GIVEN).fetchone()
        reader.execute("set role crm_sync_reader")
        _wait_for_tallies(running)
        for _ in range(WARM_UP_ROUNDS):  # statements are prepared, plans are made
            _ask_all(reader, asked, given, defaultdict(list), defaultdict(float))
        cpu, spent = 0.0, defaultdict[str, float](float)
        for block in range(BLOCKS):
            rates: dict[bool, float] = {True: 0.0, False: 0.0}
            for is_polled in ((True, False, False, True), (False, True, True, False))[block % 2]:
                begun, before, cpu_before = time.monotonic(), workers.handled(), _processor_seconds(reader)
                for number in range(LEG_ROUNDS):
                    if is_polled:
                        _ask_all(reader, asked, given, took, spent)
                    time.sleep(max(0.0, begun + (number + 1) * EVERY_SECONDS - time.monotonic()))
                rates[is_polled] += (workers.handled() - before) / (time.monotonic() - begun) / 2
                cpu += _processor_seconds(reader) - cpu_before
            if not min(rates.values()):
                raise RuntimeError("nothing was carried any more: there are too few contacts for this machine")
            losses.append(100 * (1 - rates[True] / rates[False]))
            running.say(f"{rates[False]:,.0f} rows/s, {rates[True]:,.0f} with questions: {losses[-1]:.1f} % less")
    figures = {title: (round(median(each), 1), round(max(each), 1)) for title, each in took.items()}
    for title, (middle, most) in sorted(figures.items(), key=lambda each: -each[1][0]):
        running.say(f"{middle:8.1f} ms, {most:8.1f} at most: {title}")
    running.more["series"] = {"ms": {title: list(each) for title, each in figures.items()}}
    running.more["spread"] = {"throughput_loss": (round(min(losses), 2), round(max(losses), 2))}
    processors = os.cpu_count() or 1
    dearest = max(seconds / len(took[title]) for title, seconds in spent.items())
    return {
        "questions": len(asked),
        "worst_ms": max(middle for middle, _ in figures.values()),
        "throughput_loss": round(median(losses), 2),
        "all_asked_cpu_pct": round(100 * cpu / (BLOCKS * 2 * LEG_ROUNDS * EVERY_SECONDS * processors), 2),
        "dearest_cpu_pct": round(100 * dearest / EVERY_SECONDS / processors, 2),
    }


def _ask_all(
    reader: psycopg.Connection[dict[str, Any]],
    asked: Sequence[Question],
    given: dict[str, Any] | None,
    took: dict[str, list[float]],
    spent: dict[str, float],
) -> None:
    """Each question once; what it took goes to `took`, in milliseconds, and its processor time to `spent`, in seconds."""
    for question in asked:
        begun, before = time.monotonic(), _processor_seconds(reader)
        reader.execute(question.statement.encode(), given if question.parameters else None).fetchall()
        took[question.title].append(1000 * (time.monotonic() - begun))
        spent[question.title] += _processor_seconds(reader) - before


def _processor_seconds(session: psycopg.Connection[dict[str, Any]]) -> float:
    """What the server's process of a session has taken of a processor, to the nanosecond."""
    return int(Path(f"/proc/{session.info.backend_pid}/schedstat").read_text().split()[0]) / 1e9


def _wait_for_tallies(running: Cluster) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not running.value("select count(*) = (select count(*) from crm_sync.lanes) from crm_sync.tallies"):
        if time.monotonic() > deadline:
            raise TimeoutError("the daemon has not counted what waits")
        time.sleep(0.5)
