"""What the demo prints at its end: what DBAs would ask, the proof, and what was proven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sandbox.demo.crms import CRMS
from sandbox.demo.proof import PROBLEMS, Proof
from sandbox.demo.watch import Outcome, per

MOST_DETAILS = 10
Skips = Mapping[UUID, Counter[str]]
"""Reasons for what was not sent, and how often, by organization."""
QUERIES: tuple[tuple[str, LiteralString], ...] = (
    (
        "What waits, runs, failed, since when?",
        """
select provider, state, count(*) as connections, sum(waiting)::int as waiting, sum(running)::int as running,
  sum(retrying)::int as retrying, sum(failed)::int as failed, sum(skipped)::int as skipped,
  max(last_success) as last_success, max(last_error) as last_error
from crm_sync.status
group by provider, state
order by provider, state""",
    ),
    (
        "Did this contact arrive, and if not, why?",
        """
select distinct on (s.provider, c.state) s.provider, left(c.contact_id::text, 8) as contact, c.state,
  c.external_contact_id as in_crm, c.external_company_id as company, c.external_deal_id as deal, c.last_synced_at,
  c.last_error
from crm_sync.contact_status as c
join crm_sync.status as s using (integration_id)
order by s.provider, c.state desc, c.external_deal_id nulls last
limit 12""",
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
        contacts: how many were synced, by CRM.
        skipped: reasons, and how often, by CRM and organization.
        errors: why rows failed.
    """

    open_rows: int
    failed_rows: int
    difference: int
    contacts: dict[str, int]
    skipped: dict[str, dict[UUID, Counter[str]]]
    errors: list[str]


@dataclass(frozen=True)
class Facts:
    """What the last paragraph says beside the figures."""

    titles: Sequence[str]
    organizations: int
    remark: str
    total_seconds: float


def read_books(reader_url: str) -> Books:
    """Read them as a DBA."""
    with psycopg.connect(reader_url) as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        totals = connection.execute(
            "select coalesce(sum(waiting + running + retrying), 0), coalesce(sum(failed), 0), "
            "coalesce(sum(abs(difference)), 0) from crm_sync.accounting"
        ).fetchone()
        contacts = connection.execute(
            "select s.provider, count(*) from public.contact_sync_mappings as m "
            "join crm_sync.status as s using (integration_id) where m.last_synced_at is not null group by 1"
        ).fetchall()
        skipped: dict[str, dict[UUID, Counter[str]]] = {}
        for crm, organization_id, reason, times in connection.execute(
            "select s.provider, q.organization_id, q.last_error, count(*) from public.sync_queue as q "
            "join crm_sync.status as s using (integration_id) where q.status = 'skipped' group by 1, 2, 3"
        ):
            skipped.setdefault(crm, {}).setdefault(organization_id, Counter())[reason] = times
        errors = connection.execute(
            "select distinct s.provider || ' ' || q.queue_type || ': ' || q.last_error from public.sync_queue as q "
            "join crm_sync.status as s using (integration_id) where q.status = 'failed'"
        ).fetchall()
    open_rows, failed_rows, difference = totals or (0, 0, 0)
    return Books(
        int(open_rows), int(failed_rows), int(difference), dict(contacts), skipped, [error for (error,) in errors]
    )


def print_views(console: Console, reader_url: str) -> None:
    """The questions of a DBA, each a SELECT with its answer."""
    with psycopg.connect(reader_url, row_factory=dict_row) as connection:
        for question, query in QUERIES:
            console.print(f"\n[bold]{question}[/bold]")
            console.print(Text(query.strip(), "cyan"), soft_wrap=True)
            console.print(_table(connection.execute(query).fetchall()))


def print_proof(console: Console, proofs: Mapping[str, Proof], books: Books, skips: Mapping[str, Skips]) -> bool:
    """The tables of findings and the state of the books; True when there is nothing to complain of.

    `proofs` and the demanded `skips` are by the CRM's name.
    """
    for crm, proof in proofs.items():
        _print_findings(console, CRMS[crm].title, proof)
    has_right_skips = _print_skips(console, books.skipped, skips)
    for name, number in (
        ("rows left open", books.open_rows),
        ("rows failed", books.failed_rows),
        ("difference in the accounts", books.difference),
    ):
        console.print(Text(f"{name}: {number}", "red" if number else "green"))
    for error in books.errors:
        console.print(Text(f"  {error[:600]}", "red"), soft_wrap=True)
    is_clean = all(proof.is_clean for proof in proofs.values())
    return is_clean and has_right_skips and not (books.open_rows or books.failed_rows or books.difference)


