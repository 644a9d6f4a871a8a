"""Draws the plots of docs/benchmarks.md: `python bench/plots.py FOLDER`, result lines as a JSON list on standard input.

Run by `bench.report` in the benchmarks' own environment, which has matplotlib; so this imports nothing of ours. What a
result does not hold is not drawn. The same results make the same bytes: no date, fixed ids, text as text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

GREY = "#7d8590"
"""Text and lines: readable on a light page and on a dark one, as there is no background."""
COLOURS = ("#2f81f7", "#db6d28", "#8957e5", "#2da44e", "#bf8700", "#d1497a", "#768390", "#1b9e9e", "#a0522d")
OURS = "pg-crm-sync"
CONTENDERS = (OURS, "pgqueuer", "procrastinate", "graphile_worker", "pg_boss")
PER_CENT = range(101)
NUMBER = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1_000 else f"{value:g}")
STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "pg-crm-sync",
    "font.family": "sans-serif",
    "font.size": 11,
    "savefig.transparent": True,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.alpha": 0.25,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color"), GREY
    ),
}

Series = Mapping[str, Any]


def producer(axes: Axes, series: Series) -> None:
    names = {"doorbell": "doorbell (ours)", "notify": "NOTIFY always", "silent": "no NOTIFY", "bare": "no trigger"}
    rates = {names.get(way, way): found for way, found in series["rates"].items()}
    _bars(axes, rates, "clients")
    axes.set_ylabel("inserts per second")


def drain(axes: Axes, series: Series) -> None:
    rates = series["rates"]
    processes = sorted({count for found in rates.values() for count in found}, key=int)
    turned = {
        f"{count} process{'es' * (count != '1')}": {_name(name): found.get(count, []) for name, found in rates.items()}
        for count in processes
    }
    _bars(axes, turned, "")
    axes.tick_params("x", labelrotation=20)
    axes.set_ylabel("rows per second")


def latency(axes: Axes, series: Series) -> None:
    for name, values in series["ms"].items():
        found = sorted(values)
        axes.plot(
            [found[round((len(found) - 1) * share / 100)] for share in PER_CENT],
            PER_CENT,
            label=_name(name),
            **_line(name),
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.set_xlabel("ms from the commit to the call")
    axes.set_ylabel("% of the singles")


def calls(axes: Axes, series: Series) -> None:
    per_contact = series["per_contact"]
    ways = {"pipeline": "pg-crm-sync", "one_by_one": "search, then write"}
    _bars(
        axes,
        {
            label: {crm: [found[way]] for crm, found in per_contact.items() if found.get(way)}
            for way, label in ways.items()
        },
        "",
    )
    axes.set_yscale("log")
    axes.set_ylabel("API calls per contact")


def backlog(axes: Axes, series: Series) -> None:
    rates = dict(series["rates"])
    beside = rates.pop("finished", None)
    rows = sorted(rates, key=int)
    _spread(axes, [int(each) for each in rows], [rates[each] for each in rows], "waiting rows alone", COLOURS[0])
    if beside:
        axes.axhline(median(beside), color=COLOURS[1], linestyle="--", label="beside 10 million finished rows")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("waiting rows")
    axes.set_ylabel("rows per second")


def pinned(axes: Axes, series: Series) -> None:
    for name, rates in series["seconds"].items():
        axes.plot(range(1, len(rates) + 1), rates, label=_name(name), **_line(name))
    if (unpinned := series.get("unpinned", {}).get(OURS)) is not None:
        axes.axhline(unpinned, color=COLOURS[0], linestyle=":", label="pg-crm-sync, no snapshot held")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds since the snapshot was taken")
    axes.set_ylabel("rows per second")


def fleet(axes: Axes, series: Series) -> None:
    daemons = sorted(series["rates"], key=int)
    found = [series["rates"][each] for each in daemons]
    numbers = [int(each) for each in daemons]
    _spread(axes, numbers, found, OURS, COLOURS[0])
    axes.plot(
        numbers, [median(found[0]) * each / numbers[0] for each in numbers], color=GREY, linestyle="--", label="linear"
    )
    axes.set_xticks(numbers)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("daemons")
    axes.set_ylabel("rows per second")


def growth(axes: Axes, series: Series) -> None:
    sizes = series["sizes"]
    indexes = [each for name, each in sizes.items() if name.startswith("sync_queue_")]
    lines = {
        "log": sizes["sync_activity_logs"],
        "queue": sizes["sync_queue"],
        "log's indexes": sizes["sync_activity_logs_indexes"],
        "queue's indexes": [sum(day) for day in zip(*indexes, strict=True)],
    }
    for (name, found), colour in zip(lines.items(), COLOURS, strict=False):
        axes.plot(range(1, len(found) + 1), [each / 1e6 for each in found], label=name, color=colour, linewidth=2)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("day")
    axes.set_ylabel("MB")


PLOTS: dict[str, Callable[[Axes, Series], None]] = {
    each.__name__: each for each in (producer, drain, latency, calls, backlog, pinned, fleet, growth)
}


def _name(name: str) -> str:
    return name.replace("_", "-")


def _line(name: str) -> dict[str, Any]:
    """A contender has one colour in all plots, and ours stands out."""
    place = CONTENDERS.index(name) if name in CONTENDERS else len(CONTENDERS)
    return {"color": COLOURS[place], "linewidth": 2.5 if name == OURS else 1.5}


def _bars(axes: Axes, groups: Mapping[str, Mapping[str, Sequence[float]]], label: str) -> None:
    """Medians, and as thin lines the spread; `groups` are lists of values by colour and by place on the axis."""
    places = list(dict.fromkeys(place for found in groups.values() for place in found))
    width = 0.8 / len(groups)
    for number, (name, found) in enumerate(groups.items()):
        shown = [
            (places.index(place) + (number - (len(groups) - 1) / 2) * width, values)
            for place, values in found.items()
            if values
        ]
        middles = [median(values) for _, values in shown]
        reach = [
            [middle - min(values) for middle, (_, values) in zip(middles, shown, strict=True)],
            [max(values) - middle for middle, (_, values) in zip(middles, shown, strict=True)],
        ]
        colour = COLOURS[number % len(COLOURS)]
        bars = axes.bar(
            [at for at, _ in shown],
            middles,
            width * 0.92,
            label=name,
            color=colour,
            yerr=reach,
            ecolor=GREY,
            error_kw={"elinewidth": 1},
        )
        axes.bar_label(
            bars, [f"{value:,.0f}" if value >= 100 else f"{value:.2g}" for value in middles], fontsize=8, padding=2
        )
    axes.set_xticks(range(len(places)), places)
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="x")


def _spread(axes: Axes, at: Sequence[float], values: Sequence[Sequence[float]], label: str, colour: str) -> None:
    axes.plot(at, [median(each) for each in values], "o-", color=colour, linewidth=2, label=label)
    axes.fill_between(
        at, [min(each) for each in values], [max(each) for each in values], color=colour, alpha=0.2, linewidth=0
    )


def _finish(axes: Axes) -> None:
    """Numbers in full, and the legend beside the plot, where it hides nothing."""
    axes.yaxis.set_major_formatter(NUMBER)
    if axes.get_xscale() == "log":
        axes.xaxis.set_major_formatter(NUMBER)
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def draw(results: Sequence[Mapping[str, Any]], folder: Path) -> list[str]:
    """One file for each benchmark whose result has what it takes; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    with mpl.rc_context(STYLE):
        for result in results:
            plot, series = PLOTS.get(result["bench"]), result.get("series")
            if plot is None or not series:
                continue
            figure, axes = plt.subplots(figsize=(8, 4))
            try:
                plot(axes, series)
                _finish(axes)
                figure.savefig(
                    folder / f"{result['bench']}.svg", bbox_inches="tight", metadata={"Date": None, "Creator": None}
                )
                drawn.append(f"{result['bench']}.svg")
            except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
                print(f"{result['bench']}: not drawn, {type(error).__name__}: {error}", file=sys.stderr)
            plt.close(figure)
    return drawn


if __name__ == "__main__":
    for name in draw(json.load(sys.stdin), Path(sys.argv[1])):
        print(name)
