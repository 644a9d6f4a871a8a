"""People: where they stand in each CRM, and why somebody is not there."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console import parameters, queries_person
from console import queries_contacts as ask
from console.context import console_of, signed_in
from console.db import Row
from listener.errors import DatabaseTrouble

PAGE_ROWS = 50
STATES = {
    "synced": ("ok", "Synced"),
    "running": ("ok", "On its way"),
    "waiting": ("idle", "Waiting"),
    "retrying": ("warn", "Trying again"),
    "failed": ("bad", "Failed"),
    "skipped": ("idle", "Not sent"),
    "error": ("bad", "Failed"),
    "conflict": ("warn", "Conflict"),
    "pending": ("idle", "Waiting"),
    "absent": ("idle", "Not there"),
}
FILTERS = {"failed": "Failed", "waiting": "Waiting", "skipped": "Not sent", "synced": "Synced"}


async def show(request: Request) -> Response:
    """The page, or its list."""
    console, identity = console_of(request), await signed_in(request)
    text = parameters.text(request.query_params.get("q"))
    state = parameters.choice(request.query_params.get("state"), FILTERS)
    integration_id = parameters.number(request.query_params.get("integration"))
    found: list[Row] = []
    standing: dict[UUID, list[Row]] = {}
    erased: set[UUID] = set()
    is_too_slow = False
    async with console.members.asked_by(identity) as session:
        labels = await ask.labels(session)
    try:
        async with console.members.asked_by(identity) as session:
            found = await ask.find(session, text, state, integration_id, PAGE_ROWS + 1)
            ids = [each["contact_id"] for each in found[:PAGE_ROWS]]
            erased = await queries_person.erased_of(session, ids)
            for row in await ask.standing(session, ids):
                standing.setdefault(row["contact_id"], []).append(row)
    except DatabaseTrouble as trouble:
        if trouble.is_lost:
            raise
        is_too_slow = True
    template = "_contacts_list.html" if request.headers.get("hx-request") else "contacts.html"
    return console.render(
        request,
        template,
        active="/contacts",
        text=text,
        state=state,
        integration_id=integration_id if integration_id in labels else None,
        filters=FILTERS,
        labels=labels,
        contacts=found[:PAGE_ROWS],
        has_more=len(found) > PAGE_ROWS,
        standing=standing,
        erased=erased,
        states=STATES,
        is_too_slow=is_too_slow,
        name_of=name_of,
        query=request.url.query,
    )


def name_of(contact: Row) -> str:
    """What to call somebody."""
    name = " ".join(filter(None, (contact["first_name"], contact["last_name"]))).strip()
    return name or contact["email"] or "Somebody without a name"


ROUTES = [Route("/contacts", show)]
