"""Somebody who has the server's queue of notifications run full stops no producer and no daemon."""

from __future__ import annotations

import psycopg
import pytest

from sandbox.postgres import embedded, find_binaries
from sql.migrate import migrate
from tests.house import House
from tests.sql.daemon import Daemon, documents, people, synced

SMALL_SINCE = 17
"""The first version whose queue can be made small; before, it takes 8 GB to fill it."""


def fill(flood: psycopg.Connection) -> None:
    for number in range(200):
        flood.execute("select pg_notify('x', repeat('x', 7900) || %s)", [str(number)])


@pytest.mark.skipif(find_binaries().major < SMALL_SINCE, reason="filling the queue of this version takes 8 GB")
def test_a_full_queue_of_notifications_fails_nobodys_commit() -> None:
    with embedded(fast=True, max_notify_queue_pages=64) as server:
        migrate(server.url)
        with (
            psycopg.connect(server.url, autocommit=True) as connection,
            psycopg.connect(server.url, autocommit=True) as idle,
            psycopg.connect(server.url, autocommit=True) as flood,
        ):
            connection.execute("select crm_sync.claim_database()")
            connection.execute("update crm_sync.fence set doubtful_before = null")
            house = House(connection)
            daemon, organization = Daemon(house), house.organization()
            house.integration(organization)
            worker = house.value("select gen_random_uuid()")
            daemon.call("select crm_sync.register_worker(%s, 'host', 1, '1', true)", worker)
            daemon.call("select crm_sync.arm_worker(%s)", worker)
            for hostile in (idle, flood):
                hostile.execute("set role authenticated")
            idle.execute("listen x")
            idle.execute("begin")
            idle.execute("select")
            with pytest.raises(psycopg.Error, match="too many notifications"):
                fill(flood)
            assert house.value("select exists (select from crm_sync.sleepers)"), "so that producers would ring"
            people(house, organization, 2)
            with connection.transaction():
                connection.execute("set transaction isolation level repeatable read")
                people(house, organization, 1)
            batch = daemon.claim()
            daemon.finish(batch, [synced(each) for each in documents(batch)])
            daemon.call("select crm_sync.ring_worker(%s)", worker)
            house.value("select crm_sync.disconnect(id) from public.user_integrations")
            assert house.value("select pg_notification_queue_usage() > 0.9")
            told = "select severity, area from crm_sync.diagnose() where subject = 'NOTIFY'"
            assert house.rows(told) == [("warning", "sessions")]
            idle.execute("rollback")
            idle.execute("unlisten *")
            connection.execute("listen crm_sync")
            people(house, organization, 1)
            daemon.call("select crm_sync.ring_worker(%s)", worker)
            assert house.rows(told) == []
            assert next(connection.notifies(timeout=5)).payload == str(worker)
