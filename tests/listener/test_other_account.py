"""New credentials that lead to another account: nothing is sent there until a person has decided about the ids."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from listener.db import Database
from listener.tokens import IntegrationTokens
from providers.base import open_http
from providers.config import ProviderConfig
from providers.errors import Stopping
from sandbox.faults import Fault
from tests.house import eventually
from tests.listener.crms import Account
from tests.listener.daemons import APPS, daemon, settings_for
from tests.listener.shop import Shop, Tenant

STATUS = "select status from user_integrations"


def lead_to(shop: Shop, tenant: Tenant, account: Account, *, oauth: bool = False) -> None:
    """Somebody writes credentials for this account."""
    shop.house.connection.execute(
        "update public.user_integrations set credentials = %s, status = 'connected' where id = %s",
        [json.dumps(account.credentials(oauth=oauth)), tenant.integration],
    )


def other_account(shop: Shop) -> Account:
    return shop.kit.account(shop.crm, shop.url)


def test_nothing_is_sent_to_another_account_and_the_old_one_goes_on(each_shop: Shop, database: str) -> None:
    shop = each_shop
    tenant, other = shop.tenant(), other_account(shop)
    with daemon(database):
        shop.replies(tenant, 3, "interested", attention=True)
        shop.wait_until_settled()
        lead_to(shop, tenant, other)
        shop.replies(tenant, 2)
        eventually(lambda: shop.house.value(STATUS) == "error", "the question")
        assert other.effects() == 0
        eventually(lambda: shop.statuses()["processing"] == 0, "the batch's end")
        assert set(shop.house.rows("select attempts from sync_queue where completed_at is null")) == {(0,)}
        words = shop.house.value("select last_error from crm_sync.status")
        assert "these credentials are for" in words
        shop.connect(tenant)
        shop.wait_until_settled()
    assert other.effects() == 0
    shop.assert_exact(tenant)


def test_ids_that_are_forgotten_are_made_anew_in_the_other_account(each_shop: Shop, database: str) -> None:
    shop = each_shop
    tenant, other = shop.tenant(), other_account(shop)
    with daemon(database):
        shop.replies(tenant, 3, "interested")
        shop.wait_until_settled()
        before = tenant.account.effects()
        lead_to(shop, tenant, other)
        shop.house.connection.execute("notify crm_sync")
        contacts = [row[0] for row in shop.house.rows("select id from contacts")]
        shop.reply(tenant, contacts[0], "interested")
        eventually(lambda: shop.house.value(STATUS) == "error", "the question")
        shop.house.value("select crm_sync.adopt_account(%s, false)", tenant.integration)
        shop.house.rows("select * from crm_sync.manual_sync(%s, %s)", tenant.organization, contacts)
        shop.wait_until_settled()
    assert tenant.account.effects() == before, "nothing more happened in the old account"
    found = other.found()
    assert len(found.contacts) == len(found.deals) == 3
    assert len(found.companies) == len(set(found.companies)) > 0
    assert len(found.notes) == 3, "the newest message of each"
    shop.assert_accounts()


def test_a_batch_under_way_does_not_go_on_in_another_account(shop: Shop, database: str) -> None:
    tenant, other = shop.tenant(oauth=True), other_account(shop)
    with daemon(database):
        shop.replies(tenant, 2, "interested")
        shop.wait_until_settled()
        # the old account's token dies while a batch is on the wire; whoever refreshes it finds the other account's
        shop.hubspot.faults.add(Fault(path="/contacts/batch/read", account=tenant.portal.hub_id, delay=1.0, status=401))
        shop.reply(tenant, shop.house.value("select contact_id from contact_sync_mappings limit 1"))
        eventually(lambda: len(shop.hubspot.faults) == 0, "a look-up in flight")
        lead_to(shop, tenant, other, oauth=True)
        eventually(lambda: shop.house.value(STATUS) == "error", "the question")
        eventually(lambda: shop.statuses()["processing"] == 0, "the batch's end")
    assert other.effects() == 0
    assert shop.house.value("select max(attempts) from sync_queue where completed_at is null") == 0
    assert [path for path in other.calls["by_path"] if "account-info" not in path] == []


def test_an_account_that_cannot_be_named_is_waited_for(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with daemon(database):
        shop.reply(tenant)
        shop.wait_until_settled()
        shop.hubspot.faults.add(Fault(path="/account-info/", times=2, status=200, body={"surprise": True}))
        shop.connect(tenant)
        shop.reply(tenant)
        shop.hurry_until_settled(tenant)
    assert len(shop.hubspot.faults) == 0
    shop.assert_exact(tenant)


@pytest.fixture
async def operator(database: str) -> AsyncIterator[Database]:
    opened = await Database.open(settings_for(database))
    yield opened
    await opened.close()


async def test_tokens_serve_the_connection_they_were_made_for(shop: Shop, operator: Database) -> None:
    tenant = shop.tenant(oauth=True)
    config = ProviderConfig(**shop.kit.config(shop.url), api_version="2026-03")
    async with open_http(2) as http:

        def tokens(connected_version: int) -> IntegrationTokens:
            return IntegrationTokens(
                operator,
                tenant.integration,
                "hubspot",
                config,
                APPS["hubspot"],
                http,
                asyncio.create_task,
                connected_version=connected_version,
            )

        first = tokens(0)
        held = await first.current()
        refreshed = await first.refresh(held)
        assert refreshed.version == held.version + 1, "a refresh is no new connection"
        shop.connect(tenant, oauth=True)
        assert (await first.current()).access_token == refreshed.access_token, "what is under way ends where it began"
        with pytest.raises(Stopping):
            await first.refresh(refreshed)
        with pytest.raises(Stopping):
            await tokens(0).current()
        opened = await operator.open_credentials(tenant.integration)
        assert opened is not None
        assert (await tokens(opened.connected_version).current()).version == opened.version
