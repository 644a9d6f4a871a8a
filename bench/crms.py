"""The emulated CRMs in a process of their own, with the vendors' documented limits enforced on accelerated clocks.

`python -m bench.crms hubspot=2 pipedrive=4` serves until its standard input ends, so it cannot outlive who started it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from sandbox.app import create_app
from sandbox.crms import emulate, locate
from sandbox.demo.control import Control
from sandbox.server import serve


def clock_of(speed: float) -> Callable[[], float]:
    """Unix time that began now and passes so many times as fast."""
    begun = time.time()
    return lambda: begun + (time.time() - begun) * speed


@contextmanager
def emulators(speeds: Mapping[str, float]) -> Iterator[Control]:
    """Another process with these CRMs, each with its own speed; it is gone on exit."""
    words = [f"{crm}={speed:g}" for crm, speed in speeds.items()]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.crms", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ),
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        if not url:
            raise RuntimeError("the emulated CRMs did not start")
        control = Control(url)
        try:
            yield control
        finally:
            control.close()
    finally:
        process.terminate()
        process.wait(10)


def main(words: list[str]) -> None:
    speeds = {name: float(speed) for name, _, speed in (word.partition("=") for word in words)}
    crms = [emulate(name, clock_of(speed)) for name, speed in speeds.items()]
    with serve(create_app(*crms)) as server:
        for crm in crms:
            locate(crm, server.url)
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1:])
