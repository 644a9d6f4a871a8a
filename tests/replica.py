"""A physical replica of an embedded Postgres, by streaming."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from sandbox.pg_account import Account
from sandbox.postgres import EmbeddedPostgres, embedded


@contextmanager
def replica_of(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A standby that streams from the primary; gone at the end, with its data."""
    # where the user who runs the server may go: pytest's own folders are closed to it
    folder = Path(tempfile.mkdtemp(prefix="crm-sync-replica-"))
    try:
        password = str(conninfo_to_dict(primary.url)["password"])
        (folder / "lock").touch()
        (folder / "password").touch(0o600)
        (folder / "password").write_text(password)
        subprocess.run(
            [
                *(primary.binaries.bin / "pg_basebackup", "-D", folder / "pgdata", "-d", primary.url),
                *("-R", "-c", "fast", "--no-sync"),
            ],
            env={**os.environ, "LD_LIBRARY_PATH": str(primary.binaries.lib), "PGPASSWORD": password},
            check=True,
            capture_output=True,
            timeout=60,
        )
        account = Account.choose()
        for path in (folder / "pgdata", *(folder / "pgdata").rglob("*")):
            account.own(path)
        with embedded(folder, fast=True) as standby:
            yield standby
    finally:
        shutil.rmtree(folder, ignore_errors=True)
