"""A copy of a database does not write to the CRMs, however it comes to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from listener.errors import Fenced
from tests.house import House, eventually
from tests.listener.daemons import Daemon, ask, environment, process, refuse, settings_for
from tests.listener.shop import Shop
from tests.postgres import TestServer


@pytest.fixture
def clone(postgres: TestServer, database: str, house: House) -> Iterator[str]:
    """A copy of this test's database with a connection in it, as somebody makes it who wants to try something."""
    house.integration(house.organization())
    house.connection.close()
    url = postgres.create_database(database)
    yield url
    postgres.drop_database(url)


def test_a_clone_is_refused_until_it_is_claimed(clone: str, tmp_path: Path) -> None:
    done = refuse(environment(clone))
    assert done.returncode == 78
    for word in ("is a copy", "crm-sync claim-database", "Nothing was sent"):
        assert word in done.stderr
    assert ask(environment(clone), "migrate").output == "up to date\n"
    assert refuse(environment(clone)).returncode == 78
    with psycopg.connect(clone) as connection:
        assert connection.execute("select count(*) from crm_sync.daemons").fetchone() == (0,)
    declined = ask(environment(clone), "claim-database")
    assert declined.exit_code == 1
    assert refuse(environment(clone)).returncode == 78
    claimed = ask(environment(clone), "claim-database", "--yes")
    assert claimed.exit_code == 0
    assert "is a copy" in claimed.output
    assert "generation 3" in claimed.output
    with process(tmp_path, clone) as running:
        assert running.end() == 0


def test_a_daemon_whose_database_turns_out_to_be_another_stops(shop: Shop, database: str) -> None:
    """It was restored, or a name leads elsewhere now: the next sign of life finds out, at the latest."""
    running = Daemon(settings_for(database, lease_seconds=2.0))
    running.start()
    shop.house.connection.execute("update crm_sync.fence set database_oid = 1")
    eventually(lambda: running.error, "an end")
    with pytest.raises(Fenced, match="is a copy"):
        running.stop()
    assert shop.house.value("select count(*) from crm_sync.daemons") == 0


def test_a_daemon_asks_again_when_its_listen_connection_was_lost(shop: Shop, database: str) -> None:
    running = Daemon(settings_for(database, lease_seconds=3600.0, poll_seconds=3600))
    running.start()
    shop.house.connection.execute("update crm_sync.fence set database_oid = 1")
    shop.house.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'crm-sync' and datname = current_database()"
    )
    eventually(lambda: running.error, "an end")
    with pytest.raises(Fenced, match="is a copy"):
        running.stop()


def test_a_daemon_stops_when_its_database_was_claimed_anew_and_may_start_again(
    shop: Shop, database: str, tmp_path: Path
) -> None:
    tenant = shop.tenant()
    with process(tmp_path, database, CRM_SYNC_LEASE_SECONDS="2") as running:
        again = ask(environment(database), "claim-database", "--yes")
        assert "claimed already" in again.stdout
        assert running.process.wait(30) == 78
        assert "claimed anew" in running.text
    with process(tmp_path, database):
        shop.reply(tenant)
        shop.wait_until_settled()


def test_a_guest_can_claim_nothing(house: House, database: str) -> None:
    house.connection.execute("create role fence_guest login password 'hidden-word'")
    try:
        parts = database.split("@")
        done = ask(environment(f"postgresql://fence_guest:hidden-word@{parts[1]}"), "claim-database", "--yes")
    finally:
        house.connection.execute("drop role fence_guest")
    assert done.exit_code == 78
    assert "hidden-word" not in done.output
