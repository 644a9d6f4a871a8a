"""Runs something that has processes of its own, until its end or Ctrl-C: in every case nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

import psycopg
from rich.console import Console

from sandbox.demo.children import ChildFailedError, Children, children
from sandbox.postgres import DataDirectoryError, NoPostgresError, PostgresFailedError
from sql.migrate import MigrationError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP: all end it."""


def run_to_its_end(console: Console, play: Callable[[ExitStack, Children], bool]) -> int:
    """0 when `play` says that all is well, 1 when not or when something broke (the logs stay), 130 after Ctrl-C."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # a PGOPTIONS or PGSSLMODE is not meant for a server of our own
    # SIGINT too: a script's background job inherits that it is ignored
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    with ExitStack() as stack:
        running = stack.enter_context(children())
        stack.callback(ignore_signals)
        try:
            is_well = play(stack, running)
        except KeyboardInterrupt:
            ignore_signals()
            console.print("\nInterrupted; everything is stopped.")
            shutil.rmtree(running.folder)
            return 130
        except (ChildFailedError, MigrationError, NoPostgresError, DataDirectoryError, PostgresFailedError) as error:
            console.print(f"\n{error}", style="red", markup=False, soft_wrap=True)
        except (psycopg.Error, OSError) as error:
            console.print(f"\n{type(error).__name__}: {error}", style="red", markup=False, soft_wrap=True)
        else:
            if is_well:
                shutil.rmtree(running.folder)
                return 0
        console.print(f"The logs are kept in {running.folder}")
        return 1


def ignore_signals() -> None:
    """The end has begun: a second Ctrl-C must not leave anything behind."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted
