"""Tokens: refreshed once for all daemons, never lost, and clear words when a person is needed."""

from __future__ import annotations

import json
import time

import pytest

from sandbox.faults import Fault
from tests.house import eventually
from tests.listener.daemons import daemon
from tests.listener.shop import Shop, Tenant

TOKEN_PATH = "/oauth/2026-03/token"


def refreshes(shop: Shop, tenant: Tenant) -> int:
    return int(shop.ledger(tenant)["calls"]["by_path"].get(TOKEN_PATH, 0))


def wait_for_error(shop: Shop, tenant: Tenant) -> str:
    """Wait until the connection is in `error`; its words. Its rows are parked and have lost nothing."""
    query = "select last_error from user_integrations where id = %s and status = 'error'"
    words = eventually(lambda: shop.house.value(query, tenant.integration), "an error on the connection")
    rows = shop.house.rows(
        "select distinct status, attempts from sync_queue where integration_id = %s", tenant.integration
    )
    assert rows == [("retry", 0)]
    log = shop.house.rows(
        "select status, title, description from sync_activity_logs "
        "where integration_id = %s and activity_type = 'connection'",
        tenant.integration,
    )
    assert log == [("error", "Connection needs a person", words)]
    assert code_of(shop, tenant) != ""
    return str(words)


def code_of(shop: Shop, tenant: Tenant) -> str:
    """The code of what its rows met, which the registry knows."""
    query = "select code, is_known from crm_sync.failures where integration_id = %s and kind = 'unauthorized'"
    ((code, is_known),) = shop.house.rows(query, tenant.integration)
    assert is_known is True
    return str(code)


def test_an_expired_token_is_refreshed_before_it_is_used(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True, expires_at=time.time() - 10)
    tenant.portal.expire_tokens()
    shop.reply(tenant)
    with daemon(database):
        shop.wait_until_settled()
    assert refreshes(shop, tenant) == 1
    assert "401" not in shop.ledger(tenant)["calls"]["by_status"]
    shop.assert_exact(tenant)


def test_a_401_means_one_refresh_and_one_more_try(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    with daemon(database):
        for number in (1, 2):
            tenant.portal.expire_tokens()
            shop.reply(tenant)
            shop.wait_until_settled()
            assert refreshes(shop, tenant) == number
            assert shop.ledger(tenant)["calls"]["by_status"]["401"] == number
    shop.assert_exact(tenant)


def test_a_token_that_is_refused_after_its_refresh_is_not_refreshed_forever(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True)
    shop.hubspot.faults.add(
        Fault(path="^/crm", account=tenant.portal.hub_id, status=401, body={"message": "no"}, times=1000)
    )
    shop.reply(tenant)
    with daemon(database):
        wait_for_error(shop, tenant)
    assert refreshes(shop, tenant) == 1


def test_several_daemons_refresh_once(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True, expires_at=time.time() - 10)
    tenant.portal.expire_tokens()
    shop.hubspot.faults.add(Fault(path=TOKEN_PATH, delay=0.5))
    shop.replies(tenant, 80)
    with daemon(database, batch_size=20), daemon(database, batch_size=20):
        shop.wait_until_settled()
    assert refreshes(shop, tenant) == 1
    shop.assert_exact(tenant)


def test_a_dead_grant_parks_the_rows_until_it_is_connected_again(shop: Shop, database: str) -> None:
    tenant, other = shop.tenant(oauth=True), shop.tenant()
    tenant.portal.revoke()
    shop.replies(tenant, 5)
    with daemon(database, poll_seconds=3600):
        words = wait_for_error(shop, tenant)
        assert "BAD_REFRESH_TOKEN" in words
        assert code_of(shop, tenant) == "BAD_REFRESH_TOKEN"
        shop.reply(other)
        shop.wait_until_settled(other)
        assert shop.house.value("select error_count from user_integrations where id = %s", tenant.integration) == 1
        renewed = json.dumps({"access_token": tenant.portal.static_token})
        shop.house.connection.execute(
            "update user_integrations set credentials = %s where id = %s", [renewed, tenant.integration]
        )
        shop.wait_until_settled()
    assert shop.house.rows("select status, last_error from user_integrations where id = %s", tenant.integration) == [
        ("connected", None)
    ]
    shop.assert_exact(tenant)


def test_a_token_endpoint_that_is_down_costs_nothing(shop: Shop, database: str) -> None:
    tenant = shop.tenant(oauth=True, expires_at=time.time() - 10)
    shop.hubspot.faults.add(Fault(path=TOKEN_PATH, status=503, times=2))
    shop.reply(tenant)
    with daemon(database):
        shop.hurry_until_settled(tenant)
    assert refreshes(shop, tenant) >= 1
    assert shop.house.rows("select distinct status, attempts, losses from sync_queue") == [("completed", 1, 0)]


@pytest.mark.parametrize("harm", ["cancelled", "connections killed"])
def test_a_rotated_refresh_token_is_not_lost(shop: Shop, database: str, harm: str) -> None:
    tenant = shop.tenant(oauth=True, expires_at=time.time() - 10)
    shop.reply(tenant)
    shop.hubspot.faults.add(Fault(path=TOKEN_PATH, delay=0.6))
    with daemon(database, lease_seconds=2.0):
        eventually(lambda: len(shop.hubspot.faults) == 0, "a refresh in flight")
        if harm == "cancelled":  # by a lease that is lost
            shop.house.connection.execute("delete from crm_sync.batches")
            shop.house.connection.execute(
                "update sync_queue set status = 'pending', batch_id = null, attempts = 0 where status = 'processing'"
            )
        else:
            query = "select refresh_until is not null from crm_sync.lanes where integration_id = %s"
            assert shop.house.value(query, tenant.integration)
            shop.house.rows(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'crm-sync' and datname = current_database()"
            )
        shop.wait_until_settled()
    assert refreshes(shop, tenant) == 1
    assert shop.house.value("select status from user_integrations") == "connected"
    shop.assert_exact(tenant)
