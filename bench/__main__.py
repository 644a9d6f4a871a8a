"""python -m bench [NAME] [--json]: run one benchmark, or all; the last line is one JSON object for each."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable

from bench import calls, drain, producer
from bench.cluster import Cluster, cluster

BENCHMARKS: dict[str, Callable[[Cluster], dict[str, float | int | None]]] = {
    "producer": producer.run,
    "drain": drain.run,
    "calls": calls.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of pg-crm-sync.")
    parser.add_argument("name", nargs="?", choices=sorted(BENCHMARKS), help="which (all)")
    parser.add_argument("--json", action="store_true", help="print nothing but the JSON objects")
    arguments = parser.parse_args()
    for name in [arguments.name] if arguments.name else BENCHMARKS:
        with cluster(quiet=arguments.json) as running:
            figures = BENCHMARKS[name](running)
            print(json.dumps({"bench": name, "figures": figures, "postgres": running.version, "cpus": os.cpu_count()}))


if __name__ == "__main__":
    main()
