"""What every page of the console shares: its settings, its ways into the database, and how it shows things."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from console import words
from console.db import Members
from console.guard import csrf_token
from console.identity import Identity, NotSignedInError, Verifier, bearer_token
from console.ratelimit import Rate, RateLimit
from console.settings import ConsoleSettings
from console.streams import Streams
from listener import __version__
from listener.db import Database
from providers.base import Http

FOLDER = Path(__file__).parent
USERS_RATE = Rate(20, 60)
"""What reaches out to a CRM, by user; the guard counts by address."""


@dataclass(frozen=True)
class Console:
    """One running console; handlers find it with `console_of`.

    Attributes:
        members: asks what a member may ask.
        secrets: connects, for the user it is asked on behalf of; knows the encryption key.
        http: carries calls to CRMs.
        per_user: how often a user may have a CRM called.
    """

    settings: ConsoleSettings
    members: Members
    secrets: Database
    verifier: Verifier
    templates: jinja2.Environment
    http: Http
    per_user: RateLimit = field(default_factory=lambda: RateLimit(USERS_RATE))
    streams: Streams = field(default_factory=Streams)

    def url(self, path: str) -> str:
        """A path of ours as a browser asks for it."""
        return self.settings.base_path + path

    def render(self, request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page, or a piece of one; whatever a CRM or a person wrote is escaped."""
        text = self.templates.get_template(template).render(
            url=self.url,
            csrf_token=csrf_token(request),
            identity=getattr(request.state, "identity", None),
            version=__version__,
            **{"active": None, "pulse": None, **context},
        )
        return HTMLResponse(text, status)


def templates() -> jinja2.Environment:
    """Escapes everything, and knows nothing that is not there: a name that is wrong is an error, not a blank."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(words.FILTERS)
    environment.filters["quote"] = lambda text: quote(str(text), safe="")
    return environment


def console_of(request: Request) -> Console:
    """The console that serves this request."""
    console: Console = request.app.state.console
    return console


async def signed_in(request: Request) -> Identity:
    """Who asks; raises `NotSignedInError`. A token in a header counts before a cookie's."""
    console = console_of(request)
    known: Identity | None = getattr(request.state, "identity", None)
    if known is not None:
        return known
    by_header = bearer_token(request.headers)
    token = by_header or request.cookies.get(console.settings.jwt_cookie, "").strip()
    if not token:
        raise NotSignedInError("nobody is signed in")
    identity = await console.verifier.verify(token, by_header=by_header is not None)
    request.state.identity = identity
    return identity
