"""The Chromium that the browser tests drive: the system's, else one that is installed now, as root on a Debian.

`CRM_SYNC_TEST_CHROMIUM` names one; `CRM_SYNC_TEST_CHROMIUM=none` goes without, loudly.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TextIO

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT = (
    ("apt-get", "update", "-qq"),
    ("apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"),
)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""What it is started with, here and by docs.screenshots: without a sandbox of its own, as root has none, and silent."""
APT_SECONDS = 240.0
Finder = Callable[[str], str | None]
Runner = Callable[[tuple[str, ...], float], str | None]


class NoChromiumError(Exception):
    """There is none, and none can be had; the message says why."""


class Provider:
    """Finds Chromium or installs it.

    Args:
        find: where a program is.
        run: runs a command for so many seconds at most; what went wrong, or None.
        is_root: whether packages can be installed.
        note: a file that remembers why it could not be had: the next process of this run need not try again.
    """

    def __init__(self, find: Finder, run: Runner, *, is_root: bool, note: Path, environ: Mapping[str, str]) -> None:
        self._find = find
        self._run = run
        self._is_root = is_root
        self._note = note
        self._environ = environ

    def get(self) -> str:
        """The path of its binary; raises NoChromiumError."""
        named = self._environ.get("CRM_SYNC_TEST_CHROMIUM", "")
        if named == "none":
            raise NoChromiumError("CRM_SYNC_TEST_CHROMIUM=none")
        if named:
            if path := self._find(named):
                return path
            raise NoChromiumError(f"CRM_SYNC_TEST_CHROMIUM={named} is not there")
        if path := self._found():
            return path
        # One process of a run installs, the others wait for it; apt's own lock keeps other runs out.
        with Path(f"{self._note}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path := self._found():
                return path
            if self._note.exists():
                raise NoChromiumError(self._note.read_text())
            problem = self._install()
            if problem is None and (path := self._found()):
                return path
            words = problem or f"apt-get installed chromium, but there is none of {', '.join(NAMES)}"
            self._note.write_text(words)
            raise NoChromiumError(words)

    def _found(self) -> str | None:
        return next((path for name in NAMES if (path := self._find(name))), None)

    def _install(self) -> str | None:
        if not self._find("apt-get"):
            return "there is no Chromium, and no apt-get to install it with"
        if not self._is_root:
            return "there is no Chromium; install it (apt-get install chromium), as only root can"
        deadline = time.monotonic() + APT_SECONDS
        for command in APT:
            if problem := self._run(command, max(1.0, deadline - time.monotonic())):
                return f"{' '.join(command)}: {problem}"
        return None


def provider(environ: Mapping[str, str] = os.environ) -> Provider:
    """This machine's; the processes of one run share what they find out."""
    run = environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
    note = Path(tempfile.gettempdir(), f"crm-sync-chromium-{os.geteuid()}-{run}")
    return Provider(shutil.which, _run, is_root=os.geteuid() == 0, note=note, environ=environ)


def lament(words: str, where: TextIO | None = None) -> None:
    """Say it on the real stderr: pytest shows the reason for a skip to nobody who does not ask."""
    line = "!" * 100
    text = f"\n{line}\n!! The console is NOT tested in a browser: {words}\n{line}\n"
    print(text, file=where or sys.__stderr__, flush=True)


def _run(command: tuple[str, ...], seconds: float) -> str | None:
    print(f"\n{' '.join(command)} (for the browser tests) …", file=sys.__stderr__, flush=True)
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {seconds:.0f} s"
    except OSError as error:
        return str(error)
    tail = " ".join((done.stderr or done.stdout).split())[-400:]
    return None if done.returncode == 0 else f"status {done.returncode}: {tail}"
