"""The daemon's pages under trouble: a database that goes away, and callers who mean no good."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from listener.errors import EX_CONFIG
from listener.pages import HEAD_SECONDS, MOST_CONNECTIONS, MOST_HEAD_BYTES
from listener.probes import FRESH_SECONDS
from sandbox.postgres import embedded
from sql.migrate import migrate
from tests.house import House, eventually
from tests.listener.daemons import Process, environment, process, refuse
from tests.listener.scrape import LISTEN, get, port_of, scrape
from tests.listener.shop import Shop


@pytest.fixture
def probed(database: str, tmp_path: Path) -> Iterator[int]:
    """The port of a daemon's pages."""
    with process(tmp_path, database, **LISTEN) as running:
        yield port_of(running)


def exchange(port: int, sent: bytes) -> bytes:
    """What comes back for these bytes until the end; nothing where the connection was cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=HEAD_SECONDS + 5) as connection:
        answer = b""
        try:
            connection.sendall(sent)
            while more := connection.recv(65536):
                answer += more
        except ConnectionError:
            pass
        return answer


def test_readiness_follows_the_database_and_health_does_not(tmp_path: Path) -> None:
    with embedded(fast=True) as postgres:
        migrate(postgres.url)
        with process(tmp_path, postgres.url, **LISTEN) as running:
            port = port_of(running)
            said = get(port, "/readyz")
            assert (said.status, said.text) == (200, "ready\n")
            postgres.stop("immediate")
            eventually(
                lambda: get(port, "/readyz").text.startswith("not ready: the database does not answer: "), "the words"
            )
            assert get(port, "/readyz").status == 503
            assert get(port, "/healthz").status == 200
            page = scrape(port)
            assert page.value("database_up") == 0
            assert not {name for name in page.names if "queue" in name or "connections" in name}
            eventually(lambda: scrape(port).value("database_troubles_total", kind="lost") > 0, "trouble")
            postgres.start()
            eventually(lambda: get(port, "/readyz").status == 200, "ready again")
            eventually(lambda: scrape(port).value("database_up") == 1, "an answer")
            assert running.process.poll() is None


def test_health_is_the_answer_of_the_process_itself(database: str, tmp_path: Path) -> None:
    with process(tmp_path, database, **LISTEN) as running:
        port = port_of(running)
        running.process.send_signal(signal.SIGSTOP)
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
                with pytest.raises(TimeoutError):
                    connection.recv(1)
        finally:
            running.process.send_signal(signal.SIGCONT)
        assert get(port, "/healthz").text == "ok\n"


def test_a_deaf_doorbell_is_not_ready_until_it_listens_again(house: House, database: str, tmp_path: Path) -> None:
    with process(tmp_path, database, **LISTEN) as running:
        port = port_of(running)
        name = house.value("select current_database()")
        with psycopg.connect(database.rpartition("/")[0] + "/postgres", autocommit=True) as outside:
            # nobody new is let in: the LISTEN connection stays down, the pool's go on
            outside.execute(f'alter database "{name}" allow_connections false'.encode())
            outside.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%%' and datname = %s",
                [name],
            )
            eventually(lambda: "the LISTEN connection is down" in get(port, "/readyz").text, "the words")
            assert scrape(port).value("listening") == 0
            outside.execute(f'alter database "{name}" allow_connections true'.encode())
        eventually(lambda: get(port, "/readyz").status == 200, "ready again")


def test_a_daemon_that_waits_for_its_database_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        environ = environment(f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x", **LISTEN)
        running = Process(tmp_path, environ)
        try:
            eventually(lambda: running.events("metrics_listening"), "the pages")
            port = port_of(running)
            assert get(port, "/healthz").status == 200
            said = get(port, "/readyz")
            assert (said.status, said.text) == (
                503,
                "not ready: it is starting: the database has not let it in yet\n",
            )
            assert scrape(port).value("database_up") == 0
        finally:
            running.process.kill()
            running.process.wait(10)


def test_a_port_that_is_taken_is_a_refusal_that_says_so(database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        done = refuse(environment(database, CRM_SYNC_METRICS_LISTEN=listen))
    assert done.returncode == EX_CONFIG
    assert f"CRM_SYNC_METRICS_LISTEN: {listen} cannot be listened on (" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("listen", ["here", "127.0.0.1:x", ":9464", "127.0.0.1:70000", "*:9464", "[]:1"])
def test_an_address_that_makes_no_sense_is_a_refusal(database: str, listen: str) -> None:
    done = refuse(environment(database, CRM_SYNC_METRICS_LISTEN=listen))
    assert done.returncode == EX_CONFIG
    assert "CRM_SYNC_METRICS_LISTEN: write it as host:port" in done.stderr


def test_only_three_pages_are_there_and_only_to_be_read(probed: int) -> None:
    for path, method, status in (
        ("/healthz", "GET", 200),
        ("/healthz?x=1", "GET", 200),
        ("/metrics", "GET", 200),
        ("/", "GET", 404),
        ("/metrics/", "GET", 404),
        ("/../etc/passwd", "GET", 404),
        ("/metrics", "POST", 405),
        ("/metrics", "HEAD", 405),
        ("/metrics", "DELETE", 405),
    ):
        said = get(probed, path, method)
        assert said.status == status, (path, method)
        assert said.headers["cache-control"] == "no-store"
    assert said.headers["allow"] == "GET"
    assert get(probed, "/metrics").headers["content-type"].startswith("text/plain; version=")


def test_garbage_is_answered_or_cut_and_the_daemon_goes_on(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    with process(tmp_path, database, **LISTEN) as running:
        port = port_of(running)
        for sent, status in (
            (b"nonsense\r\n\r\n", b"400"),
            (b"\r\n\r\n", b"400"),
            (b"GET / HTTP/2.0\r\n\r\n", b"400"),
            (b"GET /a b HTTP/1.1\r\n\r\n", b"400"),
            (b"GET \xff\xfe\x00 HTTP/1.1\r\n\r\n", b"404"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
            (b"GET /metrics HTTP/1.1\r\nx: " + b"a" * MOST_HEAD_BYTES + b"\r\n\r\n", b"431"),
            (b"GET /metrics HTTP/1.1\r\n" + b"x: y\r\n" * 100_000, b"431"),
            (b"POST /metrics HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n" + b"a" * 1_000_000, b"405"),
        ):
            answer = exchange(port, sent)
            assert not answer or answer.startswith(b"HTTP/1.1 " + status), (sent[:40], answer[:40])
            if len(sent) < MOST_HEAD_BYTES:
                assert answer, sent
        shop.reply(tenant)
        shop.wait_until_settled()
        assert get(port, "/readyz").status == 200
        assert running.events("loop_error") == running.events("page_failed") == running.events("library_said") == []


def test_whoever_sends_slowly_is_cut_and_holds_up_nobody(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    with process(tmp_path, database, **LISTEN) as running:
        port = port_of(running)
        loris = [socket.create_connection(("127.0.0.1", port)) for _ in range(4 * MOST_CONNECTIONS)]
        try:
            for each in loris:
                each.sendall(b"GET /metrics HTTP/1.1\r\n")
            started = time.monotonic()
            for path in ("/healthz", "/readyz", "/metrics"):
                assert get(port, path).status == 200
            assert time.monotonic() - started < HEAD_SECONDS
            shop.reply(tenant)
            shop.wait_until_settled()
            held = len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))
            assert held < MOST_CONNECTIONS + 40
            for each in loris:
                each.settimeout(HEAD_SECONDS + 5)
                try:
                    assert each.recv(1) == b""
                except ConnectionError:
                    pass
        finally:
            for each in loris:
                each.close()
        assert get(port, "/readyz").status == 200


def test_whoever_does_not_take_the_answer_keeps_it_from_nobody(probed: int) -> None:
    greedy = [socket.create_connection(("127.0.0.1", probed)) for _ in range(2 * MOST_CONNECTIONS)]
    try:
        for each in greedy:
            each.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        started = time.monotonic()
        for path in ("/healthz", "/readyz", "/metrics"):
            eventually(lambda path=path: _answers(probed, path), path)  # type: ignore[misc]
        assert time.monotonic() - started < 5
    finally:
        for each in greedy:
            each.close()


def test_a_flood_of_scrapes_asks_the_database_once(house: House, database: str, tmp_path: Path) -> None:
    with process(tmp_path, database, **LISTEN) as running:
        port = port_of(running)
        house.connection.execute("create table public.asked (n bigint generated always as identity)")
        house.connection.execute("grant insert on public.asked to crm_sync_owner")
        source = house.value("select pg_get_functiondef('crm_sync.connection_counts()'::regprocedure)")
        told = source.replace("AS $function$", "AS $function$ insert into public.asked default values;")
        house.connection.execute(told.replace(" STABLE", " VOLATILE").encode())
        threads = [threading.Thread(target=lambda: [scrape(port) for _ in range(10)]) for _ in range(8)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        seconds = time.monotonic() - began
        assert 1 <= house.value("select count(*) from public.asked") <= 2 + seconds / FRESH_SECONDS


def test_a_scrape_of_a_hanging_database_ends_in_time(house: House, database: str, tmp_path: Path) -> None:
    with process(tmp_path, database, **LISTEN) as running, house.connection.transaction():
        house.connection.execute("lock table crm_sync.lanes in access exclusive mode")
        started = time.monotonic()
        page = scrape(port_of(running))
        assert page.value("database_up") == 0
        assert time.monotonic() - started < 15
        assert get(port_of(running), "/healthz").status == 200


def test_a_count_that_takes_long_is_shown_once_it_is_there(house: House, database: str, tmp_path: Path) -> None:
    house.integration(house.organization())
    source = house.value("select pg_get_functiondef('crm_sync.connection_counts()'::regprocedure)")
    house.connection.execute(source.replace("AS $function$", "AS $function$ select pg_catalog.pg_sleep(4);").encode())
    with process(tmp_path, database, **LISTEN) as running:
        port = port_of(running)
        assert scrape(port).value("database_up") == 0
        eventually(lambda: scrape(port).total("connections") == 1, "the count")
        assert running.end() == 0


def test_sigterm_ends_it_in_time_with_callers_connected(database: str, tmp_path: Path) -> None:
    with process(tmp_path, database, **LISTEN) as running:
        with socket.create_connection(("127.0.0.1", port_of(running))) as idle:
            idle.sendall(b"GET /metr")
            started = time.monotonic()
            assert running.end() == 0, running.text
            assert time.monotonic() - started < 10
        assert running.events("loop_error") == []


def _answers(port: int, path: str) -> bool:
    try:
        return get(port, path).status == 200
    except (OSError, http.client.HTTPException):  # all were being answered at that moment
        return False
