"""Rows, as a table or block by block for people, as one JSON object a line for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from listener.commands.values import to_json, words_of
from listener.journal import visible

Row = Mapping[str, Any]

WIDE = 100_000
"""In a pipe or a log there is no width to obey, and half a name helps nobody."""
GAP = 2
LONGEST_NAME = 30
"""What is no longer is never folded."""
MOST_LINES = 6
"""Into so many lines a text may be folded in a table."""
NUMBERS = (int, float, Decimal, timedelta)
LABELS = {"integration_id": "#"}


def show(
    rows: Sequence[Row],
    *,
    as_json: bool,
    empty: str,
    hidden: Iterable[str] = (),
    first: Sequence[str] = (),
    below: str | None = None,
    as_blocks: bool = False,
    widest: int = WIDE,
) -> None:
    """Print rows, all of one shape.

    Args:
        rows: what there is; all of it and nothing else with `as_json`.
        as_json: one object a line.
        empty: what is said when there is nothing.
        hidden: columns that are for programs only.
        first: columns that people read before the others.
        below: a column of long texts, which a terminal shows under the table, each behind its connection.
        as_blocks: each row as lines of its own.
        widest: how many columns wide where there is no terminal; a table that does not fit comes as blocks.
    """
    if as_json:
        for row in rows:
            click.echo(to_json(row))
        return
    console = screen(widest)
    if not rows:
        console.print(Text(empty))
        return
    shown = [_joined(row, frozenset(hidden), first) for row in rows]
    if not console.is_terminal:
        grid = table(shown, is_narrow=widest < WIDE)
        with console.capture() as captured:
            console.print(blocks(shown) if as_blocks or _needed(grid) > widest else grid)
        for line in captured.get().splitlines():
            click.echo(line.rstrip())
        return
    notes = [] if as_blocks or below is None else [row for row in shown if row[below]]
    shorter = [{name: value for name, value in row.items() if name != below} for row in shown]
    grid = table(shorter, is_narrow=True)
    # folded into lines of a word each, a table cannot be read
    if as_blocks or _needed(grid) > console.width:
        console.print(blocks(shown))
        return
    console.print(grid)
    for row in notes:
        console.print(Text(f"#{row['integration_id']}: ") + cell(str(below), row[str(below)]))


def _needed(grid: Table) -> int:
    """Columns of a screen, without which words would be broken."""
    return sum((column.min_width or 0) + GAP for column in grid.columns) - GAP


def screen(widest: int = WIDE) -> Console:
    """Standard output: colours on a terminal only, and none with NO_COLOR; so wide where there is none."""
    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(width=widest, color_system=None, force_terminal=False, highlight=False)


def table(rows: Sequence[Row], *, is_narrow: bool = False) -> Table:
    """One line for each row, numbers to the right; on a narrow terminal without columns that are empty everywhere."""
    made = Table(header_style="bold", row_styles=["", "dim"], box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    names = [name for name in rows[0] if not is_narrow or any(row[name] is not None for row in rows)]
    today = datetime.now(UTC).date()
    for name in names:
        values = [row[name] for row in rows if row[name] is not None]
        is_number = all(isinstance(value, NUMBERS) and not isinstance(value, bool) for value in values)
        texts = [cell(name, value, today=today if is_narrow else None).cell_len for value in values]
        longest = max(texts, default=0)
        is_text = any((isinstance(value, str) and " " in value) or isinstance(value, dict | list) for value in values)
        is_text = is_text and longest > LONGEST_NAME
        label = _label(name)
        if is_narrow and longest < len(label):
            label = label.replace(" ", "\n")
        header = max(map(len, label.split("\n")))
        made.add_column(
            Text(label),
            justify="right" if is_number else "left",
            no_wrap=not is_text,
            overflow="fold",
            min_width=max(header, min(longest, 14) if is_text else longest, longest // MOST_LINES),
        )
    for row in rows:
        made.add_row(*(cell(name, row[name], today=today if is_narrow else None) for name in names))
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
                grid.add_row(Text(_label(name)), cell(name, value, between="\n"))
        made += [Text(""), grid] if made else [grid]
    return Group(*made)


def cell(name: str, value: object, *, between: str = ", ", today: date | None = None) -> Text:
    """A value as people read it; what steers a terminal is taken out, for some of it are a CRM's words.

    Pieces of an object are put `between` each other; of moments of `today`, the time is enough.
    """
    if today is not None and isinstance(value, datetime):
        is_today = value.astimezone(UTC).date() == today
        return Text(f"{value:%H:%M:%S}" if is_today else f"{value:%Y-%m-%d %H:%M}")
    words = words_of(name, value, between)
    return Text(visible(words))


def _joined(row: Row, hidden: frozenset[str], first: Sequence[str]) -> dict[str, Any]:
    """A connection is one thing for people: provider/name."""
    shown: dict[str, Any] = {}
    for name in (*first, *(name for name in row if name not in first)):
        if name == "provider" and "name" in row:
            shown["connection"] = f"{row[name]}/{row['name']}"
        elif name not in hidden and not (name == "name" and "provider" in row):
            shown[name] = row[name]
    return shown


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", " "))
