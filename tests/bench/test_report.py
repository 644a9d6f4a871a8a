"""What the page of the benchmarks says of a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.report import PAGE, read, with_results
from bench.wanted import WANTED, verdict, verdicts

EMPTY = "# Page\n\n<!-- generated: {name} -->\nold\n<!-- end -->\n\nProse.\n"


def shown(tmp_path: Path, bench: str, **result: Any) -> str:
    lines = f"progress\n{json.dumps({'bench': bench, 'postgres': '17.10', 'cpus': 2, **result})}\n"
    return with_results(EMPTY.format(name=bench), read(lines), tmp_path)


def test_what_was_reached_is_said_to_be_met_and_what_was_not_is_not(tmp_path: Path) -> None:
    page = shown(
        tmp_path, "pinned", figures={"vs_unpinned": 0.91, "vs_best_peer": 0.7}, spread={"vs_unpinned": [0.9, 1]}
    )
    assert "| `vs_unpinned` | ≥ 0.8 | 0.91 | 0.9 to 1 | met |" in page
    assert "| `vs_best_peer` | ≥ 1 | 0.7 |  | **not met** |" in page
    assert "old" not in page
    assert page.endswith("<!-- end -->\n\nProse.\n")


def test_what_could_not_be_measured_is_not_said_to_be_met(tmp_path: Path) -> None:
    page = shown(tmp_path, "calls", figures={"hubspot": 0.05, "salesforce": None})
    assert "| `salesforce` | ≤ 0.04 | – |  | **not measured** |" in page


def test_unknown_benchmarks_figures_and_keys_disturb_nothing(tmp_path: Path) -> None:
    page = shown(tmp_path, "unheard", figures={"x": 1.5}, series=[1], more={"a": None})
    assert "| `x` |  | 1.5 |  |  |" in page
    assert with_results("no blocks", read('{"bench": "unheard"}')) == "no blocks"
    assert verdict("unheard", "x", 1) is verdict("drain", "x", 1) is None
    assert list(verdicts("unheard", {"x": 1})) == []


def test_the_last_result_of_a_benchmark_counts_and_others_stay_on_the_page(tmp_path: Path) -> None:
    lines = "".join(json.dumps({"bench": "growth", "figures": {"queue_growth": each}}) + "\n" for each in (2.5, 1.0))
    both = EMPTY.format(name="growth") + EMPTY.format(name="drain")
    page = with_results(both, read(lines), tmp_path)
    assert "2.5" not in page
    assert page.count("old") == 1
    assert with_results(page, read(lines), tmp_path) == page


def test_peers_and_machine_are_named(tmp_path: Path) -> None:
    peers = {"pgqueuer": {"version": "1.6.0", "settings": "batch_size 1000"}}
    assert "Peers: pgqueuer 1.6.0 (batch_size 1000)." in shown(tmp_path, "drain", figures={}, peers=peers)
    result = {"bench": "drain", "postgres": "17.10", "machine": {"cpu": "fast"}, "settings": {"fsync": "on"}}
    page = with_results(EMPTY.format(name="machine"), read(json.dumps(result)), tmp_path)
    for fact in ("| cpu | fast |", "| PostgreSQL | 17.10 |", "| fsync | on |"):
        assert fact in page


def test_a_plot_is_shown_where_there_is_one(tmp_path: Path) -> None:
    (tmp_path / "growth.svg").touch()
    page = shown(tmp_path, "growth", figures={"queue_growth": 1.0})
    assert f"]({tmp_path.name}/growth.svg)" in page


@pytest.mark.parametrize("bench", [*WANTED, "machine"])
def test_the_page_has_room_for_each_benchmark(bench: str) -> None:
    assert PAGE.read_text().count(f"<!-- generated: {bench} -->\n") == 1


@pytest.mark.parametrize(
    ("bench", "key", "met", "missed"),
    [("footprint", "idle_cpu_pct", 0.49, 0.5), ("calls", "throttled", 0, 1), ("backlog", "flat", 0.85, 0.84)],
)
def test_a_limit_is_compared_as_it_is_written(bench: str, key: str, met: float, missed: float) -> None:
    assert (verdict(bench, key, met), verdict(bench, key, missed)) == ("met", "not met")
