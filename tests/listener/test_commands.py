"""The commands of an operator: questions, actions, how they refuse, and what the shell completes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import click
import psycopg
import pytest
from psycopg import conninfo

from listener.cli import MODULES, SECTIONS, main
from tests.house import House
from tests.listener import stand_ins
from tests.listener.daemons import ROOT, ask, environment
from tests.postgres import TestServer

KNOWN, UNKNOWN = "10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000"
CONTACT = "0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52"
VIEWS = (
    *("status", "failures", "workers", "throughput", "lag", "sizes", "counters", "stuck"),
    *("oldest", "budgets", "alerts", "changes", "accounting"),
)


@pytest.fixture(scope="module")
def acted(postgres: TestServer, template: str) -> Iterator[str]:
    """URL of a database with the stand-ins."""
    url = postgres.create_database(template)
    with psycopg.connect(url, autocommit=True) as connection:
        stand_ins.install(connection)
    yield url
    postgres.drop_database(url)


@pytest.fixture
def calls(acted: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(acted, autocommit=True) as connection:
        connection.execute("truncate public.calls")
        yield connection


@pytest.fixture(scope="module")
def asked(postgres: TestServer, template: str) -> Iterator[str]:
    """URL of a database with one connection, which is paused, and one row that waits."""
    url = postgres.create_database(template)
    with psycopg.connect(url, autocommit=True) as connection:
        house = House(connection)
        organization = house.organization()
        integration = house.integration(organization, name="Sales [eu]")
        house.reply(organization, house.contact(organization))
        house.connection.execute("select crm_sync.pause(%s)", [integration])
        # a CRM's words, of which anything may come
        house.connection.execute(
            "update crm_sync.lanes set last_error = %s where integration_id = %s",
            [f"\x1b[31mred{'x ' * 300}end", integration],
        )
    yield url
    postgres.drop_database(url)


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
    script = "import sys, listener.cli, listener.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = set(MODULES.values()) - {"listener.run"}
    assert not {*done.stdout.split()} & {"psycopg", "listener.tables", "listener.options", *ours}


@pytest.mark.parametrize("command", VIEWS)
def test_a_question_is_answered_for_people_and_as_json(asked: str, command: str) -> None:
    plain = ask(environment(asked), command)
    assert plain.exit_code in ((0, 1) if command == "alerts" else (0,)), plain.output
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


def test_colours_are_for_a_terminal_that_wants_them(acted: str) -> None:
    def say(**environ: str) -> str:
        said, terminal = b"", pty.openpty()
        done = subprocess.Popen(
            [sys.executable, "-m", "listener.cli", "diagnose"],
            cwd=ROOT,
            env={**environment(acted), "TERM": "xterm-256color", **environ},
            stdout=terminal[1],
            stderr=subprocess.DEVNULL,
        )
        os.close(terminal[1])
        with contextlib.suppress(OSError):  # how a terminal says that nobody is there any more
            while piece := os.read(terminal[0], 65536):
                said += piece
        os.close(terminal[0])
        assert done.wait(10) == 1
        return said.decode()

    said = say()
    assert "\x1b[1m" in said
    assert "Map it to one that it has." in said
    assert "\x1b[3" not in say(NO_COLOR="1")
    assert "\x1b" not in say(TERM="dumb")


def test_only_one_connection_or_organization_is_shown_where_that_is_asked(asked: str) -> None:
    assert len(ask(environment(asked), "status", "--json", "--integration", "1").stdout.splitlines()) == 1
    assert ask(environment(asked), "status", "--json", "--integration", "2").stdout == ""
    assert ask(environment(asked), "status", "--organization", str(uuid4())).stdout == "No CRM is connected yet.\n"


def test_json_has_numbers_moments_and_seconds(asked: str) -> None:
    (row,) = map(json.loads, ask(environment(asked), "status", "--json").stdout.splitlines())
    assert isinstance(row["oldest_wait"], float)
    assert (row["waiting"], row["state"], row["last_success"]) == (1, "paused", None)


def test_the_stand_ins_are_called_as_what_they_stand_for(acted: str, asked: str) -> None:
    def arguments(url: str) -> list[tuple[str, str]]:
        with psycopg.connect(url) as connection:
            return connection.execute(
                "select proname, pg_get_function_arguments(oid) from pg_proc "
                "where pronamespace = 'crm_sync'::regnamespace and proname = any(%s) order by 1, 2",
                [list(stand_ins.NAMES)],
            ).fetchall()

    assert arguments(acted) == arguments(asked)
    assert {name for name, _ in arguments(asked)} == {*stand_ins.NAMES}


def test_the_commands_act_on_what_is_there(house: House, database: str) -> None:
    organization = house.organization()
    integration = house.integration(organization)
    contact = house.contact(organization)
    house.contact(organization, "earlier@example.com")
    message = house.reply(organization, contact)

    def act(*words: str, exit_code: int = 0) -> dict[str, Any]:
        done = ask(environment(database), *words, "--json")
        assert done.exit_code == exit_code, done.output
        (figures,) = map(json.loads, done.stdout.splitlines())
        return {name: value for name, value in figures.items() if name not in ("dry_run", "last_contact_id")}

    def state() -> list[tuple[Any, ...]]:
        return house.rows("select status, priority from public.sync_queue where message_id = %s order by id", message)

    row = str(house.value("select id from public.sync_queue"))
    assert act("pause", "--integration", str(integration)) == {"paused": 1}
    assert house.value("select paused_at is not null from crm_sync.lanes") is True
    assert act("resume", "--integration", str(integration)) == {"resumed": 1}
    assert act("reprioritize", "9", "--row", row) == {"reprioritized": 1}
    assert state() == [("pending", 9)]
    assert act("cancel", str(integration), "--contact", str(contact), "--dry-run") == {"cancelled": 1}
    assert state() == [("pending", 9)]
    assert act("cancel", str(integration), "--contact", str(contact)) == {"cancelled": 1}
    assert state() == [("skipped", 9)]
    house.connection.execute(
        "update public.sync_queue set status = 'failed', last_error = 'no', failure = '{\"kind\": \"rejected\"}'"
    )
    assert act("retry", str(integration), "--cause", "no") == {"retried": 1}
    assert state() == [("retry", 9)]
    assert act("wait", str(message), "--timeout", "0.1s", exit_code=1)["settled"] is False
    house.connection.execute(
        "update public.sync_queue set status = 'skipped', completed_at = now() - interval '9 days'"
    )
    assert act("purge", "--older-than", "8d", "--yes") == {"purged": 1}
    assert act("resync", str(contact), "--integration", str(integration))["enqueued"] == 1
    assert act("reset-counters", str(integration)) == {"reset": 1}
    assert ask(environment(database), "explain", str(message)).exit_code == 0
    assert "firstname" in ask(environment(database), "plan", str(contact), str(integration)).stdout
    assert ask(environment(database), "diagnose").exit_code == 1  # no daemon is alive


@pytest.mark.parametrize(
    ("given", "called", "said"),
    [
        (("retry",), ("retry_failed", {}), "failed rows put back: 2,007"),
        (
            ("retry", "7", "--cause", "INVALID", "--since", "2h"),
            ("retry_failed", {"integration": 7, "cause": "INVALID", "since": "02:00:00"}),
            "failed rows put back: 2,007",
        ),
        (
            ("cancel", "7", "--contact", CONTACT, "--reason", "asked us"),
            ("cancel", {"integration": 7, "contact": CONTACT, "reason": "asked us", "all": False}),
            "waiting rows given up: 2,007",
        ),
        (
            ("cancel", "7", "--row", "1", "--row", "2"),
            ("cancel", {"integration": 7, "rows": [1, 2], "all": False}),
            "waiting rows given up: 2,007",
        ),
        (
            ("cancel", "7", "--all", "--yes"),
            ("cancel", {"integration": 7, "all": True}),
            "waiting rows given up: 2,007",
        ),
        (
            ("pause", "--integration", "7"),
            ("pause_all", {"scope": "integration", "key": "7"}),
            "connections paused: 3",
        ),
        (
            ("pause", "--provider", "hubspot", "--reason", "maintenance"),
            ("pause_all", {"scope": "provider", "key": "hubspot", "reason": "maintenance"}),
            "connections paused: 3",
        ),
        (("pause", "--everything", "--yes"), ("pause_all", {"scope": "everything"}), "connections paused: 3"),
        (
            ("resume", "--organization", CONTACT),
            ("resume_all", {"scope": "organization", "key": CONTACT}),
            "connections resumed: 3",
        ),
        (
            ("reprioritize", "1", "--contact", CONTACT),
            ("reprioritize", {"priority": 1, "contact": CONTACT}),
            "waiting rows that have priority 1 now: 2,007",
        ),
        (("resync", CONTACT), ("resync", {"contact": CONTACT}), "rows enqueued: 2"),
        (
            ("purge", "--older-than", "90d", "--yes"),
            ("purge_now", {"older_than": "90 days"}),
            "finished rows deleted: 2,007",
        ),
        (("reset-counters", "7"), ("reset_counters", {"integration": 7}), "connections that count anew: 2"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and isinstance(value[-1], str) else "",
)
def test_an_action_calls_its_function_until_nothing_is_left_and_says_how_much_it_did(
    acted: str, calls: psycopg.Connection, given: tuple[str, ...], called: tuple[str, dict[str, Any]], said: str
) -> None:
    rehearsed = ask(environment(acted), *given, "--dry-run")
    assert (rehearsed.exit_code, "it was undone" in rehearsed.stdout) == (0, True), rehearsed.output
    assert stand_ins.calls(calls) == []
    done = ask(environment(acted), *given)
    assert (done.exit_code, done.stdout.strip()) == (0, said), done.output
    again = 4 if said.endswith("2,007") else 1
    assert stand_ins.calls(calls) == [called] * again
    (figures,) = map(json.loads, ask(environment(acted), *given, "--json").stdout.splitlines())
    assert set(figures) - {"dry_run"}


def test_a_backfill_goes_on_behind_each_page(acted: str, calls: psycopg.Connection) -> None:
    done = ask(environment(acted), "backfill", "7", "--page", "100", "--filter", '{"all": []}')
    assert (done.exit_code, done.stdout) == (0, "contacts enqueued: 300, skipped: 3\n")
    pages = [arguments for _, arguments in stand_ins.calls(calls)]
    last = "00000000-0000-0000-0000-00000000000"
    assert [page.get("after") for page in pages] == [None, f"{last}1", f"{last}2"]
    assert all(page["filter"] == {"all": []} and page["limit"] == 100 for page in pages)


@pytest.mark.parametrize(
    "given", [("cancel", "7", "--all"), ("pause", "--everything"), ("purge", "--older-than", "90d")], ids=" ".join
)
def test_what_cannot_be_undone_needs_a_persons_yes(
    acted: str, calls: psycopg.Connection, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = ask(environment(acted), *given)
    assert (done.exit_code, "give --yes" in done.stderr) == (2, True)
    monkeypatch.setattr("listener.options.sys", type("Sys", (), {"stdin": type("In", (), {"isatty": lambda: True})}))
    done = ask(environment(acted), *given)
    assert done.exit_code == 1
    assert stand_ins.calls(calls) == []


@pytest.mark.parametrize(
    "given",
    [
        ("cancel", "7"),
        ("cancel", "7", "--all", "--contact", CONTACT),
        ("pause",),
        ("pause", "--everything", "--integration", "7"),
        ("resume", "--provider", "hubspot", "--organization", CONTACT),
        ("reprioritize", "1"),
        ("reprioritize", "11", "--integration", "7"),
        ("backfill", "7", "--filter", "[]"),
        ("purge", "--older-than", "soon", "--yes"),
        ("purge", "--older-than", "999999999w", "--yes"),
        ("retry", "seven"),
        ("explain", "7"),
    ],
    ids=" ".join,
)
def test_nonsense_is_refused_before_anything_is_done(
    acted: str, calls: psycopg.Connection, given: tuple[str, ...]
) -> None:
    done = ask(environment(acted), *given)
    assert (done.exit_code, done.stdout) == (2, "")
    assert stand_ins.calls(calls) == []


def test_what_the_database_refuses_is_said_with_what_to_do(acted: str) -> None:
    done = ask(environment(acted), "retry", "--cause", " ")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "crm-sync: the cause is blank\nGive a text of the error.\n"


def test_the_message_of_nobody_is_an_answer_of_no(acted: str) -> None:
    assert ask(environment(acted), "explain", UNKNOWN).exit_code == 1
    done = ask(environment(acted), "explain", KNOWN)
    assert done.exit_code == 0
    assert "It was refused: \N{REPLACEMENT CHARACTER}[31mno such option" in done.stdout
    assert "one more" not in done.stdout  # what is empty is left out
    (row,) = map(json.loads, ask(environment(acted), "explain", KNOWN, "--json").stdout.splitlines())
    assert (row["payload"], row["one_more"]) == ({"a": 1}, None)


def test_waiting_says_whether_it_was_in_time_and_asks_for_short_whiles_only(acted: str) -> None:
    assert ask(environment(acted), "wait", KNOWN, "--timeout", "2h").exit_code == 0
    done = ask(environment(acted), "wait", UNKNOWN, "--timeout", "0.2s", "--json")
    assert (done.exit_code, json.loads(done.stdout)["settled"]) == (1, False)


def test_a_finding_that_is_an_error_is_an_exit_status(acted: str) -> None:
    done = ask(environment(acted), "diagnose")
    assert (done.exit_code, "Map it to one that it has." in done.stdout) == (1, True)


def test_a_plan_can_be_narrowed_to_what_would_change(acted: str) -> None:
    assert len(ask(environment(acted), "plan", CONTACT, "1", "--json").stdout.splitlines()) == 2
    (row,) = map(json.loads, ask(environment(acted), "plan", CONTACT, "1", "--json", "--changes").stdout.splitlines())
    assert row["field"] == "phone"


def test_an_action_on_a_replica_says_where_to_act(acted: str) -> None:
    url = conninfo.make_conninfo(acted, options="-c default_transaction_read_only=on")
    done = ask({**environment(None), "DATABASE_URL": url}, "retry")
    assert (done.exit_code, "primary" in done.stderr) == (78, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shells_script_is_printed(shell: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    done = ask(environment(None), "completion", shell)
    assert (done.exit_code, "_CRM_SYNC_COMPLETE" in done.stdout, "crm-sync" in done.stdout) == (0, True, True)
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=done.stdout, text=True, check=True, timeout=10)


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
        timeout=10,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_commands_and_connections_are_completed(asked: str) -> None:
    environ = {"PATH": os.environ["PATH"]}
    assert complete(environ, "re") == ["retry", "resume", "reprioritize", "resync", "reset-counters"]
    assert complete({**environ, "DATABASE_URL": asked}, "backfill", "") == ["1"]
    assert complete(environ, "backfill", "") == []


def test_a_database_that_does_not_answer_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from listener import completion

    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@192.0.2.1:5432/nowhere")  # a net that leads nowhere
    begun = time.monotonic()
    assert completion.connections() == []
    assert time.monotonic() - begun < 1


def test_a_connection_is_completed_with_its_name(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from listener import completion

    monkeypatch.setattr(completion, "PATIENCE_SECONDS", 10.0)
    monkeypatch.setenv("DATABASE_URL", asked)
    (item,) = completion.connections()
    assert item.value == "1"
    assert str(item.help).startswith("hubspot/Sales")
