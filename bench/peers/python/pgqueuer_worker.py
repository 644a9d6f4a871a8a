"""pgqueuer at work on jobs that do nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
from pgqueuer import Job, PgQueuer

BATCH = 1_000
CONNECTIONS = 4


async def open_work(url: str, handle: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    queuer = PgQueuer.from_asyncpg_pool(await asyncpg.create_pool(url, min_size=CONNECTIONS, max_size=CONNECTIONS))

    async def noop(_: Job) -> None:
        handle()

    queuer.entrypoint("noop")(noop)
    return lambda: queuer.run(batch_size=BATCH)
