"""The answer to a claim, or to a completion, does not arrive: the connection dies after the server has committed it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from listener.observer import Observer
from providers.models import Batch, Outcome
from sandbox.faults import Fault
from tests.house import House, eventually
from tests.listener.daemons import daemon
from tests.listener.relay import Relay, relay
from tests.listener.shop import Shop
from tests.sql.daemon import connect, somebody_waits

SOON_SECONDS = 15.0
"""A quarter of the lease, for a busy machine; it takes about one."""
ROWS = (
    "select distinct attempts, losses, uncertain from public.sync_queue "
    "where integration_id = %s and queue_type = 'contact_sync'"
)
SPENT = "select sum(spent)::integer from crm_sync.budgets"


@pytest.fixture
def wire(database: str) -> Iterator[Relay]:
    with relay(database) as running:
        yield running


@contextmanager
def held_commit(house: House, database: str, table: str) -> Iterator[threading.Event]:
    """Whoever changes this table waits with its commit until the event is set."""
    house.connection.execute(
        "create function public.wait_for_test() returns trigger language plpgsql as "
        "$$ begin perform pg_advisory_xact_lock_shared(7); return null; end $$"
    )
    house.connection.execute(
        "create constraint trigger wait_for_test after insert or delete on "
        f"{table} deferrable initially deferred for each row execute function public.wait_for_test()".encode()
    )
    release = threading.Event()
    with connect(database) as holder:
        holder.execute("select pg_advisory_lock(7)")

        def hold() -> None:
            release.wait()
            holder.execute("select pg_advisory_unlock_all()")

        thread = threading.Thread(target=hold)
        thread.start()
        try:
            yield release
        finally:
            release.set()
            thread.join()


def lose_answer(wire: Relay, house: House, release: threading.Event, fact: str) -> None:
    """Of what waits with its commit: let it commit, which makes the fact true, and cut the wire before it is told."""
    wire.hold("to_client")
    release.set()
    eventually(lambda: house.value(fact), "a commit")
    wire.reset()
    wire.let_go()


def calls_of(shop: Shop) -> int:
    return sum(account["total"] for account in shop.crm.calls().values())


def assert_taken_up_untouched(shop: Shop, integration: int) -> None:
    """Its rows were claimed once, as far as anybody knows: no attempt, daemon or certainty is lost."""
    assert shop.house.rows(ROWS, integration) == [(1, 0, False)]


def test_rows_of_a_claim_that_was_not_heard_of_are_at_work_at_once(shop: Shop, database: str, wire: Relay) -> None:
    """Also where room for the first call was taken with the claim: nobody knows of that, so it is not made."""
    tenant = shop.tenant()
    shop.reply(tenant)
    with daemon(wire.url, poll_seconds=60.0):
        shop.wait_until_settled()  # what a first call costs is known from now on
        eventually(lambda: shop.house.value("select bool_and(armed) from crm_sync.daemons"), "sleep")
        with held_commit(shop.house, database, "crm_sync.batches") as release:
            shop.reply(tenant)
            eventually(lambda: somebody_waits(shop.house), "a claim that is about to be committed")
            calls = calls_of(shop)
            assert shop.house.value(SPENT) == calls
            lose_answer(wire, shop.house, release, "select count(*) from crm_sync.batches")
            prepaid = shop.house.value(SPENT) - calls
            assert prepaid in (0, 1), "the first one, where the daemon slept well enough to be rung for it"
            shop.wait_until_settled(tenant, seconds=SOON_SECONDS)
    assert calls_of(shop) > calls
    assert calls_of(shop) == shop.house.value(SPENT) - prepaid, "and never made"
    assert_taken_up_untouched(shop, tenant.integration)
    shop.assert_exact(tenant)


def test_a_claim_that_is_committed_long_after_its_daemon_has_reconnected_is_taken_up_at_once(
    shop: Shop, database: str, wire: Relay
) -> None:
    tenant = shop.tenant()
    waits = (
        "select count(*) from pg_locks where locktype = 'advisory' and not granted "
        "and database = (select oid from pg_database where datname = current_database())"
    )
    with daemon(wire.url, poll_seconds=0.2), held_commit(shop.house, database, "crm_sync.batches") as release:
        shop.reply(tenant)
        eventually(lambda: somebody_waits(shop.house), "a claim that is about to be committed")
        before = wire.accepted
        wire.reset()
        eventually(lambda: wire.accepted >= before + 2, "a daemon that is back")
        looked = "select count(*) from pg_stat_activity where application_name = 'crm-sync' and query ~ 'release_claim'"
        eventually(lambda: shop.house.value(looked), "a look that was too early")
        assert shop.house.value(waits) == 1, "the old claim still waits"
        assert shop.statuses(tenant) == {"pending": 1}
        release.set()
        shop.wait_until_settled(tenant, seconds=SOON_SECONDS)
    assert_taken_up_untouched(shop, tenant.integration)
    shop.assert_exact(tenant)


def test_a_batch_that_is_under_way_stays_so_when_another_ones_claim_is_lost(
    shop: Shop, database: str, wire: Relay
) -> None:
    known, lost = shop.tenant(), shop.tenant()
    with daemon(wire.url, poll_seconds=0.2):
        shop.reply(lost)
        shop.wait_until_settled()
        shop.crm.faults.add(Fault(delay=2.0, account=known.account.number))
        shop.reply(known)
        batch = eventually(lambda: shop.house.rows("select id from crm_sync.batches"), "a batch under way")
        eventually(lambda: len(shop.crm.faults) == 0, "its call")
        with held_commit(shop.house, database, "crm_sync.batches") as release:
            shop.reply(lost)
            eventually(lambda: somebody_waits(shop.house), "a claim that is about to be committed")
            lose_answer(wire, shop.house, release, "select count(*) = 2 from crm_sync.batches")
            shop.wait_until_settled(lost, seconds=SOON_SECONDS)
        assert shop.house.rows("select id from crm_sync.batches") == batch
        shop.wait_until_settled()
    for tenant in (known, lost):
        assert_taken_up_untouched(shop, tenant.integration)
        shop.assert_exact(tenant)


def test_a_stopping_daemon_leaves_no_claim_behind_that_it_has_cut_off(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with held_commit(shop.house, database, "crm_sync.batches") as release:
        with daemon(database):
            shop.reply(tenant)
            eventually(lambda: somebody_waits(shop.house), "a claim that is about to be committed")
        release.set()
    assert shop.house.rows("select id from crm_sync.batches") == []
    assert shop.statuses(tenant) == {"pending": 1}


def test_a_completion_whose_answer_was_lost_counts_once_and_is_told_as_done(
    shop: Shop, database: str, wire: Relay
) -> None:
    told: list[int] = []

    class Recorder(Observer):
        def batch_settled(self, batch: Batch, outcomes: list[Outcome], *, rows: int, **more: Any) -> None:
            told.append(rows)

    tenant = shop.tenant()
    with daemon(wire.url) as running:
        assert running.worker is not None
        running.worker._carrier._observer = Recorder()
        with held_commit(shop.house, database, "public.sync_activity_logs") as release:
            shop.reply(tenant)
            eventually(lambda: somebody_waits(shop.house), "a completion that is about to be committed")
            done = "select count(*) from public.sync_queue where status = 'completed'"
            lose_answer(wire, shop.house, release, done)
            shop.wait_until_settled(tenant, seconds=SOON_SECONDS)
            eventually(lambda: len(told) > 1, "words of it")
    assert told == [1] * len(told), "no lease was lost"
    assert_taken_up_untouched(shop, tenant.integration)
    assert shop.house.rows("select * from crm_sync.accounting where difference <> 0") == []
    shop.assert_exact(tenant)
