"""`python -m sandbox.up`: everything runs, new replies trickle in, and the console is open in your browser.

Postgres, the CRM sandbox, the daemon and the console are started here, on this machine and on loopback only, and are
gone when it ends. So is what they held: every start is a new one.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from random import Random

import psycopg
from rich.console import Console

from sandbox.demo.children import Children
from sandbox.demo.control import Control
from sandbox.demo.lifetime import ignore_signals, run_to_its_end
from sandbox.demo.scenario import Scenario, make_scenario
from sandbox.demo.stage import sandbox_url, start_daemon, start_producer, start_sandbox
from sandbox.demo.stage import wait_until_ready as wait_until_daemon_ready
from sandbox.ports import free_port
from sandbox.postgres import embedded
from sandbox.up.cast import ORGANIZATIONS, Cast, set_cast
from sandbox.up.console import ConsolePlace, ask_for_link, link_of, start_console, wait_until_ready
from sandbox.up.trickle import Trickle
from sql.migrate import migrate

PORT = 8080
SEED = 2026
LOOK_SECONDS = 0.5


def main(arguments: list[str] | None = None) -> int:
    """0 after Ctrl-C or --seconds, 1 when something broke, 130 when Ctrl-C came before everything was up."""
    options = _options(arguments)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    return run_to_its_end(console, lambda stack, running: _up(console, options, stack, running))


def _up(console: Console, options: argparse.Namespace, stack: ExitStack, running: Children) -> bool:
    place = ConsolePlace(options.port)
    console.print("Starting Postgres, the CRM sandbox, the daemon and the console …")
    sandbox = start_sandbox(running)  # it comes up while Postgres does
    postgres = stack.enter_context(embedded())
    # the processes end before the server they are connected to
    stack.callback(running.stop, 1.0)
    stack.callback(ignore_signals)
    migrate(postgres.url)
    control = Control(sandbox_url(sandbox))
    stack.callback(control.close)
    scenario = make_scenario(options.replies, ORGANIZATIONS, SEED, datetime.now(UTC))
    cast = set_cast(postgres.url, control, scenario)
    web = start_console(running, cast, place)
    links = {person: ask_for_link(running, cast, place, person.email) for person in cast.people}
    daemon = start_daemon(running, cast.stage, "daemon", {"CRM_SYNC_STOP_SECONDS": "0.5"})
    start_producer(running, cast.stage, scenario)
    wait_until_daemon_ready(daemon)
    wait_until_ready(web, place)
    _tell(console, cast, control, running, {person.email: link_of(child) for person, child in links.items()})
    try:
        _go_on(console, options, running, cast, scenario)
    except KeyboardInterrupt:
        ignore_signals()
        console.print("\nEverything is stopped, nothing is left.")
    return True


def _tell(console: Console, cast: Cast, control: Control, running: Children, links: dict[str, str]) -> None:
    lines = ["", "[bold]Everything runs.[/bold] Open the console in a browser, as one of these:"]
    for person in cast.people:
        lines += ["", f"  [bold]{person.email}[/bold] of {person.organization} ({person.remark})"]
        lines += [f"  {links[person.email]}"]
    lines += [
        "",
        "HubSpot refuses some replies of Brightline, as a mapping sends a field what it does not take: see Failures.",
        f"The CRMs, with what they contain:  {control.url}/",
        f"The database, as a DBA who reads:  psql '{cast.stage.urls['demo_dba']}'",
        f"The database, as its owner:        psql '{cast.stage.owner_url}'",
        f"Logs:                              {running.folder}",
        "",
        "[bold]Ctrl-C[/bold] ends everything.",
    ]
    for line in lines:
        console.print(line, soft_wrap=True)


def _go_on(console: Console, options: argparse.Namespace, running: Children, cast: Cast, scenario: Scenario) -> None:
    """A few replies now and then, until the time is over, if there is one; raises ChildFailedError."""
    begun = time.monotonic()
    with (
        psycopg.connect(cast.stage.owner_url, autocommit=True) as owner,
        psycopg.connect(cast.stage.urls["demo_producer"], autocommit=True) as producer,
        console.status("New replies trickle in.") as status,
    ):
        trickle = Trickle(owner, producer, scenario, Random(SEED + 1))
        drips = 0
        while options.seconds is None or time.monotonic() - begun < options.seconds:
            running.check()
            if time.monotonic() - begun >= drips * options.every:
                drips += 1
                trickle.drip(options.at_once)
                status.update(f"{trickle.replies:,} new replies so far; {options.at_once} every {options.every:g} s.")
            time.sleep(LOOK_SECONDS)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make up ARGS=…", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="of the console; 0 takes a free one (%(default)s)")
    parser.add_argument("--replies", type=int, default=120, help="that have come in before (%(default)s)")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between new replies (%(default)s)")
    parser.add_argument("--at-once", type=int, default=3, help="how many come then (%(default)s)")
    parser.add_argument("--seconds", type=float, help="end after so long, instead of with Ctrl-C")
    options = parser.parse_args(arguments)
    if not 0 <= options.port < 65_536 or options.replies < ORGANIZATIONS or options.every <= 0 or options.at_once < 1:
        parser.error(f"give a port, at least {ORGANIZATIONS} replies, and a time and a number above 0 for new ones")
    try:
        options.port = free_port(options.port)
    except OSError:
        parser.error(f'port {options.port} is taken: name another one, make up ARGS="--port 8081", or 0 for any')
    return options


if __name__ == "__main__":
    sys.exit(main())
