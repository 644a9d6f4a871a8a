"""Whatever is done at once to the queue, its books balance, nothing is lost, and nobody meets a deadlock."""

from __future__ import annotations

import random
import threading
from uuid import UUID

import psycopg

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, connect, documents, elapse, failed, people, released, synced

ROUNDS = 100


def act(daemon: Daemon, dice: random.Random, integrations: list[int], contacts: list[UUID]) -> None:
    integration, contact = dice.choice(integrations), dice.choice(contacts)
    ids = [dice.randint(1, 400) for _ in range(20)]
    calls: list[tuple[str, tuple[object, ...]]] = [
        ("select crm_sync.cancel(%s, p_queue_ids => %s)", (integration, ids)),
        ("select crm_sync.cancel(%s, p_contact_id => %s)", (integration, contact)),
        ("select crm_sync.cancel(%s, p_all => true)", (integration,)),
        ("select crm_sync.reprioritize(%s, %s)", (dice.randint(1, 10), integration)),
        ("select crm_sync.reprioritize(%s, p_contact_id => %s)", (dice.randint(1, 10), contact)),
        ("select crm_sync.reprioritize(%s, p_queue_ids => %s)", (dice.randint(1, 10), ids)),
        ("select crm_sync.retry_failed(%s)", (integration,)),
        ("select crm_sync.retry_failed()", ()),
        ("select crm_sync.resync(%s)", (contact,)),
        ("select crm_sync.resync(%s, %s)", (contact, integration)),
        ("select crm_sync.backfill(%s)", (integration,)),
        ("select crm_sync.sync_now(%s)", (integration,)),
        ("select crm_sync.purge_now('0')", ()),
        ("select crm_sync.purge_now('0', %s, 3)", (integration,)),
        ("select crm_sync.pause_all('integration', %s)", (str(integration),)),
        ("select crm_sync.pause_all('everything')", ()),
        ("select crm_sync.resume_all('everything')", ()),
        ("select crm_sync.resume_all('integration', %s)", (str(integration),)),
        ("select crm_sync.heal_pauses()", ()),
        ("select crm_sync.take_tallies()", ()),
        ("select crm_sync.take_samples()", ()),
        ("select crm_sync.check_alerts()", ()),
        ("select crm_sync.reset_counters()", ()),
    ]
    query, arguments = dice.choice(calls)
    daemon.call(query, *arguments)


def work(daemon: Daemon, dice: random.Random) -> None:
    batch = daemon.try_claim(limit=dice.choice([1, 5, 50]), lease=dice.choice(["60 seconds", "0.01 seconds"]))
    if batch is None:
        return
    outcomes = []
    for document in documents(batch):
        match dice.randint(0, 3):
            case 0 | 1:
                outcomes.append(synced(document))
            case 2:
                outcomes.append(
                    failed(
                        document, dice.choice(["rejected", "unavailable", "contended"]), uncertain=dice.random() < 0.3
                    )
                )
            case _:
                outcomes.append(released(document))
    if dice.random() < 0.8:
        daemon.finish(batch, outcomes)
    elif dice.random() < 0.5:
        daemon.call("select crm_sync.release_batch(%s)", batch["id"])


def test_random_deeds_of_four_sessions_leave_the_books_balanced(house: House, database: str) -> None:
    seed = random.SystemRandom().randrange(10**6)
    contacts: list[UUID] = []
    integrations: list[int] = []
    for name in ("One", "Two"):
        organization = house.organization(name)
        for provider in ("hubspot", "pipedrive"):
            integrations.append(
                house.integration(
                    organization,
                    provider,
                    sync_settings={"auto_create_deals": True, "log_activities": True, "attention_tasks": True},
                )
            )
        contacts += people(house, organization, 15)
    wrong: list[str] = []

    def run(number: int) -> None:
        dice = random.Random(seed + number)
        with connect(database) as connection:
            mine = House(connection)
            daemon = Daemon(mine)
            for _ in range(ROUNDS):
                try:
                    if number < 2:
                        work(daemon, dice)
                    else:
                        act(daemon, dice, integrations, contacts)
                    if number == 3 and dice.random() < 0.3:
                        contact = dice.choice(contacts)
                        row = mine.value("select organization_id from public.contacts where id = %s", contact)
                        mine.reply(row, contact, "interested", attention=dice.random() < 0.5)
                except psycopg.Error as error:
                    if error.sqlstate != "CS059":  # a contact of the other organization
                        wrong.append(f"{error.sqlstate} {error} {error.diag.context}")

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [], seed
    assert_books_balance(house)
    # and all that is open comes to its end
    daemon = Daemon(house)
    daemon.call("select crm_sync.resume_all('everything')")
    for integration in integrations:
        daemon.call("select crm_sync.resume_all('integration', %s)", str(integration))
    for _ in range(60):
        elapse(house, "1 hour")
        house.connection.execute("update crm_sync.budgets set theoretical_at = null")
        daemon.work()
        if not house.value("select count(*) from public.sync_queue where completed_at is null"):
            break
    assert house.rows("select * from public.sync_queue where completed_at is null") == [], seed
    assert_books_balance(house)
