"""Starts daemons as real processes without importing everything each time: a process that is forked for each of them.

It reads what to start from stdin, a JSON object a line (`environment`, `log`, `clock_shift` in seconds), and answers
each with a process id. When stdin ends, so do all that it has started.
"""

from __future__ import annotations

import ctypes
import datetime as datetimes
import gc
import json
import os
import random
import select
import signal
import ssl
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PR_SET_PDEATHSIG = 1
SECONDS = 30.0
ENDED = "process ended"


class Child:
    """A daemon's process; it is the nursery's child, so its end is seen by a descriptor of it."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self._log = log
        self._descriptor = os.pidfd_open(pid)

    @property
    def has_ended(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def signal(self, number: int) -> None:
        """Does nothing where it has ended."""
        try:
            signal.pidfd_send_signal(self._descriptor, number)
        except ProcessLookupError:
            return

    def wait(self, seconds: float | None) -> bool:
        """Whether it has ended within so many seconds; None is without end."""
        return bool(select.select([self._descriptor], [], [], seconds)[0])

    @property
    def exit_status(self) -> int:
        """Of one that has ended: its own, or -SIGKILL where it could not say any more."""
        return -signal.SIGKILL if self.status is None else self.status

    def close(self) -> None:
        os.close(self._descriptor)

    @property
    def status(self) -> int | None:
        """With which exit status it ended by itself; None where it did not, or not yet."""
        return next((entry["status"] for entry in self.log if entry["event"] == ENDED), None)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The complete lines of JSON; others (Python's own last words) as `{"event": "words", "words": …}`."""
        entries = []
        for line in self._log.read_text().splitlines(keepends=True):
            try:
                entries.append(json.loads(line) if line.endswith("\n") else {"event": "half a line"})
            except ValueError:
                entries.append({"event": "words", "words": line.strip()})
        return entries


class Nursery:
    """The process that starts daemons, and the way to it; `planted` is what they have wrong, as in `Plant`."""

    def __init__(self, planted: tuple[str, float] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery", *(() if planted is None else map(str, planted))],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, environment: Mapping[str, str], log: Path, clock_shift: float = 0.0) -> Child:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"environment": dict(environment), "log": str(log), "clock_shift": clock_shift}
        log.touch()
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Child(int(self._process.stdout.readline()), log)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()


def shift_clock(seconds: float) -> None:
    """Let this process believe that it is so much later; what it measures durations with stays as it is."""
    true_time, true_datetime = time.time, datetimes.datetime

    class Shifted(datetimes.datetime):
        @classmethod
        def now(cls, tz: datetimes.tzinfo | None = None) -> Any:
            return true_datetime.now(tz) + datetimes.timedelta(seconds=seconds)

    time.time = lambda: true_time() + seconds
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("listener", "providers") and getattr(module, "datetime", None) is true_datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]


def die_with_parent() -> None:
    """Get SIGKILL when the process that has started this one ends, however it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def become(order: Mapping[str, Any]) -> None:
    """Be a daemon until its end; never returns."""
    status = 70
    try:
        die_with_parent()
        with Path(order["log"]).open("ab") as log, Path(os.devnull).open("rb") as nothing:
            os.dup2(nothing.fileno(), 0)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        os.environ.clear()
        os.environ.update(order["environment"])
        random.seed()
        if order["clock_shift"]:
            shift_clock(order["clock_shift"])
        from listener.commands.run import run

        run.main(args=[], prog_name="crm-sync run")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - this process ends here, whatever it was
        traceback.print_exc()
    finally:
        print(json.dumps({"event": ENDED, "status": status}), file=sys.stderr, flush=True)
        os._exit(status)


def load() -> None:
    """Import what a daemon needs, once for all of them."""
    import certifi

    from listener.commands import run  # noqa: F401 - before a clock is shifted, which reaches what is there

    # reading all the authorities that there are takes a new process 30 ms; here nobody speaks TLS
    authorities = Path(certifi.where()).read_text()
    end = "-----END CERTIFICATE-----\n"
    context = ssl.create_default_context(cadata=authorities.partition(end)[0] + end)
    ssl.create_default_context = lambda *_, **__: context
    gc.collect()
    gc.freeze()


def main(planted: Sequence[str]) -> None:
    load()
    if planted:
        module, _, name = planted[0].partition(":")
        assert isinstance(getattr(sys.modules[module], name), float)
        setattr(sys.modules[module], name, float(planted[1]))
    signal.signal(signal.SIGCHLD, lambda *_: _reap())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            become(order)
        print(pid, flush=True)


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main(sys.argv[1:])
