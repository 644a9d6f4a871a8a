"""The commands that act on work that is there: put back, give up, hold, let go, put forward."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from listener.commands.options import CONNECTION, DURATION, ROW_ID, confirm, dry_run_option, json_option, yes_option
from listener.commands.troubles import acting
from listener.commands.values import to_json
from sql import ask

AT_LEAST = " at least"

contact_option = click.option("--contact", type=click.UUID, help="Only this contact.")
rows_option = click.option(
    "--row", "queue_ids", type=ROW_ID, multiple=True, help="Only this row of sync_queue; repeatable."
)
reason_option = click.option("--reason", help="Why; it is kept in the log.")


@click.command()
@click.argument("integration", type=CONNECTION, required=False)
@click.option("--cause", help="Only those with this code, or with this text in their error.")
@click.option("--since", type=DURATION, help="Only those that failed in the last while: 2h, 3d.")
@dry_run_option
@json_option
def retry(integration: int | None, cause: str | None, since: timedelta | None, dry_run: bool, as_json: bool) -> None:
    """Put failed rows back, with all their attempts: of a connection, or of all.

    Example: crm-sync retry 7 --cause INVALID_OPTION --since 2d
    """
    with acting(dry_run=dry_run) as session:
        # what fails again meanwhile has had its turn
        parameters = {
            "p_integration_id": integration,
            "p_cause": cause,
            "p_failed_since": since,
            "p_failed_before": session.now(),
        }
        count = _repeat(session, "retry_failed", dry_run, parameters)
    tell("retried", count, "failed rows put back", dry_run=dry_run, as_json=as_json, at_least=AT_LEAST)


@click.command()
@click.argument("integration", type=CONNECTION)
@contact_option
@rows_option
@reason_option
@click.option("--all", "everything", is_flag=True, help="All that waits on this connection.")
@yes_option
@dry_run_option
@json_option
def cancel(
    integration: int,
    contact: UUID | None,
    queue_ids: tuple[int, ...],
    reason: str | None,
    everything: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give up work that waits: of a contact, certain rows, or all; it becomes skipped, with the reason.

    Example: crm-sync cancel 7 --contact 0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52 --reason "asked us to stop"

    Example: crm-sync cancel 7 --all --dry-run
    """
    if everything == bool(contact or queue_ids):
        raise click.UsageError("Say what: --contact, --row, or --all and nothing else.")
    if everything and not dry_run:
        confirm(f"All that waits on connection {integration} is given up and never sent.", yes)
    count = until_done(
        "cancel",
        dry_run,
        p_integration_id=integration,
        p_contact_id=contact,
        p_queue_ids=list(queue_ids) or None,
        p_reason=reason,
        p_all=everything or None,
    )
    tell("cancelled", count, "waiting rows given up", dry_run=dry_run, as_json=as_json, at_least=AT_LEAST)


def scope_options(command: Any) -> Any:
    """Exactly one of them."""
    command = click.option("--everything", is_flag=True, help="All there is.")(command)
    command = click.option("--provider", help="A CRM with all its connections: hubspot, salesforce, pipedrive.")(
        command
    )
    command = click.option("--organization", type=click.UUID, help="An organization: organizations.id.")(command)
    return click.option("--integration", type=CONNECTION, help="A connection.")(command)


