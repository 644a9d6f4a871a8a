"""What people set going with one click."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import parameters
from console import queries_integrations as connections
from console import queries_sync as ask
from console.context import console_of, signed_in
from console.words import brought_forward, counted, number

MOST_CONTACTS = 500
PAGES = ("/dashboard", "/contacts", "/failures", "/integrations", "/activity")


async def integration(request: Request) -> Response:
    """Send now what a connection keeps for later."""
    console, identity = console_of(request), await signed_in(request)
    async with console.members.asked_by(identity) as session:
        done = await connections.sync_now(session, parameters.path_number(request, "integration_id"))
    return await _done(
        request, "ok", brought_forward(*done) or "Nothing was kept for later; what is new goes by itself."
    )


async def contacts(request: Request) -> Response:
    """Sync the chosen contacts; each is given as organization:contact."""
    console, identity = console_of(request), await signed_in(request)
    chosen: dict[UUID, list[UUID]] = defaultdict(list)
    given = (await parameters.form(request)).get("contact", [])
    if len(given) > MOST_CONTACTS:
        raise HTTPException(400, f"Choose {MOST_CONTACTS} contacts at most.")
    for value in given:
        organization, _, contact = value.partition(":")
        ids = parameters.uuid(organization), parameters.uuid(contact)
        if ids[0] is None or ids[1] is None:
            raise HTTPException(400, "That form cannot be read.")
        chosen[ids[0]].append(ids[1])
    if not chosen:
        return await _done(request, "warn", "Choose a contact first.")
    reasons: Counter[str] = Counter()
    enqueued = 0
    async with console.members.asked_by(identity) as session:
        for organization_id, contact_ids in chosen.items():
            for row in await ask.sync_contacts(session, organization_id, contact_ids):
                if row["reason"] is None:
                    enqueued += 1
                else:
                    reasons[row["reason"]] += 1
    words = [f"{counted(enqueued, 'sync')} asked for."] if enqueued else []
    words += [f"{number(count)} not: {reason}." for reason, count in reasons.most_common(3)]
    return await _done(request, "ok" if enqueued else "warn", " ".join(words))


async def contact(request: Request) -> Response:
    """Send one contact again although nothing changed: to one connection, or to all."""
    console, identity = console_of(request), await signed_in(request)
    form = await parameters.form(request)
    contact_id, given = parameters.uuid(_first(form, "contact")), _first(form, "integration")
    integration_id = parameters.number(given)
    if contact_id is None or (given and integration_id is None):
        raise HTTPException(400, "That form cannot be read.")
    async with console.members.asked_by(identity) as session:
        count = await ask.resync(session, contact_id, integration_id)
    return await _done(request, "ok", f"{counted(count, 'sync')} asked for: the CRM is looked into first.")


async def cause(request: Request) -> Response:
    """Retry the rows of one line of the failures."""
    console, identity = console_of(request), await signed_in(request)
    form = await parameters.form(request)
    integration_id = parameters.number(_first(form, "integration"))
    kind, queue_type = _first(form, "kind"), _first(form, "queue_type")
    if integration_id is None or kind is None or queue_type is None:
        raise HTTPException(400, "That form cannot be read.")
    async with console.members.asked_by(identity) as session:
        count = await ask.retry_cause(
            session,
            integration_id,
            kind=kind,
            queue_type=queue_type,
            code=_first(form, "code"),
            field=_first(form, "field"),
            message=_first(form, "message"),
        )
    if count:
        return await _done(request, "ok", f"{counted(count, 'sync')} on the way again.")
    return await _done(request, "warn", "There is nothing of this cause any more.")


def _first(form: Mapping[str, list[str]], name: str) -> str | None:
    value = form.get(name, [None])[0]
    if value is not None and "\0" in value:
        raise HTTPException(400, "That form cannot be read.")
    return value


async def _done(request: Request, kind: str, words: str) -> Response:
    """A notice where the page stays; without a script back to the page."""
    if request.headers.get("hx-request"):
        trigger = {"notice": {"kind": kind, "words": words}, "sync-changed": {}}
        return Response(None, 204, {"hx-trigger": json.dumps(trigger)})
    there = (await parameters.form(request)).get("back", ["/dashboard"])[0]
    path = there.partition("?")[0]
    known = path in PAGES or (path.startswith("/contacts/") and parameters.uuid(path[10:]) is not None)
    return RedirectResponse(console_of(request).url(path if known else "/dashboard"), 303)


ROUTES = [
    Route("/sync/integration/{integration_id}", integration, methods=["POST"]),
    Route("/sync/contacts", contacts, methods=["POST"]),
    Route("/sync/contact", contact, methods=["POST"]),
    Route("/sync/cause", cause, methods=["POST"]),
]
