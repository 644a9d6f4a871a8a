"""What a CRM, a provider's module and a busy system do to the daemon, and what they do not."""

from __future__ import annotations

import json
import sys
import time
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import httpx
import psycopg
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from listener import budget
from providers import base
from providers.account import AccountFacts, CrmField
from providers.credentials import Credentials
from providers.errors import ProviderError, Unexpected
from providers.models import Batch
from providers.report import Report
from sandbox.faults import Fault
from sandbox.hubspot import HubSpot
from sandbox.limits import Window
from sandbox.server import serve
from tests.house import House, eventually
from tests.listener.daemons import daemon
from tests.listener.shop import Shop, Tenant


@contextmanager
def calls_between(shop: Shop, calls: int, seconds: float) -> Iterator[None]:
    """Let emulator and database agree on a limit."""
    shop.hubspot.limits = True
    for portal in shop.hubspot.portals.values():
        portal.app_window = portal.static_window = Window(calls, seconds)
    limit = {"calls": calls, "seconds": seconds}
    shop.configure("hubspot", limits={"core": limit, "static": limit, "search": {"calls": 5, "seconds": 1}})
    yield
    shop.hubspot.limits = False


def test_two_daemons_share_a_budget_and_are_never_refused(shop: Shop, database: str) -> None:
    tenant = shop.tenant(sync_settings={"auto_create_deals": False})
    shop.replies(tenant, 200, "interested")
    with calls_between(shop, 20, 1.0), daemon(database, batch_size=10), daemon(database, batch_size=10):
        shop.wait_until_settled(seconds=90)
    calls = shop.ledger(tenant)["calls"]
    print(f"{calls['total']} calls")
    assert calls["total"] > 50
    assert "429" not in calls["by_status"]
    assert shop.house.value("select sum(spent) from crm_sync.budgets") == calls["total"]
    shop.assert_exact(tenant)


def test_a_budget_that_is_spent_parks_the_lane_and_goes_on(
    shop: Shop, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "MAX_WAIT_SECONDS", 0.5)
    tenant = shop.tenant()
    shop.replies(tenant, 4)
    with daemon(database, poll_seconds=3600):
        shop.wait_until_settled()
        # as if others had spent it for longer than a call waits
        shop.house.connection.execute(
            "update crm_sync.budgets set theoretical_at = clock_timestamp() + interval '1.5 s'"
        )
        shop.replies(tenant, 4)
        eventually(lambda: shop.house.value("select state from crm_sync.status") == "rate_limited", "a parked lane")
        assert shop.house.value("select max(attempts) from sync_queue where status = 'retry'") == 0
        shop.wait_until_settled()
    assert "429" not in shop.ledger(tenant)["calls"]["by_status"]
    shop.assert_exact(tenant)


def test_a_slow_portal_does_not_delay_another_tenant(shop: Shop, database: str) -> None:
    shop.configure("hubspot", timeout_seconds=30)
    slow, quick = shop.tenant(), shop.tenant()
    shop.replies(slow, 300)
    shop.hubspot.faults.add(Fault(account=slow.portal.hub_id, delay=30.0, times=100))
    with daemon(database, batch_size=100, concurrency=4, stop_seconds=0.1, poll_seconds=3600):
        eventually(lambda: shop.house.value("select count(*) from crm_sync.batches") == 2, "slow calls in flight")
        for _ in range(3):
            started = time.monotonic()
            shop.reply(quick)
            shop.wait_until_settled(quick, seconds=20)
            print(f"beside a slow portal: {time.monotonic() - started:.2f} s")
        assert shop.house.value("select count(*) from crm_sync.batches") == 2
    shop.assert_exact(quick)


def test_no_more_batches_than_slots_are_in_flight(shop: Shop, database: str) -> None:
    tenants = [shop.tenant() for _ in range(5)]
    for tenant in tenants:
        shop.replies(tenant, 5)
        shop.hubspot.faults.add(Fault(path="/contacts/batch/read", account=tenant.portal.hub_id, delay=1.0))
    seen = set()

    def all_done() -> bool:
        seen.add(shop.house.value("select count(*) from crm_sync.batches"))
        return set(shop.statuses()) == {"completed"}

    with daemon(database, concurrency=3):
        eventually(all_done, "all work")
    assert max(seen) == 3
    for tenant in tenants:
        shop.assert_exact(tenant)


