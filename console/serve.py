"""One process of the console: it opens its ways into the database, and serves until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
import uvicorn

from console.app import Opening, create_app
from console.context import Console, templates
from console.db import Members
from console.identity import Verifier
from console.settings import ConsoleSettings
from listener import __version__, logs
from listener.alerts import Alerts
from listener.db import Database
from listener.errors import EX_UNAVAILABLE, Refusal
from listener.service import check, notify
from providers.base import open_http

STOP_SECONDS = 3
CRM_CONNECTIONS = 20
CHECK_SECONDS = 30.0

log = structlog.get_logger()


def opening(settings: ConsoleSettings) -> Opening:
    """How one console is opened and closed."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Console]:
        secrets = await Database.open(settings.common, role="crm_sync_console")
        try:
            await check(secrets)
            members = await Members.open(settings.common)
            try:
                async with open_http(CRM_CONNECTIONS) as http:
                    # somebody has to notice that no daemon is alive, and to tell
                    alerts = asyncio.create_task(Alerts(secrets, settings.common, http, CHECK_SECONDS).run())
                    try:
                        yield Console(settings, members, secrets, Verifier(settings), templates(), http)
                    finally:
                        alerts.cancel()
                        await asyncio.gather(alerts, return_exceptions=True)
            finally:
                await members.close()
        finally:
            await secrets.close()

    return opened


class Server(uvicorn.Server):
    """Ends the streams of open pages before it waits for requests to end."""

    before_shutdown: Callable[[], None] = staticmethod(lambda: None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.before_shutdown()
        await super().shutdown(sockets)


async def serve(settings: ConsoleSettings) -> None:
    """Serve until SIGTERM or SIGINT; raises a `Refusal` when it must not start."""
    logs.configure(settings.common)
    asyncio.get_running_loop().set_exception_handler(logs.on_loop_error)
    refusals: list[Refusal] = []
    open_console = opening(settings)

    @asynccontextmanager
    async def ready() -> AsyncIterator[Console]:
        try:
            async with open_console() as console:
                log.info("console_ready", version=__version__, url=settings.public_url, listen=settings.listen)
                notify("READY=1\nSTATUS=serving")
                server.before_shutdown = console.streams.close
                yield console
                notify("STOPPING=1")
        except Refusal as refusal:
            refusals.append(refusal)  # uvicorn would log it and end with a status of its own
            logging.getLogger("uvicorn.error").disabled = True
            raise

    host, port = settings.address
    server = Server(
        uvicorn.Config(
            create_app(settings, ready),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=settings.forwarded_allow_ips,
            timeout_graceful_shutdown=STOP_SECONDS,
            lifespan="on",
        )
    )
    try:
        await server.serve()
    except SystemExit:
        if refusals:
            raise refusals[0] from None
        raise Refusal(
            f"nobody can listen on {settings.listen}: the port is taken", exit_status=EX_UNAVAILABLE
        ) from None
    if refusals:
        raise refusals[0]
