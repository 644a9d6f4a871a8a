"""Connections to the database: the role they work in, what their start-up packet carries, what their errors mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal, Self

import asyncpg

from listener.dialer import dial
from listener.errors import EX_UNAVAILABLE, REFUSAL_BY_SQLSTATE, DatabaseTrouble, DatabaseUnreachable, Refusal
from listener.observer import SILENT, Observer
from listener.settings import Settings
from sql.quiet import QUIET

LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
)
TROUBLE = (*LOST, asyncpg.PostgresError)
"""What asyncpg raises; outside of this module, the doorbell and the console's own pool it is a `DatabaseTrouble`."""

Role = Literal["crm_sync_daemon", "crm_sync_console"]

ROLE_REFUSED = (
    asyncpg.InvalidRoleSpecificationError,
    asyncpg.InvalidParameterValueError,
    asyncpg.InsufficientPrivilegeError,
)
"""What the start-up packet's `role` meets when the role is not there, or not ours to be."""

POOLER = (
    asyncpg.ProtocolViolationError,
    asyncpg.DuplicatePreparedStatementError,
    asyncpg.InvalidSQLStatementNameError,
)
"""What a pooler says to a start-up packet with more than a name in it, and to statements prepared on another server."""
ATTEMPT_SECONDS = 10.0
STATEMENT_SECONDS = 60.0
"""So long the server works on a statement of ours, whether or not we are still there."""
COMMAND_SECONDS = 70.0