class FaultyClient(base.Client):
    """A provider's module with a fault of its own."""

    name: ClassVar[str] = "faulty"

    async def ensure_schema(self) -> dict[str, Any]:
        return {}

    async def describe(self) -> list[CrmField]:
        return []

    async def push(self, batch: Batch, report: Report) -> None:
        first = batch.contacts[0]
        if first.email.startswith("silent"):
            return
        raise RuntimeError(f"canary {first.email}")

    async def identify(self) -> AccountFacts:
        return AccountFacts(id="1")

    def base_url(self, credentials: Credentials) -> str:
        return self.config.api_base_url

    def error_of(self, response: httpx.Response) -> ProviderError:
        return Unexpected("no", provider=self.name)


@pytest.fixture
def faulty(house: House, monkeypatch: pytest.MonkeyPatch) -> str:
    module = types.ModuleType("providers.faulty")
    module.Client = FaultyClient  # type: ignore[attr-defined]
    module.__spec__ = types.SimpleNamespace(name="providers.faulty")  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "providers.faulty", module)
    house.connection.execute(
        "insert into integration_providers (name, display_name, auth_type, config) "
        "select 'faulty', 'Faulty', 'oauth', config from integration_providers where name = 'hubspot'"
    )
    return "faulty"


@pytest.mark.parametrize("first_name", ["loud", "silent"])
def test_a_fault_in_a_providers_module_fails_its_rows_and_tells_nothing_of_people(
    shop: Shop, database: str, faulty: str, first_name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tenant = shop.tenant()
    organization = shop.house.organization()
    shop.house.integration(organization, faulty)
    shop.house.connection.execute("alter table sync_queue alter max_attempts set default 1")
    shop.house.reply(organization, shop.house.contact(organization, f"{first_name}@canary.example"))
    with daemon(database):
        eventually(lambda: shop.statuses()["failed"] == 1, "a failed row")
        shop.reply(tenant)
        shop.wait_until_settled()
    words = shop.house.value("select last_error from sync_queue where status = 'failed'")
    assert (
        words
        == {
            "loud": "a fault of ours: RuntimeError",
            "silent": "the provider's module said nothing of this row",
        }[first_name]
    )
    output = capsys.readouterr()
    assert "canary" not in output.out + output.err
    if first_name == "loud":
        assert "push_failed_unexpectedly" in output.out
        assert "test_failures.py" in output.out


def test_a_crm_that_is_down_costs_no_attempt_and_is_found_again(house: House, database: str) -> None:
    hubspot = HubSpot(limits=False, search_lag=0.0)
    with ExitStack() as stack:
        with serve(hubspot.app) as server:
            shop = Shop(house, hubspot, server.url)
            tenant = shop.tenant()
            shop.replies(tenant, 5)
            stack.enter_context(daemon(database, poll_seconds=3600))
            shop.wait_until_settled()
        shop.replies(tenant, 20)
        eventually(lambda: house.value("select max(failures) from crm_sync.lanes") >= 2, "an outage that was noticed")
        eventually(lambda: house.value("select state from crm_sync.status") == "unavailable", "a lane that backs off")
        assert house.rows("select distinct attempts from sync_queue where status in ('pending', 'retry')") == [(0,)]
        with serve(hubspot.app, int(server.url.rpartition(":")[2])):
            shop.wait_until_settled()  # by itself
    assert set(shop.statuses()) == {"completed"}
    shop.assert_exact(tenant)


def poisoned(app: ASGIApp, poison: bytes) -> ASGIApp:
    """`app`, but a body that holds `poison` always gets a 500."""

    async def serve_it(scope: Scope, receive: Receive, send: Send) -> None:
        messages = [await receive()]
        while messages[-1].get("more_body"):
            messages.append(await receive())
        if any(poison in message.get("body", b"") for message in messages):
            await PlainTextResponse("oops", 500)(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await app(scope, replay, send)

    return serve_it


def _wait_for_notes(shop: Shop, tenant: Tenant, count: int) -> None:
    eventually(lambda: len(shop.ledger(tenant)["notes"]) == count, "the reply of another", 60)


def test_a_poison_row_fails_and_the_others_get_through(house: House, database: str, hubspot: HubSpot) -> None:
    with serve(poisoned(hubspot.app, b"poison@example.com")) as server:
        shop = Shop(house, hubspot, server.url)
        tenant = shop.tenant()
        shop.replies(tenant, 6)
        shop.reply(tenant, shop.person(tenant, email="poison@example.com"))
        shop.replies(tenant, 6)
        started = time.monotonic()
        others = 12
        poison = (
            "select q.status = 'failed' from sync_queue q join contacts k on k.id = q.contact_id "
            "where k.email = 'poison@example.com'"
        )
        with daemon(database, poll_seconds=3600):
            while not house.value(poison):
                # a row alone cannot be told from an outage: it is the others' success that convicts it
                assert time.monotonic() < started + 60
                shop.reply(tenant)
                others += 1
                _wait_for_notes(shop, tenant, others)
            shop.wait_until_settled(seconds=30)
        print(f"a poison row held the others up for {time.monotonic() - started:.1f} s")
    failed = "select k.email from sync_queue q join contacts k on k.id = q.contact_id where q.status = 'failed'"
    assert house.rows(failed) == [("poison@example.com",)]
    assert len(shop.ledger(tenant)["contacts"]) == others
    assert len(shop.ledger(tenant)["notes"]) == others
    shop.assert_accounts()


def test_a_document_that_this_version_does_not_understand_fails_alone(
    shop: Shop, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    odd, tenant = shop.tenant(), shop.tenant()
    shop.house.connection.execute("alter table sync_queue alter max_attempts set default 1")
    # as a database might compose it that is far ahead of us
    source = shop.house.value("select pg_get_functiondef('crm_sync.compose_batch(bigint)'::regprocedure)")
    newer = f"'provider', case b.integration_id when {odd.integration} then to_jsonb(7) else to_jsonb(p.name) end"
    assert "'provider', p.name" in source
    shop.house.connection.execute(source.replace("'provider', p.name", newer).encode())
    with daemon(database):
        shop.reply(odd)
        shop.reply(tenant)
        shop.wait_until_settled()
    assert shop.statuses(odd) == {"failed": 1}
    assert "does not understand" in shop.house.value("select last_error from sync_queue where status = 'failed'")
    output = capsys.readouterr().out
    assert "batch_unreadable" in output
    assert "@example.com" not in output
    shop.assert_exact(tenant)


def test_a_refusal_of_our_own_database_backs_off_and_costs_no_attempt(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    connection = shop.house.connection
    with daemon(database):
        connection.execute("revoke execute on function crm_sync.spend_budget from crm_sync_daemon")
        shop.reply(tenant)
        eventually(lambda: shop.house.value("select max(failures) from crm_sync.lanes") >= 1, "a lane that backs off")
        assert shop.house.rows("select status, attempts from sync_queue") == [("retry", 0)]
        connection.execute("grant execute on function crm_sync.spend_budget to crm_sync_daemon")
        shop.hurry_until_settled(tenant)
    shop.assert_exact(tenant)


def test_a_tenants_open_transaction_stops_nobody_elses_sync(shop: Shop, database: str) -> None:
    held, free = shop.tenant(), shop.tenant()
    claims = json.dumps({"sub": str(shop.house.user(held.organization))})
    with daemon(database), psycopg.connect(database) as member:
        member.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        member.execute("set local role authenticated")
        member.execute("select from public.user_integrations for update")
        for _ in range(5):
            shop.reply(held)
            shop.reply(free)
            shop.wait_until_settled(free)
        assert shop.statuses(held) == {"pending": 5}
        member.rollback()
        shop.wait_until_settled()
