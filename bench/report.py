"""python -m bench.report [FILE]: writes what was measured into docs/benchmarks.md, and draws the plots beside it.

FILE (.state/bench/results.jsonl, written by `make bench`) holds the lines of `python -m bench --json`; of each benchmark
the last counts, and what was not measured anew stays as it is on the page. A line is one JSON object:

    bench, figures      the benchmark's name; its figures by key, null where something could not be measured
    postgres, cpus      version and number of processors
    machine, settings   what it ran on, and Postgres' settings: any keys
    peers               {name: {"version", "settings"}}
    spread              {key of a figure: [lowest, highest]} of the rounds
    seconds             how long it took
    series              what is plotted, below; a list holds the values of all rounds unless said otherwise

Series by benchmark. We are "pg-crm-sync", a peer is its key ("graphile_worker"); numbers that are keys are strings:

    producer  {"rates": {way: {clients: [inserts/s]}}}; ways are doorbell, notify, silent, bare
    drain     {"rates": {name: {processes: [rows/s]}}}; the full way is "pg-crm-sync full"
    latency   {"ms": {name: [ms of every single one]}}
    calls     {"per_contact": {crm: {"pipeline": calls, "one_by_one": calls}}}
    backlog   {"rates": {rows: [rows/s]}}; "finished" is with ten million finished rows in the table
    pinned    {"seconds": {name: [rate in each second]}, "unpinned": {name: rate}}
    fleet     {"rates": {daemons: [rows/s]}}
    growth    {"sizes": {relation: [bytes on each day]}}
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.peers.install import PYTHON, STATE, UnavailableError, install_python
from bench.wanted import WANTED, verdict

ROOT = Path(__file__).parent.parent
RESULTS = STATE / "results.jsonl"
PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
BLOCK = re.compile(r"(<!-- generated: (?P<name>\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
SIGNS = {">=": "≥", "<=": "≤", "<": "<", "=": ""}
ALT = {
    "producer": "Inserts per second by clients, four ways",
    "drain": "Rows per second with one and two processes, beside the peers",
    "latency": "Distribution of the time from the commit to the call, beside the peers",
    "calls": "API calls per contact, beside a client that searches and then writes",
    "backlog": "Rows per second by the size of the backlog",
    "pinned": "Rows per second while a snapshot is held, beside the peers",
    "fleet": "Rows per second by the number of daemons, beside linear",
    "growth": "Sizes of the queue, its indexes and the log over 30 days",
}

Result = Mapping[str, Any]


def read(lines: str) -> dict[str, Result]:
    """The last result of each benchmark, in the order in which they were last measured."""
    found: dict[str, Result] = {}
    for line in lines.splitlines():
        if line.startswith("{"):
            result = json.loads(line)
            found.pop(result["bench"], None)
            found[result["bench"]] = result
    return found


def with_results(page: str, results: Mapping[str, Result], plots: Path = PLOTS) -> str:
    """The page with the blocks of what was measured written anew."""

    def block(found: re.Match[str]) -> str:
        name = found["name"]
        if name == "machine" and results:
            lines = _machine(list(results.values())[-1])
        elif name in results:
            lines = _section(results[name], plots)
        else:
            return found[0]
        return "\n".join((found[1], *lines, "", found[3]))

    return BLOCK.sub(block, page)


def _machine(result: Result) -> Iterator[str]:
    facts = {**result.get("machine", {}), "PostgreSQL": result.get("postgres"), **result.get("settings", {})}
    yield "| | |\n|---|---|"
    for name, value in facts.items():
        yield f"| {name} | {_text(value)} |"


def _section(result: Result, plots: Path) -> Iterator[str]:
    name, figures = result["bench"], result.get("figures", {})
    wanted = [key for key in WANTED.get(name, {}) if key in figures]
    yield "| figure | wanted | measured | spread | |\n|---|---|---|---|---|"
    for key in (*wanted, *(key for key in figures if key not in wanted)):
        yield _row(result, key)
    if peers := result.get("peers"):
        told = (f"{peer} {_text(each.get('version'))} ({_text(each.get('settings'))})" for peer, each in peers.items())
        yield f"\nPeers: {'; '.join(told)}."
    if "seconds" in result:
        yield f"\nIt took {_text(result['seconds'])} s."
    if (plots / f"{name}.svg").exists():
        yield f"\n![{ALT.get(name, name)}]({plots.name}/{name}.svg)"


def _row(result: Result, key: str) -> str:
    name, value = result["bench"], result["figures"][key]
    sign, limit = WANTED.get(name, {}).get(key, (None, None))
    asked = "" if sign is None else f"{SIGNS[sign]} {_text(limit)}".strip()
    between = " to ".join(map(_text, result.get("spread", {}).get(key, ())))
    said = verdict(name, key, value) or ""
    return f"| `{key}` | {asked} | {_text(value)} | {between} | {f'**{said}**' if said.startswith('not') else said} |"


def _text(value: object) -> str:
    """A number as people read it; whatever else as it is, on one line of a table."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def draw(results: Sequence[Result]) -> None:
    """In the benchmarks' own environment; without it the plots stay as they are."""
    try:
        install_python()
    except UnavailableError as error:
        print(f"no plots: {error}", file=sys.stderr)
        return
    subprocess.run(
        [PYTHON, ROOT / "bench" / "plots.py", PLOTS],
        input=json.dumps(results),
        text=True,
        check=True,
        stdout=sys.stderr,
    )


def main() -> None:
    results = read((Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS).read_text())
    draw(list(results.values()))
    PAGE.write_text(with_results(PAGE.read_text(), results))
    for name in results:
        print(f"{name}: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
