"""The commands that send again, send what was there before, throw old work away and count anew."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from listener.commands.actions import AT_LEAST, tell, until_done
from listener.commands.options import CONNECTION, DURATION, confirm, dry_run_option, json_option, yes_option
from listener.commands.troubles import acting
from listener.commands.values import spell, to_json

PAGE = 1000


class Filter(click.ParamType):  # type: ignore[type-arg]
    """A JSON object."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            is_object = isinstance(json.loads(value), dict)
        except ValueError:
            is_object = False
        if not is_object:
            self.fail(f"{value!r} is no JSON object.")
        return str(value)


@click.command()
@click.argument("integration", type=CONNECTION)
@click.option(
    "--filter", "chosen", type=Filter(), help="Which contacts: written as sync_filters, see docs/settings.md."
)
@click.option(
    "--page", default=PAGE, show_default=True, type=click.IntRange(1, 10_000), help="Contacts in one transaction."
)
@click.option("--after", type=click.UUID, help="Go on behind this contact, where another call ended.")
@dry_run_option
@json_option
def backfill(integration: int, chosen: str | None, page: int, after: UUID | None, dry_run: bool, as_json: bool) -> None:
    """Send contacts that existed before the connection: page by page, each page in a transaction of its own.

    Skipped are those that are there already, wait, are filtered out, or have no e-mail address.

    Example: crm-sync backfill 7

    Example: crm-sync backfill 7 --filter '{"all": [{"field": "intent", "op": "=", "value": "interested"}]}'
    """
    enqueued = skipped = 0
    row: dict[str, Any] = {"last_contact_id": after, "is_complete": False}
    is_terminal = sys.stderr.isatty()
    with acting(dry_run=dry_run) as session:
        while not row["is_complete"]:
            try:
                row = session.call(
                    "backfill",
                    p_integration_id=integration,
                    p_filter=chosen,
                    p_limit=page,
                    p_after=row["last_contact_id"],
                )
            except KeyboardInterrupt:
                click.echo(f"\nGo on with: --after {row['last_contact_id']}", err=True)
                raise
            enqueued += row["enqueued"]
            skipped += row["skipped"]
            if is_terminal:
                click.echo(f"\r{enqueued:,} enqueued, {skipped:,} skipped …", nl=False, err=True)
    if is_terminal:
        click.echo("\r\033[K", nl=False, err=True)
    if as_json:
        done = {"enqueued": enqueued, "skipped": skipped, "last_contact_id": row["last_contact_id"], "dry_run": dry_run}
        click.echo(to_json(done))
    else:
        undone = "; it was undone, as --dry-run asks" if dry_run else ""
        click.echo(f"contacts enqueued: {enqueued:,}, skipped: {skipped:,}{undone}")


@click.command()
@click.argument("contact", type=click.UUID)
@click.option("--integration", type=CONNECTION, help="Only to this connection.")
@dry_run_option
@json_option
def resync(contact: UUID, integration: int | None, dry_run: bool, as_json: bool) -> None:
    """Send a contact anew, as if nothing of it had been sent; what people changed in the CRM stays.

    Example: crm-sync resync 0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52 --integration 7
    """
    with acting(dry_run=dry_run) as session:
        count = int(session.call("resync", p_contact_id=contact, p_integration_id=integration)["resync"])
    tell("enqueued", count, "rows enqueued", dry_run=dry_run, as_json=as_json)


@click.command("sync-now")
@click.argument("integration", type=CONNECTION)
@dry_run_option
@json_option
def sync_now(integration: int, dry_run: bool, as_json: bool) -> None:
    """Send now what a connection keeps for its next hour or day, or for a later attempt.

    Example: crm-sync sync-now 7
    """
    total = 0
    with acting(dry_run=dry_run) as session:
        at_once = int(session.call("rows_at_once")["rows_at_once"])
        while True:
            count = int(session.call("sync_now", p_integration_id=integration)["sync_now"])
            total += count
            # not until there are none: what fails meanwhile is put off again, and has had its turn
            if count < at_once or dry_run:
                break
    tell("brought_forward", total, "rows brought forward", dry_run=dry_run, as_json=as_json, at_least=AT_LEAST)


@click.command()
@click.option("--older-than", type=DURATION, required=True, help="What ended longer ago: 90d, 26w.")
@click.option("--integration", type=CONNECTION, help="Only of this connection.")
@yes_option
@dry_run_option
@json_option
def purge(older_than: timedelta, integration: int | None, yes: bool, dry_run: bool, as_json: bool) -> None:
    """Delete finished work from the queue now, also what failed, before its time has come; the log keeps what happened.

    Example: crm-sync purge --older-than 90d --dry-run
    """
    if not dry_run:
        confirm(
            f"Finished rows that ended more than {spell(older_than)} ago are deleted: what was synced, skipped, "
            "and what failed, which cannot be retried then.",
            yes,
        )
    count = until_done("purge_now", dry_run, p_older_than=older_than, p_integration_id=integration)
    tell("purged", count, "finished rows deleted", dry_run=dry_run, as_json=as_json, at_least=AT_LEAST)


@click.command("reset-counters")
@click.argument("integration", type=CONNECTION, required=False)
@dry_run_option
@json_option
def reset_counters(integration: int | None, dry_run: bool, as_json: bool) -> None:
    """Let the counters of a connection, or of all, begin at 0 again.

    Example: crm-sync reset-counters 7
    """
    with acting(dry_run=dry_run) as session:
        count = int(session.call("reset_counters", p_integration_id=integration)["reset_counters"])
    tell("reset", count, "connections that count anew", dry_run=dry_run, as_json=as_json)
