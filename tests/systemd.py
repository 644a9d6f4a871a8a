"""systemd's own programs, and a real systemd as the first process of namespaces of its own."""

from __future__ import annotations

import fcntl
import functools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.house import eventually

ROOT = Path(__file__).parent.parent
APT = (
    ("apt-get", "-o", "DPkg::Lock::Timeout=120", "update", "-qq"),
    ("apt-get", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "-qq", "--no-install-recommends", "systemd"),
)
APT_SECONDS = 180
PID1 = Path("/usr/lib/systemd/systemd")
EMPTY = (
    *("sysinit", "basic", "shutdown", "multi-user", "umount", "final", "sockets", "local-fs", "paths", "timers"),
    *("slices", "network-online", "exit"),
)
"""Targets that services name by themselves; there is nothing in them here."""

UNSHARED = ("--pid", "--mount", "--cgroup", "--ipc", "--uts")
UP = ("running", "degraded", "starting", "initializing")

BOOT = r"""
set -eu
tree=$1 store=$2
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs "$store"
for each in etc var usr/local; do
  mkdir -p "$store/$each" "$store/work/$each"
  mount -t overlay overlay -o "lowerdir=/$each,upperdir=$store/$each,workdir=$store/work/$each" "/$each"
done
mkdir -p /usr/local/lib/crm-sync /etc/crm-sync /usr/local/bin
mount --bind "$tree/usr/local/lib/crm-sync" /usr/local/lib/crm-sync
ln -sf ../lib/crm-sync/bin/crm-sync /usr/local/bin/crm-sync
mount --bind "$tree/etc/crm-sync" /etc/crm-sync
echo 00000000000000000000000000000001 > /etc/machine-id
mkdir -p /etc/systemd
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitBurst=0\n' > /etc/systemd/journald.conf
mount -t tmpfs -o mode=755 tmpfs /run
umount -R -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --make-rshared /  # of our own namespace: systemd hands credentials over through it
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=crm-sync-test \
  SYSTEMD_UNIT_PATH="$tree/units" "$3" --system --unit=test.target --log-target=journal --show-status=0
"""


class NoSystemdError(Exception):
    """It is not there, or this machine does not let us; the message says which."""


@functools.cache
def program(name: str) -> str:
    """Where one of systemd's programs is; installed as root with apt-get where it is missing."""
    if found := shutil.which(name):
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NoSystemdError(f"there is no {name}; install it (apt-get install systemd), as only root can")
    with Path(tempfile.gettempdir(), "crm-sync-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in () if shutil.which(name) else APT:
            try:
                done = subprocess.run(
                    command,
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=APT_SECONDS,
                )
            except subprocess.TimeoutExpired:
                raise NoSystemdError(f"{' '.join(command)} took longer than {APT_SECONDS} s") from None
            if done.returncode != 0:
                raise NoSystemdError(f"{' '.join(command)}: {done.stderr[-300:]}")
    found = shutil.which(name)
    if found is None:
        raise NoSystemdError(f"apt-get installed systemd, but there is no {name}")
    return found


class Machine:
    """A systemd that runs; `tree` is what `make install-service` has made, with the units below `units`."""

    def __init__(self, tree: Path, wanted: Sequence[str]) -> None:
        self.tree = tree
        self._wanted = wanted
        self._log = tree / "boot.log"
        self._unshare: subprocess.Popen[bytes] | None = None
        self._group: Path | None = None
        self._groups = tree / "cgroup2"

    def boot(self) -> None:
        """Raises NoSystemdError where this machine does not permit it."""
        if os.geteuid() != 0:
            raise NoSystemdError("only root can start a systemd in namespaces of its own")
        program("systemctl")
        self._write_units()
        self._group = self._own_group()
        store = self.tree / "store"
        store.mkdir()
        with self._log.open("wb") as log:
            self._unshare = subprocess.Popen(
                ["unshare", *UNSHARED, "--fork", "--kill-child", "sh", "-c", BOOT, "sh", self.tree, store, PID1],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=self._enter_group,  # noqa: PLW1509 - its own cgroup must be there before the namespace
            )
        deadline = time.monotonic() + 60
        while self._unshare.poll() is None and time.monotonic() < deadline:
            if self.pid is not None and self.control("is-system-running").stdout.strip() in UP:
                return
            time.sleep(0.05)
        raise NoSystemdError(f"no systemd came up in namespaces: {self._log.read_text()[-300:].strip()}")

    @property
    def pid(self) -> int | None:
        """Of the first process inside, as it is seen from outside."""
        assert self._unshare is not None
        try:
            children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def run(self, *command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def control(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", *arguments)

    def property(self, unit: str, name: str) -> str:
        return self.control("show", "--value", "-p", name, unit).stdout.strip()

    def journal(self, *arguments: str) -> str:
        return self.run("journalctl", "--no-pager", "-q", *arguments).stdout

    def halt(self) -> None:
        if self._unshare is not None:
            if self._unshare.poll() is None and (first := self.pid) is not None:
                os.kill(first, 9)  # the namespace's first process takes all others along
            try:
                self._unshare.wait(30)
            except subprocess.TimeoutExpired:
                self._unshare.kill()
                self._unshare.wait(5)
        if self._group is not None:
            for folder in sorted((p for p in self._group.rglob("*") if p.is_dir()), key=lambda p: -len(p.parts)):
                folder.rmdir()
            eventually(self._leave_group, "an empty cgroup")
            subprocess.run(["umount", "-l", str(self._groups)], check=False)

    def _leave_group(self) -> bool:
        assert self._group is not None
        try:
            self._group.rmdir()
        except OSError:
            return False
        return True

    def _write_units(self) -> None:
        units = self.tree / "units"
        shutil.copytree(self.tree / "usr/local/lib/systemd/system", units)
        for name in EMPTY:
            (units / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
        (units / "test.target").write_text(
            f"[Unit]\nDefaultDependencies=no\nWants=systemd-journald.socket {' '.join(self._wanted)}\n"
        )
        (units / "systemd-journald.socket").write_text(
            "[Unit]\nDefaultDependencies=no\n[Socket]\nListenStream=/run/systemd/journal/stdout\n"
            "ListenDatagram=/run/systemd/journal/socket\nSocketMode=0666\nPassCredentials=yes\n"
        )
        (units / "systemd-journald.service").write_text(
            "[Unit]\nDefaultDependencies=no\nRequires=systemd-journald.socket\n[Service]\nType=notify\n"
            "ExecStart=/usr/lib/systemd/systemd-journald\nStandardOutput=null\nSockets=systemd-journald.socket\n"
        )

    def _own_group(self) -> Path:
        """A cgroup for all of it: what systemd finds in its own, it takes for its own."""
        self._groups.mkdir()
        done = subprocess.run(
            ["mount", "-t", "cgroup2", "cgroup2", str(self._groups)], check=False, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise NoSystemdError(f"no cgroup can be made here: {done.stderr.strip()}")
        own = next(
            line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")
        ).lstrip("/")
        group = self._groups / own / f"crm-sync-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError as error:
            subprocess.run(["umount", "-l", str(self._groups)], check=False)
            raise NoSystemdError(f"no cgroup can be made here: {error.strerror}") from None
        return group

    def _enter_group(self) -> None:
        assert self._group is not None
        (self._group / "cgroup.procs").write_text(str(os.getpid()))


@contextmanager
def machine(tree: Path, *wanted: str) -> Iterator[Machine]:
    """A systemd that has started these units; raises NoSystemdError where there can be none."""
    running = Machine(tree, wanted)
    try:
        running.boot()
        yield running
    finally:
        running.halt()
