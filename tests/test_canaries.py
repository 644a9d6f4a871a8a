"""Secrets and people turn up nowhere but where they belong, also when everything is logged that can be."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from sandbox.hubspot import HubSpot
from sandbox.postgres import EmbeddedPostgres, embedded, find_binaries
from sandbox.server import serve
from sql.migrate import migrate
from tests.canaries import Canaries, Finding
from tests.canary_run import SILENT, Leg, Run, invented
from tests.house import House
from tests.memory import SHARED, Memory
from tests.receiver import receiver

EVERYTHING: dict[str, Any] = {
    "logging_collector": True,
    "log_filename": "all.log",
    "log_rotation_size": 0,
    "log_rotation_age": 0,
    "log_statement": "all",
    "log_min_duration_statement": 0,
    "log_duration": True,
    "log_parameter_max_length": -1,
    "log_parameter_max_length_on_error": -1,
    "log_lock_waits": True,
    "log_connections": True,
    "log_error_verbosity": "verbose",
    "log_min_error_statement": "debug5",
    "log_min_messages": "debug1",
    "wal_keep_size": "2GB",
    "min_dynamic_shared_memory": "32MB",
}
EXPLAIN: dict[str, Any] = {
    "auto_explain.log_min_duration": 0,
    "auto_explain.log_nested_statements": True,
    "auto_explain.log_verbose": True,
}
PARAMETERS_SINCE = 16
"""The first version whose auto_explain writes parameters."""
GRANTS = ("log_parameter_max_length", "auto_explain.log_min_duration")


@dataclass
class Evidence:
    """What a run has left, in files of `folder`, and the cluster's own in `data`."""

    leg: Leg
    folder: Path
    data: Path
    planted: dict[str, Canaries]
    memory: Memory


def settings_of(modules: set[str]) -> dict[str, Any]:
    in_parallel = "debug_parallel_query" if find_binaries().major >= 16 else "force_parallel_mode"
    chosen = {**EVERYTHING, in_parallel: True}
    if modules:
        chosen["shared_preload_libraries"] = ",".join(sorted(modules))
    if "auto_explain" in modules:
        chosen |= EXPLAIN
        if find_binaries().major >= PARAMETERS_SINCE:
            chosen["auto_explain.log_parameter_max_length"] = -1
    return chosen


@pytest.fixture(scope="module")
def modules() -> set[str]:
    """Which of the contributed modules are there."""
    return {name for name in ("auto_explain", "pg_stat_statements") if (find_binaries().lib / f"{name}.so").exists()}


@pytest.fixture(scope="module")
def runs(modules: set[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Evidence]]:
    """Two runs on one cluster: as a superuser has migrated it, and where our sessions may not change what is logged."""
    with embedded(fast=True, **settings_of(modules)) as postgres:
        migrate(database_of(postgres, "template", options=SILENT))
        found = {
            name: run_on(postgres, name, modules, tmp_path_factory.mktemp(name), tmp_path_factory.mktemp("memory"))
            for name in ("trusted", "managed")
        }
        postgres.stop()
        yield found


def database_of(postgres: EmbeddedPostgres, name: str, template: str = "template1", options: str = "") -> str:
    """A new database's URL, as a superuser."""
    with psycopg.connect(postgres.url, options=SILENT, autocommit=True) as connection:
        connection.execute(f"create database {name} template {template} strategy file_copy".encode())
    return f"{postgres.url.rpartition('/')[0]}/{name}{'?options=' + quote(options) if options else ''}"


