"""One person: where they stand, what happened, what is held of them until when; and how far an erasure is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
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

PAGE_ROWS = 50
MOST_PAGES = 10
"""crm_sync.contact_timeline() goes back 500 entries; the log has all."""
HELD = {
    "public.sync_queue": ("Queue", "until its work is done"),
    "public.contact_sync_mappings": ("Records", "as long as the contact"),
    "crm_sync.effects": ("Made in the CRM", "as long as the contact"),
    "public.sync_activity_logs": ("Log", ""),
    "crm_sync.orphans": ("Replies without a CRM", ""),
    "crm_sync.erasures": ("Erasure", "as long as the organization"),
}
"""What a table is to people, and until when it is kept where no moment is known."""


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
        removed=removed_words(person.erasure["removed"]) if person.erasure else "",
        remedy_of=remedy_of,
        **facts,
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


def removed_words(removed: Mapping[str, int]) -> str:
    """Queue: 6 rows, Log: 2 rows; tables that only quoted the person are one."""
    counts: Counter[str] = Counter()
    for what, rows in removed.items():
        counts[HELD[what][0] if what in HELD else "Words about others"] += rows
    return ", ".join(f"{name}: {counted(rows, 'row')}" for name, rows in counts.items())


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


ROUTES = [Route("/contacts/{contact_id}", show)]
