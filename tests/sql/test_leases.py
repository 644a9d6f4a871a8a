"""Several daemons, lost daemons, and connections that are left alone."""

from __future__ import annotations

import threading
from collections import Counter
from uuid import UUID

import psycopg
import pytest

from tests.house import House, eventually
from tests.sql.daemon import (
    Daemon,
    assert_books_balance,
    connect,
    documents,
    elapse,
    queue,
    somebody_waits,
    synced,
    wait_for_lanes_without_end,
)


@pytest.mark.parametrize("contacts", [1, 40])
def test_concurrent_claims_never_share_a_row_or_a_contact(
    house: House, database: str, organization: UUID, integration: int, contacts: int
) -> None:
    house.connection.execute("update crm_sync.config set batches_in_flight = 64")
    ids = [house.contact(organization, f"c{n}@example.com") for n in range(contacts)]
    for n in range(80):
        house.reply(organization, ids[n % contacts], "x")
    taken: Counter[int] = Counter()
    holders: Counter[str] = Counter()
    clashes: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        with connect(database) as connection:
            worker = Daemon(House(connection))
            while (batch := worker.try_claim(limit=3)) is not None or queue(worker.house, "1", "status = 'pending'"):
                if batch is None:
                    continue
                with lock:
                    for document in documents(batch):
                        taken.update(document["rows"])
                        holders[document["contact_id"]] += 1
                        if holders[document["contact_id"]] > 1:
                            clashes.append(document["contact_id"])
                with lock:
                    for document in documents(batch):
                        holders[document["contact_id"]] -= 1
                worker.finish(batch, [synced(document) for document in documents(batch)])

    house.connection.execute(
        "update public.user_integrations set sync_settings = sync_settings || "
        """'{"auto_create_deals": false, "log_activities": false}'"""
    )
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert clashes == []
    assert taken == Counter({row: 1 for (row,) in queue(house, "id")})
    assert_books_balance(house)


def test_a_lease_that_ends_is_taken_over_uncertain_and_costs_no_attempt(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization))
    lost = daemon.claim()
    assert Daemon(house).try_claim() is None
    elapse(house)
    other = Daemon(house)
    taken = other.claim()
    assert taken["id"] != lost["id"]
    assert taken["contacts"][0]["uncertain"] is True
    assert queue(house, "status, attempts, losses, last_error") == [
        ("processing", 1, 1, "the daemon that worked on it vanished")
    ]
    assert daemon.confirm(lost) == 0
    assert house.rows("select count(*) from public.contact_sync_mappings") == [(0,)]
    assert other.confirm(taken) == 1
    assert_books_balance(house)


def test_a_renewed_lease_is_not_taken_over_and_a_lost_one_not_renewed(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization))
    batch = daemon.claim()
    elapse(house, "59 seconds")
    renew = "select crm_sync.extend_leases(%s, %s, interval '60 seconds')"
    assert Daemon(house).call(renew, daemon.id, []) == []
    stranger = Daemon(house)
    assert stranger.call(renew, stranger.id, [batch["id"]]) == []
    assert daemon.call(renew, daemon.id, [batch["id"], 999]) == [batch["id"]]
    elapse(house, "30 seconds")
    assert Daemon(house).try_claim() is None
    elapse(house, "31 seconds")
    assert Daemon(house).claim()["id"] != batch["id"]
    assert daemon.call(renew, daemon.id, [batch["id"]]) == []


def test_a_batch_of_before_a_failover_settles_nobody_elses(house: House, daemon: Daemon, integration: int) -> None:
    """A replica that was behind gives the same numbers again, to the same daemon perhaps."""
    (organization,) = house.rows("select organization_id from public.user_integrations where id = %s", integration)[0]
    house.reply(organization, house.contact(organization, "before@example.com"), "x")
    lost = daemon.claim()
    house.connection.execute(
        "delete from crm_sync.batches; update public.sync_queue set status = 'pending', batch_id = null"
    )
    for _ in range(5):  # by chance it may be the same once in a million times
        house.connection.execute("select setval('crm_sync.batches_id_seq', %s, false)", [lost["id"] >> 20])
        batch = daemon.claim()
        assert batch["id"] >> 20 == lost["id"] >> 20
        assert batch["id"] != lost["id"]
        assert daemon.confirm(lost) == 0
        assert daemon.confirm(batch) > 0
        house.reply(organization, house.contact(organization, f"{batch['id']}@example.com"), "x")


