"""The embedded Postgres: what it offers, who may use it, and that it never outlives its owner."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from sandbox.pg_account import Account
from sandbox.postgres import DataDirectoryError, EmbeddedPostgres, PostgresFailedError, embedded, find_binaries

ROOT = Path(__file__).parents[2]

# An owner that says what it has, and then waits to be killed (or interrupted).
OWNER = """
import os, signal, subprocess, sys
from pathlib import Path
import psycopg
from sandbox.postgres import embedded
with embedded(Path(sys.argv[1]) if sys.argv[1:] else None, fast=True) as postgres:
    heir = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL, close_fds=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fork = os.fork()
    if fork == 0:
        os.close(1)
        signal.pause()
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print(postgres.url, postgres.socket_dir, heir.pid, fork, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        psycopg.connect(postgres.url).close()
        print("still served", flush=True)
        os.kill(fork, signal.SIGKILL)
        heir.kill()
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with embedded(fast=True) as running:
        yield running


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that the server's user may enter (pytest's own are private), also the one for temporary files."""
    path = Path(tempfile.mkdtemp(prefix="pgcs-test-", dir="/var/tmp"))
    path.chmod(0o1777)
    (path / "tmp").mkdir()
    (path / "tmp").chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(path / "tmp"))
    monkeypatch.setenv("TMPDIR", str(path / "tmp"))
    yield path
    shutil.rmtree(path)


def python(code: str, *arguments: str, **options: object) -> subprocess.Popen[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-c", code, *arguments], text=True, stdout=subprocess.PIPE, env=environ, **options
    )


def query(url: str, statement: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return str(row[0])


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def processes_of(folder: Path) -> dict[int, str]:
    """Every process that works in `folder` (the server's do) or was started with its name (the shell that keeps it)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            works_in = (entry / "cwd").readlink()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if works_in.is_relative_to(folder) or f"pg-keeper {folder}" in command:
            found[int(entry.name)] = command
    return found


def seconds_until(fact: Callable[[], bool], deadline: float = 30.0) -> float:
    begun = time.monotonic()
    while not fact():
        assert time.monotonic() - begun < deadline, "it did not come true in time"
        time.sleep(0.01)
    return time.monotonic() - begun


def test_it_is_new_enough_utf8_in_utc_and_has_pgcrypto(postgres: EmbeddedPostgres) -> None:
    url = postgres.url
    assert int(query(url, "show server_version_num")) >= 150000
    assert query(url, "select rolsuper from pg_roles where rolname = current_user") == "True"
    assert query(url, "select datcollate from pg_database where datname = current_database()") == "C.UTF-8"
    assert (query(url, "show server_encoding"), query(url, "show timezone")) == ("UTF8", "UTC")
    assert query(url, "show max_connections") == "200"
    execute(url, "create extension pgcrypto")
    assert query(url, "select pgp_sym_decrypt(pgp_sym_encrypt('a', 'k'), 'k')") == "a"


def test_a_crash_loses_nothing_unless_speed_was_asked_for(postgres: EmbeddedPostgres, folder: Path) -> None:
    assert query(postgres.url, "show fsync") == "off"
    with embedded(work_mem="7MB") as careful:
        assert query(careful.url, "show fsync") == "on"
        assert query(careful.url, "show work_mem") == "7MB"
    assert list((folder / "tmp").iterdir()) == []


def test_only_the_password_opens_it(postgres: EmbeddedPostgres) -> None:
    for host in ("127.0.0.1", str(postgres.socket_dir)):
        where = f"host={host} port={postgres.port} user=postgres dbname=postgres"
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(where, password="guessed")
        psycopg.connect(where, password=urlsplit(postgres.url).password).close()


def test_it_is_reachable_on_the_loopback_and_through_a_private_folder_only(postgres: EmbeddedPostgres) -> None:
    assert query(postgres.url, "show listen_addresses") == "127.0.0.1"
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", postgres.port))
    assert postgres.socket_dir.stat().st_mode & 0o777 == 0o700
    assert len(str(postgres.socket_dir / f".s.PGSQL.{postgres.port}")) <= 107


def test_a_url_for_another_user_and_database_is_quoted(postgres: EmbeddedPostgres) -> None:
    execute(postgres.url, "create role \"o'neil/x\" login password 'p@ss/w:rd'")
    url = postgres.url_for("o'neil/x", "p@ss/w:rd", "template1")
    assert query(url, "select current_user || ' ' || current_database()") == "o'neil/x template1"


def test_no_setting_and_no_secret_of_the_owner_reaches_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("INTEGRATION_ENCRYPTION_KEY", "k" * 32)
    with embedded(fast=True) as postgres:
        environ = []
        for pid in processes_of(postgres.socket_dir):
            with suppress(FileNotFoundError):  # an autovacuum worker that has ended meanwhile
                environ.append(Path(f"/proc/{pid}/environ").read_bytes())
        assert len(environ) > 3
        assert not any(b"kkkk" in one for one in environ)


def test_stop_start_and_restart_keep_url_and_data() -> None:
    # Not `fast`: without waiting for the log, an immediate stop loses the last moments, as it should.
    with embedded() as postgres:
        url = postgres.url
        execute(url, "create table kept as select 42 as answer")
        postgres.stop("immediate")
        assert not postgres.running
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        postgres.start()
        assert query(url, "select answer from kept") == "42"
        postgres.restart("fast", max_connections=30)
        assert postgres.url == url
        assert query(url, "show max_connections") == "30"
        assert query(url, "select answer from kept") == "42"


def test_a_failed_start_shows_the_log_and_leaves_nothing_behind(folder: Path) -> None:
    with pytest.raises(PostgresFailedError, match=r"status 1 .*Its log ends:\n(.*\n)*.*shared_buffers") as error:
        embedded(shared_buffers="lots").__enter__()
    assert "success" not in str(error.value).lower(), "the tail begins with this start, not with initdb"
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.parametrize("kept", [False, True])
def test_the_server_is_gone_at_once_when_its_owner_is_killed(folder: Path, kept: bool) -> None:
    owner = python(OWNER, *([str(folder / "data")] if kept else []))
    assert owner.stdout is not None
    url, run, *children = owner.stdout.readline().split()
    run_dir = Path(run)
    works_in = folder / "data" if kept else run_dir
    busy = psycopg.pq.PGconn.connect(url.encode())
    busy.send_query(b"select pg_sleep(60)")
    assert len(processes_of(works_in)) > 3
    assert processes_of(run_dir)
    owner.kill()
    # A child of the owner and a fork of it are still alive: neither holds the server.
    assert seconds_until(lambda: not processes_of(works_in) and not processes_of(run_dir)) < 10.0
    busy.finish()
    seconds_until(lambda: not run_dir.exists())
    owner.wait()
    owner.stdout.close()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    if kept:
        with embedded(folder / "data", fast=True) as again:
            assert again.running


def test_an_owner_killed_while_the_cluster_is_made_leaves_nothing_behind(folder: Path) -> None:
    owner = python(OWNER)
    assert owner.stdout is not None
    seconds_until(lambda: any((folder / "tmp").glob("*/pgdata/PG_VERSION")))
    owner.kill()
    owner.wait()
    assert owner.stdout.read() == "", "it was killed too late to prove anything"
    owner.stdout.close()
    assert seconds_until(lambda: not processes_of(folder / "tmp") and not any((folder / "tmp").iterdir())) < 10.0


def test_an_interrupted_owner_still_has_its_server() -> None:
    owner = python(OWNER, start_new_session=True)
    assert owner.stdout is not None
    _, run, *_ = owner.stdout.readline().split()
    os.killpg(owner.pid, signal.SIGINT)
    assert owner.stdout.readline() == "still served\n"
    assert owner.wait(timeout=30) == 0
    owner.stdout.close()
    assert not Path(run).exists()
    assert processes_of(Path(run)) == {}


def test_a_kept_cluster_keeps_its_data_and_its_password(folder: Path) -> None:
    with embedded(folder / "new" / "data", fast=True) as postgres:
        password = urlsplit(postgres.url).password
        execute(postgres.url, "create table kept as select 42 as answer")
    file = folder / "new" / "data" / "password"
    assert file.read_text() == password
    assert file.stat().st_mode & 0o777 == 0o600
    with embedded(folder / "new" / "data", fast=True) as postgres:
        assert urlsplit(postgres.url).password == password
        assert query(postgres.url, "select answer from kept") == "42"
    assert (folder / "new" / "data" / "server.log.1").exists()

    file.unlink()
    with pytest.raises(DataDirectoryError, match=r"the password in .* is gone"):
        embedded(folder / "new" / "data").__enter__()
    file.write_text(str(password))
    (folder / "new" / "data" / "pgdata" / "PG_VERSION").write_text("14\n")
    with pytest.raises(DataDirectoryError, match=r"made by PostgreSQL 14, but .*set EMBEDDED_PG_BIN"):
        embedded(folder / "new" / "data").__enter__()


def test_a_data_directory_has_one_owner_at_a_time(folder: Path) -> None:
    with embedded(folder / "data", fast=True) as postgres:
        begun = time.monotonic()
        with pytest.raises(
            DataDirectoryError, match=rf"is in use by process {os.getpid()}: one Postgres has one owner"
        ):
            embedded(folder / "data").__enter__()
        assert time.monotonic() - begun < 5, "a living owner is not waited for"
        assert query(postgres.url, "select 1") == "1"
    with embedded(folder / "data", fast=True) as postgres:
        assert query(postgres.url, "select 1") == "1"


def test_a_pid_file_of_a_crash_is_no_obstacle(folder: Path) -> None:
    with embedded(folder / "data", fast=True) as postgres:
        execute(postgres.url, "create table kept as select 42 as answer")
    # The process id in it belongs to somebody else by now, a process of the same user: Postgres alone would refuse.
    cluster = folder / "data" / "pgdata"
    account = Account.choose(cluster)
    other = account.popen(["sleep", "60"], subprocess.DEVNULL, subprocess.DEVNULL)
    pid_file = cluster / "postmaster.pid"
    pid_file.write_text(f"{other.pid}\n{cluster}\n1\n5432\n/tmp\n127.0.0.1\n")
    account.own(pid_file)
    with embedded(folder / "data", fast=True) as postgres:
        assert query(postgres.url, "select answer from kept") == "42"
    other.kill()
    other.wait()


def test_a_folder_that_holds_something_else_is_left_alone(folder: Path) -> None:
    (folder / "precious").write_text("mine")
    with pytest.raises(DataDirectoryError, match="holds something else"):
        embedded(folder).__enter__()
    assert folder.stat().st_mode & 0o7777 == 0o1777
    assert {entry.name for entry in folder.iterdir()} == {"precious", "tmp"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try it as somebody else")
def test_a_data_directory_out_of_the_servers_reach_names_the_closed_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    closed = next(folder for folder in reversed((tmp_path, *tmp_path.parents)) if not folder.stat().st_mode & 0o001)
    with pytest.raises(DataDirectoryError, match=rf"who runs the server, may not enter {closed}\b"):
        embedded(tmp_path / "data").__enter__()


@pytest.mark.skipif(os.geteuid() != 0, reason="the whole suite runs as this user already")
def test_it_works_without_root(folder: Path) -> None:
    # Everything is imported first: root's interpreter may lie where nobody else can read it.
    code = (
        "import os, sys, psycopg; from pathlib import Path; from sandbox.postgres import NoPostgresError, embedded\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for data in (None, Path(sys.argv[1])):\n"
        "    with embedded(data, fast=True) as postgres:\n"
        "        psycopg.connect(postgres.url).close()\n"
        "        print(os.geteuid(), postgres.socket_dir.stat().st_uid, flush=True)\n"
        "os.environ['EMBEDDED_PG_BIN'] = sys.argv[2]\n"
        "try: embedded().__enter__()\n"
        "except NoPostgresError as error: print(error)"
    )
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    if not Account("nobody", 65534, 65534, switch=True).can('test -x "$1"', find_binaries().bin / "postgres"):
        pytest.skip("nobody may not read the programs of this checkout, and without root there is no copy")
    run = python(code, str(folder / "data"), str(closed / "bin"))
    output, _ = run.communicate(timeout=60)
    assert run.returncode == 0
    first, second, refusal = output.splitlines()
    assert first == second == "65534 65534"
    assert "bin may not be entered by the current user" in refusal
    assert list((folder / "tmp").iterdir()) == []
