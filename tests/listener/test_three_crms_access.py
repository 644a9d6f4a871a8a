"""Connections on the whole way: tokens that expire, hosts that move, an org that is not ready, limits of the CRMs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault
from sandbox.pipedrive import Pipedrive
from sandbox.pipedrive.quotas import TokenBudget
from sandbox.salesforce import Salesforce
from sandbox.server import serve
from tests.clock import Clock
from tests.house import eventually
from tests.listener.crms import KITS, PipedriveAccount, SalesforceAccount
from tests.listener.daemons import process
from tests.listener.shop import Shop, Tenant

OpenShop = Callable[..., Shop]


def refreshes(shop: Shop, tenant: Tenant) -> int:
    """How many tokens were asked for."""
    return int(tenant.account.calls["by_path"].get(shop.kit.token_path, 0))


def held(shop: Shop, tenant: Tenant) -> dict[str, Any]:
    """The stored credentials."""
    query = "select plaintext from crm_sync.open_credentials(%s) as o (plaintext, version)"
    return dict(shop.house.value(query, tenant.integration))


def state(shop: Shop) -> tuple[str, str]:
    ((status, words),) = shop.house.rows("select state, coalesce(last_error, '') from crm_sync.status")
    return str(status), str(words)


def attempts(shop: Shop) -> int:
    return int(shop.house.value("select coalesce(max(attempts), 0) from sync_queue where status <> 'completed'"))


@pytest.mark.parametrize("crm", KITS)
def test_a_token_that_ends_in_the_middle_of_work_is_renewed_once(
    open_shop: OpenShop, database: str, tmp_path: Path, crm: str
) -> None:
    shop = open_shop(crm)
    tenant = shop.tenant(oauth=True)
    with process(tmp_path, database), process(tmp_path, database):
        for count in (1, 2):
            shop.crm.end_tokens(tenant.account.number, "expire")
            shop.replies(tenant, 12)
            shop.wait_until_settled()
            assert refreshes(shop, tenant) == count
    assert tenant.account.calls["by_status"]["401"] >= 2
    shop.assert_exact(tenant)


def test_a_rotated_refresh_token_is_kept_and_used_next_time(open_shop: OpenShop, database: str, tmp_path: Path) -> None:
    shop = open_shop("salesforce")
    tenant = shop.tenant(oauth=True, account={"rotate": True})
    tokens = [held(shop, tenant)["refresh_token"]]
    for _ in range(2):  # by daemons that share nothing but the database
        shop.crm.end_tokens(tenant.account.number, "expire")
        shop.reply(tenant)
        with process(tmp_path, database):
            shop.wait_until_settled()
        tokens.append(held(shop, tenant)["refresh_token"])
    assert len(set(tokens)) == 3
    assert held(shop, tenant).get("expires_at") is None
    shop.assert_exact(tenant)


def test_an_instance_url_that_changes_on_refresh_is_used_from_then_on(
    open_shop: OpenShop, database: str, tmp_path: Path
) -> None:
    salesforce = Salesforce(limits=False)
    shop = open_shop(salesforce)
    tenant = shop.tenant(oauth=True)
    with serve(salesforce.app) as elsewhere:
        # the org has moved: its old host knows only that the session is over, and refreshes come from the new one
        shop.configure("salesforce", token_url=f"{elsewhere.url}/services/oauth2/token")
        salesforce.end_tokens(tenant.account.number, "expire")
        shop.reply(tenant)
        with process(tmp_path, database):
            shop.wait_until_settled()
        assert held(shop, tenant)["instance_url"] == elsewhere.url
        assert refreshes(shop, tenant) == 1
        assert tenant.account.calls["by_status"]["401"] == 1
        shop.assert_exact(tenant)


def test_an_org_without_our_fields_says_what_to_do_and_works_once_that_is_done(
    open_shop: OpenShop, database: str, tmp_path: Path
) -> None:
    shop = open_shop("salesforce")
    tenant = shop.tenant(account={"fields": False})
    assert isinstance(tenant.account, SalesforceAccount)
    shop.replies(tenant, 5, "interested", attention=True)
    with process(tmp_path, database):
        eventually(lambda: state(shop)[0] == "error", "an error")
        _, words = state(shop)
        assert "CRM_Sync_Key__c" in words
        assert "deploy/salesforce" in words
        assert attempts(shop) == 0
        assert tenant.account.effects() == 0
        ((kind, message),) = shop.house.rows("select kind, message from crm_sync.failures where kind = 'connection'")
        assert (kind, message) == ("connection", words)
        tenant.account.org.deploy_fields()
        shop.connect(tenant)
        shop.wait_until_settled()
    assert shop.house.rows("select status, last_error from user_integrations") == [("connected", None)]
    assert set(shop.statuses()) == {"completed"}
    shop.assert_exact(tenant)


def test_a_day_that_other_apps_have_used_up_is_waited_for_in_words(
    open_shop: OpenShop, database: str, tmp_path: Path
) -> None:
    clock = Clock()
    shop = open_shop(Salesforce(clock))
    tenant = shop.tenant(oauth=True, account={"daily_limit": 200})
    assert isinstance(tenant.account, SalesforceAccount)
    for _ in range(185):  # others
        tenant.account.org.window.take(clock())
    shop.replies(tenant, 20, "interested", attention=True)
    with process(tmp_path, database):
        eventually(lambda: state(shop)[0] == "rate_limited", "a parked lane")
        reason = shop.house.value("select parked_reason from crm_sync.lanes")
        assert "salesforce" in reason.lower()
        assert attempts(shop) == 0
        assert "403" not in tenant.account.calls["by_status"]
        clock.advance(86_400)
        shop.house.connection.execute("update crm_sync.budgets set observed_at = observed_at - interval '2 hours'")
        shop.hurry_until_settled(tenant)
    assert set(shop.statuses()) == {"completed"}
    shop.assert_exact(tenant)


def test_a_limit_that_salesforce_enforces_costs_nothing_but_time(
    open_shop: OpenShop, database: str, tmp_path: Path
) -> None:
    shop = open_shop("salesforce")
    tenant = shop.tenant()
    refusal = '[{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]'
    shop.disturb("contacts", status=403, body=refusal)
    shop.replies(tenant, 20, "interested", attention=True)
    with process(tmp_path, database):
        eventually(lambda: state(shop)[0] == "rate_limited", "a parked lane")
        assert "TotalRequests" in shop.house.value("select parked_reason from crm_sync.lanes")
        assert attempts(shop) == 0
        shop.hurry_until_settled(tenant)
    shop.assert_exact(tenant)


def test_two_daemons_never_overfill_pipedrives_burst_window(open_shop: OpenShop, database: str, tmp_path: Path) -> None:
    pipedrive = Pipedrive(search_lag=30.0, penalty=10.0)
    shop = open_shop(pipedrive)
    shop.configure("pipedrive", limits={"core": {"calls": 80, "seconds": 2}, "search": {"calls": 10, "seconds": 2}})
    tenant = shop.tenant(oauth=True, sync_settings={"auto_create_deals": False})
    shop.replies(tenant, 60, companies=6)
    with (
        process(tmp_path, database, CRM_SYNC_BATCH_SIZE="10"),
        process(tmp_path, database, CRM_SYNC_BATCH_SIZE="10"),
    ):
        shop.wait_until_settled()
    calls = tenant.account.calls
    assert calls["total"] > 120
    assert set(calls["by_status"]) == {"200", "201"}
    shop.assert_exact(tenant)


def test_a_page_instead_of_an_answer_parks_pipedrive_and_costs_no_attempt(
    open_shop: OpenShop, database: str, tmp_path: Path
) -> None:
    shop = open_shop("pipedrive")
    tenant = shop.tenant()
    shop.crm.faults.add(Fault(path="/api/v2/persons", method="POST", status=403, html=True, times=8))
    shop.replies(tenant, 20, "interested", attention=True)
    with process(tmp_path, database):
        eventually(lambda: state(shop)[0] == "rate_limited", "a parked lane")
        assert attempts(shop) == 0
        shop.crm.faults.clear()
        shop.hurry_until_settled(tenant)
    assert set(shop.statuses()) == {"completed"}
    shop.assert_exact(tenant)


@pytest.mark.parametrize("spender", ["we", "others"])
def test_a_spent_daily_budget_of_pipedrives_is_waited_for_until_midnight(
    open_shop: OpenShop, database: str, tmp_path: Path, spender: str
) -> None:
    shop = open_shop(Pipedrive(search_lag=30.0))
    burst = {"core": {"calls": 80, "seconds": 2}}
    tenant = shop.tenant(oauth=True)
    assert isinstance(tenant.account, PipedriveAccount)
    tokens = tenant.account.company.tokens = TokenBudget(400)
    if spender == "others":
        tokens.take(time.time(), 330)
    daily = {"calls": 400 if spender == "we" else 30_000, "seconds": 86_400}
    shop.configure("pipedrive", limits={**burst, "daily": daily})
    shop.replies(tenant, 20, "interested", attention=True)
    with process(tmp_path, database):
        eventually(lambda: state(shop)[0] == "rate_limited", "a parked lane")
        assert attempts(shop) == 0
        remaining = shop.house.value("select extract(epoch from parked_until - now()) from crm_sync.lanes")
        assert remaining > min(60, 86_400 - time.time() % 86_400 - 5)
        if spender == "we":
            assert "429" not in tenant.account.calls["by_status"]
        tenant.account.company.tokens = TokenBudget(30_000)
        shop.configure("pipedrive", limits=burst)
        shop.hurry_until_settled(tenant)
    assert set(shop.statuses()) == {"completed"}
    shop.assert_exact(tenant)
