"""A daemon whose CRM is a function in its own process: everything of ours, and nothing of HTTP."""

from __future__ import annotations

import asyncio
import signal

from listener import logs
from listener.carrier import Carrier, _Load
from listener.db import Database
from listener.settings import Settings
from listener.worker import Worker
from providers.base import open_http


class NullCarrier(Carrier):
    """Says of every document that it arrived."""

    async def _push(self, load: _Load) -> None:
        for document in load.batch.documents:
            load.report.synced(document, f"external-{document.rows[-1]}", created=True)


async def main() -> None:
    settings = Settings.from_environment()
    logs.configure(settings)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    database = await Database.open(settings)
    async with open_http(1) as http:
        carrier = NullCarrier(database, settings, http, stopping)
        await Worker(settings, database, carrier, stopping, on_ready=lambda: print("ready", flush=True)).run()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main())
