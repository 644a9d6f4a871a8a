"""An operator's receiver of messages about alerts: it keeps what comes and answers what it was told to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sandbox.server import serve

PATH = "/hook-with-a-token-in-its-path"


class Received(NamedTuple):
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """`answers` are the next statuses, or responses; when there are none left it takes everything (204)."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answers: deque[int | Response] = deque()
        self.url = ""

    async def take(self, request: Request) -> Response:
        self.received.append(Received(request.url.path, dict(request.headers), await request.body()))
        answer: int | Response = self.answers.popleft() if self.answers else 204
        return Response(status_code=answer) if isinstance(answer, int) else answer


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that listens."""
    made = Receiver()
    app = Starlette(routes=[Route("/{rest:path}", made.take, methods=["GET", "POST"])])
    with serve(app) as server:
        made.url = server.url + PATH
        yield made


def without_end(status: int = 200, headers: Mapping[str, Any] | None = None) -> Response:
    """An answer that never ends."""

    async def body() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536
            await asyncio.sleep(0.01)

    return StreamingResponse(body(), status, headers)
