"""What the demo prints at its end: what DBAs would ask, the proof, and what was proven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox.demo.proof import KINDS, Proof
from sandbox.demo.watch import Outcome, per

MOST_DETAILS = 10
QUERIES: tuple[tuple[str, LiteralString], ...] = (
    (
        "What waits, runs, failed, since when?",
        """
select left(organization_id::text, 8) as organization, provider, state, waiting, running, retrying, failed, skipped,
  last_success, last_error
from crm_sync.status
order by integration_id""",
    ),
    (
        "Did this contact arrive, and if not, why?",
        """
select distinct on (state, last_error) left(contact_id::text, 8) as contact, state, external_contact_id as in_crm,
  external_company_id as company, external_deal_id as deal, last_synced_at, last_error
from crm_sync.contact_status
order by state desc, last_error, external_deal_id nulls last
limit 8""",
    ),
    (
        "Who works here?",
        "\nselect left(id::text, 8) as id, pid, version, is_alive, is_armed, is_listening, batches, started_at "
        "from crm_sync.workers order by started_at",
    ),
    (
        "Was anything lost or done twice?",
        """
select count(*) as connections, sum(committed) as committed, sum(synced) as synced, sum(superseded) as superseded,
  sum(waiting + running + retrying) as open, sum(failed) as failed, sum(skipped) as skipped,
  sum(abs(difference)) as difference
from crm_sync.accounting""",
    ),
)


@dataclass(frozen=True)
class Books:
    """What the database says of itself when all is over.

    Attributes:
        open_rows, failed_rows: what should be 0.
        difference: of the accounting, summed up without signs; should be 0.
        skipped: reasons, and how often.
        errors: why rows failed.
    """

    open_rows: int
    failed_rows: int
    difference: int
    skipped: dict[UUID, Counter[str]]
    errors: list[str]


def read_books(reader_url: str) -> Books:
    """Read them as a DBA."""
    with psycopg.connect(reader_url) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        totals = connection.execute(
            "select coalesce(sum(waiting + running + retrying), 0), coalesce(sum(failed), 0), "
            "coalesce(sum(abs(difference)), 0) from crm_sync.accounting"
        ).fetchone()
        skipped: dict[UUID, Counter[str]] = {}
        for organization_id, reason, times in connection.execute(
            "select organization_id, last_error, count(*) from public.sync_queue where status = 'skipped' group by 1, 2"
        ):
            skipped.setdefault(organization_id, Counter())[reason] = times
        errors = connection.execute(
            "select distinct queue_type || ': ' || last_error from public.sync_queue where status = 'failed'"
        ).fetchall()
    open_rows, failed_rows, difference = totals or (0, 0, 0)
    return Books(int(open_rows), int(failed_rows), int(difference), skipped, [error for (error,) in errors])


def print_views(console: Console, reader_url: str) -> None:
    """The questions of a DBA, each a SELECT with its answer."""
    with psycopg.connect(reader_url, row_factory=dict_row) as connection:
        for question, query in QUERIES:
            console.print(f"\n[bold]{question}[/bold]")
            console.print(Text(query.strip(), "cyan"), soft_wrap=True)
            console.print(_table(connection.execute(query).fetchall()))


def print_proof(console: Console, proof: Proof, books: Books, demanded_skips: Mapping[UUID, Counter[str]]) -> bool:
    """The table of findings and the state of the books; True when there is nothing to complain of."""
    table = Table(title="What the replies demand, and what the CRM has", header_style="bold", title_justify="left")
    table.add_column("")
    for name in ("demanded", "found", "missing", "doubled", "wrong"):
        table.add_column(name, justify="right")
    for kind in KINDS:
        problems = [proof.problems[kind, "missing"], proof.problems[kind, "doubled"], proof.problems[kind, "wrong"]]
        cells = [Text(f"{number:,}", "bold red" if number else "green") for number in problems]
        table.add_row(kind, f"{proof.demanded[kind]:,}", f"{proof.found[kind]:,}", *cells)
    console.print()
    console.print(table)
    for detail in proof.details[:MOST_DETAILS]:
        console.print(Text(f"  {detail[:600]}", "red"), soft_wrap=True)
    if len(proof.details) > MOST_DETAILS:
        console.print(f"  … and {len(proof.details) - MOST_DETAILS} more")
    has_right_skips = _print_skips(console, books.skipped, demanded_skips)
    for name, number in (
        ("rows left open", books.open_rows),
        ("rows failed", books.failed_rows),
        ("difference in the accounts", books.difference),
    ):
        console.print(Text(f"{name}: {number}", "red" if number else "green"))
    for error in books.errors:
        console.print(Text(f"  {error[:600]}", "red"), soft_wrap=True)
    return proof.is_clean and has_right_skips and not (books.open_rows or books.failed_rows or books.difference)


def print_summary(console: Console, outcome: Outcome, is_proven: bool, facts: Mapping[str, Any]) -> None:
    """The last paragraph."""
    figures = outcome.figures
    verdict = (
        "[bold green]Proven:[/bold green] every committed reply that can be sent is in the CRM exactly once, "
        "with the right values"
        if is_proven
        else "[bold red]Not proven:[/bold red] the CRM does not contain what the replies demand, see above"
    )
    console.print(
        f"\n{verdict}. {figures.replies:,} replies of {facts['organizations']} organizations became "
        f"{figures.contacts:,} synced contacts in {outcome.seconds:.1f} s, with {outcome.calls:,} API calls: "
        f"{per(outcome.calls, figures.contacts)} per contact and {per(outcome.calls, figures.replies)} per reply, "
        f"against the 2 to 9 of searching and writing each one.{facts['remark']} "
        f"The whole demo took {facts['total_seconds']:.1f} s.",
    )
    console.print(
        "To go on: [bold]make run[/bold] starts the daemon on your own database (DATABASE_URL), "
        "and README.md shows how to connect a real HubSpot.",
    )


def _print_skips(console: Console, skipped: Mapping[UUID, Counter[str]], demanded: Mapping[UUID, Counter[str]]) -> bool:
    """Skipped rows by reason; True when they are those that the data demands, in each organization."""
    table = Table(title="Not sent, and why", header_style="bold", title_justify="left")
    for name in ("reason", "demanded", "skipped"):
        table.add_column(name, justify="left" if name == "reason" else "right")
    totals = [sum(counters.values(), Counter[str]()) for counters in (demanded, skipped)]
    for reason in sorted(totals[0] | totals[1]):
        table.add_row(reason, *(f"{total[reason]:,}" for total in totals))
    console.print()
    console.print(table if totals[0] | totals[1] else "Nothing was skipped.")
    differing = [each for each in demanded if demanded[each] != skipped.get(each, Counter())]
    for organization_id in differing:
        console.print(
            f"  [red]{organization_id}: {dict(skipped.get(organization_id, {}))} instead of "
            f"{dict(demanded[organization_id])}[/red]"
        )
    return not differing


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(header_style="bold")
    for name in rows[0] if rows else ("(no rows)",):
        is_number = bool(rows) and isinstance(rows[0][name], int)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    return table


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.strftime("%H:%M:%S")
        case date() | timedelta():
            return str(value)
        case _:
            return str(value)
