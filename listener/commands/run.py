"""The command that is the daemon."""

from __future__ import annotations

import asyncio

import click

from listener import service
from listener.commands.base import fail, require_database
from listener.errors import Refusal
from listener.settings import Settings


@click.command()
def run() -> None:
    """Run the daemon until SIGTERM or Ctrl-C.

    Example: INTEGRATION_ENCRYPTION_KEY_FILE=/etc/crm-sync/key crm-sync run
    """
    require_database()
    try:
        asyncio.run(service.run(Settings.from_environment()))
    except Refusal as refusal:
        fail(str(refusal), refusal.exit_status)
