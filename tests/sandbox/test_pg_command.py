"""`python -m sandbox.postgres`: the command gets a database, the signals that are meant for it, and the last word."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sandbox.pg_command import default_data_dir, main
from sandbox.postgres import embedded

ROOT = Path(__file__).parents[2]
# Counts its SIGINTs, and ends with their number at SIGTERM.
COUNTER = 'n=0; trap "n=\\$((n+1)); echo got \\$n" INT; trap "exit \\$n" TERM; echo ready; while :; do sleep 0.02; done'
# Takes the terminal on its standard input for its own, as a login shell has it, and becomes the program.
IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pgcs-test-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path / "data"
    shutil.rmtree(path)


def start(data_dir: Path, *command: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(  # type: ignore[call-overload, no-any-return]
        [sys.executable, "-m", "sandbox.postgres", "--data-dir", str(data_dir), *command],
        text=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_the_command_gets_a_database_and_its_status_is_ours(data_dir: Path) -> None:
    code = (
        "import os, psycopg; c = psycopg.connect(os.environ['DATABASE_URL']); print(c.info.dbname); c.close(); exit(7)"
    )
    run = start(data_dir, "--", sys.executable, "-c", code)
    assert run.communicate(timeout=60) == ("postgres\n", "")
    assert run.returncode == 7


def test_a_command_that_was_killed_or_does_not_exist_is_told_as_a_shell_does(data_dir: Path) -> None:
    run = start(data_dir, "--", "sh", "-c", "kill -KILL $$")
    run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGKILL
    run = start(data_dir, "--", "no-such-command")
    assert run.communicate(timeout=60) == ("", "error: no-such-command: No such file or directory\n")
    assert run.returncode == 127


def test_signals_are_forwarded(data_dir: Path) -> None:
    run = start(data_dir, "--", "sh", "-c", COUNTER)
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    run.send_signal(signal.SIGINT)
    assert run.stdout.readline() == "got 1\n"
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert run.returncode == 1


def test_a_ctrl_c_of_the_terminal_reaches_the_command_once(data_dir: Path) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "sandbox.postgres", "--data-dir", str(data_dir), "--", "sh", "-c", COUNTER]
    run = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, *command],
        text=True,
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    os.write(ours, b"\x03")
    assert run.stdout.readline() == "got 1\n"
    run.send_signal(signal.SIGTERM)
    rest, _ = run.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert (run.returncode, rest) == (1, "")


def test_without_a_command_it_prints_the_url_and_serves_until_ctrl_c(data_dir: Path) -> None:
    run = start(data_dir)
    assert run.stdout is not None
    url = run.stdout.readline().strip()
    psycopg.connect(url).close()
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode == 0
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(url)


def test_a_data_directory_in_use_is_an_error_in_words(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with embedded(data_dir):
        assert main(["--data-dir", str(data_dir), "--", "true"]) == 1
    assert f"error: {data_dir} is in use by process {os.getpid()}" in capsys.readouterr().err


def test_the_data_lives_in_the_state_folder_of_its_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert default_data_dir() == tmp_path / ".local/state/pg-crm-sync/postgres"
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert default_data_dir() == Path("/elsewhere/pg-crm-sync/postgres")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_data_dir() == Path("/var/lib/pg-crm-sync/postgres")
