"""The Postgres that the tests run on: given, in a container, or embedded.

The rungs, first that fits (TEST_PG=url|container|embedded forces one):

1. `url`: the server of TEST_DATABASE_URL, or of DATABASE_URL if that is absent; a superuser's;
2. `container`: testcontainers, when a Docker engine answers on its socket; TEST_PG_IMAGE names the image (postgres:17);
3. `embedded`: `sandbox.postgres`.

Usage, one migrated template for the session and one copy of it for each test:

    @pytest.fixture(scope="session")
    def postgres() -> Iterator[TestServer]:
        with server() as running:
            yield running

    @pytest.fixture(scope="session")
    def template(postgres: TestServer) -> str:
        url = postgres.create_database()
        migrate(url)                                 # and close every connection to it: a template must be idle
        return url

    @pytest.fixture
    def database(postgres: TestServer, template: str) -> Iterator[str]:
        url = postgres.create_database(template)
        yield url
        postgres.drop_database(url)
"""

from __future__ import annotations

import http.client
import itertools
import os
import secrets
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from sandbox.pg_data import new_password
from sandbox.postgres import FAST, embedded

if TYPE_CHECKING:
    from testcontainers.community.postgres import PostgresContainer

Rung = Literal["url", "container", "embedded"]

DOCKER_SOCKET = "unix:///var/run/docker.sock"
IMAGE = "postgres:17"
MAX_CONNECTIONS = 200


class NoTestServerError(RuntimeError):
    """The rung that was asked for is not there."""


class _NoContainerError(Exception):
    """The engine answers, but gives no Postgres; the message is the engine's."""


