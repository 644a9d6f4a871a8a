"""Which system user runs the embedded Postgres, and how the programs get to where that user can read them.

Postgres refuses to run as root. A root owner (a container, a CI job) therefore hands it to `postgres` or `nobody`,
who usually cannot look into root's folders: the installation is then copied, once, to a folder that everybody can read.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.pg_binaries import Binaries, NoPostgresError, check_binaries

CACHE = Path("/var/tmp")  # noqa: S108 - what is found there is trusted only after its owner was checked


class UntrustedCopyError(RuntimeError):
    """A folder lies where the copy of the programs belongs, and it is not ours."""


@dataclass(frozen=True)
class Account:
    """A system user to run the server as; `switch` is False when that is who we are already."""

    name: str
    uid: int
    gid: int
    switch: bool

    @classmethod
    def choose(cls, data: Path | None = None) -> Account:
        """Ourselves; as root the owner of `data` if it exists, else `postgres`, else `nobody`."""
        if os.geteuid() != 0:
            return cls(str(os.geteuid()), os.geteuid(), os.getegid(), switch=False)
        if data is not None and data.exists() and data.stat().st_uid != 0:
            owner = data.stat()
            return cls(str(owner.st_uid), owner.st_uid, owner.st_gid, switch=True)
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(name, entry.pw_uid, entry.pw_gid, switch=True)
        raise RuntimeError("Postgres does not run as root, and this system has neither a user postgres nor nobody")

    def popen(
        self, argv: list[str], stdin: int, output: int, pass_fds: tuple[int, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start `argv` as this user, in a session of its own, with no privilege and no setting of ours left."""
        return subprocess.Popen(  # noqa: S603
            argv,
            stdin=stdin,
            stdout=output,
            stderr=output,
            cwd="/",
            env=server_environment(),
            start_new_session=True,
            pass_fds=pass_fds,
            umask=0o077,
            user=self.uid if self.switch else None,
            group=self.gid if self.switch else None,
            extra_groups=[] if self.switch else None,
        )

    def can(self, test: str, *arguments: str | Path) -> bool:
        """Whether the shell condition `test` holds for this user: the kernel is asked, so that ACLs count too."""
        shell = self.popen(["/bin/sh", "-c", test, "sh", *map(str, arguments)], subprocess.DEVNULL, subprocess.DEVNULL)
        return shell.wait(timeout=20) == 0

    def own(self, path: Path) -> None:
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def server_environment() -> dict[str, str]:
    """What the server may see: nothing of ours, or a PGOPTIONS breaks initdb and a secret shows in /proc."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def reachable_binaries(binaries: Binaries, account: Account, cache: Path = CACHE) -> Binaries:
    """`binaries`, or a copy of them below `cache` when `account` cannot read them where they are.

    Raises UntrustedCopyError for a folder planted by somebody else, NoPostgresError when a copy cannot help.
    """
    if _can_run(account, binaries):
        return binaries
    if not account.switch:
        raise NoPostgresError(f"{binaries.bin} may not be run by the current user")
    if (prefix := binaries.prefix) is None:
        raise NoPostgresError(
            f"user {account.name} may not run {binaries.bin}, and it lies in no single folder to copy"
        )

    fingerprint = _fingerprint(prefix)
    copy = cache / f"pg-crm-sync-{os.geteuid()}-{binaries.version}-{fingerprint[:16]}"
    if _is_ours(copy) and _fingerprint(copy) != fingerprint:
        # Cleaners of temporary folders remove single old files: such a copy is replaced, not repaired.
        shutil.rmtree(copy)
    if not copy.exists():
        _copy(prefix, copy)
        _is_ours(copy)
    copied = replace(
        check_binaries(copy / binaries.bin.relative_to(prefix), f"{binaries.source}, copied"), version=binaries.version
    )
    if not _can_run(account, copied):
        raise NoPostgresError(f"user {account.name} may not run {copied.bin} (a folder mounted noexec?)")
    return copied


def _can_run(account: Account, binaries: Binaries) -> bool:
    return account.can(
        '"$1/postgres" --version && test -x "$1/initdb" && test -r "$2/extension/pgcrypto.control" && '
        'test -r "$2/postgres.bki" && test -r "$3/pgcrypto.so"',
        binaries.bin,
        binaries.share,
        binaries.lib,
    )


def _is_ours(copy: Path) -> bool:
    """False if there is none; raises UntrustedCopyError unless it is a real folder of ours that only we can write."""
    try:
        found = copy.lstat()
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022:
        return True
    raise UntrustedCopyError(
        f"{copy} should be our copy of the Postgres programs, but it is not a folder that only user {os.geteuid()} "
        f"can write (owner {found.st_uid}, {stat.filemode(found.st_mode)}): somebody else put it there. Look into it, "
        "remove it and start again."
    )


def _copy(prefix: Path, copy: Path) -> None:
    """Copy the installation beside its final place, then move it there in one step: nobody sees half of it."""
    making = Path(tempfile.mkdtemp(prefix=".pg-crm-sync-", dir=copy.parent))
    try:
        for part in ("bin", "lib", "share"):
            shutil.copytree(prefix / part, making / part, symlinks=True)
        for folder, _, files in os.walk(making):
            Path(folder).chmod(0o755)
            for file in (Path(folder, name) for name in files):
                if not file.is_symlink():
                    file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
        try:
            making.rename(copy)
        except OSError:
            if not _is_ours(copy):
                raise
            # Another process of ours was faster, with the same content.
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _fingerprint(prefix: Path) -> str:
    """Stands for the content: every path and size, and the server program itself."""
    content = hashlib.sha256()
    for part in ("bin", "lib", "share"):
        for path in sorted((prefix / part).rglob("*")):
            size = path.lstat().st_size if path.is_file() and not path.is_symlink() else 0
            content.update(f"{path.relative_to(prefix)}\0{size}\n".encode())
    postgres = prefix / "bin" / "postgres"
    if postgres.is_file():
        content.update(postgres.read_bytes())
    return content.hexdigest()
