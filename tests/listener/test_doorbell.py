"""The bell makes the daemon fast, and nothing is lost when it does not ring."""

from __future__ import annotations

import random
import threading
import time

import psycopg
import pytest

from tests.house import House, eventually
from tests.listener.daemons import Daemon, daemon
from tests.listener.relay import relay
from tests.listener.shop import Shop

NEVER = 3600.0
SOON = 15.0
"""Before anything but the bell could wake it: a sign of life comes every twenty seconds."""
LISTENERS = (
    "select pid from pg_stat_activity where datname = current_database() and application_name = 'crm-sync' "
    "and query ilike 'listen%%'"
)


def is_armed(house: House) -> bool:
    return bool(house.value("select bool_and(armed) from crm_sync.daemons"))


def sleeps(house: House, running: Daemon) -> bool:
    """Armed, and past the looks that follow: it runs no statement any more."""
    assert running.worker is not None
    if not is_armed(house):
        return False
    busy = "select max(query_start) > clock_timestamp() - interval '150 ms' from pg_stat_activity "
    return not house.value(busy + "where datname = current_database() and application_name = 'crm-sync'")


def test_a_sleeping_daemon_is_woken_by_the_bell_alone(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with daemon(database, poll_seconds=NEVER) as running:
        for _ in range(3):
            eventually(lambda: sleeps(shop.house, running), "sleep")
            shop.reply(tenant)
            shop.wait_until_settled(seconds=SOON)
    shop.assert_exact(tenant)


def test_a_hint_that_leads_nowhere_keeps_nobody_from_the_work(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with daemon(database, poll_seconds=NEVER) as running:
        for hint in ("999999", "nonsense", "99999999999999999999", ""):
            eventually(lambda: sleeps(shop.house, running), "sleep")
            with shop.house.connection.transaction():
                shop.house.connection.execute("select pg_notify('crm_sync_due', %s)", [hint])
                shop.reply(tenant)
            shop.wait_until_settled(seconds=SOON)
    shop.assert_exact(tenant)


def test_without_listen_the_daemon_polls_and_asks_nobody_to_ring(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with daemon(database, listen=False, poll_seconds=0.1), psycopg.connect(database, autocommit=True) as ear:
        ear.execute("listen crm_sync")
        for _ in range(3):
            shop.reply(tenant)
            shop.wait_until_settled(seconds=SOON)
            assert shop.house.rows("select armed, listening from crm_sync.daemons") == [(False, False)]
        assert list(ear.notifies(timeout=0.1)) == []
    shop.assert_exact(tenant)


def test_producers_ring_only_while_somebody_is_armed(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with psycopg.connect(database, autocommit=True) as ear:
        ear.execute("listen crm_sync")
        shop.reply(tenant)
        assert list(ear.notifies(timeout=0.1)) == []
        with daemon(database, poll_seconds=NEVER):
            shop.wait_until_settled()
            eventually(lambda: is_armed(shop.house), "an armed daemon")
            list(ear.notifies(timeout=0.05))
            shop.reply(tenant)
            assert [ring.payload for ring in ear.notifies(timeout=5, stop_after=1)] == [""]
            shop.wait_until_settled()
    assert shop.house.value("select count(*) from crm_sync.daemons") == 0


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_a_transaction_that_began_before_the_daemon_armed_is_not_slept_through(
    shop: Shop, database: str, isolation: str
) -> None:
    tenant = shop.tenant()
    message = shop.house.message(tenant.organization, shop.person(tenant))
    with psycopg.connect(database) as producer:
        producer.execute(f"set transaction isolation level {isolation}")
        producer.execute(
            "insert into public.message_classifications (message_id, intent) values (%s, 'question')", [message]
        )
        with daemon(database, poll_seconds=NEVER) as running:
            eventually(lambda: is_armed(shop.house), "an armed daemon")
            producer.commit()
            shop.wait_until_settled(seconds=SOON)
            assert shop.statuses() == {"completed": 2}
            eventually(lambda: sleeps(shop.house, running), "sleep")


def test_work_that_arrives_meanwhile_does_not_make_it_forget_an_older_transaction(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    message = shop.house.message(tenant.organization, shop.person(tenant))
    with psycopg.connect(database) as producer:
        producer.execute(
            "insert into public.message_classifications (message_id, intent) values (%s, 'question')", [message]
        )
        with daemon(database, poll_seconds=NEVER):
            for _ in range(3):
                eventually(lambda: is_armed(shop.house), "an armed daemon")
                shop.reply(tenant)
                shop.wait_until_settled(seconds=SOON)
            eventually(lambda: is_armed(shop.house), "an armed daemon")
            producer.commit()
            shop.wait_until_settled(seconds=SOON)
            assert shop.statuses() == {"completed": 8}


def test_a_flood_of_hints_keeps_nobody_from_the_work(shop: Shop, database: str) -> None:
    """Anybody who may connect may notify."""
    tenant = shop.tenant()
    over, is_high = threading.Event(), threading.Event()

    def flood() -> None:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("set role crm_sync_producer")
            begun = time.monotonic()
            while not over.wait(0.002):
                if time.monotonic() > begun + 0.5:
                    is_high.set()
                query = "select pg_notify('crm_sync_due', (900000 + n)::text) from generate_series(1, 50) as n"
                connection.execute(query)

    with daemon(database, poll_seconds=5.0) as running:
        eventually(lambda: sleeps(shop.house, running), "sleep")
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            assert is_high.wait(15)
            shop.reply(tenant)
            shop.wait_until_settled(seconds=SOON)
        finally:
            over.set()
            thread.join()
    shop.assert_exact(tenant)


def test_a_ring_for_nothing_does_not_make_it_spin_while_an_older_transaction_runs(shop: Shop, database: str) -> None:
    shop.tenant()
    with psycopg.connect(database) as writer:
        writer.execute("insert into public.organizations (name) values ('unfinished')")
        with daemon(database, poll_seconds=NEVER):
            eventually(lambda: is_armed(shop.house), "an armed daemon")
            shop.house.connection.execute("notify crm_sync")
            count = "select xact_commit from pg_stat_database where datname = current_database()"
            started, before = time.monotonic(), shop.house.value(count)
            eventually(lambda: time.monotonic() > started + 1.5, "a while")
            assert shop.house.value(count) - before < 500


def test_no_wake_up_is_lost_with_many_producers(shop: Shop, database: str) -> None:
    tenants = [shop.tenant(sync_settings={"log_activities": False}) for _ in range(2)]
    messages = [
        [shop.house.message(tenant.organization, shop.person(tenant)) for _ in range(30)] for tenant in tenants * 2
    ]

    def produce(mine: list[object], seed: int) -> None:
        dice = random.Random(seed)
        with psycopg.connect(database) as producer:
            if seed % 2:
                producer.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            for message in mine:
                producer.execute("select 1 from public.organizations limit 1")
                time.sleep(dice.random() * 0.02)
                producer.execute(
                    "insert into public.message_classifications (message_id, intent) values (%s, 'question')", [message]
                )
                time.sleep(dice.choice((0, 0, 0.005, 0.05)) * dice.random())
                producer.commit()
                time.sleep(dice.random() * 0.05)

    with daemon(database, poll_seconds=NEVER):
        threads = [threading.Thread(target=produce, args=(mine, seed)) for seed, mine in enumerate(messages)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shop.wait_until_settled(seconds=SOON)
    assert shop.statuses() == {"completed": 120}
    for tenant in tenants:
        assert len(shop.ledger(tenant)["contacts"]) == 60


def test_a_killed_listen_connection_heals_and_what_came_meanwhile_is_found(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with daemon(database, poll_seconds=NEVER):
        for _ in range(3):
            pid = eventually(lambda: shop.house.value(LISTENERS), "a LISTEN connection")
            shop.house.value("select pg_terminate_backend(%s)", pid)
            shop.reply(tenant)
            shop.wait_until_settled(seconds=SOON)
        eventually(lambda: shop.house.value("select listening and armed from crm_sync.daemons"), "listening again")
    shop.assert_exact(tenant)


def test_a_listen_connection_that_went_deaf_is_noticed_and_replaced(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with (
        relay(database) as wire,
        daemon(database, poll_seconds=NEVER, ring_seconds=0.3, ring_answer_seconds=0.3) as running,
    ):
        assert running.worker is not None
        # from here on, the LISTEN connection goes through the relay
        through_relay = running.settings.model_copy(
            update={"database_url": type(running.settings.database_url)(wire.url)}
        )
        running.worker._doorbell._settings = through_relay
        shop.house.value("select pg_terminate_backend(%s)", shop.house.value(LISTENERS))
        eventually(lambda: wire.accepted and shop.house.value("select listening and armed from crm_sync.daemons"))
        shop.reply(tenant)
        shop.wait_until_settled(seconds=SOON)
        eventually(lambda: sleeps(shop.house, running) or is_armed(shop.house), "sleep")
        before = wire.accepted  # more than one where an answer has taken too long
        wire.deafen_all()
        shop.reply(tenant)  # its ring is not heard
        eventually(lambda: wire.accepted > before, "a new LISTEN connection", SOON)
        shop.wait_until_settled(seconds=SOON)
    shop.assert_exact(tenant)


def test_a_daemon_that_the_database_has_forgotten_registers_again_and_is_rung(shop: Shop, database: str) -> None:
    tenant = shop.tenant()
    with daemon(database, poll_seconds=NEVER, lease_seconds=2):
        eventually(lambda: is_armed(shop.house), "an armed daemon")
        shop.house.connection.execute("delete from crm_sync.daemons")
        eventually(lambda: is_armed(shop.house), "an armed daemon again")
        shop.reply(tenant)
        shop.wait_until_settled(seconds=SOON)
