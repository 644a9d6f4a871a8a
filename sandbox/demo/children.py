"""The demo's other processes: each in a session of its own, each with a log file, none of which outlives the demo.

A small shell, the janitor, holds the other end of a pipe: when the demo ends without saying so, SIGKILL included, the
janitor kills what still runs and removes the folder.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

_JANITOR = """
trap '' HUP INT TERM
running=
while read -r word pid; do
  case $word in
    started) running="$running $pid " ;;
    ended) running="${running%% $pid *} ${running#* $pid }" ;;
    done) exit 0 ;;
  esac
done
for pid in $running; do kill -s KILL -- "-$pid"; done 2>/dev/null
rm -rf -- "$1"
"""
# Settings of whoever runs the demo that would lead its processes elsewhere.
_FOREIGN = ("PG", "DATABASE_URL", "INTEGRATION_", "HUBSPOT_", "SALESFORCE_", "PIPEDRIVE_", "NOTIFY_", "CREDENTIALS_")
TAIL_LINES = 20


class ChildFailedError(RuntimeError):
    """A process of the demo ended, or did not do what it should; the message ends with the tail of its log."""


class Child:
    """A Python module that runs as a process; `log` holds what it says on both of its outputs."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @property
    def pid(self) -> int:
        return self.process.pid

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def check(self) -> None:
        """Raises ChildFailedError if the process has ended with an error."""
        status = self.process.poll()
        if status not in (None, 0):
            raise self.failure(f"ended with status {status}")

    def failure(self, what: str) -> ChildFailedError:
        tail = "\n".join(self.text().splitlines()[-TAIL_LINES:]) or "(it said nothing)"
        return ChildFailedError(f"the {self.name} {what}. Its log, {self.log}, ends:\n{tail}")

    def wait_for(self, fact: Callable[[str], T | None], what: str, seconds: float = 30.0) -> T:
        """Wait until `fact` finds something in the log; raises ChildFailedError when it does not come."""
        deadline = time.monotonic() + seconds
        while (found := fact(self.text())) is None:
            if (status := self.process.poll()) is not None:
                raise self.failure(f"ended with status {status} before it was {what}")
            if time.monotonic() > deadline:
                raise self.failure(f"was not {what} within {seconds:g} s")
            time.sleep(0.02)
        return found


class Children:
    """All processes of one demo, and `folder` with their logs; made by `children`."""

    def __init__(self, folder: Path, janitor: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self._janitor = janitor
        self._running: list[Child] = []

    def start(
        self, name: str, arguments: Sequence[str], settings: Mapping[str, str], stdin: bytes | None = None
    ) -> Child:
        """Run `python -m ARGUMENTS` with these settings in its environment; `stdin` is what it reads."""
        log = self.folder / f"{name.replace(' ', '-')}.log"
        feed = tempfile.TemporaryFile(dir=self.folder) if stdin is not None else None  # noqa: SIM115 - closed below
        try:
            if feed is not None and stdin is not None:
                feed.write(stdin)
                feed.seek(0)
            with log.open("wb") as output:
                process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", *arguments],
                    env=_environment(settings),
                    stdin=feed if feed is not None else subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        finally:
            if feed is not None:
                feed.close()
        self._tell(f"started {process.pid}")
        child = Child(name, process, log)
        self._running.append(child)
        return child

    def check(self) -> None:
        """Raises ChildFailedError if one of them has failed."""
        for child in self._running:
            child.check()

    def newest(self, name: str) -> Child:
        """The one that was started last, of those with this word in their names."""
        return [child for child in self._running if name in child.name][-1]

    def kill(self, child: Child) -> None:
        """SIGKILL, as the machine's out-of-memory killer would do it."""
        child.process.send_signal(signal.SIGKILL)
        self._ended(child)

    def stop(self, seconds: float) -> None:
        """End all of them: politely, and after so many seconds with force; the last that was started goes first."""
        for child in reversed(self._running):
            child.process.terminate()
        deadline = time.monotonic() + seconds
        for child in reversed(list(self._running)):
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
            self._ended(child)

    def dismiss_janitor(self) -> None:
        self._tell("done")
        if self._janitor.stdin is not None:
            self._janitor.stdin.close()
        self._janitor.wait(5)

    def _ended(self, child: Child) -> None:
        child.process.wait()
        self._running.remove(child)
        self._tell(f"ended {child.pid}")

    def _tell(self, words: str) -> None:
        if self._janitor.stdin is not None:
            self._janitor.stdin.write(f"{words}\n".encode())
            self._janitor.stdin.flush()


@contextmanager
def children(stop_seconds: float = 1.0) -> Iterator[Children]:
    """The processes of one demo; all are gone on exit. The folder stays: whether it is needed is for others to say."""
    folder = Path(tempfile.mkdtemp(prefix="crm-sync-demo-"))
    janitor = subprocess.Popen(  # noqa: S603
        ["/bin/sh", "-c", _JANITOR, "demo-janitor", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    running = Children(folder, janitor)
    try:
        yield running
    finally:
        running.stop(stop_seconds)
        running.dismiss_janitor()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}
