"""Serves an ASGI app on a loopback port from a thread, for the length of a `with` block.

Requests can ask for their connection to be cut: real clients see real broken connections.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

START_DEADLINE = 10.0


def cut(scope: Scope) -> None:
    """Close the connection of this request after what was sent so far; only for requests that `serve` received."""
    scope["extensions"]["sandbox.cut"]()


class Server:
    """A running server; `url` has no trailing slash."""

    def __init__(self, url: str) -> None:
        self.url = url


@contextmanager
def serve(app: ASGIApp, port: int = 0) -> Iterator[Server]:
    """Serve `app` on 127.0.0.1; the port is open on entry, and no thread or connection is left on exit.

    Raises OSError when the port is taken.
    """
    listener = _listen(port)
    uvicorn_server = _ThreadedServer(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=_CuttableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
        )
    )
    thread = threading.Thread(target=uvicorn_server.run_until_stopped, args=(listener,), name="sandbox", daemon=True)
    thread.start()
    try:
        uvicorn_server.wait_until_ready()
        yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        uvicorn_server.stop()
        thread.join(START_DEADLINE)
        listener.close()


def _listen(port: int) -> socket.socket:
    # The protocol is named because asyncio switches Nagle's algorithm off only where it is: without that, every
    # answer of two segments waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


class _ThreadedServer(uvicorn.Server):
    """uvicorn without its polling and its patience: it stops at once, and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None

    def run_until_stopped(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self.serve(sockets=[listener]))
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for readiness
            self._failure = error
        finally:
            self._ready.set()

    def wait_until_ready(self) -> None:
        if not self._ready.wait(START_DEADLINE):
            raise TimeoutError(f"the sandbox did not start within {START_DEADLINE:g} s")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        self._ready.set()
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol):
                connection.transport.abort()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _CuttableProtocol(H11Protocol):
    """HTTP/1.1 whose requests find a way to close their own connection in the scope's extensions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        served = self.app

        async def with_cut(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), "sandbox.cut": self._cut}
            try:
                await served(scope, receive, send)
            except (asyncio.CancelledError, ClientDisconnect):
                # The server is stopping: whoever still waits for an answer sees the connection close. Or nobody waits:
                # the client went away before it had said all.
                self._cut()

        self.app = with_cut

    def _cut(self) -> None:
        # uvicorn looks at this flag before it complains of an app that did not answer.
        self.cycle.disconnected = True
        self.transport.close()
