"""/healthz, /readyz and /metrics of the daemon."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus

import structlog
from prometheus_client import Gauge

from listener.census import Census
from listener.db import Database
from listener.errors import DatabaseTrouble, Refusal
from listener.exposition import expose, open_registry
from listener.metrics import Metrics
from listener.pages import Answer, Pages
from listener.settings import Settings
from listener.worker import Worker

DATABASE_SECONDS = 2.0
FRESH_SECONDS = 1.0
"""So long an answer serves all who ask: a flood of questions must not become a flood of work."""

log = structlog.get_logger()


class Probes:
    """The pages, and what they know: `metrics` counts from the start, the rest is there once `watch` was called."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._registry = open_registry("daemon")
        self.metrics = Metrics(self._registry)
        self._census = Census()
        self._registry.register(self._census)
        self._add_gauges()
        self._database: Database | None = None
        self._worker: Worker | None = None
        self._asking = asyncio.Lock()
        self._showing = asyncio.Lock()
        self._database_problem: str | None = None
        self._database_again_at = float("-inf")
        self._text: Answer | None = None
        self._text_until = float("-inf")
        self._pages = Pages({"/healthz": self._health, "/readyz": self._readiness, "/metrics": self._show})

    @classmethod
    async def open(cls, settings: Settings) -> Probes:
        """Listen where the settings say; raises `Refusal` where that is not possible."""
        assert settings.metrics_listen is not None
        probes = cls(settings)
        host, port = settings.metrics_listen
        try:
            bound = await probes._pages.listen(host, port)
        except OSError as error:
            raise Refusal(
                f"CRM_SYNC_METRICS_LISTEN: {host}:{port} cannot be listened on ({error.strerror or error})",
                "Another process has it, or this machine has no such address: choose another, or end the other one.",
            ) from None
        log.info("metrics_listening", host=host, port=bound)
        return probes

    def watch(self, database: Database, worker: Worker) -> None:
        """From now on there is something to say."""
        database.observer = self.metrics
        self._database, self._worker = database, worker

    def close(self) -> None:
        self._pages.close()
        self._census.close()

    async def _health(self) -> Answer:
        """The event loop answers: this is its answer."""
        return Answer(HTTPStatus.OK, b"ok\n")

    async def _readiness(self) -> Answer:
        reason = await self._unready_reason()
        if reason is None:
            return Answer(HTTPStatus.OK, b"ready\n")
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready: {reason}\n".encode())

    async def _unready_reason(self) -> str | None:
        if self._worker is None or self._database is None:
            return "it is starting: the database has not let it in yet"
        async with self._asking:
            if time.monotonic() >= self._database_again_at:
                self._database_problem = await _problem(self._database)
                self._database_again_at = time.monotonic() + FRESH_SECONDS
        return self._database_problem or self._worker.unready_reason()

    async def _show(self) -> Answer:
        async with self._showing:
            if self._text is None or time.monotonic() >= self._text_until:
                if self._database is not None:
                    await self._census.look(self._database)
                body, content_type = expose(self._registry)
                self._text = Answer(HTTPStatus.OK, body, content_type)
                self._text_until = time.monotonic() + FRESH_SECONDS
            return self._text

    def _add_gauges(self) -> None:
        def gauge(name: str, words: str) -> Gauge:
            return Gauge(f"crm_sync_{name}", words, registry=self._registry)

        gauge("ready", "1 when the daemon listens (or polls, if told so) and has claimed.").set_function(
            lambda: float(self._worker is not None and self._worker.unready_reason() is None)
        )
        gauge("listening", "1 when a ring of the doorbell would be heard.").set_function(
            lambda: float(self._worker is not None and self._worker.is_listening)
        )
        gauge("batches_in_flight", "Batches under way in this daemon.").set_function(
            lambda: float(0 if self._worker is None else self._worker.in_flight)
        )
        gauge("batch_slots", "How many batches may be under way at once in this daemon.").set(
            self._settings.concurrency
        )


async def _problem(database: Database) -> str | None:
    """Why the database does not answer just now, in words; None when it does."""
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            await database.schema_version()
    except TimeoutError:
        return f"the database did not answer within {DATABASE_SECONDS:g} s"
    except (DatabaseTrouble, Refusal) as trouble:
        return f"the database does not answer: {trouble}"
    return None