@dataclass
class TestServer:
    """A running server: `url` is a superuser's, `rung` says where it comes from, `source` the same for a human."""

    __test__: ClassVar[bool] = False

    url: str
    rung: Rung
    source: str
    _made: dict[str, None] = field(default_factory=dict)
    _names: Iterator[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Several runs may share one server: the process id alone is not unique over hosts and containers.
        mark = f"test_{os.getpid()}_{secrets.token_hex(3)}"
        self._names = (f"{mark}_{number}" for number in itertools.count(1))

    def create_database(self, template: str | None = None, tablespace: str | None = None) -> str:
        """A new database, empty or a copy of the one at the URL `template`, to which nobody may be connected.

        Returns its URL. Copying files beats copying through the log once fsync is off (PostgreSQL 17, a schema of 60
        tables: 20 against 25 ms to create, 8 against 18 ms to drop), and costs the same on PostgreSQL 15.
        """
        name = next(self._names)
        statement = sql.SQL("create database {} template {} strategy = file_copy tablespace {}").format(
            sql.Identifier(name),
            sql.Identifier("template1" if template is None else _database_of(template)),
            sql.Identifier("pg_default" if tablespace is None else tablespace),
        )
        self._execute(statement)
        self._made[name] = None
        return urlunsplit(urlsplit(self.url)._replace(path="/" + quote(name)))

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, whoever is still connected to it."""
        name = _database_of(url)
        if name not in self._made:
            raise ValueError(f"database {name} was not made by this server object")
        self._execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
        del self._made[name]

    def drop_all(self) -> None:
        """Drop what is left of the databases made here."""
        for name in list(self._made):
            self.drop_database(urlunsplit(urlsplit(self.url)._replace(path="/" + quote(name))))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def server(environ: Mapping[str, str] = os.environ) -> Iterator[TestServer]:
    """The server to test on, by the rungs above. Raises NoTestServerError if a forced rung is not there."""
    rung = _choose(environ)
    if rung == "url":
        with _given(environ) as given:
            yield given
        return
    if rung == "container":
        try:
            container, running = _start_container(environ)
        except _NoContainerError as error:
            if environ.get("TEST_PG") == "container":
                raise NoTestServerError(str(error)) from error
            # The real stderr: pytest shows a fixture's output of a passing test to nobody.
            print(
                f"\n!! {error}\n!! The tests run on the embedded Postgres instead.\n", file=sys.__stderr__, flush=True
            )
        else:
            try:
                yield running
            finally:
                container.stop()
            return
    with embedded(fast=True, max_connections=MAX_CONNECTIONS) as postgres:
        make_logins_cheap(postgres.url)
        yield TestServer(
            postgres.url, "embedded", f"PostgreSQL {postgres.binaries.version} from {postgres.binaries.source}"
        )


def engine_answers(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a Docker engine answers on its Unix socket; a client without an engine, or a dead socket, is none."""
    address = environ.get("DOCKER_HOST") or DOCKER_SOCKET
    if not address.startswith("unix://"):
        return False
    # Not httpx: its Unix transport leaves the socket of a refused connection to the garbage collector, and a
    # ResourceWarning fails the suite.
    connection = http.client.HTTPConnection("docker", timeout=3)
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(3)
            stream.connect(address.removeprefix("unix://"))
            connection.sock = stream
            connection.request("GET", "/_ping")
            return connection.getresponse().read().strip() == b"OK"
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _choose(environ: Mapping[str, str]) -> Rung:
    forced = environ.get("TEST_PG")
    if forced not in (None, "", "url", "container", "embedded"):
        raise NoTestServerError(f"TEST_PG={forced}: it must be url, container or embedded")
    url = environ.get("TEST_DATABASE_URL") or environ.get("DATABASE_URL")
    if forced == "url" or (url and not forced):
        if not url:
            raise NoTestServerError("TEST_PG=url, but neither TEST_DATABASE_URL nor DATABASE_URL is set")
        return "url"
    if forced == "embedded":
        return "embedded"
    if engine_answers(environ):
        return "container"
    if forced == "container":
        address = environ.get("DOCKER_HOST") or DOCKER_SOCKET
        raise NoTestServerError(f"TEST_PG=container, but no Docker engine answers on {address} (only unix:// is asked)")
    return "embedded"


@contextmanager
def _given(environ: Mapping[str, str]) -> Iterator[TestServer]:
    name = "TEST_DATABASE_URL" if environ.get("TEST_DATABASE_URL") else "DATABASE_URL"
    try:
        with psycopg.connect(environ[name], connect_timeout=10) as connection:
            row = connection.execute(
                "select rolsuper, current_setting('server_version') from pg_roles where rolname = current_user"
            ).fetchone()
    except psycopg.OperationalError as error:
        raise NoTestServerError(f"the server of {name} does not answer: {error}") from error
    if row is None or not row[0]:
        raise NoTestServerError(f"{name} must be a superuser's: the tests make databases, roles and extensions")
    given = TestServer(environ[name], "url", f"PostgreSQL {row[1]} of {name}")
    try:
        yield given
    finally:
        # This server goes on living; what the tests made in it does not.
        given.drop_all()


def _start_container(environ: Mapping[str, str]) -> tuple[PostgresContainer, TestServer]:
    """A started container with its server; _NoContainerError if the engine cannot give one (no image, no network)."""
    image = environ.get("TEST_PG_IMAGE") or IMAGE
    try:
        from docker.errors import DockerException  # type: ignore[import-untyped]
        from requests.exceptions import RequestException
        from testcontainers.community.postgres import PostgresContainer
        from testcontainers.core.exceptions import ContainerStartException
    except ImportError as error:
        raise _NoContainerError(f"a Docker engine answers, but testcontainers is not installed: {error}") from error
    container = None
    try:
        container = (
            PostgresContainer(image, username="postgres", password=new_password(), dbname="postgres", driver=None)
            .with_env("POSTGRES_INITDB_ARGS", "--encoding=UTF8 --locale-provider=libc --locale=C.UTF-8")
            .with_command(f"postgres -c max_connections={MAX_CONNECTIONS}")
        )
        container.start()
        url = container.get_connection_url()
        _make_fast(url)
    except (DockerException, RequestException, ContainerStartException, TimeoutError) as error:
        if container is not None:
            container.stop()
        raise _NoContainerError(f"a Docker engine answers, but gives no container of {image}: {error}") from error
    return container, TestServer(url, "container", f"the image {image}")


def _make_fast(url: str) -> None:
    """Switch off what only a crash needs, in SQL, as not every image passes its command's options to the server."""
    with psycopg.connect(url, autocommit=True) as connection:
        for name in FAST:
            connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(name)))
        connection.execute("select pg_reload_conf()")
    make_logins_cheap(url)


def make_logins_cheap(url: str) -> None:
    """Hash passwords once instead of 4,096 times, from PostgreSQL 16 on: the tests log in some ten thousand times.

    2 ms in the client and as much in the server, each time.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        if connection.info.server_version < 160_000:
            return
        password = sql.Literal(unquote(urlsplit(url).password or ""))
        connection.execute("alter system set scram_iterations = 1")
        connection.execute("select pg_reload_conf()")
        connection.execute("set scram_iterations = 1")
        connection.execute(sql.SQL("alter role current_user password {}").format(password))


def _database_of(url: str) -> str:
    return unquote(urlsplit(url).path.removeprefix("/"))
