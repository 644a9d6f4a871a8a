"""Commands that ask: for people on a terminal, and for scripts in a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO

import click
import psycopg
import pytest
from rich.console import Console

from listener.cli import MODULES, SECTIONS, main
from tests.house import House
from tests.listener.command_scene import UNKNOWN
from tests.listener.daemons import ROOT, ask, environment

QUESTIONS = (
    *("status", "failures", "workers", "throughput", "lag", "sizes", "counters", "stuck", "oldest", "budgets"),
    *("alerts", "changes", "accounting", "errors", "manual", "diagnose"),
)


def commands() -> Iterator[tuple[str, ...]]:
    """Every command, with those of the groups."""
    for name in MODULES:
        command = main.get_command(click.Context(main), name)
        yield (name,)
        if isinstance(command, click.Group):
            yield from ((name, each) for each in command.commands)


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_every_command_shows_an_example(command: tuple[str, ...]) -> None:
    done = ask(environment(None), *command, "--help")
    assert done.exit_code == 0, done.output
    assert "Example: " in done.stdout


def test_every_command_is_in_a_section() -> None:
    assert set(MODULES) <= {name for names in SECTIONS.values() for name in names}
    said = ask(environment(None), "--help").stdout
    assert [line for line in said.splitlines() if line.endswith(":") and not line.startswith(" ")] == [
        *("Options:", *(f"{title}:" for title in SECTIONS)),
    ]


def test_the_daemon_starts_without_what_an_operator_needs() -> None:
    script = "import sys, listener.cli, listener.commands.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = set(MODULES.values()) - {"listener.commands.run"}
    assert not {*done.stdout.split()} & {"psycopg", "listener.commands.tables", "listener.commands.options", *ours}


@pytest.mark.parametrize("command", QUESTIONS)
def test_a_question_is_answered_for_people_and_as_json(asked: str, command: str) -> None:
    plain = ask(environment(asked), command)
    assert plain.exit_code in ((0, 1) if command in ("alerts", "diagnose") else (0,)), plain.output
    assert plain.stdout.strip()
    lines = ask(environment(asked), command, "--json").stdout.splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_a_pipe_gets_everything_in_one_line_without_colours_and_without_what_steers_a_terminal(asked: str) -> None:
    for environ in ({}, {"COLUMNS": "40"}, {"FORCE_COLOR": "1"}):
        said = ask({**environment(asked), **environ}, "status").stdout
        assert "hubspot/Sales [eu]" in said
        assert f"\N{REPLACEMENT CHARACTER}[31mred{'x ' * 300}end" in said
        assert "\x1b" not in said
        assert not any(line.endswith(" ") for line in said.splitlines())


def test_colours_are_for_a_terminal_that_wants_them(asked: str) -> None:
    def say(**environ: str) -> str:
        said, terminal = b"", pty.openpty()
        done = subprocess.Popen(
            [sys.executable, "-m", "listener.cli", "status"],
            cwd=ROOT,
            env={**environment(asked), "TERM": "xterm-256color", **environ},
            stdout=terminal[1],
            stderr=subprocess.DEVNULL,
        )
        os.close(terminal[1])
        with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
            while piece := os.read(terminal[0], 65536):
                said += piece
        os.close(terminal[0])
        assert done.wait(10) == 0
        return said.decode()

    said = say()
    assert "\x1b[1m" in said
    assert "hubspot/Sales [eu]" in said
    assert "\x1b[3" not in say(NO_COLOR="1")
    assert "\x1b" not in say(TERM="dumb")


@pytest.mark.parametrize("width", [100, 120])
def test_what_is_shown_fits_a_terminal_without_raw_json(acme: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[str, ...]] = [(name,) for name in QUESTIONS if name not in ("manual", "changes")]
    given += [("explain", message(acme, "failed0@example.com")), ("changes", "--limit", "3")]
    for each in given:
        shown = StringIO()
        terminal = Console(file=shown, width=width, force_terminal=True, color_system=None)
        monkeypatch.setattr("listener.commands.tables.screen", lambda _, terminal=terminal: terminal)
        assert ask(environment(acme), *each).exit_code in (0, 1)
        lines = shown.getvalue().splitlines()
        assert lines
        assert max(map(len, lines)) <= width, each
        assert not re.search(r'[{\[]"|\bNone\b|:\d\d\.\d{3,}', shown.getvalue()), each


def test_long_words_of_a_connection_are_below_its_line(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = StringIO()
    terminal = Console(file=shown, width=100, force_terminal=True, color_system=None)
    monkeypatch.setattr("listener.commands.tables.screen", lambda _: terminal)
    assert ask(environment(asked), "status").exit_code == 0
    line = next(line for line in shown.getvalue().splitlines() if line.startswith("1  hubspot/Sales [eu]"))
    assert "paused" in line
    assert "\n#1: " in shown.getvalue()


def test_only_one_connection_or_organization_is_shown_where_that_is_asked(asked: str) -> None:
    assert len(ask(environment(asked), "status", "--json", "--integration", "1").stdout.splitlines()) == 1
    assert ask(environment(asked), "alerts", "--integration", "1").stdout == "Nothing alarms.\n"


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("status", "--integration", "99"), "connection 99"),
        (("status", "--json", "--integration", "99"), "connection 99"),
        (("accounting", "--integration", "99"), "connection 99"),
        (("failures", "--organization", UNKNOWN), f"organization {UNKNOWN}"),
        (("plan", UNKNOWN, "1"), f"contact {UNKNOWN}"),
        (("plan", UNKNOWN, "99"), "connection 99"),
        (("timeline", UNKNOWN), f"contact {UNKNOWN}"),
    ],
    ids=str,
)
def test_an_id_that_nobody_knows_is_no_empty_answer(asked: str, given: tuple[str, ...], what: str) -> None:
    done = ask(environment(asked), *given)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"crm-sync: there is no {what} that you may see\n")


def test_what_is_not_of_one_organization_is_told(acted: str, there: House) -> None:
    other = there.organization("Other")
    contact = there.contact(other)
    done = ask(environment(acted), "plan", str(contact), "1")
    assert (done.exit_code, "is not of the organization of connection 1" in done.stderr) == (1, True)
    done = ask(environment(acted), "failures", "--integration", "1", "--organization", str(other))
    assert (done.exit_code, f"connection 1 is not of organization {other}" in done.stderr) == (1, True)
    assert ask(environment(acted), "timeline", str(contact)).stdout == "Nothing has happened to this contact yet.\n"
    assert ask(environment(acted), "failures", "--organization", str(other)).stdout == "Nothing fails.\n"


def test_the_manual_is_a_page_also_in_a_pipe(asked: str) -> None:
    for given in ((), ("retry*",), ("crm_sync.workers.host",)):
        done = ask(environment(asked), "manual", *given)
        assert done.exit_code == 0
        assert max(map(len, done.stdout.splitlines())) <= 120
    nothing = ask(environment(asked), "manual", "zzzz")
    assert (nothing.exit_code, nothing.stdout, "zzzz" in nothing.stderr) == (1, "", True)


def test_words_are_true_after_a_clean_stop_and_of_one_row(asked: str) -> None:
    assert ask(environment(asked), "workers").stdout.startswith("No daemon runs on this database: one that is stopped")
    assert ask(environment(asked), "sizes", "--limit", "1").stderr == "There are more than this one: see --limit.\n"
    assert ask(environment(asked), "sizes", "--limit", "2").stderr == "There are more than these 2: see --limit.\n"


def test_json_has_numbers_moments_and_seconds(asked: str) -> None:
    (row,) = map(json.loads, ask(environment(asked), "status", "--json").stdout.splitlines())
    assert isinstance(row["oldest_wait"], float)
    assert (row["waiting"], row["state"], row["last_success"]) == (1, "paused", None)


def test_a_code_is_looked_up(asked: str) -> None:
    done = ask(environment(asked), "errors", "invalid_option", "--provider", "hubspot")
    assert (done.exit_code, "remedy" in done.stdout, done.stdout.count("provider")) == (0, True, 1)
    assert ask(environment(asked), "errors", "INVALID_NONSENSE").exit_code == 1
    assert len(ask(environment(asked), "errors", "--json").stdout.splitlines()) >= 100


def test_the_message_of_nobody_is_an_answer_of_no(acme: str) -> None:
    assert ask(environment(acme), "explain", UNKNOWN).exit_code == 1
    assert ask(environment(acme), "wait", UNKNOWN).exit_code == 1
    done = ask(environment(acme), "explain", message(acme, "failed0@example.com"))
    assert done.exit_code == 0
    assert "\N{REPLACEMENT CHARACTER}[31mno such option" in done.stdout
    assert "external id" not in done.stdout  # what is empty is left out
    lines = ask(environment(acme), "explain", message(acme, "failed0@example.com"), "--json").stdout.splitlines()
    row = json.loads(lines[0])
    assert (row["state"], row["code"], row["external_id"]) == ("failed", "INVALID_OPTION", None)
    assert row["payload"]["email"] == "failed0@example.com"


def message(url: str, email: str) -> str:
    query = "select id from public.inbox_messages where contact_id = (select id from public.contacts where email = %s)"
    with psycopg.connect(url) as connection:
        row = connection.execute(query, [email]).fetchone()
    assert row is not None
    return str(row[0])


def test_waiting_says_whether_it_was_in_time(acme: str) -> None:
    assert ask(environment(acme), "wait", message(acme, "failed0@example.com"), "--timeout", "2h").exit_code == 0
    done = ask(environment(acme), "wait", message(acme, "waits0@example.com"), "--timeout", "0.2s", "--json")
    assert (done.exit_code, json.loads(done.stdout)["settled"]) == (1, False)


def test_a_finding_that_is_an_error_is_an_exit_status(acted: str, there: House) -> None:
    there.connection.execute("update public.user_integrations set status = 'error'")
    done = ask(environment(acted), "diagnose")
    assert (done.exit_code, "it waits for a person" in done.stdout) == (1, True)
    assert "Nothing." not in done.stdout
    assert "Nothing." in ask(environment(acted), "diagnose", "--all").stdout


def test_a_plan_can_be_narrowed_to_what_would_change(acme: str) -> None:
    with psycopg.connect(acme) as connection:
        row = connection.execute("select id from public.contacts where email = 'waits1@example.com'").fetchone()
    assert row is not None
    plan = [json.loads(line) for line in ask(environment(acme), "plan", str(row[0]), "1", "--json").stdout.splitlines()]
    lines = ask(environment(acme), "plan", str(row[0]), "1", "--json", "--changes").stdout.splitlines()
    assert "kept out" in {each["change"] for each in plan}
    assert {json.loads(line)["change"] for line in lines} == {"new"}
