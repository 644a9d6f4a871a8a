"""A backlog that three daemons drain: the calls, the time, and how much of the CRM's budget they used."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from bench.cluster import KEY, Cluster
from bench.connection import Connection, reply
from bench.daemon import COMMAND
from sandbox.demo.control import Control
from sandbox.demo.stage import APPS

DAEMONS = 3
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 240.0
THROTTLED = ("403", "429")

SPENT = """
select b.name, b.spent, l.calls / l.seconds
from crm_sync.budgets as b
join public.user_integrations as i on i.id = b.integration_id
join public.integration_providers as p on p.id = i.provider_id
cross join lateral jsonb_to_record(p.config -> 'limits' -> b.name) as l (calls float8, seconds float8)
where p.name = %s and l.seconds < 86400
"""
OPEN = "select exists (select from public.sync_queue where status in ('pending', 'processing', 'retry'))"
TROUBLE = """
select string_agg(distinct q.status || ' ' || q.queue_type || ': ' || coalesce(q.last_error, 'no error'), '; ')
from public.sync_queue as q where q.status not in ('completed', 'pending')
"""


@dataclass(frozen=True)
class Leg:
    """One drained backlog.

    Attributes:
        calls: of the account, whatever they were for.
        seconds: of our clock, from the start of the daemons to the last row settled.
        share: see `_share`.
    """

    calls: int
    seconds: float
    throttled: int
    share: float | None


def drain(running: Cluster, control: Control, connection: Connection) -> Leg:
    """Let every contact reply, and wait until three daemons have carried it all."""
    reply(running, connection)
    before = control.calls(connection.crm)[str(connection.account)]
    started = time.monotonic()
    with psycopg.connect(running.url, autocommit=True) as session:
        looks = [_look(session, connection.crm)]
        with _daemons(running):
            while looks[-1].is_open:
                if time.monotonic() - started > LONGEST_SECONDS:
                    raise TimeoutError(f"{connection.crm}'s backlog was not drained: {running.value(TROUBLE)}")
                time.sleep(LOOK_SECONDS)
                looks.append(_look(session, connection.crm))
    if trouble := running.value(TROUBLE):
        raise RuntimeError(f"{connection.crm} did not take everything: {str(trouble)[:2_000]}")
    after = control.calls(connection.crm)[str(connection.account)]
    return Leg(
        calls=after["total"] - before["total"],
        seconds=looks[-1].at - started,
        throttled=sum(after["by_status"].get(code, 0) - before["by_status"].get(code, 0) for code in THROTTLED),
        share=_share(looks),
    )


@dataclass(frozen=True)
class _Look:
    """At a moment: whether work is open, what was taken from each short limit, and how much of it a second allows."""

    at: float
    is_open: bool
    spent: Mapping[str, tuple[int, float]]


def _look(session: psycopg.Connection, crm: str) -> _Look:
    rows = session.execute(SPENT, [crm]).fetchall()
    row = session.execute(OPEN).fetchone()
    assert row is not None
    return _Look(time.monotonic(), row[0], {name: (spent, rate) for name, spent, rate in rows})


def _share(looks: Sequence[_Look]) -> float | None:
    """Of the limit that bound most, the share that was used. The first and the last tenth of the calls are left out:
    a start and an end have less to do than the limit allows. None where the CRM limits nothing but a day's calls."""
    return max((_share_of(name, looks) for name in looks[-1].spent), default=None)


def _share_of(name: str, looks: Sequence[_Look]) -> float:
    seen = [(each.at, *each.spent.get(name, (0, 0.0))) for each in looks]
    least, (_, most, rate) = seen[0][1], seen[-1]
    begun, ended = (
        next((at, spent) for at, spent, _ in seen if spent - least >= part * (most - least)) for part in (0.1, 0.9)
    )
    return (ended[1] - begun[1]) / (rate * (ended[0] - begun[0])) if ended[0] > begun[0] else 0.0


@contextmanager
def _daemons(running: Cluster) -> Iterator[None]:
    environ = {
        **os.environ,
        **APPS,
        "DATABASE_URL": running.url,
        "INTEGRATION_ENCRYPTION_KEY": KEY,
        "CRM_SYNC_LOG_LEVEL": "error",
        "CRM_SYNC_STOP_SECONDS": "0.5",
    }
    workers = [subprocess.Popen(COMMAND, env=environ) for _ in range(DAEMONS)]
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(10)
