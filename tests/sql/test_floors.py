"""Looking behind the cursors begins at a lane's floors: below them nothing that waits may ever be."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from uuid import UUID

import psycopg
import pytest

from tests.house import House, eventually
from tests.sql.daemon import Batch, Daemon, connect, documents, elapse, failed, people, queue, released

BELOW = """
select q.id from public.sync_queue as q
join crm_sync.lanes as l on l.integration_id = q.integration_id
where q.completed_at is null and q.next_attempt_at is null and q.id <= l.floors[q.priority] and l.search_all_at > now()
"""
"""Open rows that are not deferred, below the floor of a lane that is not about to be searched as a whole."""
FLOOR = "select min(f.id) from crm_sync.lanes as l cross join unnest(l.floors) as f (id)"
NEWEST = "select max(id) from public.sync_queue"


def look_behind(house: House) -> None:
    """Let the next claim look behind its cursors, from the floors and from nowhere else."""
    house.connection.execute(
        "update crm_sync.lanes set look_behind_at = now(), "
        "search_all_at = case when search_all_at > '-infinity' then now() + interval '1 hour' else search_all_at end"
    )


def risen(house: House, daemon: Daemon, integration: int) -> bool:
    """Whether an idle lane's floors are above all rows; to be asked again, as a mark waits for others."""
    look_behind(house)
    assert daemon.try_claim(integration=integration) is None
    return bool(house.value(FLOOR) >= house.value(NEWEST))


def producer(database: str, organization: UUID, contact: UUID) -> psycopg.Connection:
    """A session that has inserted a reply and not committed it."""
    connection = connect(database)
    connection.autocommit = False
    House(connection).reply(organization, contact, "x")
    return connection


@pytest.fixture
def idle(house: House, daemon: Daemon, organization: UUID, integration: int) -> Callable[[], None]:
    """Some rows have been worked off and the floors are above them; call it to let them rise again."""

    def rise() -> None:
        eventually(lambda: risen(house, daemon, integration), "floors above all finished rows")

    people(house, organization, 3)
    assert daemon.work()
    rise()
    return rise


