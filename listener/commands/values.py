"""Values, as people read them and as programs do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

MOST_PIECES = 20
"""Of an object: what it has more is for programs."""
MOMENT = re.compile(r"\b(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)?(?:\+00:00|\+00|Z)(?!\S)")


def to_json(row: Mapping[str, Any]) -> str:
    """One line; moments as ISO 8601, durations as seconds, numbers as numbers."""
    return json.dumps(row, default=_plain, ensure_ascii=False)


def spell(duration: timedelta) -> str:
    """A duration for a sentence: 90 days, 1 day and 6 hours."""
    rest, pieces = duration.total_seconds(), []
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count = rest / seconds if seconds == 1 else rest // seconds
        rest -= count * seconds
        if count:
            pieces.append(f"{count:,g} {unit}{'s' * (count != 1)}")
    *head, last = pieces or ["0 seconds"]
    return f"{', '.join(head)} and {last}" if head else last


def words_of(name: str, value: object, between: str = ", ") -> str:  # noqa: PLR0911 - one for each kind
    """A value of a column of this name; the pieces of an object are put `between` each other."""
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
            return f"{float(value):,.6g}"
        case timedelta():
            seconds = value.total_seconds()
            return f"{seconds:.3g} s" if abs(seconds) < 59.5 else str(timedelta(seconds=round(seconds)))
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case dict():
            lines = list(_lines("", value))
            more = [f"… and {len(lines) - MOST_PIECES} more: --json"] if len(lines) > MOST_PIECES + 1 else []
            return between.join([*(lines[:MOST_PIECES] if more else lines), *more])
        case list() | tuple():
            is_long = any(isinstance(each, dict) for each in value)
            return (between if is_long else ", ").join(_piece(each) for each in value)
        case str():
            return MOMENT.sub(r"\1 \2", value)
    return str(value)


def _lines(path: str, value: Mapping[Any, Any]) -> Iterator[str]:
    """What an object holds, path by path; of a change, what it was and became."""
    for key, each in value.items():
        name = f"{path}.{key}" if path else key
        match each:
            case {"before": before, "after": after}:
                yield f"{name}: {_piece(before)} → {_piece(after)}"
            case {"before": before} if len(each) == 1:
                yield f"{name}: {_piece(before)} → nothing"
            case {"after": {} as after} if len(each) == 1:
                yield from _lines(name, after)
            case {"after": after} if len(each) == 1:
                yield f"{name}: {_piece(after)}"
            case dict() if each:
                yield from _lines(name, each)
            case _:
                yield f"{name}: {_piece(each)}"


def _piece(value: object) -> str:
    """What is inside of an object or a list."""
    match value:
        case {"from": source, "to": field, "policy": policy}:
            return f"{field} = {source} ({policy})"
        case list() if not any(isinstance(each, dict | list) for each in value):
            return ", ".join(map(_piece, value))
        case dict() | list() | int() | float() | Decimal() if not isinstance(value, bool):
            return json.dumps(value, default=_plain, ensure_ascii=False)
        case None:
            return "nothing"
    return words_of("", value)


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
