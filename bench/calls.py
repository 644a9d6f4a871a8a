"""API calls for each contact of a backlog, through the whole pipeline, with the documented limits enforced.

For each CRM one connection with 2,000 contacts of 400 companies, one reply each, one in four interested, the timeline
on. The backlog is there before three daemons start: rows that wait are what makes batches full. The emulated CRMs run
in a process of their own, on clocks that run faster than ours; our budgets' seconds are divided by the same factor, so
that the budgets bind as they would in reality.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg

from bench.cluster import KEY, Cluster
from bench.crms import emulators
from bench.one_by_one import WAYS
from sandbox.demo.control import Control
from sandbox.demo.crms import CRMS, connection_of
from sandbox.demo.facts import Facts
from sandbox.demo.stage import APPS, TOKEN_SECONDS

CONTACTS = 2_000
COMPANIES = 400
DEALS = CONTACTS // 4
DAEMONS = 3
LOOK_SECONDS = 0.1
LONGEST_SECONDS = 240.0
THROTTLED = ("403", "429")
SAMPLE = 200
SAMPLE_SPEED = 10.0


@dataclass(frozen=True)
class Course:
    """How one CRM is run.

    Attributes:
        speed: how much faster its clock runs.
        account: what its account is opened with.
        limits: calls of those of our limits that differ for such an account.
    """

    speed: float
    account: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)


# Pipedrive's day has 30,000 tokens a seat on its smallest plan: 2,000 new contacts in one day take a team of ten.
COURSES = {
    "hubspot": Course(1.0),
    "salesforce": Course(1.0),
    "pipedrive": Course(2.0, {"plan": "lite", "seats": 10}, {"daily": 300_000}),
}

HOST = """
with o as (insert into public.organizations (name) values (%(name)s) returning id),
k as (
  insert into public.contacts (organization_id, email, first_name, last_name, company, phone)
  select o.id, 'p' || n || '@company' || n %% %(companies)s || '.example', 'First' || n, 'Last' || n, 'Company ' || n %% %(companies)s,
    '+44 20 ' || n
  from o, generate_series(1, %(contacts)s) as n
  returning id, organization_id, email
)
select id from o
"""
REPLIES = """
insert into public.inbox_messages (organization_id, contact_id, subject, body)
select organization_id, id, 'Re: hello', 'Thank you for your message, let us talk.'
from public.contacts where organization_id = %(organization_id)s
"""
BACKLOG = """
insert into public.message_classifications (message_id, intent, sentiment, priority, confidence)
select m.id, case when substring(k.email from '\\d+')::integer %% 4 = 0 then 'interested' else 'question' end, 'positive', 'medium', 0.9
from public.inbox_messages as m join public.contacts as k on k.id = m.contact_id
where m.organization_id = %(organization_id)s
  and not exists (select from public.message_classifications as c where c.message_id = m.id)
"""
SPENT = """
select b.name, b.spent, l.calls / l.seconds
from crm_sync.budgets as b
join public.user_integrations as i on i.id = b.integration_id
join public.integration_providers as p on p.id = i.provider_id
cross join lateral jsonb_to_record(p.config -> 'limits' -> b.name) as l (calls float8, seconds float8)
where p.name = %s and l.seconds < 3600
"""
OPEN = "select exists (select from public.sync_queue where status in ('pending', 'processing', 'retry'))"


@dataclass(frozen=True)
class Leg:
    """One drained backlog.

    Attributes:
        calls: of the account, whatever they were for.
        seconds: from the start of the daemons to the last row settled.
        share: see `_share`.
    """

    calls: int
    seconds: float
    throttled: int
    share: float | None


def run(running: Cluster) -> dict[str, float | int | None]:
    """Calls per contact by CRM, and what a client that searches and writes one by one makes of the same."""
    figures: dict[str, float | int | None] = {}
    throttled = 0
    with emulators({crm: course.speed for crm, course in COURSES.items()}) as control:
        for crm, course in COURSES.items():
            account, organization_id = _connect(running, control, crm, course)
            names = [crm] if crm != "pipedrive" else ["pipedrive_new", "pipedrive_known"]
            for times, name in enumerate(names, 1):
                leg = _drain(running, control, crm, account, organization_id)
                _check(crm, CRMS[crm].reading.facts(control.ledger(crm, account), _today()), times)
                throttled += leg.throttled
                figures[name] = round(leg.calls / CONTACTS, 4)
                figures[f"{name}_seconds"] = round(leg.seconds, 1)
                figures[f"{name}_budget_share"] = None if leg.share is None else round(leg.share, 2)
                bound = "no limit binds" if leg.share is None else f"{leg.share:.0%} of the budget"
                running.say(
                    f"{name:16} {leg.calls:6,} calls, {leg.calls / CONTACTS:.4f} per contact, {leg.seconds:5.1f} s at "
                    f"speed {course.speed:g}, {bound}, {leg.throttled} throttled"
                )
            figures[f"{crm}_speed"] = course.speed
    figures["throttled"] = throttled
    return figures | _one_by_one(running)


def _connect(running: Cluster, control: Control, crm: str, course: Course) -> tuple[int, str]:
    """An organization with contacts and one connection; the number of its account, and its id."""
    api = control.api(crm)
    account = control.open_account(crm, crm, **course.account)
    credentials = connection_of(CRMS[crm], api, account, int(time.time() + TOKEN_SECONDS / course.speed))
    with psycopg.connect(running.url) as connection:
        connection.execute("select set_config('crm_sync.encryption_key', %s, true)", [KEY])
        connection.execute(
            "update public.integration_providers set config = config || %s::jsonb || jsonb_build_object('limits', %s::jsonb)"
            " where name = %s",
            [json.dumps(CRMS[crm].urls(api)), json.dumps(_limits(connection, crm, course)), crm],
        )
        row = connection.execute(HOST, {"name": crm, "contacts": CONTACTS, "companies": COMPANIES}).fetchone()
        assert row is not None
        connection.execute(
            "insert into public.user_integrations (organization_id, provider_id, credentials) "
            "select %s, id, %s from public.integration_providers where name = %s",
            [row[0], json.dumps(credentials), crm],
        )
    return account["account"], str(row[0])


def _limits(connection: psycopg.Connection, crm: str, course: Course) -> dict[str, dict[str, float]]:
    """The documented limits, on the clock of this course; a day's allowance stays one."""
    row = connection.execute(
        "select config -> 'limits' from public.integration_providers where name = %s", [crm]
    ).fetchone()
    assert row is not None
    limits: dict[str, dict[str, float]] = row[0]
    for name, limit in limits.items():
        limit["calls"] = course.limits.get(name, limit["calls"])
        if limit["seconds"] < 3_600:
            limit["seconds"] /= course.speed
    return limits


