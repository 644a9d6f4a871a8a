"""The daemon, in a thread of this process or in a process of its own."""

from __future__ import annotations

import asyncio
import atexit
import functools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from pydantic import SecretStr

from listener.carrier import Carrier
from listener.cli import main
from listener.db import Database
from listener.settings import OAuthApp, Settings
from listener.worker import Worker
from providers.base import open_http
from sandbox import hubspot, pipedrive, salesforce
from tests.house import KEY, eventually
from tests.nursery import ENDED, Child, Nursery

ROOT = Path(__file__).parent.parent.parent
APPS = {
    name: OAuthApp(client_id=crm.CLIENT_ID, client_secret=SecretStr(crm.CLIENT_SECRET))
    for name, crm in (("hubspot", hubspot), ("salesforce", salesforce), ("pipedrive", pipedrive))
}


def settings_for(database: str, **changes: Any) -> Settings:
    values: dict[str, Any] = {"apps": APPS, "poll_seconds": 1.0, "encryption_key": SecretStr(KEY), **changes}
    return Settings(database_url=SecretStr(database), **values)


class Daemon:
    """A worker in a thread with a loop of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.ready = threading.Event()
        self.worker: Worker | None = None
        self.error: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="daemon", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self.ready.wait(30):
            raise AssertionError(f"the daemon is not ready: {self.error!r}")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(30)
        assert not self._thread.is_alive()
        self._loop.close()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._work())
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self.error = error
            self.ready.set()

    async def _work(self) -> None:
        database = await Database.open(self.settings)
        try:
            async with open_http(32) as http:
                carrier = Carrier(database, self.settings, http, self._stopping)
                self.worker = Worker(self.settings, database, carrier, self._stopping, self.ready.set)
                await self.worker.run()
        finally:
            await asyncio.wait_for(database.close(), 15)


@contextmanager
def daemon(database: str, **changes: Any) -> Iterator[Daemon]:
    """A daemon that is ready; stopped at the end."""
    running = Daemon(settings_for(database, **changes))
    try:
        running.start()
        yield running
    finally:
        running.stop()


def environment(database: str | None, **changes: str) -> dict[str, str]:
    """Of a daemon in a process: nothing is inherited but what Python needs."""
    base = {"PATH": os.environ["PATH"], "CRM_SYNC_LOG_LEVEL": "debug", "CRM_SYNC_CONNECT_TIMEOUT_SECONDS": "2"}
    if database is not None:
        base["DATABASE_URL"] = database
    for name, app in APPS.items():
        base[f"{name.upper()}_CLIENT_ID"] = app.client_id
        base[f"{name.upper()}_CLIENT_SECRET"] = app.client_secret.get_secret_value()
    return {**base, "INTEGRATION_ENCRYPTION_KEY": KEY, "CRM_SYNC_POLL_SECONDS": "1", **changes}


class Process:
    """`crm-sync run` as a process; what it says is in `log`."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._path = folder / f"daemon-{id(self)}.log"
        self.process = self._start(environ)

    @property
    def text(self) -> str:
        return self._path.read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The complete lines; fails for a line that is not JSON."""
        return [json.loads(line) for line in self.text.splitlines(keepends=True) if line.endswith("\n")]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [entry for entry in self.log if entry["event"] == name]

    def wait_until_ready(self) -> None:
        eventually(lambda: self.events("ready") or self.process.poll() is not None, "ready")
        assert self.process.poll() is None, self.text

    def end(self, number: int = signal.SIGTERM, seconds: float = 30.0) -> int:
        """Send a signal and wait; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def _start(self, environ: Mapping[str, str]) -> subprocess.Popen[bytes] | Offspring:
        with self._path.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "listener.cli", "run"],
                env=dict(environ),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


class Offspring:
    """A daemon of the nursery, as the processes of `subprocess` are asked and ended."""

    def __init__(self, child: Child) -> None:
        self.pid = child.pid
        self._child = child

    def __del__(self) -> None:
        self._child.close()

    def poll(self) -> int | None:
        return self._child.exit_status if self._child.has_ended else None

    def wait(self, timeout: float | None = None) -> int:
        if not self._child.wait(timeout):
            raise subprocess.TimeoutExpired("crm-sync run", timeout or 0.0)
        return self._child.exit_status

    def send_signal(self, number: int) -> None:
        self._child.signal(number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Forked(Process):
    """The same, forked from a process that has imported everything: a start takes a tenth of the time."""

    @property
    def log(self) -> list[dict[str, Any]]:
        return [entry for entry in super().log if entry["event"] != ENDED]

    def _start(self, environ: Mapping[str, str]) -> subprocess.Popen[bytes] | Offspring:
        return Offspring(_nursery().start(environ, self._path))


@functools.cache
def _nursery() -> Nursery:
    made = Nursery()
    atexit.register(made.close)
    return made


@contextmanager
def process(folder: Path, database: str, **changes: str) -> Iterator[Process]:
    """A daemon's process that is ready; killed at the end if it still runs."""
    running = Forked(folder, environment(database, **changes))
    try:
        running.wait_until_ready()
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait(30)


def ask(environ: Mapping[str, str], *arguments: str) -> Result:
    """Run the command in this process, which saves starting another one."""
    absent = dict.fromkeys(os.environ)
    return CliRunner().invoke(main, arguments, env={**absent, **environ}, catch_exceptions=False)


def refuse(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "listener.cli", *(arguments or ("run",))],
        env=dict(environ),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
