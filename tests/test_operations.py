"""Every command of docs/operations.md, in its order, on a database of its own with a replica.

What is not the real thing: `sudo` (we are who we are; /etc/crm-sync and what is installed are below a folder of ours),
`systemctl` (tests/systemctl.py starts and ends real daemons from the installed units' own lines), and `journalctl`, of
which only the arguments are looked at. A real systemd runs the units in tests/test_service.py. Host names become ports.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from sandbox.postgres import EmbeddedPostgres, embedded
from tests.house import House, eventually
from tests.replica import replica_of

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text()
SECTIONS = {
    heading: re.findall(r"```sh\n(.*?)```", text, re.S)
    for heading, text in re.findall(r"^##+ (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
}
LISTENING = (
    "select count(*) from pg_stat_activity "
    "where application_name = 'crm-sync' and query ilike 'listen%%' and datname = current_database()"
)
JOURNALCTL = r"""
for each; do
  case $each in
    --no-pager|-t|crm-sync|-p|warning|--since|-1h|-u|crm-sync@1|-o|cat|-n|20) ;;
    *) echo "journalctl: $each is not known here" >&2; exit 1 ;;
  esac
done
"""


class Site:
    """A machine with an operator's shell, a database `app`, and a replica of its cluster."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.tree = folder / "tree"
        self.tree.mkdir()
        self._work = folder / "work"
        self._state = folder / "environment"
        self._stack = stack
        self.primary = stack.enter_context(embedded(fast=True))
        self.replica: EmbeddedPostgres | None = None
        with psycopg.connect(self.primary.url, autocommit=True) as connection:
            connection.execute("create database app")
        self._shims = folder / "bin"
        self._shims.mkdir()
        python, tree = sys.executable, self.tree
        paths = f'"${{@//\\/etc\\/crm-sync/{tree}/etc/crm-sync}}"'
        self._script("sudo", f'[ "$1" != make ] || exec "$@" DESTDIR={tree}\nexec {paths}')
        self._script("systemctl", f'CRM_SYNC_TEST_TREE={tree} exec {python} -I {ROOT}/tests/systemctl.py "$@"')
        self._script("journalctl", JOURNALCTL)
        # -o: the tests' own environment is not renewed while they run in it
        make = shutil.which("make")
        self._script("make", f'exec {make} -s -C {ROOT} -o {sys.prefix}/bin/.sandbox VENV={sys.prefix} "$@"')
        self._script("crm-sync", f'PYTHONPATH={ROOT} exec {python} -m listener.cli "$@"')
        if shutil.which("openssl") is None:
            self._script("openssl", f"{python} -c 'import secrets; print(secrets.token_urlsafe(48))'")
        self._work.mkdir()
        self._environ = {
            "PATH": f"{self._shims}:{self.primary.binaries.bin}:{os.environ['PATH']}",
            "LD_LIBRARY_PATH": str(self.primary.binaries.lib),
            "DATABASE_URL": self.primary.url.rpartition("/")[0] + "/app",
            "PGPASSWORD": self.primary.url.split(":")[2].partition("@")[0],
            "HOME": str(folder),
        }

    def follow(self, section: str) -> str:
        """Run the section's blocks; what they said. Exports stay for the next one."""
        said = ""
        for block in SECTIONS[section]:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", f"{self._placed(block)}\nexport -p > {self._state}"],
                cwd=self._work,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=180,
            )
            assert done.returncode == 0, f"{section}:\n{block}\n{done.stdout[-1500:]}{done.stderr[-3000:]}"
            said += done.stdout
            for name, value in re.findall(r'^declare -x (DATABASE_URL)="(.*)"$', self._state.read_text(), re.M):
                self._environ[name] = value
        return said

    def house(self) -> House:
        url, password = self._environ["DATABASE_URL"], self._environ["PGPASSWORD"]
        return House(self._stack.enter_context(psycopg.connect(url, password=password, autocommit=True)))

    def add_replica(self) -> None:
        self.replica = self._stack.enter_context(replica_of(self.primary))

    def stop_daemons(self) -> None:
        running = [mark.stem for mark in (self.tree / "run").glob("*.json")]
        if running:
            subprocess.run(["systemctl", "stop", *running], env=self._environ, check=False, timeout=60)

    def told(self, unit: str) -> str:
        return (self.tree / "run" / f"{unit}.log").read_text()

    @property
    def asked(self) -> str:
        return (self.tree / "run/asked").read_text()

    def _placed(self, block: str) -> str:
        places = {"localhost/": f"127.0.0.1:{self.primary.port}/"}
        if self.replica is not None:
            places["db1.example.com"] = f"127.0.0.1:{self.primary.port}"
            places["db2.example.com"] = f"127.0.0.1:{self.replica.port}"
        for word, place in places.items():
            block = block.replace(word, place)
        return block

    def _script(self, name: str, body: str) -> None:
        (self._shims / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (self._shims / name).chmod(0o755)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        there = Site(tmp_path, stack)
        stack.callback(there.stop_daemons)
        yield there


def test_every_command_of_the_page_does_what_it_should(site: Site) -> None:
    followed = ["Install", "Several daemons on one machine", "The console", "Upgrade", "Rotate keys"]
    followed += ["Back up and restore", "Fail over", "Scale out to several hosts", "What to watch"]
    followed += ["At three in the morning", "Configuration as code", "Uninstall"]
    assert [section for section, found in SECTIONS.items() if found] == followed
    alive = "select count(*) from crm_sync.workers where is_alive and is_listening"

    assert "No CRM is connected yet." in site.follow("Install")
    house = site.house()
    assert house.value(alive) == 1
    assert "enable --now crm-sync\n" in site.asked
    site.follow("Several daemons on one machine")
    assert house.value(alive) == 2
    site.follow("The console")
    assert '"event": "console_ready"' in site.told("crm-sync-console")

    old_key = (site.tree / "etc/crm-sync/secrets/integration_encryption_key").read_text()
    house.connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [old_key.strip()])
    organization = house.organization()
    integration = house.integration(organization, status="connected")
    house.connection.execute("select crm_sync.pause(%s)", [integration])
    assert "up to date" in site.follow("Upgrade")
    assert "sealed anew: 1\n" in site.follow("Rotate keys")
    assert (site.tree / "etc/crm-sync/secrets/integration_encryption_key").read_text() != old_key
    assert not (site.tree / "etc/crm-sync/secrets/shared/integration_encryption_key_old").exists()

    assert "claimed, generation " in site.follow("Back up and restore")
    house = site.house()
    assert house.value("select current_database()") == "restored"
    assert house.value(LISTENING) == 2

    site.add_replica()
    first, second = SECTIONS["Fail over"]
    SECTIONS["Fail over"] = [first]
    site.follow("Fail over")
    workers = house.rows("select id from crm_sync.workers where is_alive order by id")
    site.primary.stop("immediate")
    eventually(lambda: "database_trouble" in site.told("crm-sync@1"), "trouble")
    SECTIONS["Fail over"] = [second]
    site.follow("Fail over")
    SECTIONS["Fail over"] = [first, second]
    house = site.house()
    eventually(
        lambda: (
            house.value(
                "select count(*) from pg_stat_activity where application_name = 'crm-sync' and query ilike 'listen%%'"
            )
            == 2
        ),
        "the daemons on the replica that was promoted",
        60,
    )
    assert set(house.rows("select id from crm_sync.workers where is_alive")) >= set(workers), "nobody was restarted"

    site.follow("Scale out to several hosts")
    assert json_lines(site.follow("What to watch")) >= 1
    said = site.follow("At three in the morning")
    assert "connections resumed: 0\n" in said, "a narrower pause still holds the only one"
    assert "nothing differs\nnothing to change\nnothing to change\n" in site.follow("Configuration as code")
    site.follow("Uninstall")
    assert house.value("select count(*) from pg_stat_activity where application_name = 'crm-sync'") == 0
    assert not (site.tree / "usr/local/lib/crm-sync").exists()
    assert (site.tree / "etc/crm-sync/secrets/integration_encryption_key").exists()


def json_lines(said: str) -> int:
    return len(re.findall(r"^\{.*\"integration_id\".*\}$", said, re.M))


def test_the_page_speaks_of_each_alert_and_of_nothing_else() -> None:
    rules = (ROOT / "deploy/prometheus/crm-sync.rules.yml").read_text()
    assert set(re.findall(r"`(CrmSync\w+)`", PAGE)) == set(re.findall(r"alert: (\w+)", rules))


def test_no_command_hides_from_the_test() -> None:
    """Shell is in blocks called sh; no other kind of block, and none that is indented, is on the page."""
    assert set(re.findall(r"^ *```(\w*)$", PAGE, re.M)) == {"sh", ""}
    assert PAGE.count("```sh") == sum(map(len, SECTIONS.values()))
