"""take_samples: what the charts are drawn from."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from tests.house import House, eventually
from tests.sql.daemon import Daemon, connect, documents, failed, people, synced

SAMPLES = (
    "select integration_id, synced, waiting, failed, oldest_wait is null from crm_sync.samples order by 1, sampled_at"
)


def a_minute_passes(house: House) -> None:
    house.connection.execute("update crm_sync.samples set sampled_at = sampled_at - interval '1 minute'")


@pytest.mark.usefixtures("rolled_back")
def test_a_sample_says_what_was_synced_waits_and_has_failed(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    batch = daemon.claim(limit=2)
    first, second = documents(batch)
    daemon.finish(batch, [synced(first), failed(second, "rejected")])
    open_rows = house.value("select count(*) from public.sync_queue where completed_at is null")
    assert daemon.call("select crm_sync.take_samples()") == 1
    assert house.rows(SAMPLES) == [(integration, 1, open_rows, 1, False)]


@pytest.mark.usefixtures("rolled_back")
def test_a_minute_in_which_nothing_changed_has_no_sample(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    idle = house.integration(house.organization("Idle"))
    assert daemon.call("select crm_sync.take_samples()") == 2
    assert daemon.call("select crm_sync.take_samples()") == 0
    a_minute_passes(house)
    assert daemon.call("select crm_sync.take_samples()") == 0
    people(house, organization, 1)
    assert daemon.call("select crm_sync.take_samples()") == 1
    assert [row[:3] for row in house.rows(SAMPLES)] == [(integration, 0, 0), (integration, 0, 1), (idle, 0, 0)]


@pytest.mark.usefixtures("rolled_back")
def test_the_oldest_wait_is_that_of_the_row_that_waits_longest_whatever_its_priority(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    house.connection.execute(
        "update public.sync_queue as q set priority = 1 + r.n, created_at = now() - r.n * interval '1 hour', "
        "next_attempt_at = case when r.n = 3 then now() + interval '1 day' end "
        "from (select id, row_number() over (order by id) as n from public.sync_queue) as r where r.id = q.id"
    )
    daemon.call("select crm_sync.take_samples()")
    assert house.value("select extract(epoch from oldest_wait)::integer from crm_sync.samples") == 3 * 3600
    assert integration == house.value("select integration_id from crm_sync.samples")


@pytest.mark.usefixtures("rolled_back")
def test_old_samples_are_deleted(house: House, daemon: Daemon, integration: int) -> None:
    daemon.call("select crm_sync.take_samples()")
    house.connection.execute("update crm_sync.samples set sampled_at = now() - interval '31 days'")
    people(house, house.value("select organization_id from public.user_integrations where id = %s", integration), 1)
    daemon.call("select crm_sync.take_samples()")
    assert [row[2] for row in house.rows(SAMPLES)] == [1]


@pytest.mark.usefixtures("rolled_back")
def test_what_a_connection_did_before_it_rested_longer_than_samples_are_kept_is_not_done_again(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    daemon.confirm(daemon.claim())
    daemon.work()
    daemon.call("select crm_sync.take_samples()")
    house.connection.execute("update crm_sync.samples set sampled_at = now() - interval '31 days'")
    for _ in range(2):
        daemon.call("select crm_sync.take_samples()")
        a_minute_passes(house)
    assert house.value("select synced > 0 from crm_sync.lanes where integration_id = %s", integration)
    recently = "select coalesce(sum(synced), 0) from crm_sync.throughput where minute > now() - interval '1 day'"
    assert house.value(recently) == 0


@pytest.mark.usefixtures("rolled_back")
def test_members_see_the_samples_of_their_organization_only(house: House, organization: UUID, integration: int) -> None:
    house.integration(house.organization("Other"))
    house.value("select crm_sync.take_samples()")
    with house.as_role("authenticated", house.user(organization)):
        assert house.rows("select integration_id from crm_sync.samples") == [(integration,)]


def test_many_daemons_at_once_take_one_sample_of_each_connection(
    house: House, database: str, organization: UUID
) -> None:
    integrations = [house.integration(organization, name=f"n{n}") for n in range(5)]
    people(house, organization, 2)
    barrier = threading.Barrier(8)
    counts: list[int] = []

    def sample() -> None:
        with connect(database) as connection:
            barrier.wait(15)
            row = connection.execute("select crm_sync.take_samples()").fetchone()
            assert row is not None
            counts.append(row[0])

    threads = [threading.Thread(target=sample) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(counts) == 8
    rows = house.rows("select integration_id, count(*), min(waiting) from crm_sync.samples group by 1 order by 1")
    # a minute may have ended between the first and the last
    assert [row[0] for row in rows] == integrations
    assert {row[2] for row in rows} == {2}
    assert house.value("select count(distinct (integration_id, sampled_at)) = count(*) from crm_sync.samples")


def test_a_connection_that_is_being_deleted_does_not_hold_the_samples_up(
    house: House, database: str, organization: UUID, integration: int
) -> None:
    other = house.integration(organization, "pipedrive")
    with connect(database) as deleting, deleting.transaction(force_rollback=True):
        deleting.execute("delete from public.user_integrations where id = %s", [integration])
        assert house.value("select crm_sync.take_samples()") == 1
    assert [row[0] for row in house.rows(SAMPLES)] == [other]
    eventually(lambda: house.value("select crm_sync.take_samples()") == 1, "the other's sample")
