"""What load balancers and monitors ask."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from console.context import console_of


async def healthy(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


async def ready(request: Request) -> Response:
    """So does its database."""
    if await console_of(request).members.answers():
        return PlainTextResponse("ok\n")
    return PlainTextResponse("the database does not answer\n", 503)


ROUTES = [Route("/healthz", healthy), Route("/readyz", ready)]
