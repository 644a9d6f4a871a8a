"""procrastinate at work on jobs that do nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import procrastinate
import psycopg
import psycopg_pool

CONCURRENCY = 10


async def open_work(url: str, handle: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    # a pool of our own: with the library's, each statement takes four round trips instead of one
    pool = psycopg_pool.AsyncConnectionPool(url, min_size=CONCURRENCY, configure=_in_autocommit, open=False)
    await pool.open(wait=True)
    connector = procrastinate.PsycopgConnector()
    app = procrastinate.App(connector=connector)
    await connector.open_async(pool)

    async def noop() -> None:
        handle()

    app.task(name="noop")(noop)
    return lambda: app.run_worker_async(concurrency=CONCURRENCY, delete_jobs="always", install_signal_handlers=False)


async def _in_autocommit(connection: psycopg.AsyncConnection) -> None:
    await connection.set_autocommit(True)
