"""SIGTERM, SIGKILL and leases: nothing lost, nothing doubled."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import psycopg
import pytest

from sandbox.faults import Fault
from tests.house import eventually
from tests.listener.daemons import daemon, process
from tests.listener.shop import Shop

UPSERT = "/contacts/batch/upsert"
CREATE_NOTES = "/notes/batch/create"


def test_sigterm_hands_back_what_was_not_sent_and_ends_with_0(shop: Shop, database: str, tmp_path: Path) -> None:
    slow, waiting = shop.tenant(), shop.tenant()
    shop.replies(slow, 5)
    shop.replies(waiting, 150)
    shop.hubspot.faults.add(Fault(path=UPSERT, account=slow.portal.hub_id, delay=20.0))
    shop.hubspot.faults.add(Fault(path="/contacts/batch/read", account=waiting.portal.hub_id, delay=20.0, times=9))
    with process(tmp_path, database) as running:
        # the fault strikes the call of one tenant after it was sent, and of the other before anything was written
        eventually(
            lambda: len(shop.hubspot.faults) == 1 and shop.statuses(waiting)["processing"] >= 100, "calls in flight"
        )
        started = time.monotonic()
        assert running.end(signal.SIGTERM) == 0, running.text
        assert time.monotonic() - started < 10
        assert running.events("stopped")
    shop.hubspot.faults.clear()
    assert shop.statuses(slow)["processing"] == shop.statuses(waiting)["processing"] == 0
    assert shop.house.rows(
        "select distinct attempts, uncertain, status from sync_queue where integration_id = %s", slow.integration
    ) == [(0, True, "pending")]
    # nothing of theirs was on the wire but companies, which are keyed
    assert shop.house.rows(
        "select distinct attempts, status from sync_queue where integration_id = %s", waiting.integration
    ) == [(0, "pending")]
    assert shop.house.value("select count(*) from crm_sync.batches") == 0
    assert shop.house.value("select count(*) from crm_sync.daemons") == 0
    with process(tmp_path, database) as running:
        shop.wait_until_settled()
        assert running.end() == 0
    shop.assert_exact(slow)
    shop.assert_exact(waiting)


def test_sigterm_while_the_database_hangs_ends_in_time_as_well(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    with (
        psycopg.connect(database) as holder,
        process(tmp_path, database, CRM_SYNC_LISTEN="false", CRM_SYNC_POLL_SECONDS="0.05") as running,
    ):

        def is_held() -> bool:
            try:
                holder.execute("lock table crm_sync.lanes, crm_sync.daemons, public.sync_queue")
            except psycopg.errors.DeadlockDetected:  # the daemon takes them in an order of its own
                holder.rollback()
                return False
            return True

        eventually(is_held, "a database that hangs")
        eventually(
            lambda: shop.house.value(
                "select count(*) from pg_stat_activity where application_name = 'crm-sync' "
                "and wait_event_type = 'Lock' and datname = current_database()"
            ),
            "a call that hangs",
        )
        started = time.monotonic()
        assert running.end() == 0, running.text
        assert time.monotonic() - started < 10
        holder.rollback()
    assert shop.statuses(tenant) == {}


@pytest.mark.parametrize("fault", ["delay", "dropped"])
def test_a_killed_daemons_work_is_taken_over_and_nothing_is_doubled(
    shop: Shop, database: str, tmp_path: Path, fault: str
) -> None:
    tenant = shop.tenant()
    shop.replies(tenant, 60, "interested")
    # the notes are committed, and the daemon dies before it hears so
    harm = {"delay": 1.0, "drop_answer": True} if fault == "dropped" else {"delay": 1.0}
    shop.hubspot.faults.add(Fault(path=CREATE_NOTES, **harm))  # type: ignore[arg-type]
    with process(tmp_path, database, CRM_SYNC_LEASE_SECONDS="2") as running:
        eventually(lambda: len(shop.hubspot.faults) == 0, "notes on the wire")
        assert running.end(signal.SIGKILL) == -signal.SIGKILL
    assert shop.statuses()["processing"] > 0
    with daemon(database, lease_seconds=2.0):
        shop.wait_until_settled()
    assert shop.statuses() == {"completed": 180}
    shop.assert_exact(tenant)


def test_a_lease_is_renewed_while_a_slow_call_runs(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    shop.configure("hubspot", timeout_seconds=20)
    shop.reply(tenant)
    shop.hubspot.faults.add(Fault(path=UPSERT, delay=4.0))
    with daemon(database, lease_seconds=3.0, poll_seconds=0.2):
        eventually(lambda: shop.statuses()["processing"] == 1, "a claim")
        first = shop.house.value("select id from crm_sync.batches")
        with daemon(database, lease_seconds=3.0, poll_seconds=0.2):
            seen = set()

            def is_done() -> bool:
                seen.update(shop.house.rows("select id from crm_sync.batches"))
                return shop.statuses()["completed"] >= 1

            eventually(is_done, "the end of the slow call")
            assert min(seen) == (first,)
            shop.wait_until_settled()
    assert shop.house.value("select max(losses) from sync_queue") == 0
    shop.assert_exact(tenant)


def test_a_lost_lease_cancels_the_push_and_voids_its_outcome(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    shop.configure("hubspot", timeout_seconds=20)
    message = shop.reply(tenant)
    shop.hubspot.faults.add(Fault(path=UPSERT, delay=30.0))
    with daemon(database, lease_seconds=2.0) as running:
        assert running.worker is not None
        eventually(lambda: len(shop.hubspot.faults) == 0, "a call in flight")
        (before,) = running.worker._running.values()
        shop.house.connection.execute("update crm_sync.batches set lease_until = now() - interval '1 s'")
        shop.house.connection.execute("update crm_sync.lanes set parked_until = now() + interval '1 hour'")
        # as another daemon's claim would do it
        shop.house.connection.execute(
            "select crm_sync.take_over_expired(organization_id, integration_id) from crm_sync.lanes"
        )
        eventually(lambda: not running.worker or not running.worker._running, "the end of the push")
        assert shop.statuses() == {"retry": 1}
        assert shop.house.value("select uncertain from sync_queue where message_id = %s", message)
        shop.house.connection.execute("update crm_sync.lanes set parked_until = null")
        shop.wait_until_settled()
        assert shop.house.value("select min(id) from crm_sync.batches") is None
        assert before.id > 0
    shop.assert_exact(tenant)


def test_all_connections_may_be_killed_in_the_middle_of_work(shop: Shop, database: str) -> None:
    tenants = [shop.tenant() for _ in range(3)]
    for tenant in tenants:
        shop.replies(tenant, 90, "interested")
    with daemon(database, lease_seconds=3.0, batch_size=20):
        for _ in range(5):
            before = shop.statuses()["completed"]
            eventually(lambda before=before: shop.statuses()["completed"] > before, "progress")  # type: ignore[misc]
            shop.house.rows(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'crm-sync' and datname = current_database()"
            )
        shop.wait_until_settled(seconds=90)
    assert shop.statuses() == {"completed": 810}
    for tenant in tenants:
        shop.assert_exact(tenant)


def test_systemd_hears_ready_after_the_first_claim_and_stopping_at_once(
    shop: Shop, database: str, tmp_path: Path
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(os.fspath(path))
        ear.settimeout(30)
        with process(tmp_path, database, NOTIFY_SOCKET=os.fspath(path)) as running:
            assert ear.recv(100).startswith(b"READY=1")
            assert shop.house.rows("select listening from crm_sync.daemons") == [(True,)]
            assert running.end(signal.SIGINT) == 0
            while not (heard := ear.recv(200)).startswith(b"STOPPING=1"):
                assert heard.startswith(b"STATUS=")
            names = [entry["event"] for entry in running.log]
            assert names.index("starting") < names.index("ready") < names.index("stopping") < names.index("stopped")


def test_a_notify_socket_that_is_gone_does_not_stop_the_daemon(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    with process(tmp_path, database, NOTIFY_SOCKET="/nonexistent/notify") as running:
        shop.reply(tenant)
        shop.wait_until_settled()
        assert running.end() == 0
    assert running.events("notify_failed")
