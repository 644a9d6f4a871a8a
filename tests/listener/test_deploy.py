"""The dashboard, the alerts and docs/metrics.md speak of what a daemon really shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.listener.daemons import ROOT, process
from tests.listener.scrape import LISTEN, get, port_of, scrape
from tests.listener.shop import Shop

DASHBOARD = ROOT / "deploy" / "grafana" / "crm-sync.json"
RULES = ROOT / "deploy" / "prometheus" / "crm-sync.rules.yml"
RULE_TESTS = ROOT / "deploy" / "prometheus" / "crm-sync.test.yml"
PAGE = (ROOT / "docs" / "metrics.md").read_text()
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
QUESTIONS = (
    "Is it arriving?", "How late?", "What fails?", "Who is stuck?", "API use", "Tokens", "Workers"
)  # fmt: skip


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric of the table."""
    found = re.findall(r"^\| `(crm_sync_\w+)` \| (\w+) \|(.*?)\| .+ \|$", PAGE, re.M)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in found}


def panels() -> Iterator[dict[str, Any]]:
    yield from json.loads(DASHBOARD.read_text())["panels"]


def alerts() -> dict[str, dict[str, str]]:
    """Each alert's expression and fields. No YAML parser is among our dependencies: the file keeps to a plain form."""
    found = {}
    for block in re.split(r"^      - alert: ", RULES.read_text(), flags=re.M)[1:]:
        fields = dict(re.findall(r"^\s+(for|severity|summary|description): (.+)$", block, re.M))
        expression = re.search(r"^        expr: (?:\|\n((?: {10}.*\n)+)|(.+)\n)", block, re.M)
        assert expression is not None, block
        found[block.split("\n")[0]] = {**fields, "expr": expression[1] or expression[2]}
    return found


def expressions() -> list[str]:
    """All PromQL there is."""
    variables = json.loads(DASHBOARD.read_text())["templating"]["list"]
    return [
        *(target["expr"] for panel in panels() for target in panel.get("targets", ())),
        *(each["definition"] for each in variables if "definition" in each),
        *(alert["expr"] for alert in alerts().values()),
    ]


def test_what_a_daemon_shows_is_what_is_documented(
    open_shop: Callable[..., Shop], database: str, tmp_path: Path
) -> None:
    shop = open_shop("pipedrive")
    # so that every metric has a sample: waits for a limit, a limit of a day, and rows that stay in the queue
    limits = {name: {"calls": 3, "seconds": 1} for name in ("core", "static", "search")}
    shop.configure("pipedrive", limits={**limits, "daily": {"calls": 10_000, "seconds": 86_400}})
    working, paused = shop.tenant(), shop.tenant()
    shop.house.connection.execute("select crm_sync.pause(%s)", [paused.integration])
    shop.replies(paused, 2)
    shop.replies(working, 3)
    with process(tmp_path, database, **LISTEN) as running:
        shop.hurry_until_settled(working, seconds=60)
        port = port_of(running)
        shown = dict(re.findall(r"^# TYPE (\w+) (\w+)$", get(port, "/metrics").text, re.M))
        page = scrape(port)
    table = documented()
    assert {name: kind for name, kind in shown.items() if name.startswith("crm_sync_")} == {
        name: kind for name, (kind, _) in table.items()
    }
    assert "process_resident_memory_bytes" in shown
    for name, (kind, labels) in table.items():
        for suffix in SUFFIXES[kind]:
            found = [{label for label, _ in pairs} for each, pairs in page.samples if each == name + suffix]
            assert found, f"{name}{suffix} has no sample"
            assert all(each - {"le"} == labels for each in found), (name, found[0])


def test_dashboard_and_alerts_ask_for_nothing_else() -> None:
    table = documented()
    known = {name + suffix: labels for name, (kind, labels) in table.items() for suffix in SUFFIXES[kind]}
    assert len(expressions()) > 40
    asked = set()
    for expression in expressions():
        for name, matchers in re.findall(r"\b(crm_sync_\w+)\b(?:\{([^}]*)\})?", expression):
            assert name in known, expression
            asked.add(name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count"))
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
                assert label in known[name] | {"le", "job", "instance"}, expression
        assert not re.findall(r"\b(?!crm_sync_|process_)[a-z]+_(?:total|seconds|bytes)\b", expression)
        assert expression.count("(") == expression.count(")")
    assert asked | {"crm_sync_build_info"} >= set(table), "a metric that nobody looks at"


def test_the_dashboard_can_be_imported() -> None:
    board = json.loads(DASHBOARD.read_text())
    assert board["uid"] == "crm-sync"
    assert "id" not in board
    assert [panel["title"] for panel in panels() if panel["type"] == "row"] == list(QUESTIONS)
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    (source,) = [each for each in board["templating"]["list"] if each["type"] == "datasource"]
    assert (source["name"], source["query"]) == ("datasource", "prometheus")
    for panel in panels():
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] == "row":
            continue
        assert panel["description"]
        assert panel["targets"]
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_no_panel_covers_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    assert len(alerts()) >= 12
    for name, alert in alerts().items():
        assert re.fullmatch(r"CrmSync[A-Za-z]+", name)
        assert alert["severity"] in ("critical", "warning"), name
        assert len(alert["summary"]) > 20, name
        assert len(alert["description"]) > 100, name
        assert f"alertname: {name}}}" in RULE_TESTS.read_text(), f"{name} is not tested to be quiet"
        assert f'alertname="{name}"' in RULE_TESTS.read_text(), f"{name} is not tested to fire"


def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool (apt-get install prometheus): the alerts' own tests were not run")
    done = subprocess.run(
        [promtool, "test", "rules", str(RULE_TESTS)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
