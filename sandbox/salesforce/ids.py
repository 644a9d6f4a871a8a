"""Record ids: fifteen case-sensitive characters, and three more that tell their case."""

from __future__ import annotations

import re
from string import ascii_lowercase, ascii_uppercase, digits

_BASE62 = digits + ascii_uppercase + ascii_lowercase
_SUFFIXES = ascii_uppercase + "012345"
_SHAPE = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")


def new_id(prefix: str, org: int, number: int) -> str:
    """The eighteen characters of an org's record: the type's key prefix, the org, a running number."""
    return complete(f"{prefix}{_base62(org, 4)}{_base62(number, 8)}")


def canonical(text: object) -> str | None:
    """An id with its suffix; None for what is no id (a wrong suffix included)."""
    if not isinstance(text, str) or not _SHAPE.fullmatch(text):
        return None
    if len(text) == 15:
        return complete(text)
    return text if complete(text[:15]) == text else None


def complete(short: str) -> str:
    """Each of the last three characters says which of five characters are capitals."""
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << place for place, each in enumerate(short[start : start + 5]) if each in ascii_uppercase)
        suffix += _SUFFIXES[bits]
    return short + suffix


def _base62(number: int, width: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number, 62)
        text = _BASE62[rest] + text
    return text.rjust(width, "0")
