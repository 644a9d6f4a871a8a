"""The connections: how each stands, and what can be done with it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console import connecting, parameters
from console import queries_integrations as queries
from console.checks import check
from console.context import console_of, signed_in
from console.db import Row, Session
from console.forms.inputs import Inputs, inputs_of
from console.identity import Identity
from console.pages import standing
from console.words import account as account_words
from console.words import brought_forward
from listener.connections import WORDS, NotConnected
from listener.errors import NotYours

NO_DOMAIN = "Give the host of your My Domain, as the address bar shows it after logging in."
OUTCOMES = {
    **WORDS,
    "connection_failed": "The CRM did not accept the connection. Please begin again.",
    "not_configured": "This installation has no app of that CRM yet: its operator must set a client id and a secret.",
    "unknown_provider": "There is no such CRM, or it is switched off.",
    "not_allowed": "You may not connect a CRM for this organization.",
    "invalid_request": "What was asked for makes no sense. Please begin again.",
}
"""What a code in our own address means: the address is anybody's to write, these words are ours."""


@dataclass(frozen=True)
class Done:
    """What an action came to: `kind` is ok, warn or bad."""

    words: str
    kind: str = "ok"


Action = Callable[[Request, Identity, int], Awaitable[Done]]


def id_of(request: Request) -> int:
    """The connection that the path names; raises for a number that none has."""
    number = int(request.path_params["id"])
    if number > parameters.LARGEST_ID:
        raise HTTPException(404)
    return number


async def card_of(session: Session, integration_id: int) -> Row:
    """Raises `NotYours`."""
    found = await queries.cards(session, integration_id)
    if not found:
        raise NotYours("there is no such connection, or it is not yours")
    return found[0]


async def show(request: Request) -> Response:
    """The page; in its address may be what came of a connection."""
    console, identity = console_of(request), await signed_in(request)
    async with console.members.asked_by(identity) as session:
        cards, providers = await queries.cards(session), await queries.providers(session)
        own = await queries.organizations(session)
    return console.render(
        request,
        "integrations.html",
        active="/integrations",
        groups=[(each, [card for card in cards if card["provider"] == each["name"]]) for each in providers],
        others=[card for card in cards if card["provider"] not in {each["name"] for each in providers}],
        standing=standing.of,
        configured=console.settings.common.apps.keys(),
        is_member=bool(own),
        outcome=_outcome(request, providers, cards),
    )


async def live(request: Request) -> Response:
    """How each connection stands, to be put into the page that shows them."""
    console, identity = console_of(request), await signed_in(request)
    async with console.members.asked_by(identity) as session:
        cards = await queries.cards(session)
    return console.render(request, "_integrations_live.html", cards=cards, standing=standing.of)


async def connect(request: Request) -> Response:
    """Send the browser to the CRM: by our script, or, without one, by a link on a page."""
    console, identity = console_of(request), await signed_in(request)
    given = inputs_of(await request.body())
    provider, name = given.get("provider", ""), given.get("name", "").strip() or "default"
    try:
        departure = await connecting.depart(request, identity, provider, None, name, _login_host_of(given))
    except NotConnected as failure:
        return console.render(
            request,
            "message_part.html" if "hx-request" in request.headers else "message.html",
            status=422,
            title="Not connected",
            words=failure.words,
        )
    response: Response
    if "hx-request" in request.headers:
        response = Response(None, 204, {"hx-redirect": departure.url})
    else:
        # a form may lead nowhere else (Content-Security-Policy): a link may
        response = console.render(request, "leave.html", active="/integrations", there=departure.url)
    connecting.remember_who_left(request, response, identity)
    return response


def _login_host_of(given: Inputs) -> str | None:
    """Where somebody logs in; None is the CRM's usual place. Raises `NotConnected`."""
    login, login_host = given.get("login", ""), given.get("login_host", "").strip()
    if login == "domain" and not login_host:
        raise NotConnected("invalid_request", NO_DOMAIN)
    return {"production": "", "sandbox": "test.salesforce.com"}.get(login, login_host) or None


