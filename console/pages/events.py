"""The stream that tells open pages that something changed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from console.context import console_of, signed_in


async def stream(request: Request) -> Response:
    """What app.js follows."""
    console, identity = console_of(request), await signed_in(request)
    return StreamingResponse(
        console.streams.follow(console.members, identity, request.query_params.get("seen")),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


ROUTES = [Route("/events", stream)]
