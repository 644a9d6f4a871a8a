"""The commands that set a database up."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import psycopg

from listener.commands.base import fail, replace_by, require_database, write
from listener.commands.troubles import clear_words
from sql import ask
from sql.migrate import MigrationError, install_script, pending
from sql.migrate import migrate as bring_up_to_date


@click.command()
@click.option("--check", is_flag=True, help="Only say what would be applied; exit with 1 if there is anything.")
def migrate(check: bool) -> None:
    """Bring the database up to this version.

    Example: DATABASE_URL=postgresql://postgres@localhost/app crm-sync migrate
    """
    url = require_database()
    with clear_words():
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
    with clear_words():
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
        write(target, install_script())


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def demo(arguments: tuple[str, ...]) -> None:
    """Show the whole way on an embedded Postgres and a CRM sandbox.

    Example: crm-sync demo --replies 200
    """
    replace_by("sandbox.demo", *arguments)
