from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.postgres import TestServer
from tests.sql.daemon import Daemon, connect


@pytest.fixture(scope="session")
def common_connection(postgres: TestServer, template: str) -> Iterator[psycopg.Connection]:
    url = postgres.create_database(template)
    with connect(url) as connection:
        yield connection
    postgres.drop_database(url)


@pytest.fixture
def rolled_back(common_connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """For tests that need one session and no commit: a transaction of one common database, undone at the end.

    Used with `@pytest.mark.usefixtures("rolled_back")`; ten times cheaper than a database of one's own.
    """
    with common_connection.transaction(force_rollback=True):
        yield common_connection


@pytest.fixture
def house(request: pytest.FixtureRequest) -> House:
    """Organizations, contacts, messages and connections, made in one line each."""
    name = "rolled_back" if "rolled_back" in request.fixturenames else "connection"
    return House(request.getfixturevalue(name))


@pytest.fixture
def daemon(house: House) -> Daemon:
    return Daemon(house)


@pytest.fixture
def organization(house: House) -> UUID:
    return house.organization()


@pytest.fixture
def integration(house: House, organization: UUID) -> int:
    """A connection of `organization` to HubSpot."""
    return house.integration(organization)


@pytest.fixture
def row(house: House, organization: UUID, integration: int) -> UUID:
    """One waiting row; returns its contact."""
    contact = house.contact(organization)
    house.reply(organization, contact, "x")
    return contact
