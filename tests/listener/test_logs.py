"""The whole log of a daemon that meets every kind of failure: JSON, and nobody's secret in it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from listener.errors import EX_UNAVAILABLE
from sandbox.faults import Fault
from sandbox.hubspot.emulator import CLIENT_SECRET
from tests.house import KEY, eventually
from tests.listener.daemons import ROOT, Process, environment, process
from tests.listener.relay import relay
from tests.listener.shop import Shop


def lines_of(url: str, log: Path, *, named: Path | None, **changes: str) -> list[str]:
    """What a daemon says that finds no database, with a JOURNAL_STREAM that names a file."""
    if named is not None:
        found = named.stat()
        changes["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
    with log.open("wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "listener.cli", "run"],
            env=environment(url, CRM_SYNC_CONNECT_TIMEOUT_SECONDS="0.5", **changes),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stderr=out,
            check=False,
            timeout=60,
        )
    assert done.returncode == EX_UNAVAILABLE
    return log.read_text().splitlines()


def test_the_journal_gets_priorities_and_nobody_else_does(tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    log.touch()
    other.touch()
    nowhere = "postgresql://x@127.0.0.1:1/x"
    assert lines_of(nowhere, log, named=log)[-2:] == [
        "<3>crm-sync: the database cannot be reached: [Errno 111] Connect call failed ('127.0.0.1', 1)",
        "<3>Check DATABASE_URL and that Postgres is running.",
    ]
    # inherited from a parent whose output the journal reads, while ours goes to another collector
    assert lines_of(nowhere, log, named=other)[-1] == "Check DATABASE_URL and that Postgres is running."
    assert lines_of(nowhere, log, named=None)[-1] == "Check DATABASE_URL and that Postgres is running."


def test_each_line_for_the_journal_has_its_priority(database: str, tmp_path: Path) -> None:
    with relay(database) as before:
        running = Process(tmp_path, environment(before.url, CRM_SYNC_LOG_FORMAT="journal"))
        try:
            eventually(lambda: '"event": "ready"' in running.text, "ready")
            before.cut()
            eventually(lambda: "database_trouble" in running.text, "trouble")
        finally:
            assert running.end() == 0
    found = {}
    for line in running.text.splitlines():
        priority, entry = re.fullmatch(r"<(\d)>(\{.*\})", line).groups()  # type: ignore[union-attr]
        found[json.loads(entry)["event"]] = (int(priority), json.loads(entry)["level"])
    assert found["ready"] == (6, "info")
    assert found["database_trouble"] == (4, "warning")


def test_the_log_is_json_and_names_no_person_and_no_secret(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant(oauth=True, expires_at=time.time() - 10)
    dead = shop.tenant(oauth=True, expires_at=time.time() - 10)
    dead.portal.revoke()
    hub, echo = tenant.portal.hub_id, "Zoë Canary canary@canary.example said canary-words"
    canary = shop.house.contact(
        tenant.organization, "canary@canary.example", first_name="Zoë Canary", last_name="Canary"
    )
    shop.house.connection.execute("alter table sync_queue alter max_attempts set default 2")
    with process(tmp_path, database, CRM_SYNC_LEASE_SECONDS="2") as running:
        shop.reply(dead, shop.person(dead, email="canary2@canary.example"))
        for harm in (
            {"status": 400, "body": {"status": "error", "message": echo, "category": "VALIDATION_ERROR"}},
            {"status": 429, "body": {"message": echo, "policyName": "SECONDLY"}, "headers": {"Retry-After": "0"}},
            {"status": 500, "body": echo},
            {"html": True, "body": echo},
            {"status": 200, "body": {"status": "COMPLETE", "results": echo}},
            {"status": 200, "body": {"results": [{"id": echo, "properties": None}]}},
            {"cut": True},
            {"cut_body": True},
            {"drop_answer": True},
        ):
            shop.hubspot.faults.add(Fault(path="/contacts/batch/(read|upsert|update)", account=hub, **harm))
            message = shop.house.message(tenant.organization, canary, subject="canary-words", body="canary-words")
            shop.house.classify(message)
            shop.hurry_until_settled(tenant)
            assert len(shop.hubspot.faults) == 0, harm
        shop.house.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'crm-sync' and datname = current_database()"
        )
        shop.house.reply(tenant.organization, canary)
        shop.wait_until_settled(tenant)
        assert running.end() == 0
    for entry in running.log:
        assert {"event", "level", "timestamp"} <= set(entry)
    names = {entry["event"] for entry in running.log}
    assert {"starting", "ready", "batch_finished", "batch_failed", "doorbell_lost", "stopped"} <= names
    assert "Traceback" not in running.text
    secrets = [KEY, CLIENT_SECRET, tenant.portal.access_token, tenant.portal.refresh_token, tenant.portal.static_token]
    secrets += list(shop.hubspot.grants._access) + list(shop.hubspot.grants._refresh)
    for secret in (*secrets, "canary", "Canary", "Zoë", "Zo\\u00eb", database.rpartition("@")[0].rpartition(":")[2]):
        assert secret not in running.text
