"""The commands of an operator: questions, actions, how they refuse, and what the shell completes."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from io import StringIO
from typing import Any

import click
import psycopg
import pytest
from psycopg import conninfo
from rich.console import Console

from listener.cli import MODULES, SECTIONS, main
from tests.house import House, eventually
from tests.listener.daemons import ROOT, ask, environment
from tests.postgres import TestServer
from tests.sql.daemon import Daemon, connect, documents, failed, people

UNKNOWN = "20000000-0000-4000-8000-000000000000"
CONTACT = "0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52"
QUESTIONS = (
    *("status", "failures", "workers", "throughput", "lag", "sizes", "counters", "stuck", "oldest", "budgets"),
    *("alerts", "changes", "accounting", "errors", "manual", "diagnose"),
)


@pytest.fixture(scope="module")
def acme(postgres: TestServer, template: str) -> Iterator[str]:
    """URL of a database to be copied: connection 1 (HubSpot) with work of every kind, and what was there before it.

    Two calls' worth of rows are many: of failed ones there are 5, of waiting ones 3, of finished ones 3.
    """
    url = postgres.create_database(template)
    with connect(url) as connection:
        house = House(connection)
        daemon = Daemon(house)
        organization = house.organization()
        before = [house.contact(organization, f"before{n}@example.com") for n in range(3)]
        for contact in before:
            house.reply(organization, contact)
        house.integration(organization, name="Sales [eu]", status="connected")
        connection.execute("select crm_sync.claim_database()")
        people(house, organization, 3)
        daemon.work()
        for n in range(5):
            house.reply(organization, house.contact(organization, f"failed{n}@example.com"))
        batch = daemon.claim()
        wrong: Any = {"code": "INVALID_OPTION", "field": "lifecyclestage"}
        daemon.finish(batch, [failed(each, "rejected", "\x1b[31mno such option", **wrong) for each in documents(batch)])
        for n in range(3):
            house.reply(organization, house.contact(organization, f"waits{n}@example.com"))
        connection.execute(
            "create or replace function crm_sync.rows_at_once() returns integer language sql immutable parallel safe "
            "set search_path = '' return 2"
        )
    yield url
    postgres.drop_database(url)


@pytest.fixture
def acted(postgres: TestServer, acme: str) -> Iterator[str]:
    """URL of a copy of it, for one test that changes something."""
    url = postgres.create_database(acme)
    yield url
    postgres.drop_database(url)


@pytest.fixture
def there(acted: str) -> Iterator[House]:
    with psycopg.connect(acted, autocommit=True) as connection:
        yield House(connection)


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


COUNTS = {
    "open": "select count(*) from public.sync_queue where completed_at is null",
    "failed": "select count(*) from public.sync_queue where status = 'failed'",
    "skipped": "select count(*) from public.sync_queue where last_error like 'cancelled by %%'",
    "finished": "select count(*) from public.sync_queue where completed_at is not null",
    "first": "select count(*) from public.sync_queue where priority = 1 and completed_at is null",
    "paused": "select count(*) from crm_sync.lanes where paused_at is not null",
    "counted": "select coalesce(sum(synced), 0) from crm_sync.counters",
}


def counts(house: House) -> dict[str, int]:
    return {name: int(house.value(query)) for name, query in COUNTS.items()}


@pytest.mark.parametrize(
    ("given", "changed", "said"),
    [
        (("retry",), {"open": 8, "failed": 0, "finished": 9}, "failed rows put back: 5"),
        (
            ("retry", "1", "--cause", "INVALID_OPTION", "--since", "2h"),
            {"open": 8, "failed": 0, "finished": 9},
            "failed rows put back: 5",
        ),
        (("retry", "--cause", "nonsense"), {}, "failed rows put back: 0"),
        (
            ("cancel", "1", "--contact", "waits1@example.com", "--reason", "asked us"),
            {"open": 2, "skipped": 1, "finished": 15},
            "waiting rows given up: 1",
        ),
        (
            ("cancel", "1", "--row", "waits0@example.com", "--row", "failed0@example.com"),
            {"open": 2, "failed": 4, "skipped": 2, "finished": 15},
            "waiting rows given up: 2",
        ),
        (("cancel", "1", "--all", "--yes"), {"open": 0, "skipped": 3, "finished": 17}, "waiting rows given up: 3"),
        (("pause", "--integration", "1"), {"paused": 1}, "connections paused: 1"),
        (("pause", "--provider", "hubspot", "--reason", "maintenance"), {"paused": 1}, "connections paused: 1"),
        (("pause", "--everything", "--yes"), {"paused": 1}, "connections paused: 1"),
        (
            ("reprioritize", "1", "--contact", "waits1@example.com"),
            {"first": 1},
            "waiting rows that have priority 1 now: 1",
        ),
        (("reprioritize", "1", "--integration", "1"), {"first": 3}, "waiting rows that have priority 1 now: 3"),
        (("resync", "c1@example.com"), {"open": 4}, "rows enqueued: 1"),
        (("purge", "--older-than", "0s", "--yes"), {"failed": 0, "finished": 0}, "finished rows deleted: 14"),
        (("reset-counters", "1"), {"counted": 0}, "connections that count anew: 1"),
        (("backfill", "1"), {"open": 6}, "contacts enqueued: 3, skipped: 11"),
        (("backfill", "1", "--page", "1"), {"open": 6}, "contacts enqueued: 3, skipped: 11"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_action_is_rehearsed_and_done_until_nothing_is_left_and_says_how_much_it_did(
    acted: str, there: House, given: tuple[str, ...], changed: dict[str, int], said: str
) -> None:
    given = tuple(named(there, given, word) for word in given)
    before = counts(there)
    rehearsed = ask(environment(acted), *given, "--dry-run")
    assert (rehearsed.exit_code, "it was undone" in rehearsed.stdout) == (0, True), rehearsed.output
    assert counts(there) == before
    done = ask(environment(acted), *given)
    assert (done.exit_code, done.stdout.strip()) == (0, said), done.output
    assert counts(there) == {**before, **changed}
    (figures,) = map(json.loads, ask(environment(acted), *given, "--json").stdout.splitlines())
    assert set(figures) - {"dry_run"}


def test_what_waits_for_later_goes_now_call_by_call(acted: str, there: House) -> None:
    there.connection.execute(
        "update public.sync_queue set next_attempt_at = now() + interval '1 hour' where completed_at is null"
    )
    late = "select count(*) from public.sync_queue where next_attempt_at is not null"
    rehearsed = ask(environment(acted), "sync-now", "1", "--dry-run")
    assert rehearsed.stdout.strip() == "rows brought forward: 2 at least; it was undone, as --dry-run asks"
    assert there.value(late) == 3
    done = ask(environment(acted), "sync-now", "1", "--json")
    assert json.loads(done.stdout) == {"brought_forward": 3, "dry_run": False}
    assert there.value(late) == 0


def test_a_person_is_asked_about_and_erased_from_the_shell(acted: str, there: House) -> None:
    environ = environment(acted)
    contact = str(there.value("select id from public.contacts where email = 'failed0@example.com'"))
    assert "public.sync_queue" in ask(environ, "personal-data", contact, "--thorough").stdout
    assert ask(environ, "erase-contact", contact).exit_code == 2  # nobody who could say yes
    rehearsed = ask(environ, "erase-contact", contact, "--in-crm", "--dry-run")
    assert (rehearsed.exit_code, "it was undone" in rehearsed.stdout) == (0, True), rehearsed.output
    assert there.value("select count(*) from crm_sync.erasures") == 0
    done = ask(environ, "erase-contact", contact, "--reason", "asked us", "--yes", "--json")
    removed = {row["what"]: row["rows"] for row in map(json.loads, done.stdout.splitlines())}
    assert removed["public.sync_queue"] == 1
    (row,) = map(json.loads, ask(environ, "personal-data", contact, "--json").stdout.splitlines())
    assert row["what"] == "crm_sync.erasures"
    assert ask(environ, "lift-erasure", contact).stdout == "it may be sent again\n"
    assert ask(environ, "lift-erasure", contact).exit_code == 1
    assert ask(environ, "personal-data", UNKNOWN).exit_code == 1


def named(house: House, given: tuple[str, ...], word: str) -> str:
    """The contact or the row of an e-mail address; other words as they are."""
    if "@" not in word:
        return word
    if "--row" in given:
        query = "select q.id from sync_queue as q join contacts as c on c.id = q.contact_id where c.email = %s and q.integration_id = 1"  # noqa: E501
        return str(house.value(query, word))
    return str(house.value("select id from public.contacts where email = %s", word))


def test_what_is_paused_twice_goes_on_when_both_let_it_and_says_who_holds_it(acted: str, there: House) -> None:
    assert ask(environment(acted), "pause", "--provider", "hubspot", "--reason", "maintenance").exit_code == 0
    again = ask(environment(acted), "pause", "--provider", "hubspot")
    assert (again.exit_code, again.stdout) == (0, "connections paused: 0\n")
    assert re.search(r"paused already, by \w+ since [-\d]+ [:\d]+ UTC: maintenance\n", again.stderr)
    assert ask(environment(acted), "pause", "--everything", "--yes").exit_code == 0
    held = ask(environment(acted), "resume", "--provider", "hubspot")
    assert (held.stdout, "1 connection(s) stay paused" in held.stderr) == ("connections resumed: 0\n", True)
    assert ask(environment(acted), "resume", "--everything").stdout == "connections resumed: 1\n"
    assert counts(there)["paused"] == 0


def test_what_fails_again_meanwhile_is_not_put_back_again(acted: str, there: House) -> None:
    """A row that fails in the moment in which it is put back: that would never end."""
    there.connection.execute(
        "create function public.fail_again() returns trigger language plpgsql as $$ begin "
        "  if old.completed_at is not null and new.completed_at is null then "
        "    new.status := 'failed'; new.completed_at := clock_timestamp(); new.failure := old.failure; "
        "    new.last_error := old.last_error; "
        "  end if; return new; end $$; "
        "create trigger zz_again before update on public.sync_queue for each row execute function public.fail_again()"
    )
    done = ask(environment(acted), "retry", "1")
    assert (done.exit_code, done.stdout) == (0, "failed rows put back: 5\n")


def test_an_alert_is_acknowledged_once(acted: str, there: House) -> None:
    there.connection.execute("update public.user_integrations set status = 'error'")
    there.connection.execute("select crm_sync.check_alerts()")
    alert = next(
        row["id"]
        for row in map(json.loads, ask(environment(acted), "alerts", "--json").stdout.splitlines())
        if row["rule"] == "connection_lost"
    )
    assert ask(environment(acted), "acknowledge", str(alert), "--note", "I call them").stdout == "acknowledged\n"
    assert "somebody has acknowledged it" in ask(environment(acted), "acknowledge", str(alert)).stdout
    assert ask(environment(acted), "acknowledge", "999").exit_code == 1
    assert there.value("select note from crm_sync.alerts where id = %s", alert) == "I call them"


def test_a_code_is_looked_up(asked: str) -> None:
    done = ask(environment(asked), "errors", "invalid_option", "--provider", "hubspot")
    assert (done.exit_code, "remedy" in done.stdout, done.stdout.count("provider")) == (0, True, 1)
    assert ask(environment(asked), "errors", "INVALID_NONSENSE").exit_code == 1
    assert len(ask(environment(asked), "errors", "--json").stdout.splitlines()) >= 100


@pytest.mark.parametrize(
    "given", [("cancel", "1", "--all"), ("pause", "--everything"), ("purge", "--older-than", "90d")], ids=" ".join
)
def test_what_cannot_be_undone_needs_a_persons_yes(
    acted: str, there: House, given: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = counts(there)
    done = ask(environment(acted), *given)
    assert (done.exit_code, "give --yes" in done.stderr) == (2, True)
    monkeypatch.setattr(
        "listener.commands.options.sys", type("Sys", (), {"stdin": type("In", (), {"isatty": lambda: True})})
    )
    done = ask(environment(acted), *given)
    assert done.exit_code == 1
    assert counts(there) == before


@pytest.mark.parametrize(
    ("given", "words"),
    [("1d", "1 day"), ("36h", "1 day and 12 hours"), ("90d", "90 days"), ("26w", "182 days"), ("0s", "0 seconds")],
)
def test_a_purge_says_of_what_in_plain_words(given: str, words: str) -> None:
    done = ask(environment("postgresql://nobody@127.0.0.1:1/nothing"), "purge", "--older-than", given)
    assert done.exit_code == 2
    assert f"Finished rows that ended more than {words} ago are deleted" in done.stderr
    assert "what failed, which cannot be retried then" in done.stderr


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
def test_nonsense_is_refused_before_anything_is_asked_of_the_database(given: tuple[str, ...]) -> None:
    done = ask(environment("postgresql://nobody@127.0.0.1:1/nothing"), *given)
    assert (done.exit_code, done.stdout) == (2, "")


def test_what_the_database_refuses_is_said_with_what_to_do(acme: str) -> None:
    done = ask(environment(acme), "retry", "--cause", " ")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("crm-sync: the cause is blank\nGive a text of the error")
    for given in (("backfill", "99"), ("cancel", "99", "--all", "--yes"), ("pause", "--provider", "nonsense")):
        done = ask(environment(acme), *given)
        assert (done.exit_code, done.stderr.count("\n")) == (1, 2), done.output


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


def test_an_action_on_a_replica_says_where_to_act(acme: str) -> None:
    url = conninfo.make_conninfo(acme, options="-c default_transaction_read_only=on")
    done = ask({**environment(None), "DATABASE_URL": url}, "retry")
    assert (done.exit_code, "primary" in done.stderr) == (78, True)


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
