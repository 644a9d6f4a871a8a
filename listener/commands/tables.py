"""Rows, as a table or block by block for people, as one JSON object a line for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

Row = Mapping[str, Any]

WIDE = 100_000
"""In a pipe or a log there is no width to obey, and half a name helps nobody."""
FOLDS_TWICE = 2
LABELS = {"integration_id": "#"}


def show(
    rows: Sequence[Row], *, as_json: bool, empty: str, hidden: Iterable[str] = (), as_blocks: bool = False
) -> None:
    """Print rows, all of one shape; `hidden` columns are for programs only; `empty` says that there is none."""
    if as_json:
        for row in rows:
            click.echo(to_json(row))
        return
    console = screen()
    if not rows:
        console.print(Text(empty))
        return
    shown = [_joined(row, frozenset(hidden)) for row in rows]
    grid = blocks(shown) if as_blocks else table(shown)
    # folded into lines of a word each, a table cannot be read
    if console.is_terminal and not as_blocks:
        needed = Measurement.get(console, console.options.update(max_width=WIDE), grid).maximum
        grid = blocks(shown) if needed > FOLDS_TWICE * console.width else grid
    if console.is_terminal:
        console.print(grid)
        return
    with console.capture() as captured:
        console.print(grid)
    for line in captured.get().splitlines():
        click.echo(line.rstrip())


def screen() -> Console:
    """Standard output: colours on a terminal only, and none with NO_COLOR."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(width=WIDE, color_system=None, force_terminal=False, highlight=False)


def to_json(row: Row) -> str:
    """One line; moments as ISO 8601, durations as seconds, numbers as numbers."""
    return json.dumps(row, default=_plain, ensure_ascii=False)


def table(rows: Sequence[Row]) -> Table:
    """One line for each row, numbers to the right."""
    made = Table(header_style="bold", row_styles=["", "dim"])
    for name in rows[0]:
        is_number = all(
            isinstance(row[name], int | float | Decimal | timedelta) for row in rows if row[name] is not None
        )
        is_text = any(isinstance(row[name], str) and " " in row[name] for row in rows)
        made.add_column(
            Text(_label(name)),
            justify="right" if is_number else "left",
            no_wrap=not is_text,
            overflow="fold",
        )
    for row in rows:
        made.add_row(*(cell(name, value) for name, value in row.items()))
    return made


def blocks(rows: Sequence[Row]) -> Group:
    """Each row as lines of a name and its value, without those that are empty."""
    made: list[RenderableType] = []
    for row in rows:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, value in row.items():
            if value is not None and value not in ("", [], {}):
                grid.add_row(Text(_label(name)), cell(name, value))
        made += [Text(""), grid] if made else [grid]
    return Group(*made)


def cell(name: str, value: object) -> Text:
    """A value as people read it; what steers a terminal is taken out, for some of it are a CRM's words."""
    words = _words(name, value)
    return Text("".join(sign if sign.isprintable() or sign == "\n" else "\N{REPLACEMENT CHARACTER}" for sign in words))


def _words(name: str, value: object) -> str:  # noqa: PLR0911 - one for each kind
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | Decimal() | float() if name.endswith("_bytes"):
            return _bytes(float(value))
        case int():
            return str(value) if name in ("id", "pid") or name.endswith("_id") else f"{value:,}"
        case float() | Decimal():
            return f"{value:,.6g}"
        case timedelta():
            seconds = value.total_seconds()
            return f"{seconds:.3g} s" if abs(seconds) < 59.5 else str(timedelta(seconds=round(seconds)))
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case dict():
            return json.dumps(value, default=_plain, ensure_ascii=False)
        case list() | tuple():
            return ", ".join(_words("", each) for each in value)
    return str(value)


def _bytes(value: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(value) < 1024:
            return f"{value:,.0f} {unit}" if unit == "bytes" else f"{value:,.1f} {unit}"
        value /= 1024
    return f"{value:,.1f} TB"


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def _joined(row: Row, hidden: frozenset[str]) -> dict[str, Any]:
    """A connection is one thing for people: provider/name."""
    shown: dict[str, Any] = {}
    for name, value in row.items():
        if name == "provider" and "name" in row:
            shown["connection"] = f"{value}/{row['name']}"
        elif name not in hidden and not (name == "name" and "provider" in row):
            shown[name] = value
    return shown


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", " "))
