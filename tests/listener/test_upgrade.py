"""A daemon of the version published last, while its database is brought up to this one, and this one beside it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest

from sandbox.hubspot import HubSpot
from sandbox.server import serve
from sql.migrate import migrate
from tests.house import House, eventually
from tests.listener.daemons import Process, environment, refuse
from tests.listener.shop import Shop, Tenant
from tests.postgres import TestServer
from tests.sql.daemon import connect
from tests.sql.test_migrate import version_published_last


@pytest.fixture
def empty(postgres: TestServer) -> Iterator[str]:
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@contextmanager
def producing(database: str, shop: Shop, tenant: Tenant) -> Iterator[None]:
    """Replies arrive all the while, and none is refused."""
    stop, refused = threading.Event(), list[BaseException]()

    def produce() -> None:
        try:
            with connect(database) as connection:
                mine = Shop(House(connection), shop.hubspot, shop.url)
                while not stop.wait(0.02):
                    mine.reply(tenant, mine.person(tenant, email=f"{uuid4()}@example.com"))
        except psycopg.Error as error:
            refused.append(error)

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        yield
    finally:
        stop.set()
        producer.join(30)
    assert refused == []


def refresh_and_beat(shop: Shop, tenant: Tenant) -> UUID:
    """Have the daemon refresh a token, send somebody, and give a sign of life; returns who was sent."""
    at, contact = shop.house.value("select clock_timestamp()"), shop.person(tenant)
    tenant.portal.expire_tokens()
    shop.reply(tenant, contact)
    shop.wait_until_settled(tenant)
    refreshed = "select credentials_at > %s from user_integrations where id = %s"
    assert shop.house.value(refreshed, at, tenant.integration)
    eventually(lambda: shop.house.value("select last_seen_at > %s from crm_sync.daemons", at), "a beat")
    return contact


def leave_an_erasure(shop: Shop, contact: UUID) -> None:
    """What an older daemon knows nothing of is not taken again and again, and it is said why."""
    shop.house.rows("select * from crm_sync.erase_contact(%s, true)", contact)
    waits = "select last_error from sync_queue where queue_type = 'contact_erasure' and next_attempt_at > now()"
    eventually(lambda: "older version" in str(shop.house.rows(waits)), "words about the older version")


def end_the_erasure(shop: Shop, old: Process) -> None:
    """The newer daemon does what the older one left."""
    old.process.terminate()
    assert old.process.wait(30) == 0
    shop.house.connection.execute("update sync_queue set next_attempt_at = now() where next_attempt_at is not null")
    state = "select state from crm_sync.erasure_progress"
    eventually(lambda: shop.house.value(state) == "deleted in the CRM", "the erasure")


def test_an_old_daemon_works_on_while_the_database_becomes_new_and_beside_a_new_daemon(
    empty: str, tmp_path: Path, hubspot: HubSpot, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = version_published_last(tmp_path / "then", "listener", "providers").parent
    migrate(empty, tree / "sql")
    with connect(empty) as connection, serve(hubspot.app) as crm:
        shop = Shop(House(connection), hubspot, crm.url)
        tenant, other = shop.tenant(), shop.tenant(oauth=True)
        monkeypatch.setattr("tests.listener.daemons.ROOT", tree)
        old = Process(tmp_path, environment(empty, CRM_SYNC_LEASE_SECONDS="6"))
        monkeypatch.undo()
        try:
            old.wait_until_ready()
            shop.replies(tenant, 100)
            with producing(empty, shop, tenant):
                migrate(empty)
            shop.replies(tenant, 50, "interested", attention=True)
            shop.wait_until_settled(tenant)
            contact = refresh_and_beat(shop, other)
            leave_an_erasure(shop, contact)
            assert old.process.poll() is None, old.text
            new = Process(tmp_path, environment(empty))
            try:
                new.wait_until_ready()
                shop.replies(tenant, 100)
                shop.wait_until_settled(tenant)
                findings = "select finding from crm_sync.diagnose() where area = 'versions'"
                eventually(
                    lambda: (
                        "is older than the schema: it was made for an earlier one" in str(shop.house.rows(findings))
                    ),
                    "words",
                )
                end_the_erasure(shop, old)
                assert new.end() == 0
            finally:
                new.process.kill()
                new.process.wait(10)
        finally:
            old.process.kill()
            old.process.wait(10)
        assert [entry["event"] for entry in old.log if entry["level"] == "error"] == []
        shop.assert_exact(tenant)


def test_a_new_daemon_says_what_an_old_database_lacks(empty: str, tmp_path: Path) -> None:
    only_the_first = tmp_path / "sql"
    then = version_published_last(tmp_path / "then")
    (only_the_first / "migrations").mkdir(parents=True)
    first = then / "migrations" / "0001_foundation.sql"
    (only_the_first / "migrations" / first.name).write_text(first.read_text())
    migrate(empty, only_the_first)
    done = refuse(environment(empty))
    assert done.returncode == 78
    assert "crm-sync migrate" in done.stderr
    assert "Traceback" not in done.stderr
    migrate(empty)
