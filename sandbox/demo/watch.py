"""Watches the work go by, as a DBA would: from the views, and from the CRMs' own count of the calls they got."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sandbox.demo.children import Child, Children
from sandbox.demo.control import Control

LOOK_SECONDS = 0.2
PLAIN_SECONDS = 2.0
STALL_SECONDS = 120.0
FIGURES = """
select
  coalesce(sum(a.waiting), 0)::int as waiting, coalesce(sum(a.running), 0)::int as running,
  coalesce(sum(a.retrying), 0)::int as retrying, coalesce(sum(a.synced + a.superseded), 0)::int as synced,
  coalesce(sum(a.failed), 0)::int as failed, coalesce(sum(a.skipped), 0)::int as skipped,
  (select count(distinct classification_id) from public.sync_queue where queue_type = 'contact_sync')::int as replies,
  (select count(*) from public.contact_sync_mappings where last_synced_at is not null)::int as contacts
from crm_sync.accounting as a
"""


@dataclass(frozen=True)
class Figures:
    """Rows of the queue by what became of them, replies that came in, contacts that the CRMs have."""

    waiting: int
    running: int
    retrying: int
    synced: int
    failed: int
    skipped: int
    replies: int
    contacts: int

    @property
    def open(self) -> int:
        return self.waiting + self.running + self.retrying

    @property
    def done(self) -> int:
        return self.synced + self.failed + self.skipped


@dataclass(frozen=True)
class Outcome:
    """How it ended; calls by CRM; `seconds` from the first INSERT to the last row settled."""

    figures: Figures
    calls: Mapping[str, int]
    seconds: float

    @property
    def total_calls(self) -> int:
        return sum(self.calls.values())


def watch(
    console: Console,
    children: Children,
    producer: Child,
    control: Control,
    crms: Sequence[str],
    reader_url: str,
    expected: int,
    on_look: Callable[[Figures], None],
) -> Outcome:
    """Show the progress until the producer has ended and no row is open any more.

    `on_look` is told the figures at every look. Raises ChildFailedError when a process fails or nothing moves.
    """
    started = time.monotonic()
    with psycopg.connect(reader_url, autocommit=True) as connection, _display(console, expected) as show:
        cursor = connection.cursor(row_factory=class_row(Figures))
        last, moved_at = None, started
        while True:
            # asked before the figures are read: what is settled afterwards is settled for good
            has_ended = producer.process.poll() == 0
            figures = cursor.execute(FIGURES).fetchone()
            if figures is None:
                raise RuntimeError("an aggregate without a row")
            now = time.monotonic()
            outcome = Outcome(figures, {crm: control.total_calls(crm) for crm in crms}, now - started)
            show(outcome)
            if has_ended and not figures.open:
                return outcome
            children.check()
            on_look(figures)
            if figures != last:
                last, moved_at = figures, now
            elif now - moved_at > STALL_SECONDS:
                raise children.newest("daemon").failure(f"has settled nothing for {STALL_SECONDS:g} s")
            time.sleep(LOOK_SECONDS)


@contextmanager
def _display(console: Console, expected: int) -> Iterator[Callable[[Outcome], None]]:
    if not console.is_terminal:
        yield _Plain(console, expected)
        return
    with Live(console=console, refresh_per_second=10, transient=False) as live:
        yield lambda outcome: live.update(_picture(outcome, expected))


class _Plain:
    """A line every couple of seconds, for logs and pipes."""

    def __init__(self, console: Console, expected: int) -> None:
        self._console = console
        self._expected = expected
        self._next = 0.0

    def __call__(self, outcome: Outcome) -> None:
        if outcome.seconds < self._next:
            return
        self._next = outcome.seconds + PLAIN_SECONDS
        facts = ", ".join(f"{name} {value}" for name, value in _facts(outcome))
        self._console.print(
            f"  {outcome.seconds:5.1f} s  {outcome.figures.replies} of {self._expected} replies in; {facts}"
        )


def _picture(outcome: Outcome, expected: int) -> RenderableType:
    figures = outcome.figures
    bars = Table.grid(padding=(0, 2))
    bars.add_row("replies in", ProgressBar(max(expected, 1), figures.replies, width=44), f"{figures.replies:,}")
    work = figures.done + figures.open
    bars.add_row("work done", ProgressBar(max(work, 1), figures.done, width=44), f"{figures.done:,} of {work:,}")
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for name, _ in _facts(outcome):
        table.add_column(name, justify="right")
    styles = {"failed": "red", "retrying": "yellow", "synced": "green"}
    table.add_row(
        *(Text(value, styles.get(name, "") if value != "0" else "dim") for name, value in _facts(outcome)),
    )
    return Group(bars, table)


def _facts(outcome: Outcome) -> list[tuple[str, str]]:
    figures = outcome.figures
    return [
        *((name, f"{getattr(figures, name):,}") for name in ("waiting", "running", "retrying")),
        *((name, f"{getattr(figures, name):,}") for name in ("synced", "failed", "skipped")),
        ("API calls", f"{outcome.total_calls:,}"),
        ("calls/contact", per(outcome.total_calls, figures.contacts)),
        ("rows/s", per(figures.done, outcome.seconds, 0)),
        ("elapsed", f"{outcome.seconds:.1f} s"),
    ]


def per(value: float, base: float, digits: int = 2) -> str:
    """A ratio for people; a dash as long as there is nothing to divide by."""
    return f"{value / base:,.{digits}f}" if base else "–"