async def connect(settings: Settings) -> asyncpg.Connection:
    """A connection that works as `crm_sync_daemon` and knows the encryption key.

    Both travel in the start-up packet, so neither appears in a statement, a log or pg_stat_activity.
    """
    connection = await dial(
        settings.database_url.get_secret_value(),
        timeout=attempt_seconds(settings),
        command_timeout=attempt_seconds(settings),
        server_settings=_server_settings(settings),
    )
    try:
        await _silence(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


def attempt_seconds(settings: Settings) -> float:
    """How long one host may take: waiting for a database is a matter of many tries, not of a long one."""
    return min(settings.connect_timeout_seconds, ATTEMPT_SECONDS)


SESSION = {
    "row_security": "on",
    "default_transaction_isolation": "read committed",
    "lock_timeout": "0",
    "idle_session_timeout": "0",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}
"""What our calls rely on, whatever an operator has set for the role or the database."""


ALONE = {"max_parallel_workers_per_gather": "0", "max_parallel_maintenance_workers": "0"}
"""What is set in a session goes to its parallel workers by shared memory, and may stay there: a key as well."""


def _server_settings(settings: Settings, role: Role = "crm_sync_daemon") -> dict[str, str]:
    old_keys = settings.old_encryption_keys.get_secret_value()
    return {
        **SESSION,
        **ALONE,
        **({"crm_sync.old_encryption_keys": old_keys} if old_keys else {}),
        "application_name": "crm-sync" if role == "crm_sync_daemon" else "crm-sync console",
        "role": role,
        "crm_sync.encryption_key": settings.encryption_key.get_secret_value(),
        "idle_in_transaction_session_timeout": "60000",
        "statement_timeout": f"{STATEMENT_SECONDS * 1000:.0f}",
    }


async def _silence(connection: asyncpg.Connection) -> None:
    if await connection.fetchval("select pg_catalog.current_setting('role')") == "none":
        raise _behind_a_pooler("the role that we work in did not arrive")
    if connection.get_server_version().major >= 17:  # those before do not know it
        await connection.execute("set transaction_timeout = 0")
    await connection.execute(QUIET)


async def _letter(secret: str) -> AsyncIterator[bytes]:
    """One row of one column, as COPY's binary format has it."""
    text = secret.encode()
    yield b"PGCOPY\n\xff\r\n\0" + bytes(8) + (1).to_bytes(2) + len(text).to_bytes(4) + text + b"\xff\xff"


def _behind_a_pooler(words: str) -> DatabaseUnreachable:
    return DatabaseUnreachable(
        f"DATABASE_URL leads through a pooler that keeps no session for us: {words}",
        "The daemon and the console need Postgres itself: their role and key are a session's, and LISTEN is. Name its "
        "host and port. Producers may go on through the pooler.",
    )


async def _enter(connection: asyncpg.Connection) -> None:
    """Before anything is claimed on it: where it leads to may lack what a daemon last said elsewhere."""
    await _silence(connection)
    try:
        await connection.execute("select crm_sync.note_timeline()")
    except (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError, asyncpg.InsufficientPrivilegeError):
        pass  # a database of before; the check at the start says so, where that matters


async def leave_as_it_is(_connection: asyncpg.Connection) -> None:
    """For a pool's `reset`: our calls leave nothing behind in a session.

    asyncpg's own would switch `_silence` off again, and doubles the round trips of every call.
    """


def refusal_behind(error: BaseException) -> Refusal | None:
    """What our own functions have refused, in their words; None where an error is none of theirs."""
    refusal = REFUSAL_BY_SQLSTATE.get(getattr(error, "sqlstate", None) or "")
    if refusal is None:
        return None
    # asyncpg's str() has the hint in it as well
    words = [getattr(error, "message", None) or str(error), getattr(error, "detail", None)]
    return refusal(". ".join(filter(None, words)), getattr(error, "hint", None))


def trouble_behind(error: BaseException) -> DatabaseTrouble:
    """Any other error, and whether the database was away or said no."""
    return DatabaseTrouble(error, is_lost=isinstance(error, LOST) and not isinstance(error, asyncpg.QueryCanceledError))


class Pool:
    """Connections that work in one role; the calls are in `listener.db`."""

    observer: Observer = SILENT

    def __init__(self, pool: asyncpg.Pool, claims: str | None = None) -> None:
        self._pool = pool
        self._claims = claims

    def on_behalf_of(self, claims: str) -> Self:
        """The same pool, asked for a user: with the claims of a JWT (a JSON object) whose signature was verified.

        They hold for one call each: the next one to use the connection finds nothing of them.
        """
        view = type(self)(self._pool, claims)
        view.observer = self.observer
        return view

    @classmethod
    async def open(
        cls, settings: Settings, role: Role = "crm_sync_daemon", *, on_wait: Callable[[], None] = lambda: None
    ) -> Self:
        """Open the pool; raises a `Refusal` when the database cannot be reached or does not let us in.

        `on_wait` is called as long as the database is waited for, before each further try.
        """
        deadline = asyncio.get_running_loop().time() + settings.connect_timeout_seconds
        while True:
            try:
                return cls(
                    await asyncpg.create_pool(
                        settings.database_url.get_secret_value(),
                        min_size=1,
                        max_size=settings.concurrency + 4,
                        connect=dial,
                        timeout=attempt_seconds(settings),
                        command_timeout=COMMAND_SECONDS,
                        max_inactive_connection_lifetime=300,
                        server_settings=_server_settings(settings, role),
                        init=_enter if role == "crm_sync_daemon" else _silence,
                        reset=leave_as_it_is,
                    )
                )
            except ValueError as error:
                # the words of this one quote pieces of the string, and a password may be among them
                raise DatabaseUnreachable(
                    f"DATABASE_URL is not a connection string ({type(error).__name__})",
                    "Write it as postgresql://user:password@host:5432/database, with reserved characters of the "
                    "password percent-encoded.",
                ) from None
            except LOST as error:
                if isinstance(error, asyncpg.ProtocolViolationError) and "startup parameter" in str(error):
                    raise _behind_a_pooler(str(error).partition("\n")[0]) from None
                if asyncio.get_running_loop().time() >= deadline:
                    raise DatabaseUnreachable(
                        f"the database cannot be reached: {error or type(error).__name__}",
                        "Check DATABASE_URL and that Postgres is running.",
                        EX_UNAVAILABLE,
                    ) from None
                on_wait()
                await asyncio.sleep(0.2)
            except ROLE_REFUSED as error:
                raise DatabaseUnreachable(
                    f"the database does not let us work as {role}: {error}",
                    f"Migrate it first (crm-sync migrate); then, as its owner: grant {role} to <the role in "
                    "DATABASE_URL>.",
                ) from None
            except POOLER as error:
                raise _behind_a_pooler(str(error).partition("\n")[0]) from None
            except asyncpg.PostgresError as error:
                raise DatabaseUnreachable(
                    f"the database does not let us in: {error}", "Check DATABASE_URL and the rights of its role."
                ) from None

    async def close(self) -> None:
        await self._pool.close()

    def terminate(self) -> None:
        """Drop all connections at once."""
        self._pool.terminate()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Any]:
        """A connection that asks for whom we ask, in a transaction where that is a user."""
        async with self._pool.acquire() as connection:
            if self._claims is None:
                yield connection
                return
            async with connection.transaction():
                await connection.execute("select set_config('request.jwt.claims', $1, true)", self._claims)
                yield connection

    async def _value(self, query: str, *arguments: object) -> Any:
        row = await self._row(query, *arguments)
        return None if row is None else row[0]

    async def _row(self, query: str, *arguments: object) -> Any:
        try:
            async with self._asking() as connection:
                return await connection.fetchrow(query, *arguments)
        except TROUBLE as error:
            raise self._named(error) from None

    async def _row_with(self, secret: str, query: str, *arguments: object) -> Any:
        """As `_row`, for a query that reads the secret as `current_setting('crm_sync.letter')`.

        What is bound to a statement or stands in it may be logged by the server in many ways, the rows of a COPY in
        none: not even by an error, as long as they are binary.
        """
        try:
            async with self._asking() as connection, connection.transaction():
                await connection.copy_to_table(
                    "letterbox", schema_name="crm_sync", columns=["secret"], source=_letter(secret), format="binary"
                )
                return await connection.fetchrow(query, *arguments)
        except TROUBLE as error:
            raise self._named(error) from None

    async def _rows(self, query: str, *arguments: object) -> list[Any]:
        try:
            async with self._asking() as connection:
                return list(await connection.fetch(query, *arguments))
        except TROUBLE as error:
            raise self._named(error) from None

    def _named(self, error: Exception) -> Refusal | DatabaseTrouble:
        """What a call of ours met, as the rest of the daemon knows it."""
        if refusal := refusal_behind(error):
            return refusal
        trouble = trouble_behind(error)
        self.observer.database_troubled(is_lost=trouble.is_lost)
        return trouble
