"""What the commands of an operator are given: connections, durations, and whether they may go ahead."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from listener.commands.base import fail
from listener.commands.troubles import EX_NO

EX_USAGE = 2
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
NOTHING_CHANGED = "nothing was changed"
COUNT = click.IntRange(1, 1_000_000)
"""How many rows."""
ROW_ID = click.IntRange(1, 2**63 - 1)
"""Of a row of ours, as far as Postgres counts."""
C = TypeVar("C", bound=Callable[..., Any])


class Connection(click.ParamType):  # type: ignore[type-arg]
    """The number of a connection, as in the first column of `crm-sync status`; completed from the database."""

    name = "connection"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            number = 0
        if not 0 < number < 2**63:
            self.fail(f"{value!r} is no number of a connection; they are in the first column of crm-sync status.")
        return number

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from listener.commands.completion import connections  # noqa: PLC0415 - for the shell's Tab key only

        return [item for item in connections() if item.value.startswith(incomplete)]


class Duration(click.ParamType):  # type: ignore[type-arg]
    """30s, 5m, 2h, 90d, 2w."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*([smhdw])", str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no duration: write 30s, 5m, 2h, 90d or 2w.")
        try:
            return timedelta(seconds=float(found[1]) * UNITS[found[2]])
        except OverflowError:
            self.fail(f"{value!r} is longer than can be counted.")


CONNECTION = Connection()
DURATION = Duration()


def json_option(command: C) -> C:
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(command)


def dry_run_option(command: C) -> C:
    return click.option("--dry-run", is_flag=True, help="Do it, say what it did, and undo it.")(command)


def yes_option(command: C) -> C:
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def confirm(words: str, yes: bool) -> None:
    """Ask before what cannot be undone; without a terminal to ask on, only --yes goes ahead."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"{words}\nThis needs a person's yes: give --yes. So far {NOTHING_CHANGED}.", EX_USAGE)
    if not click.confirm(f"{words} Go ahead?", err=True):
        fail(NOTHING_CHANGED, EX_NO)
