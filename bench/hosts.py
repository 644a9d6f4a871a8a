"""Hosts of their own for daemons: network namespaces on a bridge, where we may make them; else plain processes.

The server listens on the loopback interface of the first namespace only, so a relay on the bridge leads to it.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

NAME = "crmbench"
GATEWAY = "10.213.7.1"
CHUNK = 1 << 16


@dataclass(frozen=True)
class Hosts:
    """Where daemons run.

    Attributes:
        prefixes: what goes before a command, for each host.
        url: of the database, as seen from there.
        are_namespaces: each has a network of its own.
    """

    prefixes: Sequence[Sequence[str]]
    url: str
    are_namespaces: bool


@contextmanager
def hosts(count: int, url: str) -> Iterator[Hosts]:
    """So many hosts; all are gone on exit."""
    if not _permitted():
        yield Hosts([()] * count, url, are_namespaces=False)
        return
    names = [f"{NAME}{number}" for number in range(count)]
    server = urlsplit(url)
    try:
        _ip(f"link add {NAME} type bridge", f"addr add {GATEWAY}/24 dev {NAME}", f"link set {NAME} up")
        for number, name in enumerate(names):
            _ip(
                f"netns add {name}",
                f"link add {name} type veth peer name eth0 netns {name}",
                f"link set {name} master {NAME} up",
                f"-n {name} addr add 10.213.7.{number + 10}/24 dev eth0",
                f"-n {name} link set eth0 up",
            )
        with _relay(str(server.hostname), int(server.port or 5432)) as port:
            from_there = server._replace(netloc=f"{server.netloc.rpartition('@')[0]}@{GATEWAY}:{port}")
            yield Hosts([("ip", "netns", "exec", name) for name in names], from_there.geturl(), are_namespaces=True)
    finally:
        for name in names:
            _try(f"netns del {name}")
        _try(f"link del {NAME}")


def _permitted() -> bool:
    if shutil.which("ip") is None or not _try(f"netns add {NAME}"):
        return False
    _try(f"netns del {NAME}")
    return True


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True, capture_output=True)


def _try(command: str) -> bool:
    return subprocess.run(["ip", *command.split()], check=False, capture_output=True).returncode == 0


@contextmanager
def _relay(host: str, port: int) -> Iterator[int]:
    """A port on the bridge whose connections lead to the server; served from a thread."""
    loop = asyncio.new_event_loop()

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = loop.run_until_complete(asyncio.start_server(lead, GATEWAY, 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(CHUNK):
            target.write(data)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()
