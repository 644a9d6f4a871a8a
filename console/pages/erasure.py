"""Erasing a person: what it does, the form that asks for it, what came of it; and lifting it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import parameters
from console import queries_contacts as people
from console import queries_person as ask
from console.context import console_of, signed_in
from console.db import Row, Session
from console.pages.contacts import name_of
from console.pages.person import Person, person_of, removed_words
from listener.errors import InvalidSettings

CONFIRMATION = "erase"
LONGEST_REASON = 500
LONGEST_WORDS = 5000
MISTYPED = f"Type the word “{CONFIRMATION}”, and nobody is erased by an accidental click."
QUEUED = re.compile(r"queued as row \d+|: see crm_sync\.erasure_progress")
UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LEFT_TO_DO = {
    "public.contacts": "your application still has the contact",
    "public.inbox_messages": "your application still has replies",
    "same address": "others have the same e-mail address",
    "settings": "a setting names this person",
    "an operator's words": "a pause’s reason quotes this person",
}
"""What crm_sync.erase_contact() tells and may not do itself."""
BINS = {
    "hubspot": "HubSpot deletes the contact for good. Deals, notes and tasks that we made go to its recycling bin, "
    "which may keep them for up to 90 days.",
    "salesforce": "Salesforce moves the contact or lead, and the opportunities and tasks that we made, to its recycle "
    "bin (15 days).",
    "pipedrive": "Pipedrive deletes the person, and the deals, notes and activities that we made; it can restore them "
    "for 30 days.",
}


async def ask_first(request: Request) -> Response:
    """What erasing does, and the form that asks for it."""
    console, identity = console_of(request), await signed_in(request)
    async with console.members.asked_by(identity) as session:
        return await _form(request, session, await person_of(session, request))


async def erase(request: Request) -> Response:
    """Do it, and say what was done and what is left to do."""
    console, identity = console_of(request), await signed_in(request)
    form = {name: values[0] for name, values in (await parameters.form(request)).items()}
    words = [parameters.text(line, 300) for line in form.get("words", "")[:LONGEST_WORDS].splitlines()]
    try:
        async with console.members.asked_by(identity) as session:
            person = await person_of(session, request)
            if parameters.text(form.get("confirm")).strip("“”\"' ").lower() != CONFIRMATION:
                return await _form(request, session, person, form, mistyped=MISTYPED)
            done = await ask.erase(
                session,
                person.id,
                in_crm="in_crm" in form,
                reason=parameters.text(form.get("reason"), LONGEST_REASON + 1) or None,
                words=[word for word in words if word],
            )
            others = await people.by_id(session, _same_address(done))
    except InvalidSettings as error:
        async with console.members.asked_by(identity) as session:
            person = await person_of(session, request)
            return await _form(request, session, person, form, problem=str(error).partition("\n")[0])
    return console.render(
        request,
        "contact_erase_done.html",
        active="/contacts",
        person=person,
        in_crm="in_crm" in form,
        removed=removed_words(_counts(each for each in done if "." in each["what"] and each["what"] not in LEFT_TO_DO)),
        asked=[
            (each["what"], QUEUED.sub(lambda found: "queued" if found[0][0] == "q" else "", each["remark"]))
            for each in done
            if "." not in each["what"] and each["what"] not in LEFT_TO_DO
        ],
        left=[each for each in done if each["what"] in LEFT_TO_DO],
        left_words=LEFT_TO_DO,
        others=others,
        name_of=name_of,
    )


async def lift(request: Request) -> Response:
    """Let them be sent again."""
    console, identity = console_of(request), await signed_in(request)
    async with console.members.asked_by(identity) as session:
        person = await person_of(session, request)
        await ask.lift(session, person.id)
    return RedirectResponse(console.url(f"/contacts/{person.id}"), 303)


async def _form(
    request: Request,
    session: Session,
    person: Person,
    given: dict[str, str] | None = None,
    *,
    mistyped: str = "",
    problem: str = "",
) -> Response:
    """With what somebody has put in already; 422 where that was wrong."""
    held = await ask.held(session, person.id)
    connections = await ask.connections(session, person.organization_id)
    return console_of(request).render(
        request,
        "contact_erase.html",
        status=422 if mistyped or problem else 200,
        active="/contacts",
        person=person,
        counts=_counts(held),
        bins=[BINS[name] for name in dict.fromkeys(each["provider"] for each in connections) if name in BINS],
        has_connections=bool(connections),
        disconnected=[each["display_name"] for each in connections if each["status"] == "disconnected"],
        given=given or {},
        mistyped=mistyped,
        problem=problem,
        confirmation=CONFIRMATION,
        longest_reason=LONGEST_REASON,
        name_of=name_of,
    )


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows of what, of all connections."""
    counts: Counter[str] = Counter()
    for each in rows:
        counts[each["what"]] += each["rows"]
    return counts


def _same_address(done: Iterable[Row]) -> list[UUID]:
    return [UUID(found) for each in done if each["what"] == "same address" for found in UUIDS.findall(each["remark"])]


ROUTES = [
    Route("/contacts/{contact_id}/erase", ask_first),
    Route("/contacts/{contact_id}/erase", erase, methods=["POST"]),
    Route("/contacts/{contact_id}/lift-erasure", lift, methods=["POST"]),
]
