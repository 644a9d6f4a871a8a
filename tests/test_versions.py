"""Each major version of Postgres that we support, in short; the whole of it is `make test-versions`."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from docs.questions import questions
from sandbox.hubspot import HubSpot
from sandbox.postgres import EmbeddedPostgres, embedded
from sandbox.server import serve
from sql.migrate import migrate
from tests.house import House
from tests.listener.daemons import daemon
from tests.listener.shop import Shop
from tests.sql.daemon import connect
from tests.sql.test_replica import furnish
from tests.versions import PINS, SUPPORTED, find_versions


@pytest.fixture(params=SUPPORTED)
def of_that_version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedPostgres]:
    binaries = find_versions().get(request.param)
    if binaries is None:
        pytest.skip(f"PostgreSQL {request.param} is not on this machine: make postgres-versions")
    monkeypatch.setenv("EMBEDDED_PG_BIN", str(binaries.bin))
    with embedded(fast=True) as postgres:
        assert postgres.binaries.major == request.param
        yield postgres


def test_a_version_takes_every_migration_answers_every_question_and_syncs(of_that_version: EmbeddedPostgres) -> None:
    url = of_that_version.url
    migrate(url)
    assert migrate(url).applied == ()
    with connect(url) as connection:
        house = House(connection)
        furnish(house)
        views = house.rows(
            "select c.oid::regclass::text from pg_class as c where c.relnamespace = "
            "'crm_sync'::regnamespace and c.relkind = 'v' and has_table_privilege('crm_sync_reader', c.oid, 'select')"
        )
        for statement in (
            *(f"select * from {view}" for (view,) in views),
            *(each.statement for each in questions() if not each.parameters),
        ):
            with psycopg.connect(url) as reader:
                reader.execute("set role crm_sync_reader")
                reader.execute(statement.encode())
        assert house.rows("select * from crm_sync.accounting where difference <> 0") == []
        found = house.rows("select finding from crm_sync.diagnose() where severity = 'error' and area <> 'settings'")
        assert found == [], "fsync is off here"
        connection.execute("update public.user_integrations set status = 'disconnected'")
        hubspot = HubSpot(limits=False, search_lag=0.0)
        with serve(hubspot.app) as crm:
            shop = Shop(house, hubspot, crm.url)
            tenant = shop.tenant()
            with daemon(url):
                shop.replies(tenant, 20, "interested", attention=True)
                shop.wait_until_settled(tenant, seconds=20)
            shop.assert_exact(tenant)


def test_what_is_installed_is_pinned_by_its_hash_and_by_no_host() -> None:
    lock = (PINS / "package-lock.json").read_text()
    assert lock.count('"integrity": "sha512-') == lock.count('"node_modules/') == len(SUPPORTED) - 1
    assert "://" not in lock
