"""The outputs that a page shows behind its statements, made by running them."""

from __future__ import annotations

import re

import psycopg

SHOWN = re.compile(r"```sql\n(?P<query>[^`]+)```\n\n```text\n(?P<output>[^`]*)```\n")
WIDEST = 170
"""Characters. A wider table with few rows is shown one column a line."""
EXPANDED_ROWS = 3
UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
NUMBER = re.compile(r"\d+([.,:]\d+)*")
BLANKS = re.compile(r"[ \t+|-]+")


def with_outputs(text: str, connection: psycopg.Connection, *, is_live: bool = False) -> str:
    """`text` with the output behind each ```sql block that is followed by a ```text block made anew.

    With `is_live`, outputs hold times, sizes and ids that are others each time: an output that differs in nothing else
    stays as it was, or no page would ever be up to date.
    """

    def block(shown: re.Match[str]) -> str:
        output = table(connection, shown["query"])
        if is_live and masked(output) == masked(shown["output"]):
            output = shown["output"]
        return f"```sql\n{shown['query']}```\n\n```text\n{output}```\n"

    return SHOWN.sub(block, text)


def masked(output: str) -> str:
    """An output without what is another each time."""
    return BLANKS.sub(" ", NUMBER.sub("#", UUID.sub("#", output)))


def table(connection: psycopg.Connection, query: str) -> str:
    """The rows of a query as psql would show them, each line with its end."""
    cursor = connection.execute(query.encode())
    names = [column.name for column in cursor.description or ()]
    rows = [[_text(value) for value in row] for row in cursor.fetchall()]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) > WIDEST and len(rows) <= EXPANDED_ROWS:
        return _expanded(names, rows)
    lines = [
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (names, *rows)
    ]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    return "".join(f"{line}\n" for line in lines)


def _expanded(names: list[str], rows: list[list[str]]) -> str:
    width = max(map(len, names))
    lines = []
    for number, row in enumerate(rows, 1):
        lines += [f"-[ {number} ]-".ljust(width + 2, "-")] if len(rows) > 1 else []
        lines += [f"{name.ljust(width)} | {cell}".rstrip() for name, cell in zip(names, row, strict=True)]
    return "".join(f"{line}\n" for line in lines)


def _text(value: object) -> str:
    if isinstance(value, list):
        return "{" + ",".join(map(str, value)) + "}"
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    return str(value)
