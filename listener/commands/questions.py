"""The commands that show a view of crm_sync."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import click

from listener.commands.base import require_database
from listener.commands.options import CONNECTION, COUNT, json_option
from listener.commands.tables import show
from listener.commands.troubles import EX_NO, clear_words, require_known
from sql import ask

MOST_ROWS = 1000
ALL = "All columns, also those that are mostly for programs."

integration_option = click.option("--integration", type=CONNECTION, help="Only this connection.")
organization_option = click.option("--organization", type=click.UUID, help="Only this one: organizations.id.")
limit_option = click.option("--limit", default=MOST_ROWS, show_default=True, type=COUNT, help="How many rows at most.")


def question(
    name: str,
    view: str,
    words: str,
    *,
    order: str,
    empty: str,
    hidden: tuple[str, ...] = ("organization_id",),
    of_connections: bool = True,
    **how: Any,
) -> click.Command:
    """A command that prints a view: its rows in that order, `hidden` columns only with --all-columns and --json.

    `how`: `first`, `below` and `as_blocks` of `tables.show`.
    """

    def answer(
        as_json: bool, all_columns: bool, limit: int, integration: int | None = None, organization: UUID | None = None
    ) -> None:
        where = {"integration_id": integration, "organization_id": organization}
        ask_view(
            view,
            where,
            order,
            limit,
            as_json=as_json,
            empty=empty,
            hidden=() if all_columns else hidden,
            **how,
        )

    made: Callable[..., Any] = json_option(click.option("--all-columns", is_flag=True, help=ALL)(limit_option(answer)))
    if of_connections:
        made = integration_option(organization_option(made))
    return click.command(name, help=words)(made)


def ask_view(
    view: str,
    where: dict[str, Any],
    order: str,
    limit: int,
    *,
    as_json: bool,
    empty: str,
    condition: str = "true",
    **how: Any,
) -> list[dict[str, Any]]:
    """Print a view and return its rows; says on stderr when there are more than `limit`."""
    url = require_database()
    with clear_words():
        found = ask.view(url, view, order, where, limit + 1, condition)
    if not found:
        require_known(url, integration=where.get("integration_id"), organization=where.get("organization_id"))
    show(found[:limit], as_json=as_json, empty=empty, **how)
    if len(found) > limit:
        these = "this one" if limit == 1 else f"these {limit:,}"
        click.echo(f"There are more than {these}: see --limit.", err=True)
    return found


status = question(
    "status",
    "status",
    """Show every connection: what waits, runs, failed, since when, and why.

    Example: crm-sync status --json | jq 'select(.failed > 0)'
    """,
    order="organization_id, provider, name",
    empty="No CRM is connected yet.",
    hidden=("organization_id", "resumes_at", "counted_at"),
    below="last_error",
)
failures = question(
    "failures",
    "failures",
    """Show what fails, by cause: how often, since when, what it means and what is to be done.

    Example: crm-sync failures --integration 7
    """,
    order="count desc, last_at desc",
    empty="Nothing fails.",
    hidden=(
        *("organization_id", "allowed_labels", "is_known", "is_rest", "counted_at", "queue_type"),
        *("example_queue_id", "example_contact_id"),
    ),
    first=(
        *("integration_id", "provider", "kind", "code", "field", "count", "retrying", "first_at", "last_at"),
        *("message", "meaning", "who_must_act", "remedy"),
    ),
    as_blocks=True,
)
workers = question(
    "workers",
    "workers",
    """Show the daemons: who is alive, who sleeps, who listens.

    Example: crm-sync workers
    """,
    order="started_at",
    empty="No daemon runs on this database: one that is stopped takes itself off this list. Start one: crm-sync run.",
    hidden=("id", "armed_since"),
    of_connections=False,
)
throughput = question(
    "throughput",
    "throughput",
    """Show how much was synced in each minute, the newest first.

    Example: crm-sync throughput --integration 7 --limit 10
    """,
    order="minute desc, organization_id, integration_id",
    empty="Nothing was synced lately.",
)
lag = question(
    "lag",
    "lag",
    """Show how late replies reach the CRM: percentiles over five minutes, an hour and a day.

    Example: crm-sync lag --json | jq 'select(.span == "1 hour") | .p99'
    """,
    order="organization_id, integration_id, span::interval",
    empty="No CRM is connected yet.",
)
oldest = question(
    "oldest",
    "oldest_unsent",
    """Show the oldest row of each connection that is not in the CRM yet, and why.

    Example: crm-sync oldest
    """,
    order="oldest_at",
    empty="Nothing waits.",
    below="reason",
)
budgets = question(
    "budgets",
    "budget_use",
    """Show how much of each CRM's API limits is used and left.

    Example: crm-sync budgets --integration 7
    """,
    order="organization_id, integration_id, limit_name",
    empty="No limit was met or used yet.",
)
sizes = question(
    "sizes",
    "sizes",
    """Show how large each table and its indexes are, the largest first.

    Example: crm-sync sizes --limit 10
    """,
    order="total_bytes desc, object",
    empty="There is nothing.",
    of_connections=False,
)
counters = question(
    "counters",
    "counters",
    """Show what was counted since the counters were last reset.

    Example: crm-sync counters --json
    """,
    order="organization_id, integration_id",
    empty="No CRM is connected yet.",
)
stuck = question(
    "stuck",
    "stuck",
    """Show who waits behind whom, since when, until when and why.

    Example: crm-sync stuck --integration 7
    """,
    order="since, queue_id",
    empty="Nobody is stuck.",
    hidden=("organization_id", "contact_id", "blocking_worker"),
    below="reason",
)
changes = question(
    "changes",
    "changes",
    """Show which setting was changed when and by whom, the newest first.

    Example: crm-sync changes --limit 20
    """,
    order="changed_at desc, id desc",
    empty="No setting was changed.",
    hidden=("organization_id", "login", "application_name", "old", "new", "key", "id"),
    as_blocks=True,
)


@click.command()
@click.option("--all", "with_cleared", is_flag=True, help="Also those that were cleared.")
@integration_option
@organization_option
@limit_option
@json_option
def alerts(with_cleared: bool, integration: int | None, organization: UUID | None, limit: int, as_json: bool) -> None:
    """Show what alarms now, the newest first; exits with 1 when anything does.

    Example: crm-sync alerts --all --limit 20
    """
    where = {"integration_id": integration, "organization_id": organization}
    found = ask_view(
        "alerts",
        where,
        "raised_at desc",
        limit,
        as_json=as_json,
        empty="Nothing alarms.",
        as_blocks=True,
        hidden=("organization_id", "changed_at", "condition"),
        first=("id", "severity", "raised_at", "words", "remedy"),
        condition="true" if with_cleared else "cleared_at is null",
    )
    sys.exit(EX_NO if any(row["cleared_at"] is None for row in found) else 0)


@click.command()
@integration_option
@organization_option
@limit_option
@json_option
def accounting(integration: int | None, organization: UUID | None, limit: int, as_json: bool) -> None:
    """Show where every piece of work is; exits with 1 when one is nowhere (a difference that is not 0).

    Example: crm-sync accounting
    """
    where = {"integration_id": integration, "organization_id": organization}
    found = ask_view(
        "accounting",
        where,
        "organization_id, integration_id",
        limit,
        as_json=as_json,
        empty="No CRM is connected yet.",
        hidden=("organization_id",),
    )
    sys.exit(EX_NO if any(row["difference"] for row in found) else 0)
