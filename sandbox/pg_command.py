"""`python -m sandbox.postgres`: run a command on a kept embedded Postgres, or keep one running."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from sandbox.pg_account import UntrustedCopyError
from sandbox.pg_binaries import NoPostgresError
from sandbox.pg_data import DataDirectoryError
from sandbox.postgres import EmbeddedPostgres, PostgresFailedError, embedded

USAGE = "python -m sandbox.postgres [--data-dir DIR] [-- COMMAND ARG ...]"
FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
# siginfo.si_code of a signal that the terminal sent: its whole foreground group has it already.
SI_KERNEL = 0x80


def main(arguments: list[str]) -> int:
    """The command's exit status (128 + n when signal n ended it), 1 when there is no Postgres for it."""
    ours, _, command = _split(arguments)
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.postgres",
        usage=USAGE,
        description="Runs COMMAND with DATABASE_URL set to an embedded Postgres whose data is kept, and exits with its "
        "status. Without a command: prints the URL and stays until Ctrl-C.",
    )
    parser.add_argument("--data-dir", type=Path, default=default_data_dir(), metavar="DIR", help="default: %(default)s")
    options = parser.parse_args(ours)
    try:
        with embedded(options.data_dir) as postgres:
            return run(command, postgres.url) if command else stay(postgres)
    except (DataDirectoryError, NoPostgresError, PostgresFailedError, UntrustedCopyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def default_data_dir() -> Path:
    """Where a kept cluster lives: below XDG_STATE_HOME, else the state folder of the user, /var/lib for root."""
    state = os.environ.get("XDG_STATE_HOME") or ("/var/lib" if os.geteuid() == 0 else "~/.local/state")
    return Path(state).expanduser() / "pg-crm-sync" / "postgres"


def run(command: list[str], url: str) -> int:
    """Run `command`, pass it the signals that are meant for it, and return its exit status."""
    early: list[int] = []
    # Handlers until the command is there, then the signals are waited for: only that tells who sent them. A handler,
    # unlike a blocked signal, is not inherited by the command.
    before = {number: signal.signal(number, lambda number, _: early.append(number)) for number in FORWARDED}
    try:
        child = subprocess.Popen(command, env={**os.environ, "DATABASE_URL": url})  # noqa: S603
    except OSError as error:
        print(f"error: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126
    finally:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED | {signal.SIGCHLD})
        for number, handler in before.items():
            signal.signal(number, handler)
    try:
        for missed in early:
            child.send_signal(missed)
        got: signal.struct_siginfo | None
        while child.poll() is None:
            got = signal.sigtimedwait(FORWARDED | {signal.SIGCHLD}, 1.0)
            if got is not None and got.si_signo in FORWARDED and got.si_code != SI_KERNEL:
                child.send_signal(got.si_signo)
        return child.returncode if child.returncode >= 0 else 128 - child.returncode
    finally:
        # The Ctrl-C that ended the command came to us too, and has done its work.
        while signal.sigtimedwait(FORWARDED, 0) is not None:
            continue
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def stay(postgres: EmbeddedPostgres) -> int:
    """Print the URL and wait for a signal; 1 if the server ends before."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        print(postgres.url, flush=True)
        print(
            f"PostgreSQL {postgres.binaries.version} from {postgres.binaries.source}; Ctrl-C stops it",
            file=sys.stderr,
            flush=True,
        )
        while signal.sigtimedwait(FORWARDED, 1.0) is None:
            if not postgres.running:
                print("error: the server has ended", file=sys.stderr)
                return 1
        return 0
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _split(arguments: list[str]) -> tuple[list[str], bool, list[str]]:
    if "--" not in arguments:
        return arguments, False, []
    at = arguments.index("--")
    return arguments[:at], True, arguments[at + 1 :]
