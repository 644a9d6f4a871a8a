"""The command `crm-sync`."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from listener import __version__
from listener.commands.base import fail
from listener.errors import EX_CONFIG

MODULES = {
    "accounting": "listener.commands.questions",
    "acknowledge": "listener.commands.actions",
    "alerts": "listener.commands.questions",
    "backfill": "listener.commands.repairs",
    "budgets": "listener.commands.questions",
    "cancel": "listener.commands.actions",
    "changes": "listener.commands.questions",
    "claim-database": "listener.commands.setup",
    "completion": "listener.commands.completion",
    "config": "listener.commands.configuration",
    "connect": "listener.commands.connect",
    "console": "console.command",
    "counters": "listener.commands.questions",
    "demo": "listener.commands.setup",
    "diagnose": "listener.commands.answers",
    "disconnect": "listener.commands.connect",
    "erase-contact": "listener.commands.privacy",
    "errors": "listener.commands.answers",
    "explain": "listener.commands.answers",
    "failures": "listener.commands.questions",
    "install-sql": "listener.commands.setup",
    "lag": "listener.commands.questions",
    "lift-erasure": "listener.commands.privacy",
    "manual": "listener.commands.answers",
    "migrate": "listener.commands.setup",
    "oldest": "listener.commands.questions",
    "pause": "listener.commands.actions",
    "personal-data": "listener.commands.privacy",
    "plan": "listener.commands.answers",
    "purge": "listener.commands.repairs",
    "reprioritize": "listener.commands.actions",
    "reset-counters": "listener.commands.repairs",
    "resume": "listener.commands.actions",
    "resync": "listener.commands.repairs",
    "retry": "listener.commands.actions",
    "rotate-key": "listener.commands.keys",
    "run": "listener.commands.run",
    "sign-in-link": "console.command",
    "sizes": "listener.commands.questions",
    "status": "listener.commands.questions",
    "stuck": "listener.commands.questions",
    "sync-now": "listener.commands.repairs",
    "test-webhook": "listener.commands.webhook",
    "throughput": "listener.commands.questions",
    "timeline": "listener.commands.answers",
    "wait": "listener.commands.answers",
    "workers": "listener.commands.questions",
}
"""Where each command is. Imported when it is asked for: the daemon starts without what only an operator needs."""

SECTIONS = {
    "Run": ("run", "console", "demo"),
    "Ask": (
        *(
            "status",
            "failures",
            "errors",
            "explain",
            "plan",
            "timeline",
            "wait",
            "stuck",
            "oldest",
            "lag",
            "throughput",
        ),
        *("budgets", "workers", "alerts", "diagnose", "changes", "counters", "accounting", "sizes", "manual"),
        "personal-data",
    ),
    "Act": (
        *("retry", "cancel", "pause", "resume", "reprioritize", "backfill", "resync", "sync-now", "acknowledge"),
        *("purge", "reset-counters", "erase-contact", "lift-erasure"),
    ),
    "Connect": ("connect", "disconnect", "sign-in-link"),
    "Set up": (*("migrate", "install-sql", "claim-database", "rotate-key", "config", "test-webhook", "completion"),),
}
"""In this order on the page of help."""
WIDEST = 110


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for names in SECTIONS.values() for name in names if name in MODULES]

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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, MODULES))
        for title, names in SECTIONS.items():
            lines = [(name.ljust(width), self._first_words(ctx, name)) for name in names if name in MODULES]
            with formatter.section(title):
                formatter.write_dl(lines)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names alone: their help would import everything there is while somebody waits."""
        names = [CompletionItem(name) for name in self.list_commands(ctx) if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)

    def _first_words(self, ctx: click.Context, name: str) -> str:
        try:
            command = self.get_command(ctx, name)
        except SystemExit:
            return "(not installed)"
        return "" if command is None else command.get_short_help_str(WIDEST)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST})
@click.version_option(__version__, prog_name="crm-sync")
def main() -> None:
    """Carries classified replies from Postgres to CRMs.

    DATABASE_URL says which database; without it, the commands that work with one use an embedded Postgres, and say so.

    It exits with 0 when all is well, 1 when the answer is no (nothing found that should be, differences, or the
    database refuses what makes no sense), 2 for a wrong use, 69 when something cannot be reached, 70 when it is a fault
    of ours, 78 when a person must change the configuration.

    Example: crm-sync status
    """


if __name__ == "__main__":
    main()
