"""How it goes: synced, waiting, failed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console import queries
from console.context import console_of, signed_in


async def home(request: Request) -> Response:
    """To the dashboard."""
    await signed_in(request)
    return RedirectResponse(console_of(request).url("/dashboard"), 303)


async def show(request: Request) -> Response:
    """The page."""
    console, identity = console_of(request), await signed_in(request)
    async with console.members.asked_by(identity) as session:
        connections = await queries.connections(session)
    return console.render(request, "dashboard.html", active="/dashboard", connections=connections)
