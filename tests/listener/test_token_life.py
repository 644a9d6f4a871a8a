"""Tokens of connections that have nothing to do, and those of connections that have ended."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault
from tests.house import eventually
from tests.listener.crms import KITS
from tests.listener.daemons import daemon, process
from tests.listener.shop import Shop, Tenant

TOKEN_PATH = KITS["hubspot"].token_path
REVOKE_PATH = KITS["hubspot"].revoke_path


def forget(shop: Shop, *tenants: Tenant) -> None:
    """Nobody has used these tokens for more than a day."""
    shop.house.connection.execute(
        "update user_integrations set credentials_at = now() - interval '25 hours' where id = any (%s)",
        [[tenant.integration for tenant in tenants]],
    )


def calls(shop: Shop, tenant: Tenant, path: str = TOKEN_PATH) -> int:
    return int(shop.ledger(tenant)["calls"]["by_path"].get(path, 0))


def refreshed(shop: Shop, tenant: Tenant) -> bool:
    query = "select credentials_at > now() - interval '1 hour' from user_integrations where id = %s"
    return bool(shop.house.value(query, tenant.integration))


def status_of(shop: Shop, tenant: Tenant) -> Any:
    return shop.house.value("select status from user_integrations where id = %s", tenant.integration)


def log_of(shop: Shop, tenant: Tenant) -> list[tuple[Any, ...]]:
    return shop.house.rows(
        "select status, title from sync_activity_logs where integration_id = %s and activity_type = 'connection' "
        "order by id",
        tenant.integration,
    )


def disconnect(shop: Shop, tenant: Tenant) -> None:
    assert shop.house.value("select crm_sync.disconnect(%s)", tenant.integration) is True


def revocations(shop: Shop) -> int:
    return int(shop.house.value("select count(*) from crm_sync.revocations"))


def test_an_idle_token_is_kept_alive_in_each_crm(each_shop: Shop, database: str) -> None:
    idle, static = each_shop.tenant(oauth=True), each_shop.tenant()
    forget(each_shop, idle, static)
    with daemon(database):
        eventually(lambda: refreshed(each_shop, idle), "a refresh")
        assert not refreshed(each_shop, static)
        each_shop.reply(idle)
        each_shop.wait_until_settled()
    assert idle.account.calls["by_status"].get("401") is None
    assert status_of(each_shop, idle) == "connected"


def test_two_daemons_refresh_an_idle_token_once(shop: Shop, database: str) -> None:
    tenants = [shop.tenant(oauth=True) for _ in range(12)]
    forget(shop, *tenants)
    with daemon(database), daemon(database):
        eventually(lambda: all(refreshed(shop, tenant) for tenant in tenants), "all refreshes")
    assert [calls(shop, tenant) for tenant in tenants] == [1] * 12


def test_a_dead_grant_is_found_while_nobody_needs_it_and_harms_nobody_else(shop: Shop, database: str) -> None:
    dead, alive = shop.tenant(oauth=True), shop.tenant(oauth=True)
    dead.portal.revoke()
    forget(shop, dead, alive)
    with daemon(database):
        eventually(lambda: status_of(shop, dead) == "error", "an error")
        eventually(lambda: refreshed(shop, alive), "the other's refresh")
        shop.reply(dead)
        shop.reply(alive)
        shop.wait_until_settled(alive)
        assert shop.statuses(dead) == {"pending": 1}
        shop.connect(dead)
        shop.wait_until_settled(dead)
    assert log_of(shop, dead)[:1] == [("error", "Connection needs a person")]


def test_an_outage_of_the_token_endpoint_and_a_wrong_app_park_nothing(shop: Shop, database: str) -> None:
    down, wrong = shop.tenant(oauth=True), shop.tenant(oauth=True)
    shop.hubspot.faults.add(Fault(path=TOKEN_PATH, status=503, times=1))
    shop.hubspot.faults.add(Fault(path=TOKEN_PATH, status=400, body={"error": "invalid_client"}, times=1))
    forget(shop, down, wrong)
    failed = "select count(*) from crm_sync.lanes where refresh_failures > 0 and refresh_after > now()"
    with daemon(database):
        eventually(lambda: shop.house.value(failed) == 2 and len(shop.hubspot.faults) == 0, "two failures")
    assert [status_of(shop, each) for each in (down, wrong)] == ["connected", "connected"]
    shop.house.connection.execute("update crm_sync.lanes set refresh_after = now()")
    with daemon(database):
        eventually(lambda: refreshed(shop, down) and refreshed(shop, wrong), "both refreshes")


def test_without_an_app_an_idle_token_is_left_alone(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    forget(shop, tenant)
    with daemon(database, apps={}):
        eventually(lambda: shop.house.value("select refresh_failures from crm_sync.lanes"), "a look")
    assert status_of(shop, tenant) == "connected"
    assert calls(shop, tenant) == 0


def test_what_has_no_refresh_token_after_all_is_noted_as_such(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    shop.house.connection.execute("update user_integrations set is_refreshable = true")  # as a migration does
    forget(shop, tenant)
    with daemon(database):
        eventually(lambda: not shop.house.value("select is_refreshable from user_integrations"), "the note")
    assert status_of(shop, tenant) == "connected"


def test_a_reconnect_while_the_old_grant_is_being_refused_stands(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    tenant.portal.revoke()
    shop.hubspot.faults.add(Fault(path=TOKEN_PATH, delay=1.0))
    shop.reply(tenant)
    tenant.portal.expire_tokens()
    with daemon(database):
        eventually(lambda: len(shop.hubspot.faults) == 0, "a refresh in flight")
        shop.connect(tenant)
        shop.hurry_until_settled(tenant)
    assert status_of(shop, tenant) == "connected"
    assert ("error", "Connection needs a person") not in log_of(shop, tenant)


def test_disconnecting_revokes_the_token_in_each_crm(each_shop: Shop, database: str) -> None:
    tenant = each_shop.tenant(oauth=True)
    refresh_token = tenant.account.credentials(oauth=True)["refresh_token"]
    with daemon(database, poll_seconds=3600):
        disconnect(each_shop, tenant)
        eventually(lambda: revocations(each_shop) == 0, "a revocation")
    assert log_of(each_shop, tenant) == [("info", "Disconnected"), ("success", "Revoked at the CRM")]
    assert tenant.account.calls["by_path"] == {each_shop.kit.revoke_path: 1}
    assert refresh_token not in json.dumps(each_shop.house.rows("select * from sync_activity_logs"), default=str)
    each_shop.house.connection.execute(
        "update user_integrations set credentials = %s",
        [json.dumps({"access_token": "x", "refresh_token": refresh_token, "expires_at": 1, **_hosts(tenant)})],
    )
    each_shop.reply(tenant)
    with daemon(database):
        eventually(lambda: status_of(each_shop, tenant) == "error", "the end of the grant")


def _hosts(tenant: Tenant) -> dict[str, Any]:
    held = tenant.account.credentials(oauth=True)
    return {name: held[name] for name in ("instance_url", "api_domain") if name in held}


def test_a_deleted_organization_leaves_no_access_behind(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    shop.house.connection.execute("delete from organizations")
    with daemon(database):
        eventually(lambda: revocations(shop) == 0, "a revocation")
    assert calls(shop, tenant, REVOKE_PATH) == 1


def test_a_crm_that_is_down_is_asked_again_later(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    shop.hubspot.faults.add(Fault(path=REVOKE_PATH, status=503, times=1))
    disconnect(shop, tenant)
    with daemon(database):
        eventually(lambda: shop.house.value("select last_error from crm_sync.revocations"), "a failure")
        assert "503" in shop.house.value("select last_error from crm_sync.revocations")
        shop.house.connection.execute("update crm_sync.revocations set next_attempt_at = now()")
        shop.house.connection.execute("notify crm_sync, 'revocations'")
        eventually(lambda: revocations(shop) == 0, "a revocation")
    assert log_of(shop, tenant)[-1] == ("success", "Revoked at the CRM")


def test_without_an_app_a_revocation_waits_and_says_so(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    disconnect(shop, tenant)
    with daemon(database, apps={}):
        words = eventually(lambda: shop.house.value("select last_error from crm_sync.revocations"), "words")
    assert "HUBSPOT_CLIENT_ID" in words
    assert shop.house.value("select attempts from crm_sync.revocations") == 1
    assert calls(shop, tenant, REVOKE_PATH) == 0


def test_a_token_at_a_host_that_is_none_of_the_crms_is_sent_nowhere(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    shop.house.connection.execute(
        "update user_integrations set credentials = %s",
        [json.dumps({"access_token": "a", "refresh_token": "r", "token_url": "https://evil.example/token"})],
    )
    disconnect(shop, tenant)
    with daemon(database):
        eventually(lambda: revocations(shop) == 0, "the end of it")
    assert log_of(shop, tenant)[-1] == ("warning", "Not revoked at the CRM")


def test_a_daemon_killed_while_it_revokes_leaves_it_to_the_next(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant(oauth=True)
    shop.hubspot.faults.add(Fault(path=REVOKE_PATH, delay=3.0))
    with process(tmp_path, database) as running:
        disconnect(shop, tenant)
        eventually(lambda: len(shop.hubspot.faults) == 0, "a call in flight")
        running.end(signal.SIGKILL)
    assert revocations(shop) == 1
    shop.house.connection.execute("update crm_sync.revocations set next_attempt_at = now()")
    with daemon(database):
        eventually(lambda: revocations(shop) == 0, "the next daemon")
    assert log_of(shop, tenant)[-1][1] == "Revoked at the CRM"


def test_disconnecting_during_a_refresh_revokes_the_fresh_token(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    tenant.portal.expire_tokens()
    shop.hubspot.faults.add(Fault(path=TOKEN_PATH, delay=1.0))
    shop.reply(tenant)
    with daemon(database):
        eventually(lambda: len(shop.hubspot.faults) == 0, "a refresh in flight")
        disconnect(shop, tenant)
        eventually(lambda: revocations(shop) == 0, "a revocation")
    assert log_of(shop, tenant)[-1] == ("success", "Revoked at the CRM"), "the one that the CRM knows by now"
    assert shop.house.rows("select status, credentials from user_integrations") == [("disconnected", None)]


def test_a_connection_disconnected_long_ago_is_deleted_by_a_daemon(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant, other = shop.tenant(), shop.tenant()
    for each in (tenant, other):
        disconnect(shop, each)
    shop.house.connection.execute(
        "update user_integrations set disconnected_at = now() - interval '91 days' where id = %s", [tenant.integration]
    )
    with process(tmp_path, database) as running:
        eventually(lambda: running.events("connection_deleted"), "a deletion")
        assert running.events("connection_deleted")[0]["integration_id"] == tenant.integration
    assert shop.house.rows("select id from user_integrations") == [(other.integration,)]


@pytest.mark.parametrize("payload", ["revocations", "revocation", "x" * 7000])
def test_a_flood_of_rings_keeps_nobody_from_working(shop: Shop, database: str, payload: str) -> None:
    tenant = shop.tenant()
    with daemon(database):
        for _ in range(200):
            shop.house.connection.execute("select pg_notify('crm_sync', %s)", [payload])
        shop.reply(tenant)
        shop.wait_until_settled()
