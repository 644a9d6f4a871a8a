"""The commands of an operator."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from listener.command import NOT_A_URL, fail, replace_by, require_database
from listener.errors import EX_CONFIG, EX_UNAVAILABLE
from sql import ask
from sql.migrate import MigrationError, install_script, pending
from sql.migrate import migrate as bring_up_to_date

NOT_MIGRATED = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.InvalidParameterValue,  # the role that the migration makes is not there
    psycopg.errors.UndefinedObject,
)
WIDE = 200


@click.command()
@click.option("--check", is_flag=True, help="Only say what would be applied; exit with 1 if there is anything.")
def migrate(check: bool) -> None:
    """Bring the database up to this version.

    Example: DATABASE_URL=postgresql://postgres@localhost/app crm-sync migrate
    """
    url = require_database()
    with _clear_words():
        if check:
            names = list(pending(url))
            click.echo("\n".join(names) if names else "up to date")
            sys.exit(1 if names else 0)
        try:
            applied = bring_up_to_date(url).applied
        except MigrationError as error:
            if isinstance(error.__context__, psycopg.OperationalError):
                raise error.__context__ from None
            fail(str(error), 1)
        click.echo(f"applied {len(applied)} files" if applied else "up to date")


@click.command("claim-database")
@click.option("--yes", is_flag=True, help="Do not ask.")
def claim_database(yes: bool) -> None:
    """Say that this database is the one that writes to the CRMs: after it was restored, cloned or upgraded.

    A copy does not send by itself, as the original may still be at work. Make sure that it is not.

    Example: DATABASE_URL=postgresql://postgres@localhost/app crm-sync claim-database
    """
    url = require_database()
    with _clear_words():
        problem = ask.fence_problem(url)
        click.echo(problem or "This database is claimed already; claiming it again makes its daemons start anew.")
        if not yes and not click.confirm("Is it the only one that is to write to these CRMs?"):
            fail("nothing was changed", 1)
        generation = ask.claim_database(url)
        click.echo(f"claimed, generation {generation}: daemons may work here, and those that already did start anew")


@click.command("install-sql")
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path), default="-")
def install_sql(target: Path) -> None:
    """Write all of the SQL as one script, for those who deploy with psql or another tool.

    Example: crm-sync install-sql install.sql && psql -1 -v ON_ERROR_STOP=1 -f install.sql app
    """
    if str(target) == "-":
        click.echo(install_script(), nl=False)
    else:
        target.write_text(install_script())


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each connection.")
def status(as_json: bool) -> None:
    """Show every connection: what waits, runs, failed, since when, and why.

    Example: crm-sync status --json | jq 'select(.failed > 0)'
    """
    url = require_database()
    with _clear_words():
        found = ask.rows(url, ask.STATUS)
    if as_json:
        for row in found:
            click.echo(json.dumps(row, default=str))
        return
    # in a pipe or a log there is no width to obey, and half a name helps nobody
    console = Console() if sys.stdout.isatty() else Console(width=WIDE)
    console.print(status_table(found) if found else "No CRM is connected yet.")


def status_table(found: list[dict[str, Any]]) -> Table:
    """The status view as a table for people."""
    table = Table(header_style="bold", row_styles=["", "dim"])
    for column in ("#", "connection", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("waiting", "running", "retrying", "failed", "skipped", "oldest wait", "last success"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("last error", overflow="fold")
    for row in found:
        wait = row["oldest_wait"]
        table.add_row(
            str(row["integration_id"]),
            escape(f"{row['provider']}/{row['name']}"),
            row["state"],
            *(f"{row[name]:,}" for name in ("waiting", "running", "retrying", "failed", "skipped")),
            "" if wait is None else str(timedelta(seconds=round(wait.total_seconds()))),
            "" if row["last_success"] is None else f"{row['last_success']:%Y-%m-%d %H:%M:%S}",
            escape(row["last_error"] or ""),
        )
    return table


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Show the whole way on an embedded Postgres and a CRM sandbox.

    Example: crm-sync demo --replies 200
    """
    replace_by("sandbox.demo", *arguments)


@contextmanager
def _clear_words() -> Iterator[None]:
    """What can be wrong with a database, in words that say what to do, and never with a piece of the password."""
    try:
        yield
    except NOT_MIGRATED:
        fail("this database has not been migrated to this version; run: crm-sync migrate", EX_CONFIG)
    except psycopg.errors.InsufficientPrivilege as error:
        fail(
            f"the role in DATABASE_URL lacks a right: {error.diag.message_primary}\n"
            "To look, it needs: grant crm_sync_reader to <role>. To migrate, it must be the owner or a superuser.",
            EX_CONFIG,
        )
    except psycopg.OperationalError as error:
        if re.search("invalid (port|integer|URI)|connection option", str(error)):
            fail(NOT_A_URL, EX_CONFIG)
        fail(f"the database cannot be reached: {str(error).strip()}", EX_UNAVAILABLE)
    except psycopg.ProgrammingError as error:
        if error.sqlstate is None:
            fail(NOT_A_URL, EX_CONFIG)
        raise