def acting(action: Action) -> Callable[[Request], Awaitable[Response]]:
    """A handler that does one thing to one connection, and shows it as it stands then."""

    async def handle(request: Request) -> Response:
        console, identity, number = console_of(request), await signed_in(request), id_of(request)
        done = await action(request, identity, number)
        if "hx-request" not in request.headers:
            return RedirectResponse(console.url("/integrations"), 303)
        async with console.members.asked_by(identity) as session:
            card = await card_of(session, number)
        response = console.render(request, "_connection.html", card=card, standing=standing.of)
        return with_notice(response, done)

    handle.__name__ = getattr(action, "__name__", "action")
    return handle


def with_notice(response: HTMLResponse, done: Done) -> HTMLResponse:
    """The words go in a header, as ASCII."""
    response.headers["hx-trigger"] = json.dumps({"notice": {"kind": done.kind, "words": done.words}})
    return response


async def pause(request: Request, identity: Identity, number: int) -> Done:
    async with console_of(request).members.asked_by(identity) as session:
        changed = await queries.pause(session, number)
    return Done("Paused: nothing is sent until it is resumed." if changed else "It was paused already.")


async def resume(request: Request, identity: Identity, number: int) -> Done:
    async with console_of(request).members.asked_by(identity) as session:
        changed = await queries.resume(session, number)
    return Done("Resumed: what waited is being sent." if changed else "It was not paused.")


async def disconnect(request: Request, identity: Identity, number: int) -> Done:
    async with console_of(request).members.asked_by(identity) as session:
        changed = await queries.disconnect(session, number)
    return Done(
        "Disconnected: its credentials were wiped, and are revoked at the CRM."
        if changed
        else "It was disconnected already."
    )


async def try_again(request: Request, identity: Identity, number: int) -> Done:
    async with console_of(request).members.asked_by(identity) as session:
        changed = await queries.try_again(session, number)
    return Done("It is tried again with the credentials it has." if changed else "There was nothing to try again.")


async def test(request: Request, identity: Identity, number: int) -> Done:
    console = console_of(request)
    async with console.members.asked_by(identity) as session:
        card = await card_of(session, number)
    connecting.check_rate(console, identity)
    checked = await check(console, identity, number, card["provider"])
    if not checked.is_ok:
        return Done(checked.words, "bad")
    if card["status"] == "error":
        return Done(checked.words + " The connection still waits: choose what to do about it.", "warn")
    return Done(checked.words)


async def adopt(request: Request, identity: Identity, number: int) -> Done:
    answer = inputs_of(await request.body()).get("ids")
    if answer not in ("keep", "forget"):
        return Done("Say what is to become of the ids.", "bad")
    async with console_of(request).members.asked_by(identity) as session:
        return Done(await queries.adopt_account(session, number, answer == "keep") + ".")


async def sync_now(request: Request, identity: Identity, number: int) -> Done:
    async with console_of(request).members.asked_by(identity) as session:
        done = await queries.sync_now(session, number)
    return Done(brought_forward(*done) or "Nothing waits for a later time.")


def _outcome(request: Request, providers: list[Row], cards: list[Row]) -> dict[str, Any] | None:
    """What the callback has put into the address, in words of ours."""
    given = request.query_params
    names = {each["name"]: each["display_name"] for each in providers}
    made = next((card for card in cards if str(card["id"]) == given.get("integration")), None)
    if made and given.get("connected") == made["provider"]:
        name = made["display_name"]
        if made["other_account"]:
            return {"kind": "warn", "words": f"{name} is connected, to another account than before. See below."}
        if made["status"] in ("connected", "syncing"):
            account = account_words(made["account_name"], made["account_id"])
            return {"kind": "ok", "words": f"{name} is connected{f': {account}' if account else ''}."}
    if (code := given.get("error", "")) in OUTCOMES:
        name = names.get(given.get("provider", ""))
        words = connecting.outcome_words(request) or OUTCOMES[code]
        return {"kind": "bad", "words": f"{name}: {words}" if name else words}
    return None
