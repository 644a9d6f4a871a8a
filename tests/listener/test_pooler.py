"""Producers through PgBouncer in transaction mode; the daemon goes past it, and says so where it is led through."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from sandbox.pg_account import Account
from sandbox.ports import free_port
from tests.house import House, eventually
from tests.listener.daemons import daemon, environment, refuse
from tests.listener.shop import Shop

PASSWORD = "nobody-else-knows-it"
PRODUCERS = 4
EACH = 25
INSERT = "insert into public.message_classifications (message_id, intent) values (%s, 'question')"
IGNORED = "role, crm_sync.encryption_key, statement_timeout, idle_in_transaction_session_timeout"


def found() -> str:
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("there is no pgbouncer on this machine: apt-get install pgbouncer")
    return program


@contextmanager
def pooler(url: str, *users: str, ignore: str = "") -> Iterator[Callable[[str], str]]:
    """PgBouncer in transaction mode, with two connections for each user; gives a user's URL."""
    program, parts = found(), urlsplit(url)
    port = free_port()
    with TemporaryDirectory(prefix="crm-sync-pooler-") as name:
        folder, account = Path(name), Account.choose()
        (folder / "users").write_text("".join(f'"{user}" "{PASSWORD}"\n' for user in users))
        (folder / "ini").write_text(
            f"[databases]\n* = host={parts.hostname} port={parts.port}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = scram-sha-256\nauth_file = {folder}/users\npool_mode = transaction\n"
            f"default_pool_size = 2\n" + (f"ignore_startup_parameters = {ignore}\n" if ignore else "")
        )
        for path in (folder, *folder.iterdir()):
            account.own(path)
        process = account.popen([program, str(folder / "ini")], subprocess.DEVNULL, subprocess.DEVNULL)

        def url_of(user: str) -> str:
            return urlunsplit(parts._replace(netloc=f"{user}:{PASSWORD}@127.0.0.1:{port}"))

        def answers() -> bool:
            assert process.poll() is None
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        try:
            eventually(answers, "a pooler")
            yield url_of
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


@pytest.fixture
def login(house: House) -> Iterator[Callable[[str], str]]:
    """A role that may log in, a member of the given one."""
    made: list[str] = []

    def make(role: str) -> str:
        database = str(house.value("select current_database()"))
        name = f"{role}_{database}"
        house.connection.execute(
            sql.SQL("create role {} login password {} in role {}").format(
                sql.Identifier(name), sql.Literal(PASSWORD), sql.Identifier(role)
            )
        )
        made.append(name)
        return name

    yield make
    for name in made:
        house.connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def produce(url: str, way: str, messages: list[UUID]) -> None:
    """Each message is classified in a transaction of its own, or all of them in a pipeline."""
    # PgBouncer before 1.21 knows nothing of statements that were prepared on another of its connections
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        match way:
            case "pipeline":
                with connection.pipeline(), connection.transaction():
                    for message in messages:
                        connection.execute(INSERT, [message])
            case "many":
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.executemany(INSERT, [(message,) for message in messages])
            case "savepoints":
                for message in messages:
                    with connection.transaction():
                        with connection.transaction(force_rollback=True):
                            connection.execute(INSERT, [message])
                        connection.execute(INSERT, [message])
            case _:
                for message in messages:
                    connection.execute(INSERT, [message])


def test_what_producers_commit_through_a_pooler_arrives(shop: Shop, database: str, login: Callable[[str], str]) -> None:
    tenant, producer = shop.tenant(), login("crm_sync_producer")
    ways = ["one", "pipeline", "many", "savepoints"]
    messages = {
        way: [shop.house.message(tenant.organization, shop.person(tenant), body=f"{way} {n}.") for n in range(EACH)]
        for way in ways
    }
    with pooler(database, producer) as url_of, daemon(database, poll_seconds=60):
        threads = [threading.Thread(target=produce, args=(url_of(producer), way, messages[way])) for way in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert shop.house.value("select count(*) from public.message_classifications") == len(ways) * EACH
        shop.wait_until_settled(tenant)
    shop.assert_exact(tenant)


def test_a_reader_may_ask_through_a_pooler(house: House, database: str, login: Callable[[str], str]) -> None:
    house.integration(house.organization())
    reader = login("crm_sync_reader")
    with pooler(database, reader) as url_of, psycopg.connect(url_of(reader), prepare_threshold=None) as connection:
        for view in ("status", "failures", "workers"):
            connection.execute(sql.SQL("select * from crm_sync.{}").format(sql.Identifier(view)))
        assert connection.execute("select count(*) from crm_sync.status").fetchone() == (1,)


@pytest.mark.parametrize("ignore", ["", IGNORED])
def test_a_daemon_that_is_led_through_a_pooler_says_so_and_does_nothing(
    house: House, database: str, login: Callable[[str], str], ignore: str
) -> None:
    service = login("crm_sync_daemon")
    with pooler(database, service, ignore=ignore) as url_of:
        done = refuse(environment(url_of(service)))
    assert done.returncode == 78, done.stderr
    assert "DATABASE_URL leads through a pooler that keeps no session for us" in done.stderr
    assert "Name its host and port. Producers may go on through the pooler." in done.stderr
    assert PASSWORD not in done.stderr
    assert house.rows("select * from crm_sync.daemons") == []
