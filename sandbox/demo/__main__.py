"""`python -m sandbox.demo`: 1,000 replies of 20 organizations on their way to three CRMs, and the proof of it.

Everything it needs is started here, on this machine and on loopback only, and is gone when it ends.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, date, datetime
from uuid import UUID

from rich.console import Console

from sandbox.demo.children import Child, Children
from sandbox.demo.control import Control
from sandbox.demo.crms import CRMS
from sandbox.demo.faults import plan_faults
from sandbox.demo.lifetime import ignore_signals, run_to_its_end
from sandbox.demo.oracle import demands, read_rows
from sandbox.demo.proof import Proof, compare
from sandbox.demo.report import Facts, print_proof, print_summary, print_views, read_books
from sandbox.demo.scenario import make_scenario
from sandbox.demo.stage import (
    Stage,
    sandbox_url,
    set_stage,
    start_daemon,
    start_producer,
    start_sandbox,
    wait_until_ready,
)
from sandbox.demo.watch import Figures, watch
from sandbox.postgres import embedded
from sql.migrate import migrate

KILL_AFTER_SHARE = 0.4
KILL_LEASE_SECONDS = "3"


def main(arguments: list[str] | None = None) -> int:
    """0 when the proof holds, 1 when it does not or something broke, 130 after Ctrl-C."""
    options = _options(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    return run_to_its_end(console, lambda stack, running: _demo(console, options, stack, running))


def _demo(console: Console, options: argparse.Namespace, stack: ExitStack, running: Children) -> bool:
    begun = time.monotonic()
    titles = [CRMS[crm].title for crm in options.crm]
    console.print(
        f"[bold]{options.replies:,} replies of {options.organizations} organizations[/bold] "
        f"(seed {options.seed}) on their way from a plain INSERT to {', '.join(titles)}.",
    )
    sandbox = start_sandbox(running)  # it comes up while Postgres does
    postgres = stack.enter_context(embedded())
    # the processes end before the server they are connected to
    stack.callback(running.stop, 1.0)
    stack.callback(ignore_signals)
    _say(console, begun, f"PostgreSQL {postgres.binaries.version} runs on port {postgres.port}, with fsync")
    applied = migrate(postgres.url).applied
    _say(console, begun, f"{len(applied)} files of sql/ applied")
    control = Control(sandbox_url(sandbox))
    stack.callback(control.close)
    scenario = make_scenario(options.replies, options.organizations, options.seed, datetime.now(UTC))
    stage = set_stage(postgres.url, control, scenario, options.crm)
    _say(
        console,
        begun,
        f"{len(scenario.contacts):,} contacts and {len(scenario.messages):,} messages are in; "
        f"{sum(map(len, stage.accounts.values()))} accounts of the CRM sandbox are connected ({control.url}/)",
    )
    if options.faults:
        _say(console, begun, f"the sandbox will misbehave {plan_faults(control, stage.accounts)} times")
    first_day = datetime.now(UTC).date()
    settings = {"CRM_SYNC_LEASE_SECONDS": KILL_LEASE_SECONDS} if options.kill_daemon else {}
    settings["CRM_SYNC_STOP_SECONDS"] = "0.5"
    daemons = [start_daemon(running, stage, f"daemon {number}", settings) for number in range(1, options.daemons + 1)]
    for daemon in daemons:
        wait_until_ready(daemon)
        _say(console, begun, f"crm-sync run, process {daemon.pid}, logs to {daemon.log}")
    producer = start_producer(running, stage, scenario)
    assassin = _Assassin(console, begun, running, stage, settings, daemons, options)
    outcome = watch(
        console,
        running,
        producer,
        control,
        options.crm,
        stage.urls["demo_dba"],
        len(scenario.classifications),
        assassin.look,
    )
    if options.faults:
        _say(console, begun, f"it did {_misbehaved(control, options.crm)} times")
    print_views(console, stage.urls["demo_dba"])
    proofs, skips = _prove(stage, control, (first_day, datetime.now(UTC).date()))
    books = read_books(stage.urls["demo_dba"])
    is_proven = print_proof(console, proofs, books, skips)
    if options.kill_daemon and not assassin.has_struck:
        console.print("[red]The load was over before the daemon could be killed: give more --replies.[/red]")
        is_proven = False
    facts = Facts(titles, options.organizations, assassin.remark, time.monotonic() - begun)
    print_summary(console, outcome, books, proofs, is_proven, facts)
    if options.keep:
        _keep(console, control, stage, running)
    return is_proven


def _misbehaved(control: Control, crms: list[str]) -> int:
    """How many answers were cut off, and how many said that something is wrong with the CRM or that it is too much."""
    statuses = Counter[str]()
    for crm in crms:
        for account in control.calls(crm).values():
            statuses.update(account["by_status"])
    return sum(times for status, times in statuses.items() if status in ("cut", "403", "429") or status[0] == "5")


def _prove(
    stage: Stage, control: Control, days: tuple[date, date]
) -> tuple[dict[str, Proof], dict[str, dict[UUID, Counter[str]]]]:
    """For each CRM, what is wrong with it, and what must have been skipped."""
    proofs: dict[str, Proof] = {}
    skips: dict[str, dict[UUID, Counter[str]]] = {}
    rows = read_rows(stage.owner_url)
    for crm, accounts in stage.accounts.items():
        reading = CRMS[crm].reading
        proof = proofs[crm] = Proof(reading.kinds)
        wanted = demands(rows, accounts)
        skips[crm] = {organization_id: demand.skipped for organization_id, demand in wanted.items()}
        for organization_id, account in accounts.items():
            compare(proof, reading, wanted[organization_id], control.ledger(crm, account), days)
    return proofs, skips


class _Assassin:
    """Kills the first daemon in the middle of the load, if that is asked for, and starts another."""

    def __init__(
        self,
        console: Console,
        begun: float,
        running: Children,
        stage: Stage,
        settings: dict[str, str],
        daemons: list[Child],
        options: argparse.Namespace,
    ) -> None:
        self._console = console
        self._begun = begun
        self._running = running
        self._stage = stage
        self._settings = settings
        self._victim = daemons[0]
        self._replies = options.replies
        self._is_asked = options.kill_daemon
        self.has_struck = False

    @property
    def remark(self) -> str:
        return " A daemon was killed in the middle of it, and another one went on." if self.has_struck else ""

    def look(self, figures: Figures) -> None:
        is_midst = figures.replies >= self._replies * KILL_AFTER_SHARE and figures.running and figures.synced
        if not self._is_asked or self.has_struck or not is_midst:
            return
        self.has_struck = True
        self._running.kill(self._victim)
        daemon = start_daemon(self._running, self._stage, "second daemon", self._settings)
        _say(
            self._console,
            self._begun,
            f"process {self._victim.pid} was killed (SIGKILL) with {figures.running} rows under way; "
            f"process {daemon.pid} takes its place",
        )


def _keep(console: Console, control: Control, stage: Stage, running: Children) -> None:
    console.print(f"\nThe CRMs:         {control.url}/")
    console.print(f"As its owner:     psql {stage.owner_url}", soft_wrap=True)
    for name, url in stage.urls.items():
        console.print(f"As {name + ':':<15}psql {url}", soft_wrap=True)
    console.print(f"Logs:             {running.folder}\nEverything runs on until Ctrl-C.")
    while not threading.Event().wait(1.0):
        running.check()


def _say(console: Console, begun: float, words: str) -> None:
    console.print(f"[dim]{time.monotonic() - begun:5.1f} s[/dim]  {words}", soft_wrap=True)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo ARGS=…", description=__doc__)
    parser.add_argument("--replies", type=int, default=1_000, help="how many (default: %(default)s)")
    parser.add_argument("--organizations", type=int, default=20, help="of how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=2026, help="another one makes other replies (default: %(default)s)")
    parser.add_argument("--daemons", type=int, default=1, help="how many share the work (default: %(default)s)")
    parser.add_argument("--kill-daemon", action="store_true", help="SIGKILL it in the middle, and start another")
    parser.add_argument("--faults", action="store_true", help="let the sandbox lose answers, fail and refuse")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    parser.add_argument("--crm", type=_crms, default=list(CRMS), help="which, with commas (default: all of them)")
    options = parser.parse_args(arguments)
    if options.organizations < 1 or options.daemons < 1 or options.replies < options.organizations:
        parser.error("give at least one organization, one daemon, and one reply for each organization")
    return options


def _crms(text: str) -> list[str]:
    names = list(dict.fromkeys(name.strip().lower() for name in text.split(",")))
    if unknown := [name for name in names if name not in CRMS]:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(map(repr, unknown))}, only {', '.join(CRMS)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
