"""Which of the hosts in DATABASE_URL a connection is made to: one that will do, and none that a failover left behind.

A promotion begins a new timeline. An old primary that comes back as a primary has the new one's system identifier, and
the claim on the database (`crm_sync.fence`) was replicated: only the timeline tells them apart.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import asyncpg
import structlog

from listener.settings import urls_of

OTHERS_SECONDS = 2.0
"""So much longer than the first host that answers may the others take, where all are asked."""

WHERE = """
select (pg_catalog.pg_control_system()).system_identifier::text as cluster,
  case when pg_catalog.pg_is_in_recovery() then 0
    else ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::integer
  end as timeline
"""

log = structlog.get_logger()


class Place(NamedTuple):
    """Where a connection leads: the cluster's identifier, and its timeline; 0 where it writes none or does not tell."""

    cluster: str
    timeline: int

    def is_behind(self, other: Place) -> bool:
        return self.cluster == other.cluster and 0 < self.timeline < other.timeline


class LeftBehindError(OSError):
    """A primary of before a failover: it lacks what was written since, and what is written to it is lost."""


NEXT_HOST = (OSError, asyncpg.TargetServerAttributeNotMatched, asyncpg.CannotConnectNowError)
"""What a host says that another one of the same URL may do without; a silent one raises `TimeoutError`, an OSError."""

_newest: dict[str, Place] = {}
"""By URL: where the newest of all connections of this process has led."""
_open: WeakKeyDictionary[asyncpg.Connection, tuple[str, Place]] = WeakKeyDictionary()


async def dial(url: str, *, timeout: float, **options: Any) -> asyncpg.Connection:  # noqa: ASYNC109 - asyncpg's own
    """Connect to the first of the URL's hosts that will do; `timeout` is each host's.

    asyncpg has one deadline for all of them, which a first host that is dead and silent would use up. The first time,
    all are asked: of two that both would do, the one with the newest timeline is the primary.
    """
    urls = urls_of(url)
    if len(urls) > 1 and url not in _newest:
        await _ask_all(url, urls, timeout, options)
    *others, last = urls
    for each in others:
        try:
            return await _reach(url, each, timeout, options)
        except NEXT_HOST:
            continue
    return await _reach(url, last, timeout, options)


async def _reach(url: str, host: str, seconds: float, options: dict[str, Any]) -> asyncpg.Connection:
    connection = await asyncpg.connect(host, timeout=seconds, **options)
    try:
        place = await asyncio.wait_for(_place_of(connection), seconds)
        _compare(url, place)
    except BaseException:
        connection.terminate()
        raise
    _open[connection] = (url, place)
    return connection


async def _place_of(connection: asyncpg.Connection) -> Place:
    try:
        row = await connection.fetchrow(WHERE)
    except (asyncpg.InsufficientPrivilegeError, asyncpg.UndefinedFunctionError, asyncpg.FeatureNotSupportedError):
        return Place("", 0)  # not every server tells
    return Place(row["cluster"], row["timeline"])


def _compare(url: str, place: Place) -> None:
    """Refuse what is behind; what turns out to be newer ends all connections to what is older."""
    newest = _newest.get(url)
    if newest is not None and place.is_behind(newest):
        log.error("host_left_behind", timeline=place.timeline, newest=newest.timeline)
        raise LeftBehindError(
            f"the server is a primary of before a failover: its timeline is {place.timeline}, and {newest.timeline} "
            "has been seen. Make it a replica of the new primary."
        )
    _newest[url] = place
    for connection, (of_url, where) in list(_open.items()):
        if of_url == url and where.is_behind(place) and not connection.is_closed():
            connection.terminate()


async def _ask_all(url: str, urls: list[str], seconds: float, options: dict[str, Any]) -> None:
    """Learn the newest timeline of those that answer; nothing is said of those that do not."""
    asked = [asyncio.create_task(_look(each, seconds, options)) for each in urls]
    try:
        for answer in asyncio.as_completed(asked):
            if await answer is not None:
                break
        await asyncio.wait(asked, timeout=OTHERS_SECONDS)
    finally:
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
    places = [place for task in asked if not task.cancelled() and (place := task.result()) is not None]
    if places:
        _newest[url] = max(places, key=lambda place: place.timeline)


async def _look(host: str, seconds: float, options: dict[str, Any]) -> Place | None:
    try:
        connection = await asyncpg.connect(host, timeout=seconds, **options)
    except (*NEXT_HOST, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, ValueError):
        return None  # whoever connects in earnest hears of it
    try:
        return await asyncio.wait_for(_place_of(connection), seconds)
    except (*NEXT_HOST, asyncpg.PostgresError, asyncpg.InterfaceError):
        return None
    finally:
        connection.terminate()
