"""Servers of every major version that we support, installed below .state/postgres with pinned hashes.

    python -m tests.versions install        # what requirements/postgres/package-lock.json says (needs npm, and x86-64)
    python -m tests.versions run [ARG ...]  # the tests in EACH, or those given, on each version that is there

PostgreSQL 17 is the sandbox's wheel; 15, 16 and 18 are builds of the same kind in packages for Node.js, unpacked with
no script of theirs run. What the distribution has below /usr/lib/postgresql goes before them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from sandbox.pg_binaries import DEBIAN, Binaries, NoPostgresError, check_binaries, find_binaries

ROOT = Path(__file__).parent.parent
PINS = ROOT / "requirements" / "postgres"
FOLDER = ROOT / ".state" / "postgres"
SUPPORTED = (15, 16, 17, 18)
EACH = (
    "tests/sql",
    "tests/test_versions.py",
    "tests/listener/test_three_crms.py",
    "tests/listener/test_end_to_end.py",
    "tests/listener/test_doorbell.py",
    "tests/listener/test_fence.py",
)


def install() -> None:
    """Fetch what is pinned; raises `SystemExit` with words where that cannot be done here."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("There is no npm: apt-get install npm, or put other versions below /usr/lib/postgresql.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PINS / name, FOLDER / name)
    # `ci` takes nothing whose hash is not the lock's
    subprocess.run(
        [npm, "ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, timeout=600
    )
    for links in FOLDER.glob("node_modules/*/native/pg-symlinks.json"):
        _link(links)


def _link(links: Path) -> None:
    """Packages cannot hold symbolic links: they come as a list."""
    package = links.parent.parent
    for each in json.loads(links.read_text()):
        source, target = package / each["source"], package / each["target"]
        if not target.is_symlink():
            target.symlink_to(os.path.relpath(source, target.parent))


def find_versions() -> dict[int, Binaries]:
    """An installation of each major version that is here, the wheel's before the system's, the pinned ones last."""
    found: dict[int, Binaries] = {}
    with suppress(NoPostgresError):
        embedded = find_binaries({})
        found[embedded.major] = embedded
    for folder in (*DEBIAN.glob("*/bin"), *FOLDER.glob("node_modules/*/native/bin")):
        try:
            binaries = check_binaries(folder, str(folder))
        except NoPostgresError:
            continue
        found.setdefault(binaries.major, binaries)
    return dict(sorted(found.items()))


def run(arguments: list[str]) -> int:
    """Test on each version; prints a table, and returns 1 where a test failed or a version is missing."""
    versions, rows, is_bad = find_versions(), [], False
    for major in SUPPORTED:
        if major not in versions:
            rows.append(f"| {major} | not here | | |")
            is_bad = True
            continue
        binaries = versions[major]
        print(f"PostgreSQL {binaries.version} ({binaries.bin})", flush=True)
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *(arguments or EACH)],
            cwd=ROOT,
            env={**os.environ, "TEST_PG": "embedded", "EMBEDDED_PG_BIN": str(binaries.bin)},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        words = next((line for line in reversed(done.stdout.splitlines()) if re.search(r" in [0-9.]+s", line)), "")
        counts = ", ".join(re.findall(r"\d+ (?:passed|failed|skipped|errors?)", words)) or words
        is_bad = is_bad or done.returncode != 0
        if done.returncode:
            print(done.stdout, flush=True)
        rows.append(f"| {major} | {binaries.version} | {counts} | {time.monotonic() - began:.0f} s |")
    print("\n| PostgreSQL | tested | tests | took |\n|---|---|---|---|\n" + "\n".join(rows))
    return int(is_bad)


def main(words: list[str]) -> int:
    match words:
        case ["install"]:
            install()
            for major, binaries in find_versions().items():
                print(f"PostgreSQL {major}: {binaries.version}, {binaries.bin}")
            return 0
        case ["run", *arguments]:
            return run(arguments)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
