"""Worker processes that are measured, ours and the peers': all speak one protocol of a few lines.

A worker prints `ready` once it could begin, begins on the line `go`, prints `count N` about every 100 ms while the
number of jobs that it has handled changes (how much of each kind of work is done may follow) and, with BENCH_LATENCY=1 in its environment, `start NS` (the system's
monotonic clock) as each handler starts. It ends on SIGTERM or when its standard input is closed.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from types import TracebackType
from typing import IO

READY_SECONDS = 60.0
END_SECONDS = 10.0
TAIL = 2_000


class Workers:
    """A fleet of worker processes: ready on return, at work from `go` on, gone on exit."""

    def __init__(self, commands: Sequence[Sequence[str]], env: Mapping[str, str]) -> None:
        self._changed = threading.Condition()
        self._starts: SimpleQueue[int] = SimpleQueue()
        self._workers: list[_Worker] = []
        try:
            for command in commands:
                self._workers.append(_Worker(command, env, self._changed, self._starts))
            self._until(lambda: all(worker.ready for worker in self._workers), READY_SECONDS, "become ready")
        except BaseException:
            self._end()
            raise
        self.pids = [worker.process.pid for worker in self._workers]

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def go(self) -> None:
        """Let all begin."""
        for worker in self._workers:
            worker.say("go")

    def handled(self) -> int:
        """Jobs handled by all of them until their latest reports."""
        return sum(worker.count for worker in self._workers)

    def reported_at(self) -> float:
        """When the latest report was heard, in seconds of the monotonic clock."""
        return max(worker.reported_at for worker in self._workers)

    def wait_for(self, jobs: int, seconds: float) -> None:
        """Return once so many jobs were handled.

        Raises:
            TimeoutError: they were not within so many seconds; it tells what the workers wrote to standard error.
            RuntimeError: a worker ended before that.
        """
        self._until(lambda: self.handled() >= jobs, seconds, f"handle {jobs:,} jobs")

    def next_report(self, seconds: float) -> tuple[int, tuple[int, ...], float]:
        """Jobs handled, the work done of each kind, and when, as of the next report of any of them; as of the latest, if there
        is none in so many seconds."""
        with self._changed:
            before = self.reported_at()
            self._changed.wait_for(lambda: self.reported_at() != before, seconds)
            kinds = tuple(map(sum, zip(*(worker.kinds for worker in self._workers), strict=True)))
            return self.handled(), kinds, self.reported_at()

    def starts(self) -> SimpleQueue[int]:
        """When handlers started, in nanoseconds of the monotonic clock, as they are reported (BENCH_LATENCY=1)."""
        return self._starts

    def _until(self, is_done: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not is_done():
                if gone := [worker for worker in self._workers if worker.ended]:
                    raise RuntimeError(f"a worker ended before it could {what}: {gone[0].complaint()}")
                if not self._changed.wait(deadline - time.monotonic()) and time.monotonic() >= deadline:
                    complaints = "\n".join(worker.complaint() for worker in self._workers)
                    raise TimeoutError(
                        f"the workers did not {what} in {seconds:g} s ({self.handled():,} handled): {complaints}"
                    )

    def _end(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.end()


class _Worker:
    """One process, with a thread that reads what it prints."""

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], changed: threading.Condition, starts: SimpleQueue[int]
    ) -> None:
        self.ready = False
        self.ended = False
        self.count = 0
        self.kinds: tuple[int, ...] = (0,)
        self.reported_at = time.monotonic()
        self._command = command
        self._changed = changed
        self._starts = starts
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by end()
        self.process = subprocess.Popen(
            command, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def complaint(self) -> str:
        """The command and the tail of its standard error."""
        size = self._errors.seek(0, 2)
        self._errors.seek(max(0, size - TAIL))
        return f"{' '.join(self._command)}: {self._errors.read().decode(errors='replace') or 'it said nothing'}"

    def end(self) -> None:
        """Wait for its end; it was asked to, and is killed when it does not."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join()
        self._errors.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self._hear(*line.split())
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _hear(self, word: str = "", number: str = "0", *kinds: str) -> None:
        if word == "start":
            self._starts.put(int(number))
        elif word in ("ready", "count"):
            with self._changed:
                self.ready = True
                self.count = int(number)
                self.kinds = tuple(map(int, kinds or (number,)))
                self.reported_at = time.monotonic()
                self._changed.notify_all()
