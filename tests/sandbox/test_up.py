"""`make up` as people run it: something to watch at once, and nothing left when it is over."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg

from tests.house import eventually
from tests.sandbox.test_demo import ROOT, environment

START_SECONDS = 60.0
LINK = re.compile(r"(http://127\.0\.0\.1:\d+)/sign-in#\S+")

TO_WATCH: dict[str, LiteralString] = {
    "contacts in each CRM": "select count(distinct provider) = 3 from crm_sync.status where last_success is not null",
    "a mapping to be fixed": "select count(*) > 0 from crm_sync.failures where field = 'last_reply_tone'",
    "replies without an address": "select count(*) > 0 from public.sync_queue where last_error ~ 'no e-mail address'",
    "an organization without a CRM": "select count(*) > 0 from public.sync_queue where last_error ~ 'no connected CRM'",
    "new replies": "select count(distinct classification_id) > 63 from public.sync_queue",
}


def test_there_is_something_to_watch_until_ctrl_c_and_nothing_afterwards(tmp_path: Path) -> None:
    with up(tmp_path, "--replies", "60", "--every", "0.5") as (process, output):
        links = LINK.findall(output.read_text())
        assert len(links) == 2
        assert answer(links[0], "/readyz") == 200
        with psycopg.connect(found(r"psql '(postgresql://demo_dba[^']+)'", output), autocommit=True) as reader:
            for what, query in TO_WATCH.items():
                eventually(partial(ask, reader, query), what, 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
        assert "nothing is left" in output.read_text()
        assert answer(links[0], "/readyz") is None
    assert list(tmp_path.iterdir()) == [output]


def test_it_ends_by_itself_when_it_is_told_to(tmp_path: Path) -> None:
    with up(tmp_path, "--replies", "3", "--seconds", "0.1") as (process, output):
        assert process.wait(timeout=30) == 0
    assert list(tmp_path.iterdir()) == [output]


def test_a_port_that_is_taken_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "sandbox.up", "--port", str(port)],
            cwd=ROOT,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
    assert done.returncode == 2
    assert f"port {port} is taken" in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """It, once it has told the links; and what it says."""
    output = folder / "output"
    with output.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.up", "--port", "0", *arguments],
            cwd=ROOT,
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        eventually(
            lambda: "Ctrl-C ends everything" in output.read_text() or process.poll() is not None, "up", START_SECONDS
        )
        assert "Ctrl-C ends everything" in output.read_text(), output.read_text()
        yield process, output
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def found(pattern: str, output: Path) -> str:
    match = re.search(pattern, output.read_text())
    assert match is not None
    return match.group(1)


def ask(connection: psycopg.Connection, query: LiteralString) -> bool:
    row = connection.execute(query).fetchone()
    return row is not None and bool(row[0])


def answer(url: str, path: str) -> int | None:
    """The status of an answer, None when nobody is there."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()
