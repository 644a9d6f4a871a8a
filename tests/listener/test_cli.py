"""The command's answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.listener.daemons import ask, daemon, environment
from tests.listener.shop import Shop
from tests.postgres import TestServer


@pytest.fixture
def empty(postgres: TestServer) -> Iterator[str]:
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


def test_status_shows_every_connection_as_a_table_and_as_json(shop: Shop, database: str) -> None:
    assert "No CRM is connected" in ask(environment(database), "status").stdout
    good, bad = shop.tenant(name="Sales"), shop.tenant(oauth=True, name="Support [eu]")
    bad.portal.revoke()
    with daemon(database):
        shop.replies(good, 3)
        shop.wait_until_settled()
        shop.replies(bad, 2)
        while shop.house.value("select count(*) from user_integrations where status = 'error'") == 0:
            assert shop.statuses(bad)["failed"] == 0
    shop.house.value("select crm_sync.pause(%s)", good.integration)
    shop.replies(good, 4)
    table = ask({**environment(database), "COLUMNS": "200"}, "status")
    assert table.exit_code == 0, table.stderr
    assert "hubspot/Sales" in table.stdout
    assert "hubspot/Support [eu]" in table.stdout
    assert "paused" in table.stdout
    lines = [json.loads(line) for line in ask(environment(database), "status", "--json").stdout.splitlines()]
    found = {line["integration_id"]: line for line in lines}
    assert found[good.integration]["state"] == "paused"
    assert found[good.integration]["waiting"] == 4
    assert found[bad.integration]["state"] == "error"
    assert found[bad.integration]["retrying"] == 2
    assert found[bad.integration]["last_error"]
    assert "sealed" not in table.stdout


def test_migrate_says_what_it_would_do_and_does_it_once(empty: str) -> None:
    environ = environment(empty)
    check = ask(environ, "migrate", "--check")
    assert check.exit_code == 1
    assert check.stdout.startswith("migrations/0001_")
    done = ask(environ, "migrate")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"applied {len(check.stdout.splitlines())} files\n"
    assert ask(environ, "migrate").stdout == "up to date\n"
    again = ask(environ, "migrate", "--check")
    assert (again.exit_code, again.stdout) == (0, "up to date\n")


def test_install_sql_makes_what_migrate_makes(empty: str, tmp_path: Path) -> None:
    script = tmp_path / "install.sql"
    assert ask(environment(None), "install-sql", str(script)).exit_code == 0
    assert ask(environment(None), "install-sql").stdout == script.read_text()
    with psycopg.connect(empty) as connection:
        connection.execute(script.read_bytes())
    assert ask(environment(empty), "migrate", "--check").stdout == "up to date\n"


@pytest.mark.parametrize(
    "command",
    [
        (),
        *((each,) for each in ("run", "status", "migrate", "install-sql", "demo", "connect", "disconnect")),
        *((each,) for each in ("claim-database", "rotate-key", "config")),
    ],
)
def test_help_has_an_example_and_needs_nothing(command: tuple[str, ...]) -> None:
    done = ask(environment(None), *command, "--help")
    assert done.exit_code == 0, done.stderr
    assert "Usage:" in done.stdout
    assert not command or "Example:" in done.stdout


def test_without_a_database_url_a_command_works_on_an_embedded_postgres_of_ones_own() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # as root, the server runs as another user
        environ = {
            name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "DATABASE_URL_FILE")
        }
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-m", "listener.cli", "status"],
                env={**environ, "XDG_STATE_HOME": folder},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert (done.returncode, done.stdout) == (0, "No CRM is connected yet.\n"), done.stderr
        assert done.stderr.splitlines() == [
            "crm-sync: DATABASE_URL is not set: this is about the embedded Postgres",
            "up to date",
        ]
