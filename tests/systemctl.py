"""Stands in for systemctl where no systemd runs: starts, ends and asks for the units of `make install-service`.

It reads the units themselves: their credentials and environment files, below the tree in CRM_SYNC_TEST_TREE. It knows
these verbs and no others, so a command that systemctl would not take is not taken here either.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

VERBS = {"daemon-reload", "enable", "disable", "start", "stop", "try-restart", "status", "is-active"}
OPTIONS = {"--now", "--no-pager"}
TREE = Path(os.environ["CRM_SYNC_TEST_TREE"])
UNITS = TREE / "usr/local/lib/systemd/system"
STATE = TREE / "run"
ROOT = Path(__file__).parent.parent
READY_SECONDS = 20.0


class Unit:
    """A service by its name; `crm-sync@2` is an instance of crm-sync@.service."""

    def __init__(self, name: str) -> None:
        self.name = name.removesuffix(".service")
        self._mark = STATE / f"{self.name}.json"
        template = re.sub("@.*", "@", self.name)
        self._text = (UNITS / f"{template}.service").read_text().replace("%i", self.name.partition("@")[2])

    def values(self, directive: str) -> list[str]:
        return re.findall(rf"^{directive}=(.*)$", self._text, re.M)

    @property
    def pid(self) -> int | None:
        try:
            pid = int(json.loads(self._mark.read_text())["pid"])
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return None
        return pid

    def launch(self) -> socket.socket:
        """Start it; what is returned hears when it is ready."""
        folder = STATE / f"credentials-{self.name}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name, _, path in (each.partition(":") for each in self.values("LoadCredential")):
            source = Path(f"{TREE}{path}")
            if source.is_dir():
                for each in source.iterdir():
                    shutil.copy(each, folder / f"{name}_{each.name}")
            else:
                shutil.copy(source, folder / name)
        environ = {"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(folder)}
        for line in self.values("Environment"):
            name, _, value = line.partition("=")
            environ[name] = value
        for path in self.values("EnvironmentFile"):
            file = Path(f"{TREE}{path.removeprefix('-')}")
            if file.exists():
                environ |= re.findall(r"^(\w+)=(.*)$", file.read_text(), re.M)
        command = self.values("ExecStart")[0].split()[1:]
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = f"\0crm-sync-{os.getpid()}-{self.name}"
        ear.bind(address)
        ear.settimeout(READY_SECONDS)
        with (STATE / f"{self.name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "listener.cli", *command],
                env={**environ, "NOTIFY_SOCKET": f"@{address[1:]}"},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._mark.write_text(json.dumps({"pid": process.pid}))
        return ear

    def forget(self) -> None:
        self._mark.unlink(missing_ok=True)


def end_all(units: list[Unit]) -> None:
    """At once, and back when all of them are gone."""
    running = [(unit, pid) for unit in units if (pid := unit.pid) is not None]
    for _, pid in running:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 60
    for unit, _ in running:
        while unit.pid is not None:
            if time.monotonic() > deadline:
                sys.exit(f"{unit.name} does not end")
            time.sleep(0.02)
        unit.forget()


def launch_all(units: list[Unit]) -> None:
    """At once, and back when all of them are ready."""
    ears = [(unit, unit.launch()) for unit in units if unit.pid is None]
    for unit, ear in ears:
        try:
            while b"READY=1" not in ear.recv(4096):
                pass
        except TimeoutError:
            sys.exit(f"{unit.name} did not become ready: {(STATE / f'{unit.name}.log').read_text()[-2000:]}")
        ear.close()


def main() -> None:
    STATE.mkdir(exist_ok=True)
    options = {each for each in sys.argv[1:] if each.startswith("-")}
    verb, *names = [each for each in sys.argv[1:] if not each.startswith("-")]
    if verb not in VERBS or options - OPTIONS:
        sys.exit(f"systemctl: {' '.join(sys.argv[1:])} is not known here")
    with (STATE / "asked").open("a") as asked:
        asked.write(" ".join(sys.argv[1:]) + "\n")
    units = [Unit(name) for name in names if not name.endswith(".target")]
    enabled = {each.stem: Unit(each.stem) for each in STATE.glob("*.enabled")}
    if "crm-sync.target" in names:
        assert (UNITS / "crm-sync.target").exists()
        units += [unit for name, unit in enabled.items() if name not in names]
    if verb in ("enable", "disable"):
        for unit in units:
            mark = STATE / f"{unit.name}.enabled"
            mark.touch() if verb == "enable" else mark.unlink(missing_ok=True)
    if verb in ("stop", "try-restart") or (verb == "disable" and "--now" in options):
        running = [unit for unit in units if unit.pid is not None]
        end_all(running)
        if verb == "try-restart":
            launch_all(running)
    if verb == "start" or (verb == "enable" and "--now" in options):
        launch_all(units)
    if verb in ("status", "is-active"):
        states = ["active" if unit.pid is not None else "inactive" for unit in units]
        print("\n".join(states))
        sys.exit(0 if set(states) == {"active"} else 3)


if __name__ == "__main__":
    main()
