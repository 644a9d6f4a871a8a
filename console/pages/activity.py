"""The log: every effect and every failure, with what was sent and answered."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console import parameters
from console import queries_activity as ask
from console import queries_contacts as people
from console.context import console_of, signed_in
from console.db import Row
from console.identity import Identity
from console.masking import masked, masked_words
from console.pages.contacts import name_of
from console.words import iso

PAGE_ROWS = 50
EXPORT_ROWS = 10_000
TYPES = {
    "sync_contact": "Contacts",
    "sync_deal": "Deals",
    "sync_activity": "Activities and tasks",
    "erase_contact": "Deletions in the CRM",
    "connection": "The connection",
}
STATUSES = {"success": "Success", "error": "Error", "warning": "Warning", "info": "Info"}
KINDS = {"success": "ok", "error": "bad", "warning": "warn", "info": "idle"}
RANGES = {
    "1h": ("hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(days=1)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
}
HEAD = ("time", "connection", "type", "status", "title", "description", "external_id", "duration_ms", "contact_id")


def _filter(request: Request) -> tuple[ask.Filter, dict[str, str]]:
    """Which entries are wanted, and the same as parameters of an address."""
    query = request.query_params
    name = parameters.choice(query.get("range"), RANGES) or "7d"
    before, _, before_id = (query.get("before") or "").rpartition("_")
    wanted = ask.Filter(
        since=datetime.now(UTC) - RANGES[name][1],
        before=parameters.moment(before),
        before_id=parameters.number(before_id),
        activity_type=parameters.choice(query.get("type"), TYPES),
        status=parameters.choice(query.get("status"), STATUSES),
        integration_id=parameters.number(query.get("integration")),
        contact_id=parameters.uuid(query.get("contact")),
    )
    given = {
        "range": name,
        "type": wanted.activity_type,
        "status": wanted.status,
        "integration": wanted.integration_id,
        "contact": wanted.contact_id,
    }
    return wanted, {key: str(value) for key, value in given.items() if value is not None}


def _described(entry: Row, identity: Identity) -> str:
    """An entry's sentence without personal data; who looks is "you" in it."""
    of_connection = entry["activity_type"] == "connection" and entry["contact_id"] is None
    return masked_words(entry["description"], is_of_connection=of_connection).replace(
        f"by {identity.user_id}", "by you"
    )


async def show(request: Request) -> Response:
    """The page, or its list."""
    console, identity = console_of(request), await signed_in(request)
    wanted, given = _filter(request)
    async with console.members.asked_by(identity) as session:
        labels = await people.labels(session)
        entries = await ask.entries(session, wanted, PAGE_ROWS + 1)
        contacts = {wanted.contact_id, *(each["contact_id"] for each in entries)} - {None}
        known = await people.by_id(session, contacts)
    has_more = len(entries) > PAGE_ROWS
    entries = entries[:PAGE_ROWS]
    older = None
    if has_more:
        older = urlencode({**given, "before": f"{entries[-1]['created_at'].isoformat()}_{entries[-1]['id']}"})
    template = "_activity_list.html" if request.headers.get("hx-request") else "activity.html"
    return console.render(
        request,
        template,
        active="/activity",
        entries=entries,
        labels=labels,
        contacts=known,
        given=given,
        query=urlencode(given),
        older=older,
        is_first=wanted.before is None,
        types=TYPES,
        statuses=STATUSES,
        kinds=KINDS,
        ranges=RANGES,
        name_of=name_of,
        described=lambda entry: _described(entry, identity),
    )


async def show_one(request: Request) -> Response:
    """One entry: what was sent, what the CRM answered; personal data where the viewer asks for it."""
    console, identity = console_of(request), await signed_in(request)
    shows_personal = request.query_params.get("personal") == "shown"
    async with console.members.asked_by(identity) as session:
        entry = await ask.entry(session, parameters.path_number(request, "entry_id"))
        if entry is None:
            raise HTTPException(404)
        labels = await people.labels(session)
        contact = (await people.by_id(session, [entry["contact_id"]])).get(entry["contact_id"])
    parts = [
        (title, _pretty(masked(entry[column], shows_personal=shows_personal)))
        for title, column in (
            ("What the CRM holds of ours", "request_data"),
            ("What it answered", "response_data"),
            ("What went wrong", "error_details"),
        )
        if entry[column]
    ]
    return console.render(
        request,
        "activity_entry.html",
        active="/activity",
        entry=entry,
        label=labels.get(entry["integration_id"]),
        contact=contact,
        parts=parts,
        shows_personal=shows_personal,
        description=entry["description"] if shows_personal else _described(entry, identity),
        kinds=KINDS,
        statuses=STATUSES,
        types=TYPES,
        name_of=name_of,
    )


async def export(request: Request) -> Response:
    """The same entries for a spreadsheet, newest first, without personal data."""
    console, identity = console_of(request), await signed_in(request)
    wanted, _ = _filter(request)
    async with console.members.asked_by(identity) as session:
        labels = await people.labels(session)
        entries = await ask.entries(session, wanted, EXPORT_ROWS)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(HEAD)
    for each in entries:
        label = labels.get(each["integration_id"])
        writer.writerow(
            cell(value)
            for value in (
                iso(each["created_at"]),
                label and label["label"],
                each["activity_type"],
                each["status"],
                each["title"],
                _described(each, identity),
                each["external_id"],
                each["duration_ms"],
                each["contact_id"],
            )
        )
    name = f"crm-sync-activity-{datetime.now(UTC):%Y-%m-%d}.csv"
    return Response(
        file.getvalue(), media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def cell(value: object) -> str:
    """As a spreadsheet takes it for text: a CRM's words must not become a formula."""
    text = "" if value is None else str(value)
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") else text


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


ROUTES = [
    Route("/activity", show),
    Route("/activity.csv", export),
    Route("/activity/{entry_id}", show_one),
]