def _drain(running: Cluster, control: Control, crm: str, account: int, organization_id: str) -> Leg:
    """Let every contact reply, and wait until three daemons have carried it all."""
    with psycopg.connect(running.url) as connection:
        connection.execute(REPLIES, {"organization_id": organization_id})
        connection.execute(BACKLOG, {"organization_id": organization_id})
    running.execute("vacuum analyze")
    before = control.calls(crm)[str(account)]
    started = time.monotonic()
    with psycopg.connect(running.url, autocommit=True) as connection:
        looks = [_look(connection, crm)]
        with _daemons(running):
            while looks[-1].is_open:
                if time.monotonic() - started > LONGEST_SECONDS:
                    raise TimeoutError(f"{crm}'s backlog was not drained: {_trouble(running)}")
                time.sleep(LOOK_SECONDS)
                looks.append(_look(connection, crm))
        ended = looks[-1].at
    if trouble := _trouble(running):
        raise RuntimeError(f"{crm} did not take everything: {trouble}")
    after = control.calls(crm)[str(account)]
    return Leg(
        calls=after["total"] - before["total"],
        seconds=ended - started,
        throttled=sum(after["by_status"].get(code, 0) - before["by_status"].get(code, 0) for code in THROTTLED),
        share=_share(looks),
    )


@dataclass(frozen=True)
class _Look:
    """At a moment: whether work is open, what was taken from each short limit, and how much of it a second allows."""

    at: float
    is_open: bool
    spent: Mapping[str, tuple[int, float]]


def _look(connection: psycopg.Connection, crm: str) -> _Look:
    rows = connection.execute(SPENT, [crm]).fetchall()
    row = connection.execute(OPEN).fetchone()
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


def _trouble(running: Cluster) -> str | None:
    found = running.value(
        "select string_agg(distinct q.status || ' ' || q.queue_type || ': ' || coalesce(q.last_error, 'no error'), '; ')"
        " from public.sync_queue as q where q.status not in ('completed', 'pending')"
    )
    return None if found is None else str(found)[:2_000]


def _check(crm: str, facts: Facts, times: int) -> None:
    """A call that was saved by leaving something out would be no saving."""
    found = (len(facts.contacts), len(facts.companies), len(facts.deals), len(facts.notes), len(facts.tasks))
    wanted = (CONTACTS, COMPANIES, DEALS, CONTACTS * times, 0)
    if found != wanted:
        raise RuntimeError(f"{crm} has {found} contacts, companies, deals, notes and tasks instead of {wanted}")


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
    workers = [subprocess.Popen([sys.executable, "-m", "listener.cli", "run"], env=environ) for _ in range(DAEMONS)]
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait(10)


def _one_by_one(running: Cluster) -> dict[str, float | int | None]:
    """The same with a sample of contacts, by a client that searches and then writes each record by itself."""
    figures: dict[str, float | int | None] = {}
    with emulators(dict.fromkeys(WAYS, SAMPLE_SPEED)) as control:
        for crm, way in WAYS.items():
            account = control.open_account(crm, crm, **COURSES[crm].account)
            started = time.monotonic()
            way(control.api(crm), account, SAMPLE, SAMPLE_SPEED)
            seconds = (time.monotonic() - started) * SAMPLE_SPEED * CONTACTS / SAMPLE
            made = control.calls(crm)[str(account["account"])]
            throttled = sum(made["by_status"].get(code, 0) for code in THROTTLED)
            figures[f"{crm}_one_by_one"] = round(made["total"] / SAMPLE, 2)
            # without a limit that binds, this machine's own speed is all that would be measured
            figures[f"{crm}_one_by_one_crm_seconds"] = round(seconds) if throttled else None
            figures[f"{crm}_one_by_one_throttled"] = round(throttled * CONTACTS / SAMPLE)
            calls = f"{made['total'] / SAMPLE:.2f} calls per contact"
            running.say(f"{crm:16} one by one: {calls}, {throttled} of {made['total']:,} throttled")
    return figures


def _today() -> tuple[Any, Any]:
    today = datetime.now(UTC).date()
    return today, today
