"""One process of the daemon: checks before it starts, signals, and what systemd wants to hear."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING, TypeVar

import structlog

from listener import __version__, logs
from listener.carrier import Carrier
from listener.db import Database
from listener.errors import EX_SOFTWARE, EX_UNAVAILABLE, DatabaseTrouble, DatabaseUnreachable, Refusal, SchemaTooOld
from listener.observer import SILENT
from listener.settings import REQUIRED_SCHEMA, Settings
from listener.supervisor import Supervisor
from listener.worker import Worker
from providers.base import open_http

if TYPE_CHECKING:
    from listener.probes import Probes

CLOSE_SECONDS = 0.5
T = TypeVar("T")

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; raises a `Refusal` when it must not start or cannot go on."""
    logs.configure(settings)
    stopping = asyncio.Event()
    supervisor = Supervisor.of_this_process()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.on_loop_error)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, stopping, supervisor)
    try:
        await _run(settings, stopping, supervisor)
    except Refusal as refusal:
        supervisor.refused(str(refusal))
        raise
    except Exception as error:  # noqa: BLE001 - the last one to catch it
        # no traceback on the way out: its words may hold a person's data
        log.error("crashed", error=type(error).__name__, places=logs.places(error))
        words = f"the daemon ended by a fault of ours: {type(error).__name__}"
        supervisor.refused(words)
        raise Refusal(words, exit_status=EX_SOFTWARE) from None


async def _run(settings: Settings, stopping: asyncio.Event, supervisor: Supervisor) -> None:
    if settings.metrics_listen is None:
        return await _work(settings, stopping, supervisor, None)
    # what is not asked for is not loaded: Prometheus' client costs megabytes
    from listener.probes import Probes  # noqa: PLC0415

    probes = await Probes.open(settings)
    try:
        return await _work(settings, stopping, supervisor, probes)
    finally:
        probes.close()


async def _work(settings: Settings, stopping: asyncio.Event, supervisor: Supervisor, probes: Probes | None) -> None:
    observer = SILENT if probes is None else probes.metrics
    database = await _unless(stopping, Database.open(settings, on_wait=supervisor.waits))
    if database is None:
        return
    try:
        await _unless(stopping, check(database))
        reports: list[asyncio.Task[None]] = []

        def on_ready() -> None:
            log.info("ready", worker_id=str(worker.id))
            supervisor.ready("working")
            reports.append(asyncio.create_task(supervisor.report(database)))

        async with open_http(settings.concurrency * 4) as http:
            carrier = Carrier(database, settings, http, stopping, observer=observer)
            worker = Worker(settings, database, carrier, stopping, on_ready, observer, supervisor)
            if probes is not None:
                probes.watch(database, worker)
            log.info("starting", version=__version__, worker_id=str(worker.id), listen=settings.listen)
            try:
                await worker.run()
            finally:
                for report in reports:
                    report.cancel()
            log.info("stopped", worker_id=str(worker.id))
    finally:
        try:
            await asyncio.wait_for(database.close(), CLOSE_SECONDS)
        except TimeoutError:
            database.terminate()


async def check(database: Database, *, sends: bool = True) -> None:
    """Refuse a database that is too old; for who `sends`, also a copy, or a key that does not open what is stored."""
    try:
        version = await database.schema_version()
        if version is None or version < REQUIRED_SCHEMA:
            raise SchemaTooOld(f"the database is at schema version {version or 0}, this daemon needs {REQUIRED_SCHEMA}")
        if sends:
            await database.check_fence(None)
            await database.verify_key()
    except DatabaseTrouble as trouble:
        if trouble.is_lost:
            raise DatabaseUnreachable(
                f"the database went away while we started: {trouble}",
                "Check that Postgres is running.",
                EX_UNAVAILABLE,
            ) from None
        raise DatabaseUnreachable(
            f"the database does not let us look: {trouble}",
            "Run: crm-sync migrate, which also renews the rights of crm_sync_daemon.",
        ) from None


async def _unless(stopping: asyncio.Event, words: Coroutine[object, object, T]) -> T | None:
    """What `words` come to; None when we were asked to stop before that."""
    task, stop = asyncio.create_task(words), asyncio.create_task(stopping.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
    return task.result()


def _stop(stopping: asyncio.Event, supervisor: Supervisor) -> None:
    if not stopping.is_set():
        log.info("stopping")
        supervisor.stopping()
        stopping.set()
