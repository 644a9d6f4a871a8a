"""The chart of the dashboard: figures become places in a drawing; the template draws it as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from console.db import Row
from console.words import number


@dataclass(frozen=True)
class Range:
    """So much time in so many steps."""

    words: str
    length: timedelta
    step: timedelta
    tick: timedelta
    tick_format: str
    slot_format: str


RANGES = {
    "1h": Range("1 hour", timedelta(hours=1), timedelta(minutes=1), timedelta(minutes=10), "%H:%M", "%H:%M"),
    "24h": Range("24 hours", timedelta(days=1), timedelta(minutes=30), timedelta(hours=3), "%H:%M", "%a %H:%M"),
    "7d": Range("7 days", timedelta(days=7), timedelta(hours=4), timedelta(days=1), "%a %d", "%a %d %b %H:%M"),
    "30d": Range("30 days", timedelta(days=30), timedelta(days=1), timedelta(days=5), "%d %b", "%a %d %b"),
}


def window(wanted: Range, now: datetime) -> tuple[datetime, datetime]:
    """From when to when: whole steps, in UTC, of which the last is under way."""
    step = wanted.step.total_seconds()
    until = datetime.fromtimestamp(math.ceil(now.timestamp() / step) * step, UTC)
    return until - wanted.length, until


@dataclass(frozen=True)
class Slot:
    """One step of time: where it is drawn, and its figures."""

    x: float
    width: float
    bar_y: float
    bar_height: float
    words: str
    synced: int
    waiting: int
    failed: int


@dataclass(frozen=True)
class Line:
    """A line of the grid, or a mark on the axis of time."""

    at: float
    words: str


@dataclass(frozen=True)
class Chart:
    """Everything that the template draws; lengths in units of the drawing."""

    name: str
    width: float
    height: float
    left: float
    right: float
    top: float
    middle: float
    lower: float
    bottom: float
    slots: list[Slot]
    upper_grid: list[Line]
    lower_grid: list[Line]
    ticks: list[Line]
    waiting: str
    failed: str


def draw(name: str, rows: Sequence[Row], wanted: Range, *, width: float, upper: float, lower: float) -> Chart:
    """Bars of what was synced in a panel of their own: what waits may be a thousand times more, or nothing."""
    left, right, top = 46.0, width - 8, 14.0
    middle, low = top + upper, top + upper + 30
    bottom = low + lower
    each = (right - left) / max(1, len(rows))
    most_synced = ceiling(max((row["synced"] for row in rows), default=0))
    most_open = ceiling(max((max(row["waiting"], row["failed"]) for row in rows), default=0))

    def below(value: int) -> float:
        return round(bottom - lower * value / most_open, 1)

    slots = [
        Slot(
            x=round(left + place * each, 2),
            width=round(each, 2),
            bar_y=round(middle - max(upper * row["synced"] / most_synced, 1 if row["synced"] else 0), 1),
            bar_height=round(max(upper * row["synced"] / most_synced, 1 if row["synced"] else 0), 1),
            words=f"{row['at'] - wanted.step:{wanted.slot_format}}",
            synced=row["synced"],
            waiting=row["waiting"],
            failed=row["failed"],
        )
        for place, row in enumerate(rows)
    ]
    return Chart(
        name=name,
        width=width,
        height=bottom + 22,
        left=left,
        right=right,
        top=top,
        middle=middle,
        lower=low,
        bottom=bottom,
        slots=slots,
        upper_grid=[Line(round(middle - upper * part, 1), number(most_synced * part)) for part in (0.5, 1)],
        lower_grid=[Line(below(most_open), number(most_open))],
        ticks=list(_ticks(rows, wanted, left, each, narrow=width < 600)),
        waiting=_path([(slot.x + slot.width / 2, below(slot.waiting)) for slot in slots]),
        failed=_path([(slot.x + slot.width / 2, below(slot.failed)) for slot in slots]),
    )


def ceiling(value: int) -> int:
    """The next round number of which half is one too: 2, 4, 10, 20, 40, 100 …; 2 at least."""
    scale = 1
    while True:
        for digit in (2, 4, 10):
            if value <= digit * scale:
                return digit * scale
        scale *= 10


def _ticks(rows: Sequence[Row], wanted: Range, left: float, each: float, *, narrow: bool) -> list[Line]:
    every = wanted.tick.total_seconds() * (2 if narrow else 1)
    found = []
    for place, row in enumerate(rows):
        begin = row["at"] - wanted.step
        if begin.timestamp() % every == 0:
            found.append(Line(round(left + place * each, 1), f"{begin:{wanted.tick_format}}"))
    return found


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{'L' if place else 'M'}{x:.1f} {y:.1f}" for place, (x, y) in enumerate(points))
