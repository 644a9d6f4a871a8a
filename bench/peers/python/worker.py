"""`worker.py MODULE` puts a peer for Python to work; it speaks the protocol of bench/workers.py for all of them.

Run by the benchmarks' own environment, so nothing of ours is imported. MODULE lies beside this file and has
`open_work(url, handle)`: it connects, and returns what begins to work and calls `handle` first in each job.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module

import uvloop

REPORT_SECONDS = 0.1
# Rarer collections of what is young: with it, and what lives for ever left alone, pgqueuer is a third faster.
COLLECT_AFTER = 50_000
IS_LATENCY = os.environ.get("BENCH_LATENCY") == "1"

Work = Callable[[], Awaitable[None]]
OpenWork = Callable[[str, Callable[[], None]], Awaitable[Work]]


class Tally:
    """Jobs handled by this process."""

    def __init__(self) -> None:
        self._jobs = 0

    def handle(self) -> None:
        """One more."""
        if IS_LATENCY:
            print("start", time.monotonic_ns(), flush=True)
        self._jobs += 1

    async def report(self) -> None:
        """Print their number whenever it has changed, for ever."""
        said = 0
        while True:
            if said != self._jobs:
                said = self._jobs
                print("count", said, flush=True)
            await asyncio.sleep(REPORT_SECONDS)


async def main(open_work: OpenWork) -> None:
    tally = Tally()
    work = await open_work(os.environ["DATABASE_URL"], tally.handle)
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, sys.stdin.readline)
    closed = loop.run_in_executor(None, sys.stdin.read)
    tasks = [asyncio.ensure_future(each) for each in (work(), tally.report())]
    done, _ = await asyncio.wait([closed, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()
    # nothing is left to be saved: the benchmark has looked, and a library's own farewell may take seconds
    os._exit(0)


if __name__ == "__main__":
    uvloop.run(main(import_module(sys.argv[1]).open_work))
