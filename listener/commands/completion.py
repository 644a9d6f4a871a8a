"""What the shell's Tab key is told."""

from __future__ import annotations

import threading

import click
from click.shell_completion import CompletionItem, get_completion_class

PROGRAM = "crm-sync"
VARIABLE = "_CRM_SYNC_COMPLETE"
PATIENCE_SECONDS = 0.6
CONNECTIONS = """
select i.id, p.name as provider, i.name, i.status
from public.user_integrations as i join public.integration_providers as p on p.id = i.provider_id
order by i.id limit 200
"""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that lets a shell complete commands, options and connections.

    \b
    bash: put this line into ~/.bashrc (bash 4.4 or newer)
      eval "$(crm-sync completion bash)"
    zsh: put this line into ~/.zshrc, below compinit
      eval "$(crm-sync completion zsh)"
    fish:
      crm-sync completion fish > ~/.config/fish/completions/crm-sync.fish

    Connections are completed where DATABASE_URL is set.

    Example: eval "$(crm-sync completion bash)"
    """
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    # not .source(): for bash that would start a bash to look at its version
    made = found(root, {}, PROGRAM, VARIABLE)
    click.echo(made.source_template % made.source_vars())


def connections() -> list[CompletionItem]:
    """Every connection with its CRM and name; nothing, and soon, when the database does not answer."""
    found: list[CompletionItem] = []
    # a thread can be left behind: connecting has no limit below two seconds
    thread = threading.Thread(target=_ask, args=(found,), daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return list(found)


def _ask(found: list[CompletionItem]) -> None:
    try:
        from listener.settings import database_url  # noqa: PLC0415 - reading it takes longer than all the rest
        from sql import ask  # noqa: PLC0415

        url = database_url()
        if url:
            for row in ask.rows(url, CONNECTIONS, connect_seconds=2):
                help_ = f"{row['provider']}/{row['name']} ({row['status']})"
                found.append(CompletionItem(str(row["id"]), help=help_))
    except Exception:  # noqa: BLE001, S110 - whoever presses Tab wants no words about a database
        pass
