"""Which Postgres the tests themselves run on (tests/postgres.py)."""

from __future__ import annotations

import os
import shutil
import socketserver
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sandbox.postgres import EmbeddedPostgres, embedded
from tests.postgres import NoTestServerError, TestServer, engine_answers, server


class _BrokenEngine(socketserver.StreamRequestHandler):
    """Answers a ping as Docker does, and everything else with an error."""

    def handle(self) -> None:
        request = self.rfile.readline().decode()
        while self.rfile.readline().strip():
            continue
        status, body = ("200 OK", "OK") if "/_ping" in request else ("500 Internal Server Error", "out of order")
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        self.wfile.write((head + body).encode())


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with embedded(fast=True) as running:
        yield running


@pytest.fixture
def broken_engine() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="pgcs-test-")
    with socketserver.ThreadingUnixStreamServer(f"{folder}/docker.sock", _BrokenEngine) as engine:
        threading.Thread(target=engine.serve_forever, daemon=True).start()
        yield f"unix://{folder}/docker.sock"
        engine.shutdown()
    shutil.rmtree(folder)


def databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        return {name for (name,) in connection.execute("select datname from pg_database").fetchall()}


def test_a_database_is_a_copy_of_its_template_and_goes_with_its_connections(postgres: EmbeddedPostgres) -> None:
    tests = TestServer(postgres.url, "embedded", "a test")
    template = tests.create_database()
    with psycopg.connect(template) as connection:
        connection.execute("create table rows as select 42 as answer")
    first, second = tests.create_database(template), tests.create_database(template)
    assert len({template, first, second}) == 3
    with psycopg.connect(first) as connection:
        connection.execute("drop table rows")
    with psycopg.connect(second) as connection:
        assert connection.execute("select answer from rows").fetchone() == (42,)
        tests.drop_database(second)
        with pytest.raises(psycopg.OperationalError, match="terminat"):
            connection.execute("select 1")
    with pytest.raises(ValueError, match="was not made by this server object"):
        tests.drop_database(postgres.url)
    tests.drop_all()
    assert databases(postgres.url) == {"postgres", "template0", "template1"}


def test_a_given_server_is_used_first_and_left_as_it_was(postgres: EmbeddedPostgres) -> None:
    with server({"TEST_DATABASE_URL": postgres.url, "DATABASE_URL": "postgresql://nowhere"}) as given:
        assert (given.rung, given.url) == ("url", postgres.url)
        given.create_database()
    assert databases(postgres.url) == {"postgres", "template0", "template1"}
    with server({"DATABASE_URL": postgres.url}) as given:
        assert given.source.endswith("of DATABASE_URL")


def test_a_given_server_must_answer_and_be_a_superusers(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("create role plain login password 'plain'")
    plain = postgres.url_for("plain", "plain")
    with pytest.raises(NoTestServerError, match="TEST_DATABASE_URL must be a superuser's"):
        server({"TEST_DATABASE_URL": plain}).__enter__()
    with pytest.raises(NoTestServerError, match="the server of DATABASE_URL does not answer"):
        server({"DATABASE_URL": "postgresql://a:b@127.0.0.1:1/c"}).__enter__()


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"TEST_PG": "sqlite"}, "must be url, container or embedded"),
        ({"TEST_PG": "url"}, "neither TEST_DATABASE_URL nor DATABASE_URL is set"),
        ({"TEST_PG": "container", "DOCKER_HOST": "unix:///nonexistent"}, "no Docker engine answers on unix:///nonex"),
        ({"TEST_PG": "container", "DOCKER_HOST": "tcp://127.0.0.1:1"}, "only unix:// is asked"),
    ],
)
def test_a_forced_rung_that_is_not_there_is_an_error(environ: dict[str, str], reason: str) -> None:
    with pytest.raises(NoTestServerError, match=reason):
        server(environ).__enter__()


def test_without_an_engine_the_embedded_one_is_used(tmp_path: Path) -> None:
    with server({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}) as running:
        assert running.rung == "embedded"
        assert "postgres" in databases(running.url)


def test_embedded_can_be_forced_over_a_given_server() -> None:
    with server({"TEST_PG": "embedded", "TEST_DATABASE_URL": "postgresql://nowhere"}) as running:
        assert running.rung == "embedded"


def test_only_an_answer_proves_an_engine(broken_engine: str, tmp_path: Path) -> None:
    assert engine_answers({"DOCKER_HOST": broken_engine})
    (tmp_path / "docker.sock").touch()
    assert not engine_answers({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"})


def test_an_engine_without_an_image_is_told_and_passed_over(
    broken_engine: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", broken_engine)
    monkeypatch.setattr(sys, "__stderr__", sys.stderr)
    with server({"DOCKER_HOST": broken_engine}) as running:
        assert running.rung == "embedded"
    assert "!! a Docker engine answers, but gives no container of postgres:17" in capfd.readouterr().err
    with pytest.raises(NoTestServerError, match="gives no container of postgres:17"):
        server({"DOCKER_HOST": broken_engine, "TEST_PG": "container"}).__enter__()


def test_a_container_serves_when_there_is_an_engine() -> None:
    if not engine_answers():
        pytest.skip("no Docker engine answers")
    try:
        container = server({**os.environ, "TEST_PG": "container"})
        running = container.__enter__()
    except NoTestServerError as error:
        if os.environ.get("TEST_PG") == "container":
            raise
        pytest.skip(str(error))
    try:
        assert running.rung == "container"
        url = running.create_database()
        with psycopg.connect(url) as connection:
            connection.execute("create extension pgcrypto")
            assert connection.execute("show fsync").fetchone() == ("off",)
    finally:
        container.__exit__(None, None, None)
