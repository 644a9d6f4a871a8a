"""The commands that write the settings to a file, compare them with one, and make them what it says."""

from __future__ import annotations

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import IO
from uuid import UUID

import click

from listener.commands.base import fail, require_database, write
from listener.commands.document import parse, render, to_json
from listener.commands.troubles import EX_NO, clear_words
from listener.errors import EX_CONFIG
from listener.journal import visible
from sql import configuration
from sql.configuration import Change

LONGEST_SHOWN = 300

file_argument = click.argument("file", type=click.File(encoding="utf-8"))
prune_option = click.option(
    "--prune", is_flag=True, help="What the file does not name, of what it names, goes back to its default."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object for each setting.")


@click.group()
def config() -> None:
    """Settings, mappings, filters and rules as a file: write it, compare with it, apply it.

    Example: crm-sync config export --output crm.yaml && crm-sync config diff crm.yaml
    """


@config.command()
@click.option("--organization", type=click.UUID, help="Only this one: organizations.id.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to; else standard output.")
def export(organization: UUID | None, output: Path | None) -> None:
    """Write the settings as YAML: what differs from the defaults, and never a secret.

    It needs a member of crm_sync_reader.

    Example: crm-sync config export --output crm.yaml
    """
    url = require_database()
    with clear_words():
        found = configuration.read(url, organization)
        if organization is not None and str(organization) not in json.loads(found)["organizations"]:
            fail(f"there is no organization {organization}", EX_NO)
        text = render(found)
    if output is None:
        click.echo(text, nl=False)
    else:
        write(output, text)


@config.command()
@file_argument
@prune_option
@json_option
def diff(file: IO[str], prune: bool, as_json: bool) -> None:
    """Show what apply would change, path by path; exits with 1 if there is anything, or if it would be refused.

    It needs a member of crm_sync_reader.

    Example: crm-sync config diff crm.yaml
    """
    url = require_database()
    with clear_words():
        changes = configuration.difference(url, parse(_text(file)), prune=prune)
    _tell(changes, as_json)
    if not changes and not as_json:
        click.echo("nothing differs")
    sys.exit(EX_NO if changes else 0)


@config.command()
@file_argument
@prune_option
@click.option("--dry-run", is_flag=True, help="Do all of it, with every check, and undo it.")
@json_option
def apply(file: IO[str], prune: bool, dry_run: bool, as_json: bool) -> None:
    """Make the settings what the file says: all or nothing, and nothing where nothing differs.

    It needs a superuser or a member of crm_sync_owner.

    Example: crm-sync config apply crm.yaml --dry-run && crm-sync config apply crm.yaml
    """
    url = require_database()
    with clear_words():
        changes = configuration.apply(url, parse(_text(file)), prune=prune, dry_run=dry_run)
    _tell(changes, as_json)
    if not as_json:
        done = "would change" if dry_run else "changed"
        count = len(changes)
        click.echo(f"{count} setting{'s' * (count != 1)} {done}" if changes else "nothing to change")


def line(change: Change) -> str:
    """A change for people: path, before, after; coloured where colours are seen."""
    sides = [
        click.style("nothing", dim=True) if value is None else click.style(visible(_short(value)), fg=colour)
        for value, colour in ((change.before, "red"), (change.after, "green"))
    ]
    return f"{visible(change.path)}: {' → '.join(sides)}"


def _tell(changes: list[Change], as_json: bool) -> None:
    for change in changes:
        if not as_json:
            click.echo(line(change))
            continue
        sides = {"before": change.before, "after": change.after}
        there = {name: json.loads(text, parse_float=Decimal) for name, text in sides.items() if text is not None}
        click.echo(to_json({"path": change.path, **there}))


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"


def _text(file: IO[str]) -> str:
    try:
        return file.read()
    except ValueError:
        fail("the file is not UTF-8", EX_CONFIG)
