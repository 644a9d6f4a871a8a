"""The outputs that a page shows behind its statements, made by running them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import psycopg

from docs.questions import Question

SHOWN = re.compile(r"```sql\n(?P<query>[^`]+)```\n\n```text\n(?P<output>[^`]*)```\n")
WIDEST = 170
"""Characters. A wider table with few rows is shown one column a line."""
EXPANDED_ROWS = 3
LONGEST = 90
"""Characters of a cell in a table with many rows; what is cut ends with an ellipsis."""
JSON = (114, 3802)
UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
NUMBER = re.compile(r"\d+([.,:]\d+)*")
EXPANDED = re.compile(r"-\[ \d+ \]")
RULE = re.compile(r"[-+]+(\n|$)")
BLANKS = re.compile(r"[ \t+|-]+")


def with_outputs(
    text: str,
    connection: psycopg.Connection,
    parameters: Mapping[str, object] | None = None,
    *,
    is_live: bool = False,
) -> str:
    """`text` with the output behind each ```sql block that is followed by a ```text block made anew.

    `parameters` are the psql variables of the blocks. With `is_live`, outputs hold times, sizes and ids that are
    others each time: an output that differs in nothing else stays as it was, or no page would ever be up to date.
    """

    def block(shown: re.Match[str]) -> str:
        output = table(connection, shown["query"], parameters)
        if is_live and masked(output) == masked(shown["output"]):
            output = shown["output"]
        return f"```sql\n{shown['query']}```\n\n```text\n{output}```\n"

    return SHOWN.sub(block, text)


def shape(text: str) -> str:
    """A page with nothing of its outputs but what their columns are called: what is the same however a night went."""
    return SHOWN.sub(lambda shown: f"{shown['query']}{_columns(shown['output'])}", text)


def _columns(output: str) -> str:
    first, _, rest = output.partition("\n")
    if EXPANDED.match(first) or not RULE.match(rest):
        return " ".join(dict.fromkeys(line.partition(" |")[0].strip() for line in output.splitlines() if " |" in line))
    return " ".join(BLANKS.split(first.strip()))


def masked(output: str) -> str:
    """An output without what is another each time."""
    return BLANKS.sub(" ", NUMBER.sub("#", UUID.sub("#", output)))


def table(connection: psycopg.Connection, query: str, parameters: Mapping[str, object] | None = None) -> str:
    """The rows of a query much as psql would show them, each line with its end."""
    question = Question("", query)
    cursor = connection.execute(question.statement.encode(), parameters if question.parameters else None)
    columns = cursor.description or ()
    names = [column.name for column in columns]
    rows = [
        [_text(value, is_json=column.type_code in JSON) for value, column in zip(row, columns, strict=True)]
        for row in cursor.fetchall()
    ]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) > WIDEST and len(rows) <= EXPANDED_ROWS:
        return _expanded(names, rows)
    widths = [min(width, LONGEST) for width in widths]
    lines = [
        " | ".join(_clipped(cell, LONGEST).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (names, *rows)
    ]
    lines.insert(1, "-+-".join("-" * width for width in widths))
    return "".join(f"{line}\n" for line in lines)


def _expanded(names: list[str], rows: list[list[str]]) -> str:
    width = max(map(len, names))
    lines = []
    for number, row in enumerate(rows, 1):
        lines += [f"-[ {number} ]-".ljust(width + 2, "-")] if len(rows) > 1 else []
        lines += [
            f"{name.ljust(width)} | {_clipped(cell, WIDEST - width)}".rstrip()
            for name, cell in zip(names, row, strict=True)
        ]
    return "".join(f"{line}\n" for line in lines)


def _clipped(cell: str, longest: int) -> str:
    return cell if len(cell) <= longest else cell[: longest - 1] + "…"


def _text(value: object, *, is_json: bool) -> str:
    if value is None:
        text = ""
    elif is_json:
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, bool):
        text = "t" if value else "f"
    elif isinstance(value, list):
        text = "{" + ",".join(map(str, value)) + "}"
    elif isinstance(value, datetime):
        text = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}+00"
    elif isinstance(value, timedelta):
        text = f"{value.total_seconds():.3f} s" if value < timedelta(minutes=1) else str(value).split(".")[0]
    else:
        text = str(value)
    return text
