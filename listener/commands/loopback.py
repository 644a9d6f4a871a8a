"""Where a browser on this machine comes back to when somebody connects a CRM from a terminal."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

LOOPBACK = ("127.0.0.1", "localhost")
REQUEST_SECONDS = 10.0
LONGEST_LINE = 16 * 1024
HEAD = (
    "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n"
    "cache-control: no-store\r\nreferrer-policy: no-referrer\r\nx-content-type-options: nosniff\r\n"
    "content-security-policy: default-src 'none'\r\nconnection: close\r\n\r\n"
)


def is_loopback(redirect_uri: str) -> bool:
    """Whether a registered redirect URI leads to this machine, to a port that we may open."""
    try:
        parts = urlsplit(redirect_uri)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname in LOOPBACK and port is not None


class Loopback:
    """Waits for the one request that carries our state; whatever else comes is refused and changes nothing."""

    def __init__(self, redirect_uri: str) -> None:
        self._where = urlsplit(redirect_uri)
        self._state: str | None = None
        self._answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Raises `OSError` when the port is taken."""
        server = await asyncio.start_server(
            self._serve, self._where.hostname, self._where.port, limit=LONGEST_LINE, reuse_address=True
        )
        async with server:
            yield

    async def wait(self, state: str, seconds: float) -> dict[str, str]:
        """The parameters that the CRM gave the browser; raises `TimeoutError`."""
        self._state = state
        return await asyncio.wait_for(asyncio.shield(self._answer), seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                status, words = self._answer_to(await reader.readline())
                while (await reader.readline()).strip():
                    pass  # headers: nothing of them matters
                body = f"{words}\n".encode()
                writer.write(HEAD.format(status=status, length=len(body)).encode() + body)
                await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def _answer_to(self, line: bytes) -> tuple[str, str]:
        method, _, rest = line.decode("latin-1").partition(" ")
        target = urlsplit(rest.rpartition(" ")[0])
        if method != "GET" or target.path != (self._where.path or "/"):
            return "404 Not Found", "There is nothing here."
        given = parse_qs(target.query, keep_blank_values=True)
        if any(len(values) > 1 for values in given.values()):
            return "400 Bad Request", "This is not the answer that was waited for."
        found = {name: values[0] for name, values in given.items()}
        # another page of this browser may call us as well: only the CRM knows the state
        if self._state is None or not hmac.compare_digest(found.get("state", "").encode(), self._state.encode()):
            return "400 Bad Request", "This is not the answer that was waited for."
        if not self._answer.done():
            self._answer.set_result(found)
        return "200 OK", "Thank you. crm-sync goes on in the terminal; this page can be closed."