@pytest.mark.usefixtures("idle")
def test_floors_rise_above_finished_rows_and_new_rows_are_found_above_them(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    before = house.value(FLOOR)
    house.reply(organization, house.contact(organization, "new@example.com"), "x")
    look_behind(house)
    assert daemon.try_claim() is not None
    assert house.value(FLOOR) >= before


@pytest.mark.usefixtures("idle")
def test_a_row_that_is_committed_late_is_found_behind_the_cursors(
    house: House, daemon: Daemon, organization: UUID, database: str
) -> None:
    """Its id was given out before those of rows that have been claimed and finished long since."""
    slow, quick = (house.contact(organization, f"{name}@example.com") for name in ("slow", "quick"))
    with producer(database, organization, slow) as late:
        for _ in range(3):
            house.reply(organization, quick, "x")
            assert daemon.work()
            look_behind(house)
            assert daemon.try_claim() is None
        newest = house.value(NEWEST)
        late.commit()
    look_behind(house)
    batch = daemon.claim()
    assert batch["contacts"][0]["contact_id"] == str(slow)
    assert batch["contacts"][0]["rows"][0] < newest


def test_a_row_that_comes_back_is_found_below_the_floors(
    house: House, daemon: Daemon, organization: UUID, integration: int, idle: Callable[[], None]
) -> None:
    """Deferred and due, failed and put back, abandoned and taken over, handed back: none waits for a search."""
    house.reply(organization, house.contact(organization, "unlucky@example.com"), "x")
    daemon.fail(daemon.claim(), "bug")
    idle()
    elapse(house, "1 hour")
    batch = daemon.claim()
    daemon.finish(batch, [failed(d, "rejected", "no") for d in documents(batch)])
    idle()
    house.connection.execute("select crm_sync.retry_failed(%s)", [integration])
    daemon.claim(lease="1 second")
    elapse(house)
    batch = daemon.claim()
    daemon.finish(batch, [released(d) for d in documents(batch)])
    look_behind(house)
    daemon.confirm(daemon.claim())


@pytest.mark.usefixtures("idle")
def test_a_row_that_somebody_changed_by_hand_is_found_when_everything_is_searched(house: House, daemon: Daemon) -> None:
    house.connection.execute(
        "update public.sync_queue set status = 'pending', completed_at = null "
        "where id = (select min(id) from public.sync_queue)"
    )
    assert daemon.try_claim() is None
    house.connection.execute("update crm_sync.lanes set search_all_at = now() - interval '1 second'")
    assert daemon.claim()


def test_a_mark_of_another_server_is_set_anew(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """A restored database counts its transactions from the beginning."""
    house.connection.execute("update crm_sync.lanes set marked_xid = '9000000000000'")
    people(house, organization, 3)
    daemon.work()
    eventually(lambda: risen(house, daemon, integration), "floors above all finished rows")


def test_a_row_that_a_change_of_frequency_makes_ready_is_found_at_once(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = house.integration(organization, sync_frequency="hourly")
    house.reply(organization, house.contact(organization, "first@example.com"), "question")
    elapse(house, "1 hour")
    batch = daemon.claim()
    late = house.contact(organization, "late@example.com")
    house.reply(organization, late, "question")
    daemon.confirm(batch)
    daemon.work()

    def is_above() -> bool:
        look_behind(house)
        daemon.try_claim(integration=integration)
        return bool(
            house.value(FLOOR) > house.value("select max(id) from public.sync_queue where completed_at is null")
        )

    eventually(is_above, "floors above the deferred row")
    house.connection.execute("update public.user_integrations set sync_frequency = 'realtime'")
    assert daemon.claim()["contacts"][0]["contact_id"] == str(late)


def test_the_first_row_ever_is_found_after_claims_that_found_nothing(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for _ in range(3):
        look_behind(house)
        assert daemon.try_claim(integration=integration) is None
    people(house, organization, 1)
    look_behind(house)
    assert daemon.claim()


def test_finding_the_lane_held_is_not_counted_as_looking(
    house: House, daemon: Daemon, organization: UUID, integration: int, database: str
) -> None:
    """What looking costs decides how long the claim goes without it."""
    people(house, organization, 1)
    with connect(database) as other:
        other.execute("begin")
        other.execute("select from crm_sync.lanes for no key update")
        assert daemon.try_claim(integration=integration) is None
        other.execute("commit")
    daemon.claim(integration=integration)
    query = (
        "select look_behind_at < now() + interval '10 s', search_all_at < now() + interval '60 s' from crm_sync.lanes"
    )
    assert house.rows(query) == [(True, True)]


@pytest.mark.parametrize("seed", range(8))
def test_no_row_that_waits_is_ever_below_a_floor(
    house: House, daemon: Daemon, organization: UUID, integration: int, database: str, seed: int
) -> None:
    """Whatever producers, daemons and operators do, in any order; and all of it arrives in the end."""
    random = Random(seed)
    contacts = [house.contact(organization, f"c{n}@example.com") for n in range(5)]
    batches: list[Batch] = []
    late: list[psycopg.Connection] = []

    def insert() -> None:
        house.reply(organization, random.choice(contacts), random.choice(["interested", "not_interested", "x"]))

    def insert_late() -> None:
        if len(late) < 3:
            late.append(producer(database, organization, random.choice(contacts)))

    def end_late() -> None:
        if late:
            connection = late.pop(random.randrange(len(late)))
            random.choice([connection.commit, connection.rollback])()
            connection.close()

    def claim() -> None:
        if random.random() < 0.7:
            look_behind(house)
        batch = daemon.try_claim(limit=random.randint(1, 4))
        if batch:
            batches.append(batch)

    def finish() -> None:
        if batches:
            batch = batches.pop(random.randrange(len(batches)))
            outcomes = [
                random.choice(
                    [released(d), *(failed(d, kind) for kind in ("rejected", "bug", "contended", "unavailable"))]
                )
                for d in documents(batch)
            ]
            daemon.finish(batch, outcomes) if random.random() < 0.5 else daemon.confirm(batch)

    def retry() -> None:
        house.connection.execute("select crm_sync.retry_failed(%s)", [integration])

    def wait() -> None:
        elapse(house, random.choice(["2 seconds", "10 minutes"]))

    try:
        for _ in range(120):
            random.choices([insert, insert_late, end_late, claim, finish, retry, wait], [4, 1, 2, 8, 6, 1, 2])[0]()
            assert house.connection.execute(BELOW).fetchall() == []
        while late:
            end_late()
    finally:
        for connection in late:
            connection.close()
    for batch in batches:
        daemon.confirm(batch)
    for _ in range(30):
        elapse(house, "1 hour")
        retry()
        daemon.work()
    assert queue(house, "id", "status not in ('completed', 'skipped')") == []
    assert house.value("select count(*) from public.sync_queue") > 0
