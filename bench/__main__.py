"""python -m bench [NAME…] [--json]: run some benchmarks, or all; the last line of each is one JSON object."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from bench import backlog, calls, drain, fleet, footprint, growth, latency, pinned, producer, questions
from bench.cluster import Cluster, cluster
from bench.machine import machine, server_settings
from bench.wanted import verdicts

BENCHMARKS: dict[str, Callable[[Cluster], Mapping[str, float | None]]] = {
    "producer": producer.run,
    "drain": drain.run,
    "latency": latency.run,
    "calls": calls.run,
    "backlog": backlog.run,
    "pinned": pinned.run,
    "fleet": fleet.run,
    "footprint": footprint.run,
    "growth": growth.run,
    "questions": questions.run,
}
BESIDE = {"calls": ("growth", "footprint")}
"""Of all of them, those that are run beside another. `calls` waits for the CRMs' limits nearly all of its time; of these, one
counts bytes, and the other what its own daemon takes."""
BY_NAME = ("questions",)
"""Only when they are asked for: no peer is beside them, and eleven million rows are filled in first."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of pg-crm-sync.")
    parser.add_argument("name", nargs="*", metavar="NAME", help=f"which (all but questions): {', '.join(BENCHMARKS)}")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON objects")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.name if name not in BENCHMARKS]:
        parser.error(f"there is no benchmark {unknown[0]}; there are {', '.join(BENCHMARKS)}")
    if arguments.name:
        for name in arguments.name:
            _run(name, quiet=arguments.json)
        return
    others = [*BY_NAME, *(other for names in BESIDE.values() for other in names)]
    for name in (each for each in BENCHMARKS if each not in others):
        with _beside(BESIDE.get(name, ()), ["--json"] if arguments.json else []):
            _run(name, quiet=arguments.json)


@contextmanager
def _beside(names: Sequence[str], flags: Sequence[str]) -> Iterator[None]:
    """Some more benchmarks in a process of their own, one after the other; what they print comes at the end."""
    if not names:
        yield
        return
    command = [sys.executable, "-m", "bench", *names, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield
        except BaseException:
            process.terminate()
            raise
        print(process.communicate()[0], end="", flush=True)
    if process.returncode:
        raise SystemExit(process.returncode)


def _run(name: str, *, quiet: bool) -> None:
    begun = time.monotonic()
    with cluster(quiet=quiet) as running:
        settings = server_settings(running)
        running.say(f"{name}: PostgreSQL {running.version}, " + ", ".join(f"{k} {v}" for k, v in settings.items()))
        figures = BENCHMARKS[name](running)
    for line in () if quiet else verdicts(name, figures):
        print(line)
    head = {"bench": name, "figures": figures, "postgres": running.version, "cpus": os.cpu_count()}
    rest = {"machine": machine(), "settings": settings, "seconds": round(time.monotonic() - begun)}
    print(json.dumps(head | rest | running.more), flush=True)


if __name__ == "__main__":
    main()
