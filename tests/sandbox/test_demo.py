"""The demo as people run it: a process of its own, with nothing left when it is over."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.house import eventually

ROOT = Path(__file__).parents[2]
SMALL = ("--replies", "60", "--organizations", "4")
SECONDS = 120.0
PROVEN = (
    "Proven: every committed reply that can be sent is in HubSpot, Salesforce and Pipedrive exactly once, "
    "with the right values"
)
ROW = re.compile(r"│ (?:contacts|companies|deals|notes|tasks|\w+–\w+) +│ +(\d+) │ +(\d+) │ +0 │ +0 │ +0 │")


def test_a_small_demo_proves_that_every_reply_arrived_once(tmp_path: Path) -> None:
    demo = run(tmp_path, *SMALL)
    assert demo.returncode == 0, demo.stdout
    assert PROVEN in " ".join(demo.stdout.split())
    for view in ("status", "contact_status", "workers", "accounting"):
        assert f"from crm_sync.{view}" in demo.stdout
    for title, kinds in (("HubSpot", 11), ("Salesforce", 10), ("Pipedrive", 10)):
        _, _, table = demo.stdout.partition(f"What the replies demand, and what {title} has")
        rows = ROW.findall(table.partition("└")[0])
        assert len(rows) == kinds
        assert all(demanded == found != "0" for demanded, found in rows), title
        assert re.search(rf"^ +{title} +\d+ +\d+ +\d+\.\d+ +0 +0 +0 *$", demo.stdout, re.MULTILINE)
    assert list(tmp_path.iterdir()) == []


def test_a_demo_of_one_crm_leaves_the_others_alone(tmp_path: Path) -> None:
    demo = run(tmp_path, *SMALL, "--crm", "Pipedrive")
    assert demo.returncode == 0, demo.stdout
    assert "4 accounts of the CRM sandbox are connected" in demo.stdout
    assert demo.stdout.count("What the replies demand") == 1


def test_a_daemon_killed_in_the_middle_leaves_nothing_missing_and_nothing_doubled(tmp_path: Path) -> None:
    demo = run(tmp_path, "--replies", "200", "--organizations", "4", "--kill-daemon", CRM_SYNC_LEASE_SECONDS="2")
    assert demo.returncode == 0, demo.stdout
    assert "was killed (SIGKILL)" in demo.stdout
    assert "Proven: every committed reply" in demo.stdout


def test_a_crm_that_loses_answers_and_fails_gets_everything_once(tmp_path: Path) -> None:
    demo = run(tmp_path, "--replies", "200", "--organizations", "4", "--faults", "--daemons", "2")
    assert demo.returncode == 0, demo.stdout
    assert "the sandbox will misbehave" in demo.stdout
    struck = re.search(r"it did (\d+) times", demo.stdout)
    assert struck is not None
    assert int(struck.group(1)) >= 20


def test_ctrl_c_ends_everything_and_leaves_nothing(tmp_path: Path) -> None:
    with kept(tmp_path) as (demo, output):
        daemon = daemon_of(output)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(timeout=15) == 130
    assert not is_alive(daemon)
    assert list(tmp_path.iterdir()) == [output]


def test_a_demo_that_is_killed_takes_its_processes_and_its_folder_along(tmp_path: Path) -> None:
    with kept(tmp_path) as (demo, output):
        daemon = daemon_of(output)
        demo.kill()
        demo.wait()
        eventually(lambda: not is_alive(daemon), "the daemon's end")
        eventually(lambda: list(tmp_path.iterdir()) == [output], "the removal of the folder")


def test_a_daemon_that_refuses_to_start_is_quoted_and_its_log_is_kept(tmp_path: Path) -> None:
    demo = run(tmp_path, *SMALL, CRM_SYNC_BATCH_SIZE="none")
    assert demo.returncode == 1
    assert "the daemon 1 ended with status" in demo.stdout
    assert "CRM_SYNC_BATCH_SIZE" in demo.stdout
    assert "The logs are kept in" in demo.stdout
    assert [path.name for folder in tmp_path.iterdir() for path in folder.glob("daemon*")] == ["daemon-1.log"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--replies", "3", "--organizations", "4"), "one reply for each organization"),
        (("--crm", "hubspot,sugar"), "there is no 'sugar', only hubspot, salesforce, pipedrive"),
    ],
)
def test_senseless_arguments_are_refused(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    demo = run(tmp_path, *arguments)
    assert demo.returncode == 2
    assert words in " ".join(demo.stderr.split())


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root has just run the whole demo as somebody else")
def test_the_demo_needs_no_root(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    python = interpreter_of(nobody)
    home = Path("/var/tmp") / f"crm-sync-demo-test-{os.getpid()}"  # nobody may not enter pytest's own folder
    home.mkdir(mode=0o700)
    try:
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        demo = subprocess.run(
            [python, "-m", "sandbox.demo", *SMALL],
            cwd=ROOT,
            env=environment(home) | {"HOME": str(home), "PYTHONPATH": os.pathsep.join(paths())},
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert demo.returncode == 0, demo.stdout + demo.stderr
        assert "Proven:" in demo.stdout
        assert list(home.iterdir()) == []
    finally:
        shutil.rmtree(home)


def run(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a demo whose temporary files go to `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox.demo", *arguments],
        cwd=ROOT,
        env=environment(folder) | settings,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@contextmanager
def kept(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A demo that has proven everything and runs on, and the file with its output."""
    output = folder / "output"
    with output.open("wb") as file:
        demo = subprocess.Popen(
            [sys.executable, "-m", "sandbox.demo", *SMALL, "--keep"],
            cwd=ROOT,
            env=environment(folder),
            stdout=file,
            stderr=file,
        )
    try:
        eventually(lambda: "until Ctrl-C" in output.read_text() or demo.poll() is not None, "the proof", SECONDS)
        assert demo.poll() is None, output.read_text()
        yield demo, output
    finally:
        if demo.poll() is None:
            demo.terminate()
        demo.wait()


def daemon_of(output: Path) -> int:
    found = re.search(r"crm-sync run, process (\d+)", output.read_text())
    assert found is not None
    return int(found.group(1))


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def environment(folder: Path) -> dict[str, str]:
    """Ours, without what other tests' servers are told."""
    kept_names = {name: value for name, value in os.environ.items() if not name.startswith(("CRM_SYNC_", "TEST_"))}
    return {**kept_names, "TMPDIR": str(folder), "PYTHONWARNINGS": "error"}


def interpreter_of(user: pwd.struct_passwd) -> str:
    """A Python of our version that this user may run: ours may lie in root's home."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        try:
            asked = subprocess.run(
                [candidate, "-c", ""], user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", check=False
            )
        except (PermissionError, FileNotFoundError):
            continue
        if asked.returncode == 0:
            return candidate
    pytest.skip(f"{user.pw_name} may run no {name} on this machine")


def paths() -> list[str]:
    """Where our interpreter finds what is installed."""
    return [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
