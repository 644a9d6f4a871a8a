"""What the Tab key of a shell is told, and how soon."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import pytest

from tests.house import eventually
from tests.listener.daemons import ROOT, ask, environment


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_script_is_printed(shell: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = ask(environment(None), "completion", shell)
    assert (done.exit_code, "_CRM_SYNC_COMPLETE" in done.stdout, "crm-sync" in done.stdout) == (0, True, True)
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=done.stdout, text=True, check=True, timeout=60)


def complete(environ: dict[str, str], *words: str) -> list[str]:
    """What bash is told for the last of the words."""
    asked = {
        "_CRM_SYNC_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("crm-sync", *words)),
        "COMP_CWORD": str(len(words)),
    }
    script = "from listener.cli import main; main(prog_name='crm-sync')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**environ, **asked},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_and_connections_are_completed(asked: str) -> None:
    environ = {"PATH": os.environ["PATH"]}
    assert complete(environ, "re") == ["retry", "resume", "reprioritize", "resync", "reset-counters"]
    # nobody waits longer than half a second for a list, and a busy machine may take that long to start
    asking = {**environ, "DATABASE_URL": asked}
    eventually(lambda: complete(asking, "backfill", "") == ["1"], "the connection")
    assert complete(environ, "backfill", "") == []


def test_a_database_that_does_not_answer_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from listener.commands import completion

    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@192.0.2.1:5432/nowhere")  # a net that leads nowhere
    begun = time.monotonic()
    assert completion.connections() == []
    assert time.monotonic() - begun < 15


def test_a_connection_is_completed_with_its_name(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from listener.commands import completion

    monkeypatch.setattr(completion, "PATIENCE_SECONDS", 10.0)
    monkeypatch.setenv("DATABASE_URL", asked)
    (item,) = completion.connections()
    assert item.value == "1"
    assert str(item.help).startswith("hubspot/Sales")
