"""One process of the daemon: checks before it starts, signals, and what systemd wants to hear."""

from __future__ import annotations

import asyncio
import signal
import socket

import structlog

from listener import __version__, logs
from listener.carrier import Carrier
from listener.db import Database
from listener.errors import SchemaTooOld
from listener.settings import REQUIRED_SCHEMA, Settings, notify_socket
from listener.worker import Worker
from providers.base import open_http

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; raises a `Refusal` when it must not start."""
    logs.configure(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    database = await Database.open(settings)
    try:
        await check(database)
        async with open_http(settings.concurrency * 4) as http:
            carrier = Carrier(database, settings, http, stopping)
            worker = Worker(settings, database, carrier, stopping, on_ready=lambda: _ready(worker))
            log.info("starting", version=__version__, worker_id=str(worker.id), listen=settings.listen)
            await worker.run()
            notify("STOPPING=1")
            log.info("stopped", worker_id=str(worker.id))
    finally:
        try:
            await asyncio.wait_for(database.close(), 1.0)
        except TimeoutError:
            database.terminate()


async def check(database: Database) -> None:
    """Refuse to start on a database that is too old, or with a key that does not open what is stored there."""
    version = await database.schema_version()
    if version is None or version < REQUIRED_SCHEMA:
        raise SchemaTooOld(
            f"the database is at schema version {version or 0}, this daemon needs {REQUIRED_SCHEMA}",
            "Run: crm-sync migrate",
        )
    await database.verify_key()


def _ready(worker: Worker) -> None:
    log.info("ready", worker_id=str(worker.id))
    notify("READY=1\nSTATUS=waiting for work")


def notify(state: str) -> None:
    """Tell systemd, if it started us (sd_notify over its datagram socket)."""
    address = notify_socket()
    if address is None:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.connect("\0" + address[1:] if address.startswith("@") else address)
        channel.sendall(state.encode())
