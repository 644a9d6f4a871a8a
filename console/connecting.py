"""Leaving for a CRM's consent page and coming back: what the API and the pages share.

The browser that leaves takes two cookies along: its session, to which the state is bound, and who left, signed. The
second lets somebody come back whose application uses bearer tokens, which no browser sends by itself.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from console import queries_integrations as queries
from console.context import Console, console_of, signed_in
from console.failures import TooOftenError
from console.guard import cookie_of, departure_key
from console.identity import Identity, NotSignedInError
from listener.authorize import Departure, Flow
from listener.connections import Connected, NotConnected

LEFT_SECONDS = 900
PROVIDER = re.compile(r"[a-z0-9_-]{1,60}")


def check_rate(console: Console, identity: Identity) -> None:
    """Raises `TooOftenError` for a user who has a CRM called all the time, from whatever addresses."""
    if (wait := console.per_user.wait(identity.user_id)) > 0:
        raise TooOftenError(wait)


async def organization_of(console: Console, identity: Identity, given: UUID | None) -> UUID:
    """For which organization a user connects: the one that is given, else the only one there is."""
    async with console.members.asked_by(identity) as session:
        own = await queries.organizations(session)
    if given is not None:
        if given not in own:
            raise NotConnected("not_allowed", "This organization is not yours to connect.")
        return given
    if len(own) != 1:
        words = "You belong to no organization." if not own else "You belong to several organizations: say which."
        raise NotConnected("not_allowed" if not own else "invalid_request", words)
    return own[0]


async def depart(
    request: Request, identity: Identity, provider: str, organization: UUID | None, name: str, login_host: str | None
) -> Departure:
    """Where the browser is to go; raises `NotConnected` and `TooOftenError`."""
    console = console_of(request)
    check_rate(console, identity)
    if PROVIDER.fullmatch(provider) is None:
        raise NotConnected("unknown_provider", "There is no such CRM.")
    if not name.isprintable():
        raise NotConnected("invalid_request", "The name of a connection is one line of at most 200 letters.")
    flow = Flow(console.secrets.on_behalf_of(identity.claims), console.settings.common.apps, console.http)
    departure = await flow.begin(
        await organization_of(console, identity, organization),
        provider,
        redirect_uri=console.settings.redirect_uri(provider),
        name=name,
        login_url=login_host,
        session_secret=request.state.session,
    )
    request.app.state.metrics.departures.labels(provider).inc()
    return departure


def remember_who_left(request: Request, response: Response, identity: Identity) -> None:
    """Set the cookie by which `arrive` knows who it was."""
    settings = console_of(request).settings
    response.set_cookie(
        _cookie(request),
        f"{identity.user_id}.{_proof(request, identity.user_id)}",
        max_age=LEFT_SECONDS,
        path="/",
        secure=settings.is_secure,
        httponly=True,
        samesite="lax",
    )


async def arrive(request: Request, provider: str) -> Connected:
    """Finish what was begun, for who has come back; raises `NotConnected`."""
    console, given = console_of(request), request.query_params
    is_twice = any(len(given.getlist(name)) > 1 for name in ("code", "state", "error"))
    flow = Flow(console.secrets.on_behalf_of(await _claims(request)), console.settings.common.apps, console.http)
    return await flow.finish(
        provider if PROVIDER.fullmatch(provider) else "none",
        code=None if is_twice else given.get("code"),
        state=given.get("state"),
        session_secret=request.state.session,
        error=given.get("error"),
    )


def outcome_url(request: Request, provider: str, outcome: Connected | NotConnected) -> str:
    """Where the browser goes then: to the host application's own page, or to ours."""
    console = console_of(request)
    if isinstance(outcome, Connected):
        values = {"connected": outcome.provider, "integration": str(outcome.integration_id)}
    else:
        values = {"error": outcome.code, "provider": provider, "message": outcome.words}
    there = console.settings.return_url
    if there is None:
        if isinstance(outcome, NotConnected):
            values["proof"] = _proof(request, f"{outcome.code} {outcome.words}")
        there = console.url("/integrations")
    return there + ("&" if "?" in there else "?") + urlencode(values)


def outcome_words(request: Request) -> str | None:
    """The words of a failed outcome, if it was us who wrote them into this page's address, for this browser."""
    given = request.query_params
    code, words = given.get("error", ""), given.get("message", "")
    proof = _proof(request, f"{code} {words}")
    return words if hmac.compare_digest(given.get("proof", "").encode(), proof.encode()) else None


async def _claims(request: Request) -> str:
    """Of the signed-in user, else of who left from this browser; of nobody, who finishes nothing, else."""
    try:
        return (await signed_in(request)).claims
    except NotSignedInError:
        pass
    user_id, _, proof = cookie_of(request, _cookie(request)).partition(".")
    claims: dict[str, Any] = {}
    if hmac.compare_digest(proof.encode(), _proof(request, user_id).encode()):
        claims = {"sub": user_id, "role": "authenticated", "aud": console_of(request).settings.jwt_audience}
    return json.dumps(claims)


def _cookie(request: Request) -> str:
    return "__Host-crm_sync_left" if console_of(request).settings.is_secure else "crm_sync_left"


def _proof(request: Request, text: str) -> str:
    """That we wrote a text for this very browser."""
    key = departure_key(console_of(request).settings.common.encryption_key)
    return hmac.digest(key, f"{request.state.session} {text}".encode("utf-8", "replace"), hashlib.sha256).hex()