def _print_findings(console: Console, title: str, proof: Proof) -> None:
    table = Table(title=f"What the replies demand, and what {title} has", header_style="bold", title_justify="left")
    table.add_column("")
    for name in ("demanded", "found", "missing", "doubled", "wrong"):
        table.add_column(name, justify="right")
    for kind in proof.kinds:
        problems = [proof.problems[kind, "missing"], proof.problems[kind, "doubled"], proof.problems[kind, "wrong"]]
        cells = [Text(f"{number:,}", "bold red" if number else "green") for number in problems]
        table.add_row(kind, f"{proof.demanded[kind]:,}", f"{proof.found[kind]:,}", *cells)
    console.print()
    console.print(table)
    for detail in proof.details[:MOST_DETAILS]:
        console.print(Text(f"  {detail[:600]}", "red"), soft_wrap=True)
    if len(proof.details) > MOST_DETAILS:
        console.print(f"  … and {len(proof.details) - MOST_DETAILS} more")


def print_summary(
    console: Console, outcome: Outcome, books: Books, proofs: Mapping[str, Proof], is_proven: bool, facts: Facts
) -> None:
    """The last paragraphs: a line for each CRM, and the verdict."""
    table = Table(box=None, header_style="dim", padding=(0, 2))
    for name in ("", "contacts", "API calls", "per contact", "missing", "doubled", "wrong"):
        table.add_column(name, justify="right" if name else "left")
    for crm, proof in proofs.items():
        contacts, calls = books.contacts.get(crm, 0), outcome.calls[crm]
        findings = [sum(proof.problems[kind, each] for kind in proof.kinds) for each in PROBLEMS]
        cells = [Text(f"{number:,}", "bold red" if number else "green") for number in findings]
        table.add_row(CRMS[crm].title, f"{contacts:,}", f"{calls:,}", per(calls, contacts), *cells)
    console.print()
    console.print(table)
    titles = " and ".join(filter(None, (", ".join(facts.titles[:-1]), facts.titles[-1])))
    verdict = (
        f"[bold green]Proven:[/bold green] every committed reply that can be sent is in {titles} exactly once, "
        "with the right values"
        if is_proven
        else f"[bold red]Not proven:[/bold red] {titles} do not contain what the replies demand, see above"
    )
    figures = outcome.figures
    console.print(
        f"\n{verdict}. {figures.replies:,} replies of {facts.organizations} organizations became "
        f"{figures.contacts:,} synced contacts, each CRM counted, in {outcome.seconds:.1f} s, "
        f"with {outcome.total_calls:,} API calls. "
        f"A client that searches and writes each record by itself needs 5 to 9 for each contact.{facts.remark} "
        f"The whole demo took {facts.total_seconds:.1f} s.",
    )
    console.print(
        "To go on: [bold]make up[/bold] starts it all with the console, to look at in a browser; [bold]make run[/bold] "
        "starts the daemon on your own database (DATABASE_URL), and README.md shows how to connect a real CRM.",
    )


def _print_skips(console: Console, skipped: Mapping[str, Skips], demanded: Mapping[str, Skips]) -> bool:
    """Skipped rows by reason; True when they are those that the data demands, in each organization and CRM."""
    table = Table(title="Not sent, and why", header_style="bold", title_justify="left")
    table.add_column("reason")
    table.add_column("demanded", justify="right")
    for crm in demanded:
        table.add_column(CRMS[crm].title, justify="right")
    wanted = next((_total(skips) for skips in demanded.values()), Counter[str]())
    found = {crm: _total(skipped.get(crm, {})) for crm in demanded}
    reasons = sorted(wanted.keys() | set().union(*found.values()))
    for reason in reasons:
        table.add_row(reason, f"{wanted[reason]:,}", *(f"{total[reason]:,}" for total in found.values()))
    console.print()
    console.print(table if reasons else "Nothing was skipped.")
    is_right = True
    for crm, skips in demanded.items():
        for organization_id, wanted in skips.items():
            held = skipped.get(crm, {}).get(organization_id, Counter())
            if held != wanted:
                is_right = False
                words = f"  {CRMS[crm].title}, {organization_id}: {dict(held)} instead of {dict(wanted)}"
                console.print(Text(words, "red"), soft_wrap=True)
    return is_right


def _total(skips: Skips) -> Counter[str]:
    return sum(skips.values(), Counter[str]())


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
