"""python -m bench [NAME] [--json]: run one benchmark, or all; the last line of each is one JSON object."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping

from bench import backlog, calls, drain, fleet, footprint, growth, latency, pinned, producer
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
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of pg-crm-sync.")
    parser.add_argument("name", nargs="?", choices=list(BENCHMARKS), help="which (all)")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON objects")
    arguments = parser.parse_args()
    for name in [arguments.name] if arguments.name else BENCHMARKS:
        begun = time.monotonic()
        with cluster(quiet=arguments.json) as running:
            settings = server_settings(running)
            running.say(f"{name}: PostgreSQL {running.version}, " + ", ".join(f"{k} {v}" for k, v in settings.items()))
            figures = BENCHMARKS[name](running)
        for line in () if arguments.json else verdicts(name, figures):
            print(line)
        head = {"bench": name, "figures": figures, "postgres": running.version, "cpus": os.cpu_count()}
        rest = {"machine": machine(), "settings": settings, "seconds": round(time.monotonic() - begun)}
        print(json.dumps(head | rest | running.more), flush=True)


if __name__ == "__main__":
    main()
