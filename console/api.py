"""The API for the host application: connect, come back, disconnect, test. Everything is JSON but the way back."""

from __future__ import annotations

import json
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from console import connecting
from console import queries_integrations as queries
from console.checks import check
from console.context import console_of, signed_in
from console.db import Row, Session
from listener.connections import Connected, NotConnected
from listener.errors import InvalidSettings, NotYours

STATUS = {"unknown_provider": 404, "not_allowed": 404, "not_configured": 409, "unavailable": 503}


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("control characters")
    return text


class Asked(BaseModel):
    """The body of a request; all of it may be left out.

    Attributes:
        organization: needed by users of several organizations only.
        name: of the connection, where an organization has several to one CRM.
        login_host: Salesforce: `test.salesforce.com` for a sandbox, or a My Domain.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    organization: UUID | None = None
    name: Annotated[str, AfterValidator(_one_line)] = Field(default="default", min_length=1, max_length=200)
    login_host: Annotated[str, AfterValidator(_one_line)] | None = Field(default=None, max_length=300)


async def connect(request: Request) -> Response:
    """`{"authUrl": …}`: where the browser is to go."""
    identity, asked = await signed_in(request), await _asked(request)
    provider = request.path_params["provider"]
    try:
        departure = await connecting.depart(
            request, identity, provider, asked.organization, asked.name, asked.login_host
        )
    except NotConnected as failure:
        return _not_connected(failure)
    response = JSONResponse({"authUrl": departure.url})
    connecting.remember_who_left(request, response, identity)
    return response


async def come_back(request: Request) -> Response:
    """Where the CRM sends the browser: whatever comes of it, the browser goes on to a page that says so."""
    if request.method != "GET":
        return Response(None, 405, {"allow": "GET"})  # a HEAD would use the state up
    provider = request.path_params["provider"]
    outcome: Connected | NotConnected
    try:
        outcome = await connecting.arrive(request, provider)
        code, known = "connected", provider
    except NotConnected as failure:
        outcome, code = failure, failure.code
        known = provider if provider in console_of(request).settings.common.apps else "other"
    request.app.state.metrics.returns.labels(known, code).inc()
    return RedirectResponse(connecting.outcome_url(request, known, outcome), 303)


async def disconnect(request: Request) -> Response:
    """Wipe the credentials; they are revoked at the CRM by a daemon."""
    console, identity, asked = console_of(request), await signed_in(request), await _asked(request)
    async with console.members.asked_by(identity) as session:
        found = await _connection(session, request.path_params["provider"], asked)
        is_changed = await queries.disconnect(session, found["id"])
    return JSONResponse({"integration": found["id"], "status": "disconnected", "changed": is_changed})


async def test(request: Request) -> Response:
    """Whether the CRM accepts the connection, and whose account it is."""
    console, identity, asked = console_of(request), await signed_in(request), await _asked(request)
    connecting.check_rate(console, identity)
    async with console.members.asked_by(identity) as session:
        found = await _connection(session, request.path_params["provider"], asked)
    checked = await check(console, identity, found["id"], found["provider"])
    answer = {"integration": found["id"], "ok": checked.is_ok, "message": checked.words}
    if checked.account is not None:
        return JSONResponse({**answer, "account": checked.account.model_dump()})
    return JSONResponse({**answer, "error": checked.code})


async def _connection(session: Session, provider: str, asked: Asked) -> Row:
    found = await queries.named_connections(session, provider, asked.name, asked.organization)
    if not found:
        raise NotYours(f"there is no connection '{asked.name}' to this CRM that you may manage")
    if len(found) > 1:
        raise InvalidSettings("you belong to several organizations: say which")
    return found[0]


async def _asked(request: Request) -> Asked:
    """The body, if there is one; raises `InvalidSettings`."""
    raw = await request.body()
    try:
        asked = Asked.model_validate(json.loads(raw)) if raw.strip() else Asked()
    except ValidationError as error:
        places = sorted({".".join(map(str, each["loc"])) or "the body" for each in error.errors()})
        raise InvalidSettings(f"this makes no sense: {', '.join(places)[:200]}") from None
    except (ValueError, RecursionError):
        raise InvalidSettings("the body is not JSON that makes sense") from None
    return asked


def _not_connected(failure: NotConnected) -> Response:
    return JSONResponse({"error": failure.code, "message": failure.words}, STATUS.get(failure.code, 422))


ROUTES = [
    Route("/api/integrations/{provider}/connect", connect, methods=["POST"]),
    Route("/api/integrations/{provider}/callback", come_back, methods=["GET"]),
    Route("/api/integrations/{provider}/disconnect", disconnect, methods=["POST"]),
    Route("/api/integrations/{provider}/test", test, methods=["POST"]),
]
