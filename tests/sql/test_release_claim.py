"""What a claim has taken whose answer the daemon never heard goes back, and nothing else does."""

from __future__ import annotations

from uuid import UUID, uuid4

from tests.house import House
from tests.sql.daemon import STATE, Batch, Daemon, assert_books_balance, elapse, people, queue

CLAIM = "select batch from crm_sync.claim_batch(%s, 1, null, '60 seconds', null, %s)"
RELEASE = "select crm_sync.release_claim(%s, %s)"


def claim(daemon: Daemon, name: UUID) -> Batch:
    batch: Batch = daemon.call(CLAIM, daemon.id, name)
    return batch


def test_what_a_lost_claim_took_goes_back_as_if_it_had_never_been_claimed(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 1)
    before = queue(house, STATE + ", losses, failing_since, failure")
    lost, never = uuid4(), uuid4()
    batch = claim(daemon, lost)
    assert daemon.call(RELEASE, daemon.id, [never, lost]) == lost
    assert queue(house, STATE + ", losses, failing_since, failure") == before
    assert daemon.call(RELEASE, daemon.id, [never, lost]) is None, "it is gone"
    assert daemon.confirm(batch) == 0, "whoever heard of it after all says nothing that counts"
    again = daemon.claim()
    assert again["contacts"][0]["uncertain"] is False, "at once, and nothing is looked for in the CRM"
    assert daemon.confirm(again) == 1
    assert_books_balance(house)


def test_no_other_batch_goes_back(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    """Not those of other claims, of a daemon of before, which gives no names, or of another daemon."""
    house.connection.execute("update crm_sync.config set batches_in_flight = 64")
    people(house, organization, 4)
    name, lost = uuid4(), uuid4()
    kept = [claim(daemon, name), daemon.claim(limit=1), claim(Daemon(house), lost)]
    claim(daemon, lost)
    assert daemon.call(RELEASE, daemon.id, [lost]) == lost
    assert daemon.call(RELEASE, daemon.id, [lost]) is None
    assert daemon.call(RELEASE, daemon.id, []) is None
    assert sorted(house.rows("select id from crm_sync.batches")) == sorted((batch["id"],) for batch in kept)
    assert [daemon.confirm(batch) for batch in kept] == [1, 1, 1]


def test_what_was_uncertain_or_is_to_be_erased_goes_back_as_that(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    (contact,) = people(house, organization, 1)
    daemon.claim()
    elapse(house)  # that daemon vanished: the CRM may have it
    lost = uuid4()
    claim(daemon, lost)
    assert daemon.call(RELEASE, daemon.id, [lost]) == lost
    batch = daemon.claim()
    assert batch["contacts"][0]["uncertain"] is True
    daemon.confirm(batch)
    daemon.work()
    with house.as_role("crm_sync_daemon") as connection:
        connection.execute("select crm_sync.erase_contact(%s, true)", [contact])
    claim(daemon, lost)
    assert queue(house, "status", "queue_type = 'contact_erasure'") == [("processing",)]
    assert daemon.call(RELEASE, daemon.id, [lost]) == lost
    columns = "status, attempts, last_error, next_attempt_at"
    assert queue(house, columns, "queue_type = 'contact_erasure'") == [("pending", 0, None, None)]
