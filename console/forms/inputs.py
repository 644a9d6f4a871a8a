"""The inputs of a form, as a browser sends them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from listener.errors import InvalidSettings

MOST_INPUTS = 8_000
MOST_ROWS = 600

Inputs = Mapping[str, str]
"""The last value of each name."""


def inputs_of(body: bytes) -> dict[str, str]:
    """Without what Postgres stores in no text; raises `InvalidSettings` for more inputs than any form has."""
    try:
        pairs = parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_INPUTS)
    except ValueError:
        raise InvalidSettings("these are more inputs than one form can have", "Nothing was saved.") from None
    return {name: value.replace("\0", "").replace("\r\n", "\n") for name, value in pairs}


def rows_of(given: Inputs, group: str, names: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a table, `GROUP.NUMBER.NAME`, in their order; what was not sent of a row is blank."""
    pattern = re.compile(rf"{re.escape(group)}\.([0-9]{{1,6}})\.({'|'.join(names)})")
    rows: dict[int, dict[str, str]] = {}
    for name, value in given.items():
        if found := pattern.fullmatch(name):
            rows.setdefault(int(found[1]), dict.fromkeys(names, ""))[found[2]] = value
    if len(rows) > MOST_ROWS:
        raise InvalidSettings(f"{len(rows)} rows are more than one form can have", "Nothing was saved.")
    return [rows[number] for number in sorted(rows)]


def without(rows: list[dict[str, str]], number: str) -> list[dict[str, str]]:
    """All but one."""
    return [row for place, row in enumerate(rows) if str(place) != number]


def number_or_text(text: str) -> Any:
    """A number where it is one; else the text, which the database will name."""
    text = text.strip()
    if re.fullmatch(r"-?[0-9]{1,15}", text):
        return int(text)
    if re.fullmatch(r"-?[0-9]{0,15}[.,][0-9]{1,15}", text):
        return float(text.replace(",", "."))
    return text
