"""A daemon whose CRM is a function in its own process: everything of ours, and nothing of HTTP.

It speaks the protocol of `bench.workers`; `count` is rows settled, and then how much of each kind of work is done:
contacts, deals and messages composed, the same settled, and rows that nothing was sent for; `start` the beginning of a push, of one connection
only with BENCH_STARTS_OF in its environment. With BENCH_CALL_SECONDS each push takes so long; with BENCH_EFFECTS it
appends the id of each row whose effect it had to the file of that name.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from operator import add
from pathlib import Path
from typing import Any, NoReturn

import httpx

from listener import logs, service
from listener.carrier import Carrier
from listener.db import Database
from listener.settings import Settings
from listener.worker import Worker
from providers import base
from providers.account import AccountFacts, CrmField
from providers.credentials import Credentials
from providers.models import Batch, Outcome
from providers.report import Report

COUNT_SECONDS = 0.1
IS_LATENCY = bool(os.environ.get("BENCH_LATENCY"))
STARTS_OF = int(os.environ.get("BENCH_STARTS_OF", "0"))
CALL_SECONDS = float(os.environ.get("BENCH_CALL_SECONDS", "0"))
EFFECTS = os.environ.get("BENCH_EFFECTS")
KINDS: dict[int, tuple[int, int, int]] = {}
"""Of each batch under way: its documents of each kind."""
COMPOSED = [0, 0, 0]


class NullClient(base.Client):
    """Says of every document that it arrived."""

    name = "null"

    async def push(self, batch: Batch, report: Report) -> None:
        if IS_LATENCY or batch.integration_id == STARTS_OF:
            print("start", time.monotonic_ns(), flush=True)
        kinds = KINDS[batch.id] = (len(batch.contacts), len(batch.deals), len(batch.activities) + len(batch.tasks))
        COMPOSED[:] = map(add, COMPOSED, kinds)
        if CALL_SECONDS:
            await asyncio.sleep(CALL_SECONDS)
        for document in batch.documents:
            report.synced(document, f"external-{document.rows[-1]}", created=True)
        if EFFECTS:
            _write_down(Path(EFFECTS), batch)

    async def ensure_schema(self) -> dict[str, Any]:
        return {}

    async def describe(self) -> list[CrmField]:
        return []

    async def identify(self) -> AccountFacts:
        return AccountFacts(id="null")

    def base_url(self, credentials: Credentials) -> NoReturn:
        raise AssertionError("there is no HTTP here")

    def error_of(self, response: httpx.Response) -> NoReturn:
        raise AssertionError("there is no HTTP here")


class CountingDatabase(Database):
    """Knows how many rows were settled through it."""

    settled = 0
    kinds = (0, 0, 0)
    """Documents of each kind that were settled."""

    async def finish(self, batch_id: int, outcomes: list[Outcome]) -> int:
        rows = await super().finish(batch_id, outcomes)
        self.settled += rows
        contacts, deals, messages = map(add, self.kinds, KINDS.pop(batch_id, (0, 0, 0)))
        self.kinds = (contacts, deals, messages)
        return rows


async def main() -> None:
    settings = Settings.from_environment()
    logs.configure(settings)
    stopping, go = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _stop, go, stopping)
    database = await CountingDatabase.open(settings)
    await service.check(database)
    background = [asyncio.create_task(_obey(go, stopping)), asyncio.create_task(_count(database))]
    async with base.open_http(1) as http:
        carrier = Carrier(database, settings, http, stopping, client_for=lambda _name: NullClient)
        print("ready", flush=True)
        await go.wait()
        await Worker(settings, database, carrier, stopping).run()
    for task in background:
        task.cancel()
    await database.close()


async def _obey(go: asyncio.Event, stopping: asyncio.Event) -> None:
    """Begin when told so, end when whoever started us is gone."""
    words = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    while word := await words.readline():
        if word.strip() == b"go":
            go.set()
    _stop(go, stopping)


def _stop(go: asyncio.Event, stopping: asyncio.Event) -> None:
    stopping.set()
    go.set()


def _write_down(effects: Path, batch: Batch) -> None:
    with effects.open("a") as lines:
        lines.writelines(f"{row}\n" for document in batch.documents for row in document.rows)


async def _count(database: CountingDatabase) -> None:
    told = 0
    while True:
        await asyncio.sleep(COUNT_SECONDS)
        if database.settled != told:
            told = database.settled
            print("count", told, *COMPOSED, *database.kinds, told - sum(database.kinds), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