@click.command()
@scope_options
@reason_option
@yes_option
@dry_run_option
@json_option
def pause(
    integration: int | None,
    organization: UUID | None,
    provider: str | None,
    everything: bool,
    reason: str | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Hold a connection, an organization, a CRM or everything before the next request; work goes on waiting.

    Example: crm-sync pause --provider pipedrive --reason "their maintenance until six"
    """
    scope, key = _scope(integration, organization, provider, everything)
    if everything and not dry_run:
        confirm("Nothing is sent to any CRM any more, until crm-sync resume --everything.", yes)
    count = _once("pause_all", dry_run, p_scope=scope, p_key=key, p_reason=reason)
    tell("paused", count, "connections paused", dry_run=dry_run, as_json=as_json)


@click.command()
@scope_options
@dry_run_option
@json_option
def resume(
    integration: int | None,
    organization: UUID | None,
    provider: str | None,
    everything: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Let go what was paused; what another pause still holds stays held.

    Example: crm-sync resume --provider pipedrive
    """
    scope, key = _scope(integration, organization, provider, everything)
    count = _once("resume_all", dry_run, p_scope=scope, p_key=key)
    tell("resumed", count, "connections resumed", dry_run=dry_run, as_json=as_json)


@click.command()
@click.argument("priority", type=click.IntRange(1, 10))
@click.option("--integration", type=CONNECTION, help="Only this connection.")
@contact_option
@rows_option
@dry_run_option
@json_option
def reprioritize(
    priority: int,
    integration: int | None,
    contact: UUID | None,
    queue_ids: tuple[int, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Give waiting work another priority: 1 comes first, 10 last.

    Example: crm-sync reprioritize 1 --contact 0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52
    """
    if integration is None and contact is None and not queue_ids:
        raise click.UsageError("Say of what: --integration, --contact or --row.")
    count = until_done(
        "reprioritize",
        dry_run,
        p_priority=priority,
        p_integration_id=integration,
        p_contact_id=contact,
        p_queue_ids=list(queue_ids) or None,
    )
    tell(
        "reprioritized",
        count,
        f"waiting rows that have priority {priority} now",
        dry_run=dry_run,
        as_json=as_json,
        at_least=AT_LEAST,
    )


@click.command()
@click.argument("alert", type=ROW_ID)
@click.option("--note", help="For the others: what is being done.")
@dry_run_option
@json_option
def acknowledge(alert: int, note: str | None, dry_run: bool, as_json: bool) -> None:
    """Say that somebody takes care of an alert (its id is in crm-sync alerts); it goes on until it is cleared.

    Example: crm-sync acknowledge 42 --note "I call their administrator"
    """
    with acting(dry_run=dry_run) as session:
        is_first = bool(session.call("acknowledge", p_alert_id=alert, p_note=note)["acknowledge"])
    if as_json:
        click.echo(to_json({"acknowledged": is_first, "dry_run": dry_run}))
    else:
        undone = "; it was undone, as --dry-run asks" if dry_run else ""
        click.echo(f"acknowledged{undone}" if is_first else "somebody has acknowledged it before: crm-sync alerts")


def until_done(function: str, is_rehearsal: bool, **parameters: Any) -> int:
    """Call what does a bounded part each time until nothing is left; a rehearsal counts the first part only."""
    with acting(dry_run=is_rehearsal) as session:
        return _repeat(session, function, is_rehearsal, parameters)


def tell(what: str, count: int, words: str, *, dry_run: bool, as_json: bool, at_least: str = "") -> None:
    """What was done, in numbers; `at_least` is said of a rehearsal that was the first call of several."""
    if as_json:
        click.echo(to_json({what: count, "dry_run": dry_run}))
    elif dry_run:
        click.echo(f"{words}: {count:,}{at_least}; it was undone, as --dry-run asks")
    else:
        click.echo(f"{words}: {count:,}")


def _repeat(session: ask.Session, function: str, is_rehearsal: bool, parameters: dict[str, Any]) -> int:
    total = 0
    while True:
        count = int(session.call(function, **parameters)[function])
        total += count
        if count == 0 or is_rehearsal:
            return total


def _once(function: str, is_rehearsal: bool, **parameters: Any) -> int:
    with acting(dry_run=is_rehearsal) as session:
        return int(session.call(function, **parameters)[function])


def _scope(
    integration: int | None, organization: UUID | None, provider: str | None, everything: bool
) -> tuple[str, str | None]:
    named = {"integration": integration, "organization": organization, "provider": provider}
    given = [(scope, str(key)) for scope, key in named.items() if key is not None]
    if len(given) + everything != 1:
        raise click.UsageError("Give one of --integration, --organization, --provider and --everything.")
    return given[0] if given else ("everything", None)
