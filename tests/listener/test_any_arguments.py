"""Whatever somebody types behind `crm-sync`: an exit status of those that it names, words, and never a traceback."""

from __future__ import annotations

import os
import re
from pathlib import Path
from uuid import uuid4

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from listener.cli import MODULES, main
from tests.canary_run import logging_as_before
from tests.fuzz import looking
from tests.house import House
from tests.listener.daemons import environment
from tests.sql.daemon import Daemon, documents, failed, people

STATUSES = {0, 1, 2, 69, 78}
"""All but 70, which is a fault of ours."""
INSIDES = re.compile(r"Traceback|File \"|psycopg\.|asyncpg|pydantic|XX000|invalid byte sequence|\bselect \w+\(")
STAYING = {"run", "console", "demo"}
"""They go on until a signal comes."""
NOWHERE = "00000000-0000-4000-8000-000000000000"
ODD = (
    *("", " ", "-", "--", "-1", "0", "1", "01", "+1", "1_0", "1e3", "0x1", "²", "١", "NaN", "9" * 19, "9" * 40),
    *("99999999999w", "0s", "1.5h", "-1h", "5 m", "everything", "hubspot", "HubSpot", "nobody", "*", "%", "_", "\\"),
    *("'; drop table x; --", "{}", "[]", "null", '{"a":' * 200, "\x1b[2J", "\u202e", "é" * 600, "\udcff", "𝕏", "a\nb"),
    *("{email}", "%s", "%(a)s", "$1", "::int", ".", "..", "nothing/there", NOWHERE, NOWHERE.replace("-", "")),
    *("deal_stage=x", "a=b=c", "last_contact>2020-01-01", "infinity", "-infinity", "epoch", "now", "0001-01-01"),
)


def commands() -> dict[tuple[str, ...], click.Command]:
    context = click.Context(main)
    found: dict[tuple[str, ...], click.Command] = {}
    for name in sorted(set(MODULES) - STAYING):
        command = main.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            inner = {(name, each): command.get_command(context, each) for each in command.list_commands(context)}
            found |= {names: each for names, each in inner.items() if each is not None}
        else:
            found[name,] = command
    return found


COMMANDS = commands()


@pytest.fixture
def ids(house: House) -> dict[str, str]:
    """A connection with a failure and work that waits, by what their ids are called."""
    daemon, organization = Daemon(house), house.organization()
    integration = house.integration(organization)
    people(house, organization, 3)
    batch = daemon.claim()
    daemon.finish(batch, [failed(each, "rejected", code="E") for each in documents(batch)])
    people(house, organization, 2)
    return {
        "integration": str(integration),
        "organization": str(organization),
        "contact": str(house.value("select min(id::text) from public.contacts")),
        "message": str(house.value("select min(id::text) from public.inbox_messages")),
    }


def arguments_of(data: st.DataObject, command: click.Command, ids: dict[str, str]) -> list[str]:
    """Each parameter perhaps, with its own kind of value or with anything."""
    given_options, positional = [], []
    for each in command.params:
        own = ids.get(each.name or "", ids["integration"] if each.name == "integration_id" else str(uuid4()))
        value = data.draw(st.sampled_from((own, own, *ODD)) | st.text(max_size=8).filter(lambda text: "\0" not in text))
        if isinstance(each.type, click.Path | click.File):
            value = data.draw(st.sampled_from(("-", "", ".", "nothing/there", "a\nb", "\udcff")))
        if isinstance(each, click.Option):
            if each.name == "token_stdin":
                given_options += ["--token-stdin"]  # else it waits for a browser
            elif data.draw(st.booleans()):
                given_options += [each.opts[0]] if each.is_flag else [each.opts[0], value]
        elif each.required or data.draw(st.booleans()):
            positional.append(value)
    if data.draw(st.integers(0, 9)) == 9:
        positional = positional[:-1] if data.draw(st.booleans()) else [*positional, "x"]
    if not data.draw(st.booleans()):
        return [*positional, *given_options]
    return [*given_options, *positional]


