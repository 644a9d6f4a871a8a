"""The command `crm-sync`."""

from __future__ import annotations

from importlib import import_module

import click
from click.shell_completion import CompletionItem

from listener import __version__
from listener.command import fail
from listener.errors import EX_CONFIG

MODULES = {
    "accounting": "listener.questions",
    "alerts": "listener.questions",
    "backfill": "listener.repairs",
    "budgets": "listener.questions",
    "cancel": "listener.actions",
    "changes": "listener.questions",
    "claim-database": "listener.console",
    "completion": "listener.completion",
    "config": "listener.configuration",
    "connect": "listener.connect",
    "console": "console.command",
    "counters": "listener.questions",
    "demo": "listener.console",
    "diagnose": "listener.answers",
    "disconnect": "listener.connect",
    "explain": "listener.answers",
    "failures": "listener.questions",
    "install-sql": "listener.console",
    "lag": "listener.questions",
    "manual": "listener.answers",
    "migrate": "listener.console",
    "oldest": "listener.questions",
    "pause": "listener.actions",
    "plan": "listener.answers",
    "purge": "listener.repairs",
    "reprioritize": "listener.actions",
    "reset-counters": "listener.repairs",
    "resume": "listener.actions",
    "resync": "listener.repairs",
    "retry": "listener.actions",
    "rotate-key": "listener.keys",
    "run": "listener.run",
    "sign-in-link": "console.command",
    "sizes": "listener.questions",
    "status": "listener.questions",
    "stuck": "listener.questions",
    "test-webhook": "listener.webhook",
    "throughput": "listener.questions",
    "timeline": "listener.answers",
    "wait": "listener.answers",
    "workers": "listener.questions",
}
"""Where each command is. Imported when it is asked for: the daemon starts without what only an operator needs."""

SECTIONS = {
    "Run": ("run", "console", "demo"),
    "Ask": (
        *("status", "failures", "explain", "plan", "timeline", "wait", "stuck", "oldest", "lag", "throughput"),
        *("budgets", "workers", "alerts", "diagnose", "changes", "counters", "accounting", "sizes", "manual"),
    ),
    "Act": ("retry", "cancel", "pause", "resume", "reprioritize", "backfill", "resync", "purge", "reset-counters"),
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

    DATABASE_URL says which database; without it, the commands that work with one use an embedded Postgres.

    It exits with 0 when all is well, 1 when the answer is no (nothing found that should be, differences, or the
    database refuses what makes no sense), 2 for a wrong use, 69 when something cannot be reached, 78 when a person
    must change the configuration.

    Example: crm-sync status
    """


if __name__ == "__main__":
    main()
