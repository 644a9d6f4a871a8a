"""What a CRM's fields are: read at first, each day, and when the CRM complains; never at a cost to the work."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any, cast

import pytest

from listener import account
from listener.account import Account
from listener.db import Database
from listener.errors import DatabaseTrouble
from providers.account import AccountFacts, CrmField, Option
from providers.base import Client
from providers.errors import ProviderError, RateLimited, Stopping, Unauthorized, Unavailable
from providers.models import Batch
from sandbox.faults import Fault
from sandbox.hubspot.schema import Property
from tests.house import eventually
from tests.listener.daemons import daemon
from tests.listener.shop import Shop, Tenant

PIPELINES = "/crm/pipelines/2026-03/deals"
TIER = Property("tier", "Tier", "enumeration", "select", "contactinformation", (("1", "Gold"), ("2", "Silver")))
MAPPED = {"contact": [{"value": "Gold", "to": "tier"}]}


def descriptions(shop: Shop, tenant: Tenant) -> int:
    """How often the portal was asked for its pipelines: once for each description, where no deals are sent."""
    return int(shop.ledger(tenant)["calls"]["by_path"].get(PIPELINES, 0))


def options(shop: Shop, tenant: Tenant, name: str) -> list[str]:
    found = shop.house.value(
        "select options from crm_sync.crm_fields where integration_id = %s and name = %s", tenant.integration, name
    )
    return [each["value"] for each in found or ()]


def tier(tenant: Tenant, *pairs: tuple[str, str]) -> None:
    """Somebody defines or changes the options of a property in HubSpot."""
    tenant.portal.stores["contacts"].definitions["tier"] = replace(TIER, options=pairs)


def test_a_new_connections_fields_are_known_once_for_all_batches(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    shop.replies(tenant, 60)
    with daemon(database, batch_size=10):
        shop.wait_until_settled()
    assert descriptions(shop, tenant) <= 2  # of six batches; one that was composed just before asks again
    objects = shop.house.rows("select object from crm_sync.crm_fields group by object order by object")
    assert objects == [("company",), ("contact",), ("deal",)]
    assert "OPEN_DEAL" in options(shop, tenant, "hs_lead_status")
    assert shop.house.value("select described_at > now() - interval '1 minute' from crm_sync.lanes") is True
    shop.assert_exact(tenant)


def test_fields_are_read_again_after_a_day_and_not_before(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    tier(tenant, ("1", "Gold"))
    for age, count in (("0 hours", 1), ("23 hours", 1), ("2 hours", 2)):
        shop.house.connection.execute("update crm_sync.lanes set described_at = described_at - %s::interval", [age])
        with daemon(database):
            shop.reply(tenant)
            shop.wait_until_settled()
        assert descriptions(shop, tenant) == count
        tier(tenant, ("2", "Silver"))
    assert options(shop, tenant, "tier") == ["2"]


def test_a_crm_that_cannot_describe_itself_holds_nothing_up_and_is_left_alone_for_a_while(
    shop: Shop, database: str
) -> None:
    tenant = shop.tenant()
    shop.hubspot.faults.add(Fault(path="^/crm/properties/.*/companies$", method="GET", status=500, times=100))
    with daemon(database):
        for _ in range(2):
            shop.reply(tenant)
            shop.wait_until_settled()
    assert shop.ledger(tenant)["calls"]["by_status"]["500"] == 1
    assert shop.house.value("select described_at from crm_sync.lanes") is None
    assert shop.house.value("select count(*) from crm_sync.crm_fields") == 0
    shop.assert_exact(tenant)


def test_a_mapping_that_the_crm_breaks_is_shown_although_no_other_reply_comes(shop: Shop, database: str) -> None:
    tenant = shop.tenant(field_mappings=MAPPED)
    tier(tenant, ("1", "Gold"))
    with daemon(database, poll_seconds=3600):
        shop.reply(tenant)
        shop.wait_until_settled()
        tier(tenant, ("7", "Platinum"))
        shop.reply(tenant)
        eventually(lambda: options(shop, tenant, "tier") == ["7"], "the new options")
        shop.wait_until_settled()
    assert shop.house.rows(
        "select kind, field, allowed_values, allowed_labels, count from crm_sync.failures order by kind"
    ) == [("mapping", "tier", ["7"], ["Platinum"], 1), ("rejected", "tier", ["7"], ["Platinum"], 1)]
    assert shop.ledger(tenant)["contacts"][0]["properties"]["tier"] == "1"


def test_a_daemon_whose_claim_was_taken_over_sends_nothing_more(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with daemon(database, poll_seconds=3600) as running:
        shop.reply(tenant)
        shop.wait_until_settled()
        shop.hubspot.faults.add(Fault(path="/contacts/batch/read", account=tenant.portal.hub_id, delay=0.5))
        shop.reply(tenant)
        eventually(lambda: len(shop.hubspot.faults) == 0, "a look-up in flight")
        shop.house.connection.execute(
            "update crm_sync.lanes set paused_at = now(); delete from crm_sync.batches; "
            "update sync_queue set status = 'pending', batch_id = null, attempts = 0 where status = 'processing'"
        )
        worker = running.worker
        assert worker is not None
        eventually(lambda: not worker._running, "the end of the batch")
        contacts = shop.ledger(tenant)["contacts"]
    assert len(contacts) == 1
    assert shop.statuses(tenant)["pending"] == 1


def batch_of(**changes: Any) -> Batch:
    document = {
        "id": 1,
        "organization_id": "00000000-0000-0000-0000-000000000001",
        "integration_id": 7,
        "provider": "fake",
        "config": {"api_base_url": "x", "api_version": "1", "auth_url": "x", "token_url": "x"},
        "credentials_version": 1,
        "schema_ready": True,
        "schema_stale": False,
        "account": {"key_field": "known"},
        **changes,
    }
    return Batch.model_validate(document)


class FakeDatabase:
    """What the daemon would have told the database."""

    def __init__(self) -> None:
        self.accounts: list[str] = []
        self.noted: list[str] = []
        self.is_same: bool | None = True
        self.fields: list[str] = []
        self.changed = 1
        self.trouble: DatabaseTrouble | None = None
        self.batch: Batch | None = batch_of(credentials_version=2)

    async def note_account(self, _integration_id: int, account: str, _connected_version: int) -> bool | None:
        self.noted.append(account)
        return self.is_same

    async def mark_schema_ready(self, _integration_id: int, facts: str, _connected_version: int) -> None:
        self.accounts.append(facts)

    async def store_crm_fields(self, _integration_id: int, fields: str) -> int:
        if self.trouble is not None:
            raise self.trouble
        self.fields.append(fields)
        return self.changed

    async def read_batch(self, batch_id: int) -> Batch | None:
        assert batch_id == 1
        return self.batch


class FakeClient:
    """A CRM that describes itself, or does not."""

    def __init__(self) -> None:
        self.ensured = 0
        self.described = 0
        self.error: Exception | None = None
        self.nameless: ProviderError | None = None

    async def identify(self) -> AccountFacts:
        if self.nameless is not None:
            raise self.nameless
        return AccountFacts(id="1")

    async def ensure_schema(self) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.ensured += 1
        return {"key_field": f"k{self.ensured}"}

    async def describe(self) -> list[CrmField]:
        self.described += 1
        if self.error is not None:
            raise self.error
        return [CrmField(object="contact", name="a", label="nul\0", options=(Option(value="1", label="One"),))]


@pytest.fixture
def database_() -> FakeDatabase:
    return FakeDatabase()


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def kept(database_: FakeDatabase, client: FakeClient) -> Account:
    return Account(cast("Database", database_), cast("Client", client), 7, "fake")


async def test_an_account_that_is_known_costs_nothing(kept: Account, client: FakeClient) -> None:
    assert (await kept.prepare(batch_of())).account == {"key_field": "known"}
    assert (client.ensured, client.described) == (0, 0)


@pytest.mark.parametrize("state", [{"schema_ready": False}, {"schema_stale": True}])
async def test_a_push_works_with_the_facts_that_were_just_learned(
    kept: Account, client: FakeClient, database_: FakeDatabase, state: dict[str, bool]
) -> None:
    batches = await asyncio.gather(*(kept.prepare(batch_of(**state)) for _ in range(3)))
    assert [(each.schema_ready, each.account) for each in batches] == [(True, {"key_field": "k1"})] * 3
    assert (client.ensured, client.described) == (1, 1)
    assert {each.credentials_version for each in batches} == {2}, "composed anew"
    assert database_.accounts == ['{"key_field": "k1"}']
    assert json.loads(database_.fields[0])[0]["label"] == "nul"
    assert json.loads(database_.fields[0])[0]["options"] == [{"value": "1", "label": "One"}]


async def test_a_claim_that_was_lost_while_the_account_was_described_is_given_up(
    kept: Account, database_: FakeDatabase
) -> None:
    database_.batch = None
    with pytest.raises(Stopping):
        await kept.prepare(batch_of(schema_stale=True))


@pytest.mark.parametrize("error", [Unavailable("down", provider="fake"), KeyError("x")])
async def test_a_description_that_fails_is_tried_again_in_an_hour(
    kept: Account, client: FakeClient, error: Exception
) -> None:
    client.error = error
    for _ in range(3):
        assert (await kept.prepare(batch_of(schema_stale=True))).schema_ready is True
    assert client.described == 1
    kept._describe_again_at -= account.AGAIN_SECONDS  # time is moved
    await kept.prepare(batch_of(schema_stale=True))
    assert client.described == 2


async def test_a_database_that_refuses_a_description_holds_nothing_up(
    kept: Account, client: FakeClient, database_: FakeDatabase
) -> None:
    database_.trouble = DatabaseTrouble(ValueError(), is_lost=False)
    await kept.prepare(batch_of(schema_stale=True))
    database_.trouble = DatabaseTrouble(ValueError(), is_lost=True)
    await kept.prepare(batch_of(schema_stale=True))
    assert client.described == 1


@pytest.mark.parametrize("error", [Unauthorized("no", provider="fake"), RateLimited("wait", provider="fake")])
async def test_what_concerns_the_whole_connection_ends_the_push(
    kept: Account, client: FakeClient, error: ProviderError
) -> None:
    client.error = error
    for count in (1, 2):
        with pytest.raises(type(error)):
            await kept.prepare(batch_of(schema_stale=True))
        assert client.described == count


async def test_an_account_that_was_connected_anew_is_prepared_and_described_again(
    kept: Account, client: FakeClient
) -> None:
    for count in (1, 2):
        assert (await kept.prepare(batch_of(schema_ready=False))).account == {"key_field": f"k{count}"}
        assert (client.ensured, client.described) == (count, count)


async def test_refusals_describe_at_once_and_then_once_a_minute(
    client: FakeClient, database_: FakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(account, "FRESH_SECONDS", 0.2)
    kept = Account(cast("Database", database_), cast("Client", client), 7, "fake")
    await kept.describe_after_refusal()
    assert client.described == 1
    second = asyncio.create_task(kept.describe_after_refusal())
    await asyncio.sleep(0)
    await kept.describe_after_refusal()
    assert (client.described, second.done()) == (1, False)
    await second
    assert client.described == 2


async def test_refusals_that_no_description_explains_describe_ever_more_seldom(
    client: FakeClient, database_: FakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(round(max(0.0, seconds)))

    monkeypatch.setattr(asyncio, "sleep", wait)
    kept = Account(cast("Database", database_), cast("Client", client), 7, "fake")
    for database_.changed in (1, 0, 0, 0, 0, 0, 0, 1, 0):
        await kept.describe_after_refusal()
    assert waits == [0, 60, 120, 240, 480, 900, 900, 900, 60]


async def test_a_description_after_a_refusal_that_meets_a_limit_is_left_to_the_next_batch(
    kept: Account, client: FakeClient
) -> None:
    client.error = RateLimited("wait", provider="fake")
    await kept.describe_after_refusal()
    client.error = None
    await kept.prepare(batch_of(schema_stale=True))
    assert client.described == 2
