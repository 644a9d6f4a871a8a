"""Databases that commands ask and act upon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.house import House
from tests.postgres import TestServer
from tests.sql.daemon import Daemon, connect, documents, failed, people

UNKNOWN = "20000000-0000-4000-8000-000000000000"
CONTACT = "0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52"


@pytest.fixture(scope="module")
def acme(postgres: TestServer, template: str) -> Iterator[str]:
    """URL of a database to be copied: connection 1 (HubSpot) with work of every kind, and what was there before it.

    Two calls' worth of rows are many: of failed ones there are 5, of waiting ones 3, of finished ones 3.
    """
    url = postgres.create_database(template)
    with connect(url) as connection:
        house = House(connection)
        daemon = Daemon(house)
        organization = house.organization()
        before = [house.contact(organization, f"before{n}@example.com") for n in range(3)]
        for contact in before:
            house.reply(organization, contact)
        house.integration(organization, name="Sales [eu]", status="connected")
        connection.execute("select crm_sync.claim_database()")
        people(house, organization, 3)
        daemon.work()
        for n in range(5):
            house.reply(organization, house.contact(organization, f"failed{n}@example.com"))
        batch = daemon.claim()
        wrong: Any = {"code": "INVALID_OPTION", "field": "lifecyclestage"}
        daemon.finish(batch, [failed(each, "rejected", "\x1b[31mno such option", **wrong) for each in documents(batch)])
        for n in range(3):
            house.reply(organization, house.contact(organization, f"waits{n}@example.com"))
        connection.execute(
            "create or replace function crm_sync.rows_at_once() returns integer language sql immutable parallel safe "
            "set search_path = '' return 2"
        )
    yield url
    postgres.drop_database(url)


@pytest.fixture
def acted(postgres: TestServer, acme: str) -> Iterator[str]:
    """URL of a copy of it, for one test that changes something."""
    url = postgres.create_database(acme)
    yield url
    postgres.drop_database(url)


@pytest.fixture
def there(acted: str) -> Iterator[House]:
    with psycopg.connect(acted, autocommit=True) as connection:
        yield House(connection)


@pytest.fixture(scope="module")
def asked(postgres: TestServer, template: str) -> Iterator[str]:
    """URL of a database with one connection, which is paused, and one row that waits."""
    url = postgres.create_database(template)
    with psycopg.connect(url, autocommit=True) as connection:
        house = House(connection)
        organization = house.organization()
        integration = house.integration(organization, name="Sales [eu]")
        house.reply(organization, house.contact(organization))
        house.connection.execute("select crm_sync.pause(%s)", [integration])
        # a CRM's words, of which anything may come
        house.connection.execute(
            "update crm_sync.lanes set last_error = %s where integration_id = %s",
            [f"\x1b[31mred{'x ' * 300}end", integration],
        )
    yield url
    postgres.drop_database(url)
