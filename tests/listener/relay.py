"""A TCP relay before Postgres that can go deaf: it keeps connections open and stops passing the server's bytes on.

It can also be cut: then it is as if the server were away.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit


class Relay:
    """`deafen` strikes the connections that are open now; later ones hear again."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 5432
        self._parts = parts
        self.url = ""
        self.accepted = 0
        self._deaf: set[int] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(5)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        self._loop.close()

    def deafen(self, number: int) -> None:
        """Let nothing more through to the client of the `number`th connection (from 1)."""
        self._deaf.add(number)

    def deafen_all(self) -> None:
        """All connections that are open now."""
        for number in range(1, self.accepted + 1):
            self.deafen(number)

    def cut(self) -> None:
        """Reset all connections, and every new one, until `mend`."""
        self._is_cut = True
        for writer in list(self._open):
            self._loop.call_soon_threadsafe(writer.transport.abort)

    def mend(self) -> None:
        self._is_cut = False

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        login = self._parts.netloc.rpartition("@")[0]
        port = server.sockets[0].getsockname()[1]
        self.url = urlunsplit(self._parts._replace(netloc=f"{login}@127.0.0.1:{port}"))
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
        server_reader, server_writer = await asyncio.open_connection(self._host, self._port)
        try:
            await asyncio.gather(self._pump(reader, server_writer, None), self._pump(server_reader, writer, number))
        except OSError:
            return
        finally:
            self._open.discard(writer)
            writer.transport.abort()
            server_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int | None) -> None:
        while data := await reader.read(65536):
            if number not in self._deaf:
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@contextmanager
def relay(url: str) -> Iterator[Relay]:
    running = Relay(url)
    running.start()
    try:
        yield running
    finally:
        running.stop()