def run_on(postgres: EmbeddedPostgres, name: str, modules: set[str], folder: Path, looks: Path) -> Evidence:
    url = database_of(postgres, name, "template")
    said = folder / "said"
    said.mkdir()
    with ExitStack() as stack:
        superuser = stack.enter_context(psycopg.connect(url, autocommit=True, options=SILENT))
        superuser.execute("select crm_sync.claim_database()")
        if name == "managed":
            for parameter in GRANTS:
                superuser.execute(
                    f"revoke set on parameter {parameter} from crm_sync_daemon, crm_sync_console".encode()
                )
        data = Path(House(superuser).value("show data_directory"))
        memory = Memory(int((data / "postmaster.pid").read_text().partition("\n")[0]), looks)
        leg = Leg(url, said, House(superuser), memory.look)
        log = data / "log" / "all.log"
        begun = log.stat().st_size
        hubspot = HubSpot(
            limits=False, search_lag=0.0, rotate_refresh_tokens=True, client_secret=invented("client-secret")
        )
        crm, post = stack.enter_context(serve(hubspot.app)), stack.enter_context(receiver())
        Run(leg, hubspot, crm.url, post.url).go(whole=name == "trusted")
        memory.look("ended")
        planted = plant(url, said)
        if name == "managed":
            memory.look("planted")
        if "pg_stat_statements" in modules:
            superuser.execute("create extension pg_stat_statements")
            statements = leg.house.rows("select query from pg_stat_statements")
            (folder / "pg_stat_statements").write_text("\n".join(query for (query,) in statements))
        (folder / "pg_stat_activity").write_text("\n".join(leg.seen))
        (folder / "webhook").write_text("\n".join(f"{each.headers} {each.body.decode()}" for each in post.received))
        dump = [str(postgres.binaries.bin / "pg_dump"), "--file", str(folder / "dump.sql"), url]
        subprocess.run(dump, check=True, env={"PGOPTIONS": SILENT})
        superuser.execute("checkpoint")
    with log.open("rb") as file:
        file.seek(begun)
        (folder / "server.log").write_bytes(file.read())
    return Evidence(leg, folder, data, planted, memory)


def plant(url: str, said: Path) -> dict[str, Canaries]:
    """Leaks of the kinds that are looked for, each of a secret of its own, by where it must be found."""
    planted = {place: Canaries() for place in ("bound", "raised", "written", "explained", "stored", "typed")}
    texts = {place: canaries.add(place, invented(place)) for place, canaries in planted.items()}
    raises = "do $$ begin raise exception 'no' using detail = current_setting('planted.text'); end $$"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_catalog.length(%s)", [texts["bound"]])
        connection.execute("create table public.planted as select %s::text", [texts["stored"]])
        connection.execute("drop table public.planted")
    with (
        psycopg.connect(url, autocommit=True, options=f"-c planted.text={texts['raised']}") as connection,
        pytest.raises(psycopg.errors.RaiseException),
    ):
        connection.execute(raises)
    with psycopg.connect(url, autocommit=True, options="-c log_parameter_max_length=0") as connection:
        connection.execute("select pg_catalog.set_config('planted.text', %s, false)", [texts["explained"]])
    with psycopg.connect(url, autocommit=True, options=SILENT) as connection:
        connection.execute(f"select pg_catalog.length('{'x' * 600}{texts['typed']}')".encode())
    basic = base64.b64encode(f"app:{texts['written']}".encode()).decode()
    (said / "planted.out").write_text(json.dumps({"event": "asked", "authorization": f"Basic {basic}"}))
    return planted


def told(findings: list[Finding]) -> str:
    return "\n\n".join(f"{each.name} in {each.place}:\n{each.around}" for each in findings)


@pytest.mark.parametrize("name", ["trusted", "managed"])
def test_no_secret_is_anywhere_but_sealed(runs: dict[str, Evidence], name: str) -> None:
    evidence = runs[name]
    assert len(evidence.leg.secrets) > 20
    findings = evidence.leg.secrets.found_in(evidence.folder, evidence.data)
    assert not findings, told(findings)


@pytest.mark.parametrize("name", ["trusted", "managed"])
def test_when_our_processes_have_ended_no_secret_is_in_the_servers_memory(runs: dict[str, Evidence], name: str) -> None:
    evidence = runs[name]
    findings = evidence.leg.secrets.found_in(evidence.memory.of("ended"))
    assert not findings, told(findings)


def test_as_long_as_they_are_connected_secrets_are_in_the_memory_of_their_own_sessions_alone(
    runs: dict[str, Evidence],
) -> None:
    evidence = runs["trusted"]
    findings = evidence.leg.secrets.found_in(evidence.memory.of("connected"), most=1_000_000)
    places = {finding.place for finding in findings}
    assert all(place.startswith(("crm_sync_daemon_", "crm_sync_console_")) for place in places), told(findings)
    assert "encryption key" in {finding.name for finding in findings}, "a key that nobody has opens nothing"


