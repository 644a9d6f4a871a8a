"""README.md and docs/ say what is true: their commands and statements are executed, their tables compared."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from console.settings import VARIABLES as CONSOLE_VARIABLES
from listener.settings import PROVIDERS, VARIABLES, Settings
from tests.house import House

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
TOP = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
PAGES = sorted([*(ROOT / name for name in TOP), *(ROOT / "docs").glob("*.md")])


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.S)


def run(command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **environ},
        text=True,
        capture_output=True,
        timeout=900,
        check=False,
    )


def test_the_first_command_shows_and_proves_the_whole_way() -> None:
    assert blocks("sh")[0] == "make demo\n"
    done = run("make demo", VENV=sys.prefix)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_second_command_runs_the_tests() -> None:
    assert blocks("sh")[1] == "make test\n"
    done = run("make test", VENV=sys.prefix, ARGS="--collect-only -q tests/test_docs.py")
    assert done.returncode == 0, done.stderr
    assert "tests/test_docs.py" in done.stdout


def test_the_statements_of_a_service_do_what_is_said(house: House) -> None:
    insert, connect = blocks("sql")[:2]
    organization = UUID("0c6ffa1f-6e9c-4c0d-9a3b-0e8f1c7a4b52")
    message = UUID("5f0e5dd5-94d1-4a5c-8b8f-6c1f6d8a2a11")
    house.connection.execute("insert into public.organizations (id, name) values (%s, 'Acme')", [organization])
    house.connection.execute(
        "insert into public.inbox_messages (id, organization_id, contact_id, subject) values (%s, %s, %s, 'Re: hi')",
        [message, organization, house.contact(organization)],
    )
    house.connection.execute(connect.encode())
    with house.as_role("crm_sync_producer"):
        house.connection.execute(insert.encode())
    assert house.rows("select status, queue_type, message_id from public.sync_queue") == [
        ("pending", "contact_sync", message)
    ]


def test_the_statements_for_operators_are_valid(house: House) -> None:
    organization = house.organization()
    integration = house.integration(organization)
    contact = house.contact(organization)
    for shown in re.findall(r"`(?:select )?(crm_sync\.\w+\(.*?\))`", README):
        call = shown.replace("(1)", f"({integration})").replace("organization, array[contact]", "%(o)s, array[%(c)s]")
        house.connection.execute(f"select {call}".encode(), {"o": organization, "c": contact})


def test_the_commands_for_systemd_put_everything_in_its_place(database: str, tmp_path: Path) -> None:
    install = next(block for block in blocks("sh") if "systemctl" in block)
    shims = tmp_path / "bin"
    shims.mkdir()
    # sudo puts what belongs into /etc below our folder, what make installs is tried by test_operations; systemctl tells
    # what it was asked
    _script(shims / "sudo", f'[ "$1" != make ] || exec "$@" -n\nexec "${{@//\\/etc\\//{tmp_path}/etc/}}"')
    _script(shims / "systemctl", f'echo "$@" >>{tmp_path}/systemctl')
    if shutil.which("openssl") is None:
        _script(shims / "openssl", f"{sys.executable} -c 'import secrets; print(secrets.token_urlsafe(48))'")
    secrets = tmp_path / "etc" / "crm-sync" / "secrets"
    secrets.mkdir(parents=True)
    path = f"{shims}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = run("crm-sync migrate\n" + install, PATH=path, DATABASE_URL=database, VENV=sys.prefix)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "deploy/install.py" in done.stdout
    key = secrets / "integration_encryption_key"
    assert len(key.read_text().strip()) >= 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (secrets / "database_url").read_text().startswith("postgresql://")
    assert (tmp_path / "systemctl").read_text() == "daemon-reload\nenable --now crm-sync\n"


def test_the_roles_of_the_readme_can_be_made(house: House) -> None:
    roles = next(block for block in blocks("sql") if "create role" in block)
    with house.connection.transaction(force_rollback=True):
        house.connection.execute(roles.encode())
        assert house.value("select pg_has_role('crm_sync_service', 'crm_sync_daemon', 'member')")
        assert house.value("select pg_has_role('classifier', 'crm_sync_producer', 'member')")


def test_the_configuration_table_names_every_variable_with_its_default() -> None:
    rows = dict(re.findall(r"^\| (`[A-Z_`, ]+`) \| (.+?) \|", README, re.M))
    documented = {name for names in rows for name in re.findall(r"[A-Z_]+", names)}
    apps = {
        f"{provider.upper()}_{part}"
        for provider in PROVIDERS
        for part in ("CLIENT_ID", "CLIENT_SECRET", "REDIRECT_URI")
    }
    assert documented == set(VARIABLES.values()) | set(CONSOLE_VARIABLES.values()) | apps
    for field, name in VARIABLES.items():
        default = Settings.model_fields[field].default
        if isinstance(default, SecretStr):
            default = "none"
        if Settings.model_fields[field].is_required():
            continue
        shown = rows[f"`{name}`"].strip("`")
        if default is None:
            assert shown.startswith("none: ")
            continue
        assert shown == (
            str(default).lower()
            if isinstance(default, bool)
            else f"{default:g}"
            if isinstance(default, float)
            else str(default)
        )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["SECURITY.md", "docs/reliability.md"])
def test_promises_name_tests_that_are_there(page: str) -> None:
    named = set(re.findall(r"`(tests/[a-z_/]+\.py)`", (ROOT / page).read_text()))
    assert len(named) > 15
    assert [name for name in named if not re.search("^ *(?:async )?def test_", (ROOT / name).read_text(), re.M)] == []


@pytest.mark.parametrize(
    "verb",
    [
        "install",
        "install-service",
        "uninstall-service",
        "deb",
        "demo",
        "up",
        "run",
        "migrate",
        "test",
        "check",
        "audit",
        "sbom",
        "bench",
        "docs",
        "screenshots",
    ],
)
def test_make_help_lists_the_verb(verb: str) -> None:
    assert re.search(rf"^  make {verb} ", run("make help").stdout, re.M)


def _script(path: Path, body: str) -> None:
    path.write_text(f"#!/usr/bin/env bash\n{body}\n")
    path.chmod(0o755)


def test_make_check_finds_nothing() -> None:
    done = run("make check", VENV=sys.prefix)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
