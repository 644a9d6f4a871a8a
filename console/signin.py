"""Signing in where the host application does not: a token that it made, or an operator, becomes a cookie.

The token comes behind the `#` of a link, which travels to no server and into no log; a person confirms it with a
click, so that nobody is signed in as somebody else by following a link.
"""

from __future__ import annotations

import time
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from console.context import console_of
from console.guard import session_cookie
from console.identity import NotSignedInError


async def ask(request: Request) -> Response:
    """The page: its script puts the token from behind the `#` into the form."""
    console = console_of(request)
    return console.render(request, "sign_in.html", next=_path(request.query_params.get("next", "")), problem=None)


async def enter(request: Request) -> Response:
    """Set the cookie, for as long as the token counts."""
    console = console_of(request)
    form = {name: values[0] for name, values in parse_qs((await request.body()).decode(errors="replace")).items()}
    token, there = form.get("token", "").strip(), _path(form.get("next", ""))
    try:
        identity = await console.verifier.verify(token)
    except NotSignedInError as error:
        request.app.state.metrics.refused_sign_ins.labels(error.reason).inc()
        return console.render(request, "sign_in.html", status=401, next=there, problem=str(error))
    response = RedirectResponse(console.url(there), 303)
    response.set_cookie(
        console.settings.jwt_cookie,
        token,
        max_age=max(0, int(identity.expires_at - time.time())),
        path=console.settings.base_path or "/",
        secure=console.settings.is_secure,
        httponly=True,
        samesite="lax",
    )
    return response


async def leave(request: Request) -> Response:
    """Forget the cookie."""
    console = console_of(request)
    response = RedirectResponse(console.settings.sign_in_url or console.url("/sign-in"), 303)
    response.delete_cookie(console.settings.jwt_cookie, path=console.settings.base_path or "/")
    # who comes next at this browser is somebody else
    response.delete_cookie(session_cookie(console.settings), path="/", secure=console.settings.is_secure)
    return response


def _path(given: str) -> str:
    """A path of ours, and nothing that a browser takes for another site."""
    is_ours = (
        given.startswith("/") and not given.startswith(("//", "/\\")) and given.isprintable() and "\\" not in given
    )
    return given if is_ours else "/"


ROUTES = [
    Route("/sign-in", ask, methods=["GET"]),
    Route("/sign-in", enter, methods=["POST"]),
    Route("/sign-out", leave, methods=["POST"]),
]