def test_what_a_session_has_typed_stays_in_the_servers_memory_when_it_has_ended(runs: dict[str, Evidence]) -> None:
    evidence = runs["managed"]
    [finding] = evidence.planted["typed"].found_in(evidence.memory.of("planted"))
    assert finding.place.startswith(SHARED)


def test_no_log_tells_of_a_person(runs: dict[str, Evidence]) -> None:
    evidence = runs["trusted"]
    assert len(evidence.leg.people) > 50
    logs = [
        evidence.folder / name
        for name in ("server.log", "pg_stat_statements", "pg_stat_activity")
        if (evidence.folder / name).exists()
    ]
    logs += [each for run in runs.values() for each in run.leg.folder.glob("*.log")]
    findings = evidence.leg.people.found_in(*logs)
    assert not findings, told(findings)


@pytest.mark.parametrize("name", ["trusted", "managed"])
def test_no_answer_of_the_console_tells_a_secret(runs: dict[str, Evidence], name: str) -> None:
    evidence = runs[name]
    assert len(evidence.leg.answers) > 10
    known = ("state", "token that a member mistypes")  # what its own browser has sent, or must take along
    findings = [
        finding
        for path, answer in evidence.leg.answers
        for finding in evidence.leg.secrets.found_in_text(path, answer)
        if finding.name not in known
    ]
    assert not findings, told(findings)


def test_a_live_stream_tells_that_something_changed_and_nothing_of_whom(runs: dict[str, Evidence]) -> None:
    for run in runs.values():
        [heard] = [text for path, text in run.leg.answers if path == "/events"]
        assert "event: changed" in heard
        findings = [each.found_in_text("/events", heard) for each in (run.leg.secrets, run.leg.people)]
        assert findings == [[], []], heard


def test_each_command_that_was_asked_for_json_has_answered(runs: dict[str, Evidence]) -> None:
    said = [path.read_text() for path in runs["trusted"].leg.folder.glob("*.out")]
    answered = {text.partition(":")[0] for text in said if "\n{" in text}
    assert answered >= {"status", "failures", "explain", "plan", "timeline", "personal-data", "changes", "workers"}


def test_a_message_about_an_alert_tells_of_no_person(runs: dict[str, Evidence]) -> None:
    messages = runs["trusted"].folder / "webhook"
    assert "webhook.test" in messages.read_text()
    findings = runs["trusted"].leg.people.found_in(messages)
    assert not findings, told(findings)


@pytest.mark.parametrize("place", ["bound", "raised", "written", "explained", "stored"])
def test_a_leak_that_was_planted_is_found(runs: dict[str, Evidence], modules: set[str], place: str) -> None:
    if place == "explained" and "auto_explain" not in modules:
        pytest.skip("this Postgres comes without auto_explain")
    evidence = runs["managed"]
    assert evidence.planted[place].found_in(evidence.folder, evidence.data)


@pytest.mark.parametrize("module", ["auto_explain", "pg_stat_statements"])
def test_the_modules_that_tell_most_were_at_work(runs: dict[str, Evidence], modules: set[str], module: str) -> None:
    if module not in modules:
        pytest.skip(f"this Postgres comes without {module}")
    folder = runs["managed"].folder
    if module == "auto_explain":
        assert (
            "encrypt_text" in (folder / "server.log").read_text() or "Output: " in (folder / "server.log").read_text()
        )
    else:
        assert "store_credentials" in (folder / "pg_stat_statements").read_text()


def test_each_form_of_a_text_is_found_whatever_stands_around_it(tmp_path: Path) -> None:
    text = "sécret/+&'\"-0123456789"
    canaries = Canaries()
    canaries.add("it", text)
    raw, names = text.encode(), tmp_path / "x"
    forms = [raw.hex(), quote(text, safe=""), json.dumps(text), json.dumps(json.dumps(text)), text.replace("'", "''")]
    forms += [base64.b64encode(b"a" * n + raw + b"z" * m).decode() for n in range(3) for m in range(3)]
    forms += [base64.urlsafe_b64encode(b"a" * n + raw).decode() for n in range(3)]
    for form in forms:
        names.write_text(f"before{form}after")
        assert canaries.found_in(tmp_path), form
    names.write_text("something else")
    assert canaries.found_in(tmp_path) == []
