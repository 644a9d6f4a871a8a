"""A few pages over HTTP for the machines that look after this process, in its own event loop.

In the loop, because then an answer proves that the loop answers, and no thread shares what is counted. Whoever calls
can cost little: small heads, short times, few connections at once, one request each, GET only, and nothing is logged of
what a stranger sends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

import structlog

from listener.logs import places

MOST_HEAD_BYTES = 8192
HEAD_SECONDS = 5.0
ANSWER_SECONDS = 20.0
TAKE_SECONDS = 10.0
MOST_CONNECTIONS = 32
MOST_REST_READS = 32
TEXT = "text/plain; charset=utf-8"

log = structlog.get_logger()


class Answer(NamedTuple):
    """What a page says."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT


Page = Callable[[], Awaitable[Answer]]


class Pages:
    """Serves `pages` by their path from `listen` to `close`."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.WriteTransport] = set()
        self._idle: dict[asyncio.WriteTransport, None] = {}
        """Connections that keep us waiting, for the end of a request or for an answer to be taken; oldest first."""

    async def listen(self, host: str, port: int) -> int:
        """Returns the port, which the system chooses for 0; raises `OSError` when it cannot be had."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=MOST_HEAD_BYTES)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def close(self) -> None:
        """Stop at once, whoever is still connected."""
        if self._server is not None:
            self._server.close()
        for transport in list(self._open):
            transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        if len(self._open) >= MOST_CONNECTIONS:
            # an honest client is soon done: the oldest that lets us wait makes room, else the newcomer goes
            oldest = next(iter(self._idle), transport)
            self._idle.pop(oldest, None)
            oldest.abort()
        self._open.add(transport)
        self._idle[transport] = None
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # it went away, or was too slow
        except asyncio.CancelledError:
            pass  # the process ends; asyncio's streams would complain of it
        finally:
            self._open.discard(transport)
            self._idle.pop(transport, None)
            transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            answer = _refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            self._idle.pop(writer.transport, None)
            answer = await self._answer(head)
            self._idle[writer.transport] = None
        async with asyncio.timeout(TAKE_SECONDS):
            writer.write(_head(answer) + answer.body)
            await writer.drain()
            writer.write_eof()
            # to close while something is unread would reset the connection, and the answer with it
            for _ in range(MOST_REST_READS):
                if not await reader.read(MOST_HEAD_BYTES):
                    break

    async def _answer(self, head: bytes) -> Answer:
        match head.partition(b"\r\n")[0].split(b" "):
            case [method, target, version] if version.startswith(b"HTTP/1."):
                page = self._pages.get(target.partition(b"?")[0].decode("latin-1"))
            case _:
                return _refusal(HTTPStatus.BAD_REQUEST)
        if page is None:
            return _refusal(HTTPStatus.NOT_FOUND)
        if method != b"GET":
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await page()
        except Exception as error:  # noqa: BLE001 - a fault of a page must not end more than its answer
            log.error("page_failed", error=type(error).__name__, places=places(error))
            return _refusal(HTTPStatus.INTERNAL_SERVER_ERROR)


def _refusal(status: HTTPStatus) -> Answer:
    return Answer(status, f"{status.phrase}\n".encode())


def _head(answer: Answer) -> bytes:
    allow = "allow: GET\r\n" if answer.status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    return (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
        f"content-type: {answer.content_type}\r\n"
        f"content-length: {len(answer.body)}\r\n"
        f"{allow}"
        "cache-control: no-store\r\n"
        "x-content-type-options: nosniff\r\n"
        "connection: close\r\n\r\n"
    ).encode()
