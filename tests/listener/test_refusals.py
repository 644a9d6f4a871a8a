"""What the daemon says when it will not start: what is wrong, what to do, and no secret."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from psycopg import sql

from listener import service
from listener.db import Database
from listener.errors import EX_UNAVAILABLE, DatabaseTrouble, DatabaseUnreachable, Refusal
from listener.settings import Settings
from tests.house import KEY, House
from tests.listener.daemons import ask, environment, process, refuse, settings_for
from tests.listener.shop import Shop
from tests.postgres import TestServer

UNREACHABLE = "postgresql://crm:hidden-word@127.0.0.1:9/app"
EVERY_COMMAND = [
    ("run",),
    ("status",),
    ("status", "--json"),
    ("migrate",),
    ("migrate", "--check"),
    ("claim-database", "--yes"),
    ("rotate-key",),
    ("retry",),
]


@pytest.fixture
def empty(postgres: TestServer) -> Iterator[str]:
    """URL of a database that was never migrated."""
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def guest(house: House, database: str) -> Iterator[str]:
    """URL of a role that may log in and nothing else."""
    name, password = f"guest_{secrets.token_hex(4)}", secrets.token_hex(12)
    house.connection.execute(
        sql.SQL("create role {} login password {}").format(sql.Identifier(name), sql.Literal(password))
    )
    parts = urlsplit(database)
    yield urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.netloc.rpartition('@')[2]}"))
    house.connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def assert_refused(
    environ: dict[str, str], status: int, *words: str, command: tuple[str, ...] = ("run",), hidden: tuple[str, ...] = ()
) -> None:
    # the daemon as a process of its own; the others, which end by themselves, in this one
    if command == ("run",):
        done = refuse(environ, *command)
        code, said = done.returncode, done.stdout + done.stderr
    else:
        result = ask(environ, *command)
        code, said = result.exit_code, result.output
    assert code == status, said
    for word in words:
        assert word in said
    assert "Traceback" not in said
    for secret in (KEY, "hidden-word", *hidden):
        assert secret not in said


def test_no_key(database: str) -> None:
    environ = environment(database)
    del environ["INTEGRATION_ENCRYPTION_KEY"]
    assert_refused(environ, 78, "INTEGRATION_ENCRYPTION_KEY is not set", "openssl rand")


def test_a_short_key(database: str) -> None:
    environ = environment(database, INTEGRATION_ENCRYPTION_KEY="a-short-hidden-word")
    assert_refused(environ, 78, "INTEGRATION_ENCRYPTION_KEY", "19 characters", "openssl rand")


def test_a_key_that_stored_credentials_were_not_sealed_with(shop: Shop, database: str) -> None:
    shop.tenant()
    environ = environment(database, INTEGRATION_ENCRYPTION_KEY="another-hidden-word" * 3)
    assert_refused(environ, 78, "not the one that 1 connection", "Start with the key")


def test_settings_that_make_no_sense_are_named_all_at_once(database: str) -> None:
    environ = environment(database, CRM_SYNC_BATCH_SIZE="many", CRM_SYNC_LOG_LEVEL="loud")
    assert_refused(environ, 78, "CRM_SYNC_BATCH_SIZE", "CRM_SYNC_LOG_LEVEL")


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_an_unreachable_database(command: tuple[str, ...]) -> None:
    environ = environment(UNREACHABLE, CRM_SYNC_CONNECT_TIMEOUT_SECONDS="0.3")
    assert_refused(environ, 69, "cannot be reached", command=command)


@pytest.mark.parametrize(
    "command",
    [
        *(("run",), ("status",), ("status", "--json"), ("claim-database",), ("rotate-key",)),
        *(("retry",), ("explain", "5f0e5dd5-94d1-4a5c-8b8f-6c1f6d8a2a11")),
    ],
)
def test_a_database_that_was_not_migrated(empty: str, command: tuple[str, ...]) -> None:
    assert_refused(environment(empty), 78, "crm-sync migrate", command=command)


def test_an_old_schema(house: House, database: str) -> None:
    house.connection.execute("delete from crm_sync.applied_files where name >= 'migrations/0004'")
    assert_refused(environment(database), 78, "schema version 3", "crm-sync migrate")


@pytest.mark.parametrize(
    "command",
    [("run",), ("status",), ("migrate", "--check"), ("claim-database",), ("rotate-key",), ("disconnect", "1")],
)
def test_a_role_without_rights(guest: str, command: tuple[str, ...]) -> None:
    hidden = urlsplit(guest).password
    assert hidden
    assert_refused(environment(guest), 78, "role", "grant", command=command, hidden=(hidden,))


@pytest.mark.parametrize("command", EVERY_COMMAND)
@pytest.mark.parametrize(
    "url", ["postgresql://crm:hidden-word/x@localhost/app", "no hidden-word url", "mysql://crm:hidden-word@h/d"]
)
def test_a_url_that_is_none_is_not_repeated(url: str, command: tuple[str, ...]) -> None:
    assert_refused(environment(url), 78, "DATABASE_URL is not a connection string", command=command)


def test_a_wrong_password_is_not_repeated(database: str) -> None:
    parts = urlsplit(database)
    url = urlunsplit(parts._replace(netloc=f"postgres:hidden-word@{parts.netloc.rpartition('@')[2]}"))
    assert_refused(environment(url), 78, "does not let us in", "Check DATABASE_URL")


def test_a_file_that_cannot_be_read_is_named(database: str, tmp_path: Path) -> None:
    environ = environment(None, DATABASE_URL_FILE=str(tmp_path / "nothing"))
    assert_refused(environ, 78, f"DATABASE_URL_FILE names {tmp_path}/nothing", "that can be read")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    environ = environment(database, INTEGRATION_ENCRYPTION_KEY="", INTEGRATION_ENCRYPTION_KEY_FILE=str(binary))
    assert_refused(environ, 78, "INTEGRATION_ENCRYPTION_KEY_FILE", "not a text file")


def test_secrets_are_read_from_files(database: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{database}\n")
    (tmp_path / "key").write_text(f"{KEY}\n")
    environ = environment(
        None,
        DATABASE_URL_FILE=str(tmp_path / "url"),
        INTEGRATION_ENCRYPTION_KEY="",
        INTEGRATION_ENCRYPTION_KEY_FILE=str(tmp_path / "key"),
    )
    with process(tmp_path, database, **{**environ, "DATABASE_URL": ""}) as running:
        assert running.end() == 0


def test_secrets_are_read_from_systemds_credentials(shop: Shop, database: str, tmp_path: Path) -> None:
    shop.tenant()
    (tmp_path / "database_url").write_text(database)
    (tmp_path / "integration_encryption_key").write_text(f"{KEY}\n")
    credentials = {"DATABASE_URL": "", "INTEGRATION_ENCRYPTION_KEY": "", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    with process(tmp_path, database, **credentials) as running:
        assert running.end() == 0
    assert ask(environment(None, CREDENTIALS_DIRECTORY=str(tmp_path)), "status").exit_code == 0


def test_a_directory_of_credentials_gives_each_file_of_it(tmp_path: Path) -> None:
    for name, text in {
        "database_url": "postgresql:///app",
        "integration_encryption_key": KEY,
        "shared_hubspot_client_id": "an-id\n",
        "shared_hubspot_client_secret": "a-secret\n",
        "shared_integration_encryption_key_old": "",
    }.items():
        (tmp_path / name).write_text(text)
    settings = Settings.from_environment({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.apps["hubspot"].client_id == "an-id"
    assert settings.apps["hubspot"].client_secret.get_secret_value() == "a-secret"
    assert settings.old_encryption_keys.get_secret_value() == ""
    with pytest.raises(Refusal, match=r"CREDENTIALS_DIRECTORY names .*, which cannot be read \(NotADirectoryError\)"):
        Settings.from_environment({"CREDENTIALS_DIRECTORY": str(tmp_path / "database_url")})


@pytest.mark.parametrize(
    "lost",
    [asyncpg.InternalClientError("got result for unknown protocol state 3"), asyncpg.ConnectionDoesNotExistError("…")],
)
async def test_a_server_that_dies_while_it_lets_us_in_is_waited_for(
    database: str, monkeypatch: pytest.MonkeyPatch, lost: Exception
) -> None:
    make, tries = asyncpg.create_pool, iter([lost])

    async def make_or_lose(*arguments: object, **named: object) -> object:
        for error in tries:
            raise error
        return await make(*arguments, **named)

    monkeypatch.setattr(asyncpg, "create_pool", make_or_lose)
    opened = await Database.open(settings_for(database))
    assert await opened.schema_version() is not None
    await opened.close()


async def test_a_database_that_goes_away_while_the_daemon_starts_is_no_fault_of_its_configuration(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await Database.open(settings_for(database))

    async def lose() -> None:
        raise DatabaseTrouble(asyncpg.ConnectionDoesNotExistError("…"), is_lost=True)

    monkeypatch.setattr(opened, "verify_key", lose)
    with pytest.raises(DatabaseUnreachable, match="went away") as refused:
        await service.check(opened)
    assert refused.value.exit_status == EX_UNAVAILABLE
    await opened.close()
