"""What a server does to a daemon: it restarts over and over, has no connection left, ends what takes or idles long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from listener.db import Database
from sandbox.hubspot import HubSpot
from sandbox.postgres import EmbeddedPostgres, NoPostgresError, embedded
from sandbox.server import serve
from sql.migrate import migrate
from tests.house import House, eventually
from tests.listener.daemons import Process, daemon, process, settings_for
from tests.listener.shop import Shop
from tests.sql.daemon import connect

END = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'crm-sync'"
OURS = "select count(*) from pg_stat_activity where application_name = 'crm-sync'"


def seconds_of(pid: int) -> float:
    """What it has taken of a processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fill(stack: ExitStack, url: str) -> None:
    for _ in range(40):
        stack.enter_context(psycopg.connect(url))


@pytest.fixture
def own() -> Iterator[EmbeddedPostgres]:
    """A server of the test's own, of which it may use up all there is."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(embedded(fast=True, synchronous_commit=True, max_connections=20))
        except NoPostgresError as error:
            pytest.skip(str(error))
        migrate(running.url)
        yield running


@pytest.fixture
def worked(own: EmbeddedPostgres, tmp_path: Path) -> Iterator[Process]:
    with process(tmp_path, own.url, CRM_SYNC_LOG_LEVEL="info", CRM_SYNC_CONCURRENCY="4") as running:
        yield running


def test_a_server_that_restarts_over_and_over_and_has_no_room_is_waited_for_without_haste(
    own: EmbeddedPostgres, worked: Process, hubspot: HubSpot
) -> None:
    with serve(hubspot.app) as crm:
        with connect(own.url) as connection:
            shop = Shop(House(connection), hubspot, crm.url)
            tenant = shop.tenant()
        began = seconds_of(worked.process.pid)
        for _ in range(5):
            own.restart("immediate")
            with connect(own.url) as connection:
                shop.house = House(connection)
                shop.reply(tenant)
                eventually(lambda: shop.house.value(OURS) > 0, "a daemon that is back")
        # others take every connection that there is, the daemon's too: it finds none when it wants one again
        with ExitStack() as stack, connect(own.url) as connection:
            shop.house = House(connection)
            shop.wait_until_settled(tenant)

            def is_full() -> bool:
                shop.house.rows(END)
                with pytest.raises(psycopg.OperationalError, match=r"too many clients|connection slots"):
                    fill(stack, own.url)
                return bool(shop.house.value(OURS) == 0)

            eventually(is_full, "a server without room")
            shop.reply(tenant)
            words = '"TooManyConnectionsError (53300)"'
            eventually(lambda: words in worked.text, "words of it")
            stack.close()
            shop.wait_until_settled(tenant)
            shop.assert_exact(tenant)
    assert worked.process.poll() is None
    assert seconds_of(worked.process.pid) - began < 10, "no loop without a pause"
    assert len(worked.log) < 200, "a few lines for each time"


def test_timeouts_that_an_operator_has_set_for_all_do_not_reach_the_daemon(shop: Shop, database: str) -> None:
    """Those of the role and of the database; the daemon's own come with its start-up packet."""
    name = sql.Identifier(str(shop.house.value("select current_database()")))
    for setting in (
        "statement_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "default_transaction_isolation = 'serializable'",
        "idle_session_timeout = '1ms'",
        "search_path = 'nowhere'",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'iso_8601'",
        "TimeZone = 'Asia/Kathmandu'",
        "extra_float_digits = -15",
        "bytea_output = 'escape'",
        "standard_conforming_strings = off",
        "plan_cache_mode = force_custom_plan",
        "row_security = off",
    ):
        shop.house.connection.execute(sql.SQL("alter database {} set ").format(name) + sql.SQL(setting))
    tenant = shop.tenant()
    with daemon(database):
        shop.replies(tenant, 40, "interested", attention=True)
        shop.wait_until_settled(tenant)
    shop.assert_exact(tenant)


async def test_the_next_time_to_look_goes_by_the_databases_clock(
    shop: Shop, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon whose clock is ahead would look without a pause until then, one that is behind would be late."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(hours=1)

    shop.reply(shop.tenant())
    shop.house.connection.execute("update public.sync_queue set next_attempt_at = now() + interval '100 s'")
    opened = await Database.open(settings_for(database))
    try:
        monkeypatch.setattr("listener.db.queue.datetime", Ahead)
        claim = await opened.claim(uuid4(), 10, 60)
        assert claim.next_due_at is not None
        assert 0 < (claim.next_due_at - Ahead.now(UTC)).total_seconds() <= 100
    finally:
        await opened.close()
