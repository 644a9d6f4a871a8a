"""The members' way into the database: each question is asked as `authenticated`, with the claims of who asks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

from console.identity import Identity
from listener.dialer import dial
from listener.errors import DatabaseTrouble, InvalidSettings, Refusal
from listener.pool import SESSION, TROUBLE, attempt_seconds, leave_as_it_is, refusal_behind, trouble_behind
from listener.settings import Settings
from sql.quiet import QUIET

POOL_SIZE = 10
STATEMENT_TIMEOUT_MILLISECONDS = 15_000
ACQUIRE_SECONDS = 5.0

Row = dict[str, Any]


class Session:
    """One transaction of one member; row-level security decides what there is."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def rows(self, query: str, *arguments: object) -> list[Row]:
        return [dict(record) for record in await self._connection.fetch(query, *arguments)]

    async def row(self, query: str, *arguments: object) -> Row | None:
        record = await self._connection.fetchrow(query, *arguments)
        return None if record is None else dict(record)

    async def value(self, query: str, *arguments: object) -> Any:
        return await self._connection.fetchval(query, *arguments)


class Members:
    """A pool of connections that work as `authenticated` and know no key."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Raises what asyncpg raises: whoever opens the secrets' pool first has found the database in order."""
        return cls(
            await asyncpg.create_pool(
                settings.database_url.get_secret_value(),
                min_size=1,
                max_size=POOL_SIZE,
                connect=dial,
                timeout=attempt_seconds(settings),
                server_settings={
                    **SESSION,
                    "application_name": "crm-sync console",
                    "role": "authenticated",
                    "statement_timeout": str(STATEMENT_TIMEOUT_MILLISECONDS),
                    "idle_in_transaction_session_timeout": "30000",
                },
                init=_prepare,
                # the claims end with their transaction: nothing is left behind that would have to be reset
                reset=leave_as_it_is,
            )
        )

    @asynccontextmanager
    async def asked_by(self, identity: Identity) -> AsyncIterator[Session]:
        """A transaction as this user.

        Raises the `Refusal` that the database's own words become, `DatabaseTrouble` for everything else.
        """
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection, connection.transaction():
                await connection.execute("select set_config('request.jwt.claims', $1, true)", identity.claims)
                yield Session(connection)
        except TROUBLE as error:
            raise refusal_or_trouble(error) from None

    async def answers(self) -> bool:
        """Whether the database does."""
        try:
            return await self._pool.fetchval("select true", timeout=ACQUIRE_SECONDS) is True
        except TROUBLE:
            return False

    async def close(self) -> None:
        await self._pool.close()


def refusal_or_trouble(error: BaseException) -> Refusal | DatabaseTrouble:
    """What an error of asyncpg is to us."""
    sqlstate = getattr(error, "sqlstate", None) or ""
    if sqlstate.startswith("22") or isinstance(error, asyncpg.DataError):
        # its words may quote what was sent
        return InvalidSettings("a value makes no sense here", "Nothing was saved.")
    return refusal_behind(error) or trouble_behind(error)


async def _prepare(connection: asyncpg.Connection) -> None:
    # claims hold an address, searches a name: the server's log gets neither
    await connection.execute(f"set role crm_sync_console; {QUIET}; set role authenticated")
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
