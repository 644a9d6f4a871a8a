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
from listener.service import check
from listener.supervisor import NOBODY, Supervisor
from providers.base import open_http

STOP_SECONDS = 3
LOOK_SECONDS = 10.0
CRM_CONNECTIONS = 20
CHECK_SECONDS = 30.0

log = structlog.get_logger()


def opening(settings: ConsoleSettings, supervisor: Supervisor = NOBODY) -> Opening:
    """How one console is opened and closed."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Console]:
        secrets = await Database.open(settings.common, role="crm_sync_console", on_wait=supervisor.waits)
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


async def _keep_looking(members: Members, supervisor: Supervisor) -> None:
    """Ask the database as often as the watchdog wants it: an answer, or none, proves that requests get through."""
    while supervisor.is_there:
        if await members.answers():
            supervisor.looked()
        else:
            supervisor.tried(is_lost=True)
        await asyncio.sleep(min(supervisor.look_seconds, LOOK_SECONDS))


async def serve(settings: ConsoleSettings) -> None:
    """Serve until SIGTERM or SIGINT; raises a `Refusal` when it must not start."""
    logs.configure(settings.common)
    asyncio.get_running_loop().set_exception_handler(logs.on_loop_error)
    refusals: list[Refusal] = []
    supervisor = Supervisor.of_this_process()
    open_console = opening(settings, supervisor)

    @asynccontextmanager
    async def ready() -> AsyncIterator[Console]:
        try:
            async with open_console() as console:
                log.info("console_ready", version=__version__, url=settings.public_url, listen=settings.listen)
                supervisor.ready("serving")
                server.before_shutdown = console.streams.close
                looks = asyncio.create_task(_keep_looking(console.members, supervisor))
                try:
                    yield console
                finally:
                    looks.cancel()
                supervisor.stopping()
        except Refusal as refusal:
            supervisor.refused(str(refusal))
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