def check(arguments: list[str], environ: dict[str, str], given_text: str) -> None:
    absent = dict.fromkeys(os.environ)
    with logging_as_before():
        done = CliRunner().invoke(main, arguments, input=given_text, env={**absent, **environ})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(arguments) from done.exception
    said = done.stdout + done.stderr
    assert done.exit_code in STATUSES, (arguments, done.exit_code, said)
    assert done.exit_code == 0 or said.strip(), (arguments, "says nothing")
    assert INSIDES.search(done.stderr) is None, (arguments, said)


@given(data=st.data())
@looking(70)
def test_no_command_ends_in_a_traceback_or_without_words(
    ids: dict[str, str], database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    names = data.draw(st.sampled_from(sorted(COMMANDS)))
    arguments = [*names, *arguments_of(data, COMMANDS[names], ids)]
    if names == ("wait",):
        arguments = [*arguments, "--timeout", "0s"]
    given_text = data.draw(
        st.sampled_from(("", "\0", "token", "y\n", "a: 1\n", "version: 1\norganizations: [1]\n", "{"))
    )
    environ = environment(database, HOME=str(tmp_path), CRM_SYNC_JWT_SECRET="s" * 64, CRM_SYNC_PUBLIC_URL="http://x")
    check(arguments, environ, given_text)


VALUES = st.sampled_from(
    (
        *(
            "",
            " ",
            "0",
            "-1",
            "x",
            "1e3",
            "99999999999",
            "true",
            "[::1]:80",
            ":0",
            "http://",
            "https://[",
            "ftp://a",
            "é",
        ),
        *(
            "postgresql://",
            "postgresql://u:p@[/d",
            "postgresql://u:p@h:99999/d",
            "postgresql://127.0.0.1:1/d?x=1",
            "mysql:x",
        ),
        *("whsec_", "whsec_" + "A" * 44, "k" * 31, "k" * 64, "\udcff", "%00", "/nothing/there", "a b", "None", "nan"),
    )
)
NAMES = (
    *(
        "DATABASE_URL",
        "INTEGRATION_ENCRYPTION_KEY",
        "INTEGRATION_ENCRYPTION_KEY_OLD",
        "INTEGRATION_ENCRYPTION_KEY_FILE",
    ),
    *("CRM_SYNC_WEBHOOK_URL", "CRM_SYNC_WEBHOOK_SECRET", "CRM_SYNC_PUBLIC_URL", "CRM_SYNC_POLL_SECONDS", "COLUMNS"),
    *(
        "CRM_SYNC_LOG_LEVEL",
        "CRM_SYNC_BATCH_SIZE",
        "CRM_SYNC_CONCURRENCY",
        "CRM_SYNC_METRICS_LISTEN",
        "CRM_SYNC_JWT_SECRET",
    ),
    *("HUBSPOT_CLIENT_ID", "HUBSPOT_CLIENT_SECRET", "CRM_SYNC_CONNECT_TIMEOUT_SECONDS", "CRM_SYNC_JWKS_URL"),
)


@given(
    command=st.sampled_from(("status", "rotate-key", "test-webhook", "sign-in-link --user x", "diagnose")),
    changes=st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3),
)
@looking(40)
def test_no_environment_makes_a_traceback(database: str, command: str, changes: dict[str, str]) -> None:
    environ = {**environment(database), "CRM_SYNC_CONNECT_TIMEOUT_SECONDS": "0.2", **changes}
    environ["DATABASE_URL"] = environ["DATABASE_URL"].strip() or database  # else it starts one of its own
    check(command.split(), environ, "")


@pytest.mark.parametrize("command", [("install-sql",), ("config", "export", "--output")])
def test_a_file_that_cannot_be_written_is_named(database: str, command: tuple[str, ...]) -> None:
    check([*command, "nothing/there"], environment(database), "")
