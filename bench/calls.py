"""API calls and time for each contact of a backlog, through the whole pipeline, with the documented limits enforced.

For each CRM one connection with 2,000 contacts of 400 companies, one reply each, one in four interested, the timeline
on; for Pipedrive, where a known contact costs fewer calls, all of them reply twice. The backlog is there before three
daemons start: rows that wait are what makes batches full. Beside it, the same of a sample of contacts by a client that
searches for each record and then writes it (`bench.one_by_one`).

Times are the CRM's: those of our clock times the speed of its own. What our side takes by itself weighs as many times
as much as it would in reality, so the pipeline is run on the clock as it is, and only the client that waits for the
limits most of its time on a faster one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bench.cluster import Cluster
from bench.connection import COMPANIES, CONTACTS, DEALS, Connection, connect
from bench.crms import emulators
from bench.legs import THROTTLED, drain
from bench.one_by_one import WAYS
from sandbox.demo.control import Control
from sandbox.demo.crms import CRMS

SAMPLE = 40
"""Contacts that are carried one by one."""


@dataclass(frozen=True)
class Course:
    """How one CRM is run.

    Attributes:
        legs: the name of each time that all contacts reply.
        speed: how many times as fast as ours its clock runs.
        one_by_one_speed: the same for the client that searches and writes, which waits for the limits only.
        account: what its account is opened with.
        limits: calls of those of our limits that differ for such an account.
    """

    legs: tuple[str, ...]
    speed: float = 1.0
    one_by_one_speed: float = 1.0
    account: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)


# Pipedrive's day has 30,000 tokens a seat on its smallest plan: 2,000 new contacts in one day take a team of ten. Its
# batches go one at a time, so what is between them costs calls, and a faster clock would cost more of them.
COURSES = {
    "hubspot": Course(("hubspot",), one_by_one_speed=4.0),
    "salesforce": Course(("salesforce",)),
    "pipedrive": Course(
        ("pipedrive_new", "pipedrive_known"),
        one_by_one_speed=4.0,
        account={"plan": "lite", "seats": 10},
        limits={"daily": 300_000},
    ),
}


@dataclass(frozen=True)
class Found:
    """What one leg came to.

    Attributes:
        calls: answered for each contact; those that were refused for their number are not among them.
        milliseconds: of the CRM's time for each contact.
        throttled: calls that were refused for their number, in all.
        share: of the budget; None where no limit of less than a day binds, or nobody looked.
    """

    calls: float
    milliseconds: float
    throttled: int
    share: float | None = None


def run(running: Cluster) -> Mapping[str, float | None]:
    """Calls, time, and the share of the budget by CRM, and what a client that goes one by one makes of the same."""
    with emulators({crm: course.speed for crm, course in COURSES.items()}) as control:
        ours = dict(_pipeline(running, control))
    with emulators({crm: course.one_by_one_speed for crm, course in COURSES.items()}) as control:
        theirs = dict(_one_by_one(running, control))
    running.more["series"] = {
        "per_contact": {name: {"pipeline": ours[name].calls, "one_by_one": theirs[name].calls} for name in ours}
    }
    figures: dict[str, float | None] = {}
    for name, found in ours.items():
        figures[name] = round(found.calls, 4)
        figures[f"{name}_ms"] = round(found.milliseconds, 1)
        figures[f"{name}_budget_share"] = None if found.share is None else round(found.share, 3)
        figures[f"{name}_one_by_one"] = round(theirs[name].calls, 2)
        figures[f"{name}_one_by_one_ms"] = round(theirs[name].milliseconds, 1)
        figures[f"{name}_one_by_one_throttled"] = round(theirs[name].throttled / SAMPLE, 2)
    shares = [found.share for found in ours.values() if found.share is not None]
    figures["budget_share"] = round(min(shares), 3)
    figures["throttled"] = sum(found.throttled for found in ours.values())
    return figures | {f"{crm}_speed": course.speed for crm, course in COURSES.items()}


def _pipeline(running: Cluster, control: Control) -> Iterator[tuple[str, Found]]:
    """By the daemons, from a backlog of all contacts."""
    for crm, course in COURSES.items():
        connection = connect(running, control, crm, course.speed, course.account, course.limits)
        for times, name in enumerate(course.legs, 1):
            leg = drain(running, control, connection)
            _check(control, connection, times)
            found = Found(leg.calls / CONTACTS, 1000 * leg.seconds * course.speed / CONTACTS, leg.throttled, leg.share)
            bound = "no limit binds" if leg.share is None else f"{leg.share:.1%} of the budget"
            _say(running, name, f"at speed {course.speed:g}, {bound}", found)
            yield name, found


def _check(control: Control, connection: Connection, times: int) -> None:
    """A call that was saved by leaving something out would be no saving."""
    today = datetime.now(UTC).date()
    crm = connection.crm
    facts = CRMS[crm].reading.facts(control.ledger(crm, connection.account), (today, today))
    found = (len(facts.contacts), len(facts.companies), len(facts.deals), len(facts.notes), len(facts.tasks))
    wanted = (CONTACTS, COMPANIES, DEALS, CONTACTS * times, 0)
    if found != wanted:
        raise RuntimeError(f"{crm} has {found} contacts, companies, deals, notes and tasks instead of {wanted}")


def _one_by_one(running: Cluster, control: Control) -> Iterator[tuple[str, Found]]:
    """By a client that searches and then writes each record by itself, for a sample of as many contacts of a company."""
    for crm, course in COURSES.items():
        account = control.open_account(crm, crm, **course.account)
        calls = throttled = 0
        for name in course.legs:
            started = time.monotonic()
            WAYS[crm](control.api(crm), account, SAMPLE, course.one_by_one_speed)
            seconds = (time.monotonic() - started) * course.one_by_one_speed
            made = control.calls(crm)[str(account["account"])]
            refused = sum(made["by_status"].get(code, 0) for code in THROTTLED) - throttled
            answered = made["total"] - calls - refused
            calls, throttled = made["total"], throttled + refused
            found = Found(answered / SAMPLE, 1000 * seconds / SAMPLE, refused)
            _say(running, f"{name}, one by one", f"at speed {course.one_by_one_speed:g}", found)
            yield name, found


def _say(running: Cluster, name: str, how: str, found: Found) -> None:
    running.say(
        f"{name:28} {found.calls:7.4f} calls and {found.milliseconds:7.1f} ms per contact {how}, "
        f"{found.throttled} throttled"
    )
