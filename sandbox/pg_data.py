"""The folders of an embedded Postgres: what is kept between two runs, who may use it, and what goes when the run ends.

A kept folder, which belongs to its owner and never to the server's user, so that nothing can be planted in it:

    DIR/lock         flock, held by the owner and by every server process; names the owner's process id
    DIR/password     the superuser's password, 0600
    DIR/server.log   of this run; server.log.1 is the run before
    DIR/pgdata/      the cluster, owned by the server's user

The run folder is short (a socket's path may have 107 bytes), 0700, belongs to the server's user and ends with the run.
A temporary cluster has everything in there.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from sandbox.pg_account import Account

SOCKET_PATH_LIMIT = 107
# A server whose owner died is gone within a second; its processes keep the lock until then.
DYING_SECONDS = 5.0
MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp makes it private
MEMORY_BYTES = 1 << 30


class DataDirectoryError(RuntimeError):
    """The data directory cannot be used: taken by another owner, out of reach, of another version, or incomplete."""


class RunFolder:
    """A fresh short folder for the socket, and for a temporary cluster; `remove` it at the end.

    `in_memory`: where the machine has memory to spare and nobody has set TMPDIR, the folder is no disk's. A copied
    database is hundreds of files, and making and removing so many takes some file systems ten times as long.
    """

    def __init__(self, account: Account, *, in_memory: bool = False) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="pgcs-", dir=_run_base(account, in_memory)))

    def write_password(self, password: str, account: Account) -> Path:
        path = self.path / "password"
        _write_private(path, password)
        account.own(path)
        return path

    def make_folder(self, name: str, account: Account) -> Path:
        folder = self.path / name
        folder.mkdir(mode=0o700)
        account.own(folder)
        return folder

    def open_log(self) -> int:
        return _open_log(self.path / "server.log")

    def hand_over(self, account: Account) -> None:
        """Give the folder itself to the server's user: the last step, as from then on that user may change it."""
        account.own(self.path)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)


class DataFolder:
    """A kept data directory, locked for this process until `close`.

    Raises DataDirectoryError if another process uses it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cluster = path / "pgdata"
        self._password = path / "password"
        try:
            _make_folder(path)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DataDirectoryError(f"{path} cannot be used: {error}") from error
        # The server's processes inherit it through a shell that uses the low descriptors itself.
        self.lock = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, 20)
        os.close(lock)
        try:
            self._acquire()
        except BaseException:
            os.close(self.lock)
            raise

    def _acquire(self) -> None:
        deadline = time.monotonic() + DYING_SECONDS
        while True:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                owner = os.pread(self.lock, 20, 0).decode().strip()
                if (owner and _is_alive(int(owner))) or time.monotonic() > deadline:
                    whose = f"process {owner}" if owner else "another process"
                    raise DataDirectoryError(
                        f"{self.path} is in use by {whose}: one Postgres has one owner. "
                        "End that one, or choose another folder."
                    ) from None
                time.sleep(0.05)
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        # Unnamed, the lock is waited for: a process of the server that has not ended yet may still hold it.
        os.ftruncate(self.lock, 0)
        os.close(self.lock)

    @property
    def exists(self) -> bool:
        return self.cluster.exists()

    @property
    def major(self) -> int:
        return int((self.cluster / "PG_VERSION").read_text())

    def open_log(self) -> int:
        log = self.path / "server.log"
        if log.exists():
            log.replace(self.path / "server.log.1")
        return _open_log(log)

    def let_in(self, account: Account) -> None:
        """Let the server's user pass to the cluster, or say which folder is closed to it."""
        self.path.chmod(0o711 if account.switch else 0o700)
        for folder in (*reversed(self.path.parents), self.path):
            if not account.can('cd "$1"', folder):
                raise DataDirectoryError(
                    f"{self.path} cannot hold the data: user {account.name}, who runs the server, may not enter "
                    f"{folder}. Choose a folder below /var/lib or /var/tmp."
                )

    def remake(self, name: str, account: Account) -> Path:
        """An empty folder of the server's user, without what an interrupted run left there."""
        path = self.path / name
        if path.exists():
            shutil.rmtree(path)
        path.mkdir(mode=0o700)
        account.own(path)
        return path

    def password(self) -> str:
        """The kept password; a new one, kept from now on, if there is no cluster yet."""
        if not self.exists:
            self._password.unlink(missing_ok=True)
            _write_private(self._password, new_password())
        try:
            return self._password.read_text().strip()
        except FileNotFoundError:
            raise DataDirectoryError(
                f"{self.cluster} is there, but the password in {self._password} is gone: put it back, or move "
                f"{self.path} away"
            ) from None

    def drop_stale_pid(self) -> None:
        """Remove the postmaster.pid of a crash, which stops a start if its process id is somebody else's by now.

        We hold the lock, so no server of ours runs; one started by hand has the cluster as its working directory.
        """
        pid_file = self.cluster / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().split("\n", maxsplit=1)[0])
        try:
            runs = Path(f"/proc/{pid}/cwd").samefile(self.cluster)
        except (FileNotFoundError, PermissionError):
            # Nobody, or another user's process, which cannot be the server of a cluster it does not own.
            runs = False
        if runs:
            raise DataDirectoryError(f"a Postgres that was started by hand runs on {self.cluster}: process {pid}")
        pid_file.unlink()


def _make_folder(path: Path) -> None:
    """Make `path`, or take it if it is ours: its mode will be changed, which must not happen to somebody's /srv."""
    if path.exists():
        if path.stat().st_uid != os.geteuid():
            raise DataDirectoryError(f"{path} belongs to user {path.stat().st_uid}, not to user {os.geteuid()}")
        if not (path / "lock").exists() and any(path.iterdir()):
            raise DataDirectoryError(f"{path} holds something else: name a folder that is empty or does not exist yet")
        return
    if not path.parent.exists():
        path.parent.mkdir(parents=True)
        if os.geteuid() == 0:
            # Whatever root's umask says, the server's user passes through here.
            path.parent.chmod(0o755)
    path.mkdir(mode=0o700)


def new_password() -> str:
    """Letters and digits only, so that it stands in a URL as it is."""
    return secrets.token_hex(20)


def _run_base(account: Account, in_memory: bool) -> str:
    """Where the run folder goes: a folder for temporary files that the server's user may use, and short enough."""
    memory = (MEMORY,) if in_memory and _has_memory_to_spare() else ()
    places = (*memory, tempfile.gettempdir(), "/tmp", "/var/tmp")  # noqa: S108 - mkdtemp makes it private
    for base in dict.fromkeys(map(str, places)):
        short = len(os.fsencode(base)) + len("/pgcs-12345678/.s.PGSQL.12345") <= SOCKET_PATH_LIMIT
        if short and account.can('test -w "$1" && cd "$1"', base):
            return base
    raise DataDirectoryError(
        f"no folder for temporary files is short enough and open to user {account.name}: set TMPDIR"
    )


def _has_memory_to_spare() -> bool:
    """Whether MEMORY is there, and holds a few clusters without taking more than a quarter of what is free."""
    if "TMPDIR" in os.environ:
        return False
    try:
        place = os.statvfs(MEMORY)
        found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        return False
    free = int(found[1]) * 1024 if found else 0
    return place.f_bavail * place.f_frsize >= MEMORY_BYTES and free >= 4 * MEMORY_BYTES


def _open_log(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _write_private(path: Path, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
