"""One person: where they stand, what happened, what is held of them until when; erasing them, and lifting that."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console import parameters
from console import queries_contacts as people
from console import queries_person as ask
from console.context import console_of, signed_in
from console.db import Row, Session
from console.identity import Identity
from console.masking import masked_words, without_secrets
from console.pages.contacts import STATES, name_of
from console.pages.failures import ACTORS, remedy_of
from console.queries_dashboard import pulse
from console.words import counted
from listener.errors import InvalidSettings

PAGE_ROWS = 50
MOST_PAGES = 10
"""crm_sync.contact_timeline() goes back 500 entries; the log has all."""
CONFIRMATION = "erase"
LONGEST_REASON = 500
LONGEST_WORDS = 5000
MISTYPED = f"Type the word “{CONFIRMATION}”, and nobody is erased by an accidental click."
QUEUED = re.compile(r"queued as row \d+|: see crm_sync\.erasure_progress")
UUIDS = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HELD = {
    "public.sync_queue": ("Queue", "until its work is done"),
    "public.contact_sync_mappings": ("Records", "as long as the contact"),
    "crm_sync.effects": ("Made in the CRM", "as long as the contact"),
    "public.sync_activity_logs": ("Log", ""),
    "crm_sync.erasures": ("Erasure", "as long as the organization"),
}
"""What a table is to people, and until when it is kept where no moment is known."""
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


@dataclass(frozen=True)
class Person:
    """What the pages know of somebody.

    Attributes:
        contact: who it is; None where the host application has deleted the contact.
        erasure: the last one, also where it was lifted.
    """

    id: UUID
    organization_id: UUID
    may_manage: bool
    contact: Row | None
    erasure: Row | None

    @property
    def kind(self) -> str:
        """erased, gone (from the host application) or known: each has a page of its own."""
        if self.erasure is not None and self.erasure["lifted_at"] is None:
            return "erased"
        return "gone" if self.contact is None else "known"

    @property
    def title(self) -> str:
        """What to call them; who is erased is not named."""
        if self.kind == "known" and self.contact is not None:
            return name_of(self.contact)
        return "An erased person" if self.kind == "erased" else "A deleted contact"


async def person_of(session: Session, request: Request) -> Person:
    """Whom the path names; raises 404 alike for who is not there and who is not the caller's."""
    contact_id = parameters.uuid(request.path_params["contact_id"])
    rights = None if contact_id is None else await ask.rights(session, contact_id)
    if contact_id is None or rights is None:
        raise HTTPException(404)
    contact = (await people.by_id(session, [contact_id])).get(contact_id)
    erasure = await ask.erasure(session, rights["organization_id"], contact_id)
    return Person(contact_id, rights["organization_id"], rights["may_manage"], contact, erasure)


async def show(request: Request) -> Response:
    """The page, or its part that is loaded again when something changed."""
    console, identity = console_of(request), await signed_in(request)
    page = min(parameters.number(request.query_params.get("page")) or 1, MOST_PAGES)
    is_part = "hx-request" in request.headers
    facts: dict[str, Any] = {"standing": [], "timeline": [], "progress": []}
    async with console.members.asked_by(identity) as session:
        person = await person_of(session, request)
        if is_part and request.query_params.get("as", person.kind) != person.kind:
            # erased, lifted or deleted meanwhile: what the page says of them at its head is no longer so
            return Response(None, 204, {"hx-refresh": "true"})
        # before what is shown: what changes from here on is heard of, also where it is quicker than the page
        facts["pulse"] = await pulse(session)
        facts["labels"] = await people.labels(session)
        facts["held"] = _grouped(await ask.held(session, person.id))
        if person.kind == "erased":
            facts["progress"] = await ask.progress(session, person.organization_id, person.id)
        elif person.kind == "known":
            facts["standing"] = await people.standing(session, [person.id])
            facts["timeline"] = await people.timeline(session, person.id, page * PAGE_ROWS + 1)
    rows = facts["timeline"]
    facts["timeline"] = rows[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    template = "contact_erased.html" if person.kind == "erased" else "contact.html"
    return console.render(
        request,
        f"_{template.replace('.', '_live.')}" if is_part else template,
        active="/contacts",
        person=person,
        contact=person.contact,
        states=STATES,
        name_of=name_of,
        page=page,
        has_older=len(rows) > page * PAGE_ROWS and page < MOST_PAGES,
        is_cut=len(rows) > page * PAGE_ROWS and page == MOST_PAGES,
        said=_said_to(identity),
        who=_who_to(identity),
        where=where,
        actors=ACTORS,
        masked_words=masked_words,
        removed=_removed(person.erasure["removed"]) if person.erasure else "",
        remedy_of=remedy_of,
        **facts,
    )


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
        removed=_removed(_counts(each for each in done if "." in each["what"] and each["what"] not in LEFT_TO_DO)),
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


@dataclass(frozen=True)
class Held:
    """The rows of one table, of all connections; `kept_until` is None where `kept_words` say it."""

    name: str
    holds: str
    rows: int
    by_connection: dict[int, int]
    oldest: datetime | None
    kept_until: datetime | None
    kept_words: str


def _grouped(held: Iterable[Row]) -> list[Held]:
    """In the order in which they come."""
    tables: dict[str, list[Row]] = {}
    for each in held:
        tables.setdefault(each["what"], []).append(each)
    return [
        Held(
            HELD.get(what, (what, ""))[0],
            rows[0]["holds"],
            sum(each["rows"] for each in rows),
            {each["integration_id"]: each["rows"] for each in rows if each["integration_id"] is not None},
            min((each["oldest"] for each in rows if each["oldest"] is not None), default=None),
            None if any(each["kept_until"] is None for each in rows) else max(each["kept_until"] for each in rows),
            HELD.get(what, (what, ""))[1],
        )
        for what, rows in tables.items()
    ]


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many rows of what, of all connections."""
    counts: Counter[str] = Counter()
    for each in rows:
        counts[each["what"]] += each["rows"]
    return counts


def _removed(counts: Mapping[str, int]) -> str:
    """Queue: 6 rows, Log: 2 rows."""
    return ", ".join(f"{HELD.get(what, (what, ''))[0]}: {counted(rows, 'row')}" for what, rows in counts.items())


def _same_address(done: Iterable[Row]) -> list[UUID]:
    return [UUID(found) for each in done if each["what"] == "same address" for found in UUIDS.findall(each["remark"])]


def _who_to(identity: Identity) -> Callable[[str], str]:
    """Who did something; who looks is "you"."""
    return lambda who: who.replace(f"a member ({identity.user_id})", "you")


def _said_to(identity: Identity) -> Callable[[str], str]:
    """A sentence of the timeline; what looks like a secret is masked for everybody."""
    return lambda text: without_secrets(text).replace(f"by {identity.user_id}", "by you")


def where(step: Row) -> tuple[str, str]:
    """How far a CRM that was to delete somebody is: a badge's kind and words."""
    if step["is_done"]:
        return "ok", "Deleted"
    if step["status"] == "failed":
        return "bad", "Failed"
    if step["status"] in (None, "skipped", "completed"):
        return "warn", "Not deleted"
    if step["connection_status"] not in ("connected", "syncing"):
        return "warn", "Waits"
    return ("warn", "Trying again") if step["status"] == "retry" else ("idle", "Asked")


ROUTES = [
    Route("/contacts/{contact_id}", show),
    Route("/contacts/{contact_id}/erase", ask_first),
    Route("/contacts/{contact_id}/erase", erase, methods=["POST"]),
    Route("/contacts/{contact_id}/lift-erasure", lift, methods=["POST"]),
]
