"""A TCP relay before Postgres or a CRM that can go deaf, in one direction or both, or be cut.

Deaf connections stay open. What the relay holds back is passed on when it is let go, unless its sender has gone.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

Way = Literal["to_server", "to_client"]
WAYS: tuple[Way, ...] = ("to_server", "to_client")


class Relay:
    """`deafen` strikes the connections that are open now; later ones hear again. `hold` strikes all there will be."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 5432
        self._parts = parts
        self.url = ""
        self.accepted = 0
        self.passed = dict.fromkeys(WAYS, 0)
        """Bytes that came in, by the way they go."""
        self.callers: dict[int, int] = {}
        """Ports that the server sees, and the ports of the clients behind them."""
        self._deaf: set[int] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._held: set[Way] = set()
        self._waiting: dict[asyncio.StreamWriter, bytearray] = {}
        self._is_cut = False
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()

    def deafen(self, number: int) -> None:
        """Let nothing more through to the client of the `number`th connection (from 1)."""
        self._deaf.add(number)

    def deafen_all(self) -> None:
        """All connections that are open now."""
        for number in range(1, self.accepted + 1):
            self.deafen(number)

    def hold(self, *ways: Way) -> None:
        """Keep back what goes these ways, of all connections, until `let_go`."""
        self._held.update(ways)

    def let_go(self) -> None:
        """Pass on what was held back."""
        self._loop.call_soon_threadsafe(self._flush)

    def reset(self) -> None:
        """Reset all connections that are open now; what was held back of them is lost."""
        for writer in list(self._open):
            self._loop.call_soon_threadsafe(writer.transport.abort)

    def cut(self) -> None:
        """Reset all connections, and every new one, until `mend`."""
        self._is_cut = True
        self.reset()

    def mend(self) -> None:
        self._is_cut = False

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        login, at, _ = self._parts.netloc.rpartition("@")
        port = server.sockets[0].getsockname()[1]
        self.url = urlunsplit(self._parts._replace(netloc=f"{login}{at}127.0.0.1:{port}"))
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        self.accepted += 1
        number = self.accepted
        self._open.add(writer)
        try:
            server_reader, server_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            self._open.discard(writer)
            writer.transport.abort()
            return
        port = server_writer.get_extra_info("sockname")[1]
        self.callers[port] = writer.get_extra_info("peername")[1]
        try:
            await asyncio.gather(
                self._pump(reader, server_writer, "to_server", None),
                self._pump(server_reader, writer, "to_client", number),
            )
        except (OSError, asyncio.CancelledError):
            return  # cancelled by `stop` alone, which waits for nothing else
        finally:
            self._open.discard(writer)
            self.callers.pop(port, None)
            for each in (writer, server_writer):
                self._waiting.pop(each, None)
                each.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, number: int | None
    ) -> None:
        while data := await reader.read(65536):
            self.passed[way] += len(data)
            if way in self._held:
                self._waiting.setdefault(writer, bytearray()).extend(data)
            elif number not in self._deaf:
                writer.write(data)
                await writer.drain()
        # whoever ended the connection takes along what was held back of it
        self._waiting.pop(writer, None)
        writer.transport.abort()

    def _flush(self) -> None:
        self._held.clear()
        for writer, data in self._waiting.items():
            writer.write(bytes(data))
        self._waiting.clear()


@contextmanager
def relay(url: str) -> Iterator[Relay]:
    running = Relay(url)
    running.start()
    try:
        yield running
    finally:
        running.stop()
