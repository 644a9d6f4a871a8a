"""One migrated template database for the session, one copy of it for each test."""

from __future__ import annotations

import fcntl
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certifi
import psycopg
import pytest
from hypothesis import settings

from sql.migrate import migrate
from tests.house import House
from tests.postgres import TestServer, server

LONGEST = (
    *("test_canaries", "test_whatever_happens", "test_every_command_of_the_page", "test_a_real_systemd_runs"),
    *("test_make_check_finds_nothing", "test_the_first_command_shows", "test_the_second_command_runs"),
    *("test_a_failover_under_load", "test_an_old_daemon_works_on", "test_a_package_for_debian"),
)
# deep runs: --hypothesis-profile=prove --hypothesis-seed=N
settings.register_profile("prove", max_examples=200, stateful_step_count=50, deadline=None)


def pytest_report_header() -> str:
    return "Postgres: TEST_DATABASE_URL, else a container, else embedded (TEST_PG forces one)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, or the other processes would wait for it at the end."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONGEST))


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Each HTTP client reads the authorities that it trusts, which takes 17 to 36 ms: here one, in half of one.

    Whatever is spoken to in the tests is on this machine, without TLS. Processes that are started read them all.
    """
    one = tmp_path_factory.mktemp("authorities") / "one.pem"
    end = "-----END CERTIFICATE-----\n"
    one.write_text(Path(certifi.where()).read_text().partition(end)[0] + end)
    make = ssl.create_default_context

    def make_with_one(**named: Any) -> ssl.SSLContext:
        return make(**{**named, "cafile": str(one), "capath": None})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", make_with_one)
        yield


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestServer]:
    with server() as running:
        yield running


@pytest.fixture(scope="session")
def template(postgres: TestServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = postgres.create_database()
    # several test processes may share a server that was given to them, and roles belong to the whole server
    with (tmp_path_factory.getbasetemp().parent / "migrating.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        migrate(url)
    return url


@pytest.fixture
def database(postgres: TestServer, template: str) -> Iterator[str]:
    """URL of a migrated database of this test's own, as a superuser."""
    url = postgres.create_database(template)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select crm_sync.claim_database()")  # a copy does not send by itself
        # and what happened in what it is a copy of is nothing that a CRM could know
        connection.execute("update crm_sync.fence set doubtful_before = null")
    yield url
    postgres.drop_database(url)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


@pytest.fixture
def house(connection: psycopg.Connection) -> House:
    """Organizations, contacts, messages and connections, made in one line each."""
    return House(connection)
