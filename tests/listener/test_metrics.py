"""What the daemon shows to those who look after it: true numbers, and words for what is wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from sandbox.faults import Fault
from tests.house import eventually
from tests.listener.daemons import ROOT, process
from tests.listener.scrape import LISTEN, Scrape, port_of, scrape
from tests.listener.shop import Shop

LOADED = "import sys, listener.commands.run, listener.service; sys.exit('prometheus_client' in sys.modules)"


def settled(port: int, fact: Callable[[Scrape], bool], what: str) -> Scrape:
    """The page of the first moment in which the fact holds: an answer serves for a second, the census for five."""
    last: list[Scrape] = []

    def holds() -> bool:
        last[:] = [scrape(port)]
        return fact(last[0])

    eventually(holds, what)
    return last[0]


def test_what_is_counted_is_what_was_sent(each_shop: Shop, database: str, tmp_path: Path) -> None:
    shop, provider = each_shop, each_shop.crm.name
    tenants = [shop.tenant(), shop.tenant()]
    for tenant in tenants:
        shop.replies(tenant, 30, "interested", attention=True)
    with process(tmp_path, database, **LISTEN) as running:
        shop.wait_until_settled()
        found = [tenant.account.found() for tenant in tenants]
        sent = {
            "contact": sum(len(each.contacts) for each in found),
            "deal": sum(len(each.deals) for each in found),
            "activity": sum(len(each.notes) for each in found),
            "task": sum(len(each.tasks) for each in found),
        }
        page = settled(
            port_of(running), lambda page: page.total("outcomes_total", outcome="synced") == sum(sent.values()), "all"
        )
        assert page.by("object", "outcomes_total", provider=provider, outcome="synced") == sent
        assert page.total("outcomes_total") == sum(sent.values()) == 240
        assert page.value("delivery_latency_seconds_count", provider=provider) == sum(sent.values())
        rows = shop.house.value("select count(*) from sync_queue where status = 'completed'")
        assert page.value("batch_rows_sum", provider=provider) == rows
        assert page.value("batch_rows_count", provider=provider) == page.value(
            "batch_duration_seconds_count", provider=provider
        )
        calls: dict[str, float] = {}
        for tenant in tenants:
            for status, count in tenant.account.calls["by_status"].items():
                calls[status] = calls.get(status, 0) + count
        assert page.by("status", "api_calls_total", provider=provider) == calls
        assert page.value("api_call_duration_seconds_count", provider=provider) == sum(calls.values())
        assert page.total("leases_lost_total") == page.total("database_troubles_total") == 0
        assert page.value("batches_in_flight") == 0
        assert page.value("batch_slots") == 8
        assert page.value("ready") == page.value("listening") == page.value("database_up") == 1
        assert page.value("connections", provider=provider, state="connected") == 2


def test_latency_is_from_the_enqueueing_to_the_confirmation(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    shop.reply(tenant)
    shop.house.connection.execute("update sync_queue set created_at = now() - interval '1 hour'")
    with process(tmp_path, database, **LISTEN) as running:
        shop.wait_until_settled()
        page = settled(
            port_of(running), lambda page: page.total("outcomes_total", outcome="synced") == 2, "contact and note"
        )
    assert page.value("delivery_latency_seconds_bucket", provider="hubspot", le="1800.0") == 1
    assert page.value("delivery_latency_seconds_bucket", provider="hubspot", le="7200.0") == 2
    assert 3600 < page.value("delivery_latency_seconds_sum", provider="hubspot") < 3620


def test_failures_are_counted_by_their_kind_and_answers_by_their_status(
    shop: Shop, database: str, tmp_path: Path
) -> None:
    tenant, refused = shop.tenant(), shop.tenant()
    # nobody has read the account's fields yet: what it does not take is found out by sending
    shop.map_contact(refused, {"to": "hs_lead_status", "value": "NOT_AN_OPTION"})
    shop.reply(tenant)
    shop.reply(refused)
    for harm in ({"status": 503}, {"cut": True}, {"status": 429}):
        shop.hubspot.faults.add(Fault(path="/contacts/batch/upsert", account=tenant.account.number, **harm))
    with process(tmp_path, database, **LISTEN) as running:
        shop.hurry_until_settled()
        page = settled(
            port_of(running),
            lambda page: page.total("outcomes_total", outcome="synced", object="activity") == 1,
            "the note",
        )
    kinds = page.by("kind", "outcomes_total", outcome="failed")
    assert kinds == {"unavailable": 2, "rate_limited": 1, "rejected": 1}
    statuses = page.by("status", "api_calls_total")
    assert statuses["503"] == statuses["429"] == 1
    assert statuses.keys() & {"RemoteProtocolError", "ReadError"}
    assert page.value("outcomes_total", provider="hubspot", object="contact", outcome="synced", kind="") == 1


def test_refreshes_are_counted_and_so_are_refusals(shop: Shop, database: str, tmp_path: Path) -> None:
    fine = shop.tenant(oauth=True, expires_at=time.time() - 10)
    dead = shop.tenant(oauth=True, expires_at=time.time() - 10)
    shop.hubspot.end_tokens(dead.account.number, "revoke")
    shop.reply(fine)
    shop.reply(dead)
    with process(tmp_path, database, **LISTEN) as running:
        shop.wait_until_settled(fine)
        page = settled(
            port_of(running), lambda page: page.total("connections", state="error") == 1, "a connection in error"
        )
    assert page.by("outcome", "token_refreshes_total", provider="hubspot") == {"refreshed": 1, "unauthorized": 1}
    assert page.value("connections", provider="hubspot", state="connected") == 1


def test_a_claim_that_was_lost_counts_as_such_and_what_was_said_of_it_does_not(
    shop: Shop, database: str, tmp_path: Path
) -> None:
    tenant = shop.tenant()
    shop.configure("hubspot", timeout_seconds=20)
    shop.reply(tenant)
    shop.hubspot.faults.add(Fault(path="/contacts/batch/upsert", delay=30.0))
    with process(tmp_path, database, **LISTEN, CRM_SYNC_LEASE_SECONDS="6") as running:
        eventually(lambda: len(shop.hubspot.faults) == 0, "a call in flight")
        # as another daemon's claim would do it
        shop.house.connection.execute(
            "update crm_sync.batches set lease_until = now() - interval '1 s'; "
            "select crm_sync.take_over_expired(organization_id, integration_id) from crm_sync.lanes"
        )
        shop.wait_until_settled()
        page = settled(
            port_of(running),
            lambda page: (
                page.total("outcomes_total", outcome="synced") == 2
                and page.total("api_calls_total", status="Cancelled") == 1
            ),
            "contact and note, and a call that was given up",
        )
    assert page.value("leases_lost_total", provider="hubspot") == 1
    assert page.total("outcomes_total") == 2
    assert page.value("api_calls_total", provider="hubspot", status="Cancelled") == 1


def test_the_queue_is_shown_by_connection_with_its_state_and_age(shop: Shop, database: str, tmp_path: Path) -> None:
    waiting, paused = shop.tenant(), shop.tenant()
    shop.house.connection.execute("select crm_sync.pause(%s)", [paused.integration])
    shop.house.connection.execute(
        "update crm_sync.lanes set parked_until = now() + interval '1 hour', parked_kind = 'unavailable' "
        "where integration_id = %s",
        [waiting.integration],
    )
    shop.replies(waiting, 7)
    shop.replies(paused, 3)
    shop.house.connection.execute(
        "update sync_queue set scheduled_at = now() - interval '2 hours' where integration_id = %s",
        [waiting.integration],
    )
    with process(tmp_path, database, **LISTEN) as running:
        page = scrape(port_of(running))
        one = {"integration_id": str(waiting.integration), "provider": "hubspot", "connection_state": "unavailable"}
        other = {"integration_id": str(paused.integration), "provider": "hubspot", "connection_state": "paused"}
        assert page.value("queue_rows", **one, status="pending") == 7
        assert page.value("queue_rows", **other, status="pending") == 3
        assert page.total("queue_rows") == 10
        assert 7200 <= page.value("queue_oldest_wait_seconds", **one) < 7300
        assert 0 <= page.value("queue_oldest_wait_seconds", **other) < 100


def test_wake_ups_by_the_doorbell_and_by_the_clock_are_told_apart(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    with process(tmp_path, database, **LISTEN, CRM_SYNC_POLL_SECONDS="600") as running:
        port = port_of(running)
        for count in range(1, 4):
            eventually(lambda: shop.house.value("select bool_and(is_armed) from crm_sync.workers"), "sleep")
            before = scrape(port).value("wakeups_total", cause="doorbell")
            shop.reply(tenant)
            page = settled(port, partial(_has_contacts, count), "the contact")
            assert page.value("wakeups_total", cause="doorbell") > before
        assert page.value("wakeups_total", cause="poll") == 0
    with process(tmp_path, database, **LISTEN, CRM_SYNC_LISTEN="false", CRM_SYNC_POLL_SECONDS="0.1") as running:
        page = settled(port_of(running), lambda page: page.value("wakeups_total", cause="poll") > 1, "polls")
        assert page.value("wakeups_total", cause="doorbell") == 0
        assert page.value("listening") == 0
        assert page.value("ready") == 1


def test_no_label_names_anybody(shop: Shop, database: str, tmp_path: Path) -> None:
    tenant = shop.tenant()
    shop.replies(tenant, 3, "interested")
    with process(tmp_path, database, **LISTEN) as running:
        shop.wait_until_settled()
        page = settled(port_of(running), lambda page: page.total("outcomes_total") > 0, "work")
    labels = {pair for _, pairs in page.samples for pair in pairs}
    assert {name for name, _ in labels} <= {
        *("component", "version", "python", "provider", "object", "outcome", "kind", "le", "status", "cause"),
        *("integration_id", "connection_state", "state", "limit"),
    }
    assert not [value for _, value in labels if "@" in value or "Tenant" in value or str(tenant.organization) in value]


def test_without_the_setting_prometheus_is_not_even_loaded(shop: Shop, database: str, tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, "-c", LOADED], cwd=ROOT, check=False).returncode == 0
    with process(tmp_path, database) as running:
        assert running.events("metrics_listening") == []
        assert not _listens(running.process.pid)


def test_the_pages_are_on_this_machine_only_unless_it_is_said_otherwise(database: str, tmp_path: Path) -> None:
    with process(tmp_path, database, CRM_SYNC_METRICS_LISTEN="0") as running:
        assert _listens(running.process.pid) == {f"0100007F:{port_of(running):04X}"}


@pytest.mark.parametrize("provider", ["hubspot", "pipedrive"])
def test_calls_that_wait_for_our_budget_are_counted(
    open_shop: Callable[..., Shop], database: str, tmp_path: Path, provider: str
) -> None:
    shop = open_shop(provider)
    shop.configure(provider, limits={name: {"calls": 3, "seconds": 1} for name in ("core", "static", "search")})
    tenant = shop.tenant()
    shop.replies(tenant, 2)
    with process(tmp_path, database, **LISTEN) as running:
        shop.hurry_until_settled(seconds=60)
        page = settled(port_of(running), lambda page: page.total("rate_limit_waits_total") > 0, "a wait")
    assert page.total("rate_limit_waits_total", provider=provider, outcome="waited") > 0
    assert page.total("rate_limit_wait_seconds_total", provider=provider) > 0.1


def _has_contacts(count: int, page: Scrape) -> bool:
    return page.total("outcomes_total", object="contact") == count


def _listens(pid: int) -> set[str]:
    """Local addresses, in hexadecimal, at which a process takes TCP connections."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_rest = line.split()
            if state == "0A" and f"socket:[{line.split()[9]}]" in sockets:
                found.add(local)
    return found
