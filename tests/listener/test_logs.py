"""The whole log of a daemon that meets every kind of failure: JSON, and nobody's secret in it."""

from __future__ import annotations

import time
from pathlib import Path

from sandbox.faults import Fault
from sandbox.hubspot.emulator import CLIENT_SECRET
from tests.house import KEY
from tests.listener.daemons import process
from tests.listener.shop import Shop


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
