"""Errors that a CRM's documentation names, to be met once on demand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Documented:
    """How a CRM refuses.

    Attributes:
        status: of the HTTP answer; of a row that is refused alone, what it would be for a whole call.
        words: the CRM's message.
        at: `call` (the whole request), `row` (one record of a batch, the others are written), `token` (a refresh).
        page: a web page comes instead of the API's JSON.
        headers: further headers of the answer.
        more: what else the CRM's envelope has, in its own way.
    """

    status: int
    words: str = "no"
    at: Literal["call", "row", "token"] = "call"
    page: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def find(errors: Mapping[str, Documented], error: str) -> Documented:
    """Raises LookupError for what the documentation does not name, with what it names."""
    if error not in errors:
        raise LookupError(f"there is no error {error}, only {', '.join(errors)}")
    return errors[error]


PAGE = "<!doctype html><title>Error</title><h1>The server did not answer</h1>"


def pages(*statuses: int) -> dict[str, Documented]:
    """What stands before a CRM answers for it."""
    return {f"HTTP_{status}": Documented(status, page=True) for status in statuses}
