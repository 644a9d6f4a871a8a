"""A copy of a database knows that it is one, and only an operator makes it the original."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest

from sql.migrate import files, install_script, migrate
from tests.house import House
from tests.postgres import TestServer
from tests.sql.daemon import Daemon, connect, documents

CHECK = "select crm_sync.check_fence(%s)"


@pytest.fixture
def copy(postgres: TestServer, template: str) -> Iterator[str]:
    """A clone, which nobody has claimed."""
    url = postgres.create_database(template)
    yield url
    postgres.drop_database(url)


@pytest.fixture
def empty(postgres: TestServer) -> Iterator[str]:
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


def check(url: str, generation: int | None = None) -> int | str | None:
    """The generation, or the SQLSTATE of the refusal."""
    with connect(url) as connection:
        connection.execute("set role crm_sync_daemon")
        try:
            row = connection.execute(CHECK, [generation]).fetchone()
        except psycopg.Error as refusal:
            return refusal.sqlstate
    assert row is not None
    answer: int = row[0]
    return answer


def claim(url: str) -> int:
    with connect(url) as connection:
        connection.execute("set role crm_sync_daemon")
        row = connection.execute("select crm_sync.claim_database()").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("how", ["migrate", "psql"])
def test_a_new_database_belongs_to_whoever_makes_it(empty: str, how: str) -> None:
    if how == "migrate":
        migrate(empty)
    else:
        with psycopg.connect(empty) as connection:
            connection.execute(install_script().encode())
    assert check(empty) == 1


def test_a_clone_does_not_send_until_it_is_claimed(copy: str) -> None:
    assert check(copy) == "CS030"
    assert claim(copy) == 2
    assert check(copy) == 2


def test_a_restored_dump_does_not_send(postgres: TestServer, database: str, empty: str) -> None:
    """As pg_dump and pg_restore make it: the rows come along, the identity does not."""
    with connect(database) as original:
        (row,) = original.execute("select * from crm_sync.fence").fetchall()
    migrate(empty)
    with connect(empty) as restored:
        restored.execute("delete from crm_sync.fence")
        restored.execute("insert into crm_sync.fence values (%s, %s, %s, %s, %s, %s, %s, %s)", [*row])
    assert check(empty) == "CS030"


def test_another_cluster_with_the_same_oid_is_another_database(house: House, database: str) -> None:
    assert isinstance(check(database), int)
    house.connection.execute("update crm_sync.fence set system_identifier = '1' || system_identifier")
    assert check(database) == "CS030"


def test_a_migration_does_not_claim_a_copy(copy: str) -> None:
    with connect(copy) as connection:
        connection.execute("update crm_sync.applied_files set sha256 = '' where name not like 'migrations/%'")
    assert "claim.sql" in migrate(copy).applied
    assert check(copy) == "CS030"


def test_after_a_promotion_what_waits_is_looked_up_before_it_is_sent(house: House, database: str) -> None:
    """A daemon whose word was lost with the old primary may have sent it; what comes later is sent as ever."""
    daemon = Daemon(house)
    organization = house.organization()
    house.integration(organization)
    daemon.call("select crm_sync.note_timeline()")
    house.reply(organization, house.contact(organization, "before@example.com"), "interested", attention=True)
    daemon.call("select crm_sync.note_timeline()")
    assert house.value("select bool_or(uncertain) from public.sync_queue") is False, "it is the same server"
    # as it comes to a replica: the row says where the primary was
    house.connection.execute("update crm_sync.fence set timeline = timeline - 1, doubtful_before = null")
    daemon.call("select crm_sync.note_timeline()")
    assert house.value("select timeline = crm_sync.timeline() from crm_sync.fence") is True
    for batch in daemon.work():
        assert all(document["uncertain"] for document in documents(batch)), "and what hangs on it"
    house.reply(organization, house.contact(organization, "after@example.com"), "interested", attention=True)
    for batch in daemon.work():
        assert not any(document["uncertain"] for document in documents(batch))
    assert isinstance(check(database), int), "nobody has to claim it"


def test_what_waits_in_a_restored_backup_is_looked_up_before_it_is_sent(house: House, database: str) -> None:
    organization = house.organization()
    house.integration(organization)
    house.reply(organization, house.contact(organization))
    house.connection.execute("update crm_sync.fence set system_identifier = '1' || system_identifier")
    claim(database)
    assert [document["uncertain"] for document in documents(Daemon(house).claim())] == [True]


def test_a_daemon_of_an_older_claim_stops(database: str) -> None:
    generation = check(database)
    assert isinstance(generation, int)
    assert check(database, generation) == generation
    assert claim(database) == generation + 1
    assert check(database, generation) == "CS031"
    assert check(database) == generation + 1


def test_a_renamed_database_is_the_same(postgres: TestServer, copy: str) -> None:
    claim(copy)
    name = urlsplit(copy).path[1:]
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"alter database {name} rename to {name}_b".encode())
    assert check(copy + "_b") == 2
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"alter database {name}_b rename to {name}".encode())


ASK = "select crm_sync.check_fence()"


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (role, statement)
        for role in ("authenticated", "crm_sync_producer", "crm_sync_reader", "anon", "crm_sync_console")
        for statement in (
            "select crm_sync.claim_database()",
            ASK,
            "update crm_sync.fence set generation = 99",
            "delete from crm_sync.fence",
            "insert into crm_sync.fence (system_identifier, database_oid, claimed_by) values ('', 1, '')",
        )
        if (role, statement) != ("crm_sync_console", ASK)  # it calls CRMs, and must not do so from a copy
    ],
)
@pytest.mark.usefixtures("rolled_back")
def test_neither_tenants_nor_producers_touch_the_fence(house: House, role: str, statement: str) -> None:
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with house.as_role(role, house.user(house.organization())) as connection, refused, connection.transaction():
        connection.execute(statement.encode())


def test_a_server_that_does_not_tell_its_identifier_is_told_by_the_oid(house: House, database: str) -> None:
    house.connection.execute(
        "create or replace function crm_sync.database_identity() "
        "returns table (system_identifier text, database_oid oid) language sql stable as "
        "$$ select '', d.oid from pg_database as d where d.datname = current_database() $$"
    )
    assert check(database) == "CS030", "where it told before, it is another one"
    generation = claim(database)
    assert check(database) == generation


def test_the_claim_is_a_file_of_its_own() -> None:
    assert [file.name for file in files()][-2:] == ["claim.sql", "access.sql"]