def test_after_ten_lost_daemons_the_row_fails_for_a_human(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization))
    for _ in range(10):
        daemon.claim()
        elapse(house)
    assert daemon.try_claim() is None
    assert queue(house, "status, attempts, losses, last_error") == [
        ("failed", 0, 10, "ten daemons vanished while they worked on this row; look at their logs, then retry it")
    ]
    assert_books_balance(house)


def test_no_more_batches_of_a_connection_than_allowed_are_in_flight(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n in range(5):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"))
    first = daemon.claim(limit=1)
    daemon.claim(limit=1)
    assert daemon.answer(limit=1)[:2] == (None, [])
    assert daemon.try_claim(limit=1, integration=integration) is None
    daemon.confirm(first)
    daemon.claim(limit=1)
    house.connection.execute("update crm_sync.config set batches_in_flight = 3")
    daemon.claim(limit=1)


def test_a_claim_tells_when_a_full_connections_lease_ends(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """Should the daemons that hold it die, the others know when to look."""
    for n in range(3):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"))
    daemon.claim(limit=1)
    daemon.claim(limit=1)
    _, _, next_due_at = Daemon(house).answer(limit=1)
    assert next_due_at == house.value("select min(lease_until) from crm_sync.batches")


def test_a_recovering_connection_is_probed_with_one_batch_at_a_time(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n in range(3):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"))
    house.connection.execute("update crm_sync.lanes set failures = 1")
    daemon.claim(limit=1)
    assert daemon.try_claim(limit=1) is None


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    "change",
    [
        "update crm_sync.lanes set paused_at = now()",
        "update crm_sync.lanes set parked_until = now() + interval '1 hour', parked_kind = 'rate_limited'",
        "update public.user_integrations set status = 'disconnected'",
        "update public.user_integrations set status = 'error'",
        "update public.integration_providers set is_active = false",
    ],
)
def test_a_connection_that_is_left_alone_is_not_claimed(
    house: House, daemon: Daemon, organization: UUID, integration: int, change: str
) -> None:
    house.reply(organization, house.contact(organization))
    house.connection.execute(change.encode())
    assert daemon.try_claim() is None
    assert daemon.try_claim(integration=integration) is None
    assert queue(house) == [("pending", 0)]


def test_a_parked_connection_says_when_it_resumes(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization))
    daemon.fail(daemon.claim(), "rate_limited", retry_after=30)
    _, due, next_due_at = daemon.answer()
    assert due == []
    assert next_due_at == house.value("select parked_until from crm_sync.lanes")
    elapse(house, "31 seconds")
    assert daemon.claim()["contacts"]


def test_a_released_batch_goes_back_as_it_was(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization))
    house.reply(organization, house.contact(organization, "b@example.com"))
    batch = daemon.claim()
    assert daemon.call("select crm_sync.release_batch(%s)", batch["id"]) == 2
    assert daemon.call("select crm_sync.release_batch(%s)", batch["id"]) == 0
    assert queue(house, "status, attempts, uncertain, batch_id, last_error") == [("pending", 0, False, None, None)] * 2
    assert len(daemon.claim()["contacts"]) == 2
    assert_books_balance(house)


def test_claiming_waits_for_no_producer(
    house: House, daemon: Daemon, database: str, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization))
    message = house.message(organization, house.contact(organization, "b@example.com"))
    with connect(database) as producer:
        producer.execute("begin")
        producer.execute("insert into public.message_classifications (message_id) values (%s)", [message])
        house.connection.execute("set lock_timeout = '10s'")
        daemon.confirm(daemon.claim())
        producer.execute("rollback")


def test_a_claim_and_the_deletion_of_its_connection_do_not_wait_for_each_other(
    house: House, database: str, organization: UUID, integration: int
) -> None:
    """One lock order everywhere, connection before lane, or one of the two is shot as a deadlock."""
    house.reply(organization, house.contact(organization))
    results: list[object] = []

    def claim() -> None:
        with connect(database) as connection:
            try:
                results.append(Daemon(House(connection)).try_claim())
            except psycopg.Error as error:
                results.append(error)

    wait_for_lanes_without_end(house)
    thread = threading.Thread(target=claim)
    with house.connection.transaction():
        house.connection.execute("select from public.user_integrations where id = %s for update", [integration])
        thread.start()
        eventually(lambda: somebody_waits(house), "the claim waits")
        house.connection.execute("delete from public.user_integrations where id = %s", [integration])
    thread.join(30)
    assert results == [None]
