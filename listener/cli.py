"""The command `crm-sync`."""

from __future__ import annotations

from importlib import import_module

import click

from listener import __version__
from listener.command import fail
from listener.errors import EX_CONFIG

MODULES = {
    "config": "listener.configuration",
    "connect": "listener.connect",
    "console": "console.command",
    "claim-database": "listener.console",
    "demo": "listener.console",
    "disconnect": "listener.connect",
    "install-sql": "listener.console",
    "migrate": "listener.console",
    "rotate-key": "listener.keys",
    "run": "listener.run",
    "sign-in-link": "console.command",
    "status": "listener.console",
    "test-webhook": "listener.webhook",
}
"""Where each command is. Imported when it is asked for: the daemon starts without what only an operator needs."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        try:
            module = import_module(MODULES[cmd_name])
        except ModuleNotFoundError as missing:
            if not MODULES[cmd_name].startswith("console"):
                raise
            fail(f"The console is not installed ({missing.name} is missing). Run: make install", EX_CONFIG)
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="crm-sync")
def main() -> None:
    """Carries classified replies from Postgres to CRMs.

    DATABASE_URL says which database; without it, the commands that work with one use an embedded Postgres.
    """


if __name__ == "__main__":
    main()
