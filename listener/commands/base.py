"""What the commands share: which database, and how they end."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import click

from listener.errors import EX_CONFIG, Refusal
from listener.journal import is_journal, prefixed, visible
from listener.settings import database_url, urls_of

EX_NO_FILE = 2
NOT_A_URL = (
    "DATABASE_URL is not a connection string. Write it as postgresql://user:password@host:5432/database, with reserved "
    "characters of the password percent-encoded."
)
MIGRATED = """"$0" -m listener.cli migrate >&2 && exec "$0" -m listener.cli "$@\""""
"""The embedded database is this user's own: it is brought up to date before anything is asked of it."""


def require_database() -> str:
    """DATABASE_URL; without one the same command starts again under an embedded Postgres."""
    try:
        url = database_url()
    except Refusal as refusal:
        fail(str(refusal), refusal.exit_status)
    if url is None:
        click.echo("crm-sync: DATABASE_URL is not set: this is about the embedded Postgres", err=True)
        replace_by("sandbox.postgres", "--", "sh", "-c", MIGRATED, sys.executable, *sys.argv[1:])
    try:
        url.encode()  # bytes that are no UTF-8 come as half a letter
        for each in urls_of(url):
            _ = urlsplit(each).port  # a reserved character in the password makes a piece of it the port
    except ValueError:
        fail(NOT_A_URL, EX_CONFIG)
    return url


def replace_by(module: str, *arguments: str) -> NoReturn:
    """Become another program of ours: the daemon imports nothing of the sandbox, which need not be installed."""
    try:
        is_installed = importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        is_installed = False
    if not is_installed:
        fail("DATABASE_URL is not set, and the sandbox with its embedded Postgres is not installed.", EX_CONFIG)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - ourselves, with our own arguments


def write(path: Path, text: str) -> None:
    """Into a file that somebody named."""
    try:
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        fail(f"{path} cannot be written: {reason}", EX_NO_FILE)


def fail(message: str, status: int) -> NoReturn:
    """Say why, and end."""
    words = visible(f"crm-sync: {message}")
    if is_journal(sys.stderr):
        words = "\n".join(prefixed("error", line) for line in words.splitlines())
    click.echo(words, err=True)
    sys.exit(status)
