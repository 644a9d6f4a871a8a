"""crm-sync config: export, diff, apply; what they say and exit with."""

from __future__ import annotations

import json
from pathlib import Path

import psycopg
import pytest

from tests.house import House
from tests.listener.daemons import ask, environment


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "crm.yaml"


def test_from_a_file_and_back_again(house: House, database: str, file: Path) -> None:
    organization = house.organization("Acme")
    house.integration(organization)
    environ = environment(database)
    assert ask(environ, "config", "export", "--output", str(file)).exit_code == 0
    text = file.read_text()
    assert ask(environ, "config", "export").stdout == text
    assert f"  # Acme\n  {organization}:\n" in text
    alike = ask(environ, "config", "diff", str(file))
    assert (alike.exit_code, alike.stdout) == (0, "nothing differs\n")
    assert ask(environ, "config", "diff", str(file), "--json").stdout == ""

    file.write_text(text.replace("realtime\n", "hourly\n        sync_settings:\n          deal_amount: 0.10\n"))
    path = f"organizations.{organization}.connections.hubspot/default"
    differs = ask(environ, "config", "diff", str(file))
    assert differs.exit_code == 1
    assert (
        differs.stdout
        == f'{path}.sync_frequency: "realtime" → "hourly"\n{path}.sync_settings.deal_amount: 1000 → 0.10\n'
    )
    lines = ask(environ, "config", "diff", str(file), "--json").stdout.splitlines()
    assert json.loads(lines[1]) == {"path": f"{path}.sync_settings.deal_amount", "before": 1000, "after": 0.1}
    tried = ask(environ, "config", "apply", str(file), "--dry-run")
    assert (tried.exit_code, tried.stdout) == (0, differs.stdout + "2 settings would change\n")
    assert house.value("select sync_frequency from user_integrations") == "realtime"
    done = ask(environ, "config", "apply", str(file))
    assert (done.exit_code, done.stdout) == (0, differs.stdout + "2 settings changed\n")
    assert house.value("select sync_frequency from user_integrations") == "hourly"
    again = ask(environ, "config", "apply", str(file))
    assert (again.exit_code, again.stdout) == (0, "nothing to change\n")
    assert house.rows("select application_name from crm_sync.changes order by id desc limit 1") == [
        ("crm-sync config",)
    ]

    assert ask(environ, "config", "export", "--organization", str(organization), "--output", str(file)).exit_code == 0
    assert "intent_rules" not in file.read_text()
    file.write_text(file.read_text().replace("deal_amount: 0.10", "deal_stage: closedwon"))
    done = ask(environ, "config", "apply", str(file), "--prune", "--json")
    assert [json.loads(line)["path"].rpartition(".")[2] for line in done.stdout.splitlines()] == [
        "deal_amount", "deal_stage",
    ]  # fmt: skip
    unknown = ask(environ, "config", "export", "--organization", "7f0c6f0e-0d3b-4a5c-9a57-0c6ffa1f6e9c")
    assert (unknown.exit_code, "there is no organization" in unknown.stderr) == (1, True)


def test_trouble_is_told_with_its_path_and_exits_as_other_commands_do(house: House, database: str, file: Path) -> None:
    organization = house.organization()
    house.integration(organization)
    before = house.value("select max(id) from crm_sync.changes")
    head = f"version: 1\norganizations:\n  {organization}:\n    connections:\n      "
    for text, words, status in (
        (
            head + "hubspot/default: {sync_settings: {deal_amount: no}}",
            "sync_settings: deal_amount must be a number",
            1,
        ),
        (head + "hubspot/default: {credentials: s3cret}", "credentials: secrets have no place here", 78),
        (
            head + "pipedrive/default: {}",
            f"Connect it first: crm-sync connect pipedrive --organization {organization}",
            1,
        ),
        ("version: 1\nversion: 1", "line 2: found duplicate key", 78),
    ):
        file.write_text(text)
        done = ask(environment(database), "config", "apply", str(file))
        assert done.exit_code == status, words
        assert words in done.stderr
        assert "s3cret" not in done.stderr
    assert ask(environment(database), "config", "diff", str(file)).exit_code == 78
    assert ask(environment(database), "config", "diff", str(file) + "-not").exit_code == 2
    file.write_bytes(b"version: \xff")
    assert "not UTF-8" in ask(environment(database), "config", "diff", str(file)).stderr
    file.write_text("version: 1")
    nowhere = ask(environment("postgresql://nobody@127.0.0.1:1/nothing"), "config", "diff", str(file))
    assert (nowhere.exit_code, "cannot be reached" in nowhere.stderr) == (69, True)
    assert house.value("select max(id) from crm_sync.changes") == before


def test_a_reader_exports_and_compares_and_is_told_what_it_lacks_to_apply(
    house: House, database: str, file: Path
) -> None:
    house.integration(house.organization())
    name = f"look_{house.value('select pg_backend_pid()')}"
    try:
        house.connection.execute(f"create role {name} login noinherit password 'look' in role crm_sync_reader".encode())
        reader = environment(psycopg.conninfo.make_conninfo(database, user=name, password="look"))
        assert ask(reader, "config", "export", "--output", str(file)).exit_code == 0
        assert ask(reader, "config", "diff", str(file)).exit_code == 0
        refused = ask(reader, "config", "apply", str(file))
        assert refused.exit_code == 78
        assert f"{name} may not change settings. It needs: grant crm_sync_owner to {name}" in refused.stderr
        house.connection.execute(f"grant crm_sync_owner to {name}".encode())
        file.write_text("version: 1\nconfig: {batches_in_flight: 3}")
        assert ask(reader, "config", "apply", str(file)).stdout.endswith("1 setting changed\n")
        assert house.rows("select changed_by, login from crm_sync.changes order by id desc limit 1") == [
            ("crm_sync_owner", name)
        ]
    finally:
        house.connection.execute(f"drop role if exists {name}".encode())


@pytest.mark.parametrize("command", ["export", "diff", "apply"])
def test_help_has_an_example_and_needs_nothing(command: str) -> None:
    done = ask(environment(None), "config", command, "--help")
    assert done.exit_code == 0
    assert "Example: crm-sync config" in done.stdout
