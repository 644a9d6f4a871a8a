"""The activity log's partitions: made ahead, dropped after their time, and never in the way of those who write."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from tests.house import House
from tests.sql.daemon import Daemon, connect

MAKE = "select crm_sync.make_log_partitions()"
DROP = "select crm_sync.drop_log_partitions()"
ENTRY = (
    "insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, created_at)"
)
DAY = timedelta(days=1)


def today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def no_partitions(house: House) -> None:
    """As if nobody had ever made one."""
    for (name,) in house.rows(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'public.sync_activity_logs'::regclass"
    ):
        if not name.endswith("default"):
            house.connection.execute(sql.SQL("drop table {}").format(sql.Identifier(name)))


def add_partition(house: House, name: str, begins_at: datetime, ends_at: datetime) -> None:
    """A partition as an earlier version made it."""
    query = sql.SQL(
        "create table public.{} partition of public.sync_activity_logs for values from ({}) to ({})"
    ).format(sql.Identifier(name), sql.Literal(begins_at), sql.Literal(ends_at))
    house.connection.execute(query)
    house.connection.execute(sql.SQL("alter table public.{} owner to crm_sync_owner").format(sql.Identifier(name)))


def write(house: House, organization: UUID, integration: int, at: datetime | None = None) -> str:
    """One entry; returns the name of the partition that it went to."""
    query = f"{ENTRY} values (%s, %s, 'x', 'info', 'x', coalesce(%s, now())) returning tableoid::regclass::text"
    row = house.connection.execute(query.encode(), [organization, integration, at]).fetchone()
    assert row is not None
    return str(row[0])


def bounds(house: House) -> list[tuple[datetime, datetime]]:
    house.connection.execute("set timezone = 'UTC'")
    return [
        (begins_at, ends_at)
        for begins_at, ends_at in house.rows(
            "select begins_at, ends_at from crm_sync.log_partitions() order by begins_at"
        )
    ]


def retain(house: House, what: str) -> None:
    house.connection.execute("update crm_sync.config set retain_logs = %s", [what])


def test_there_is_room_for_today_and_a_week_ahead(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    assert daemon.call(MAKE) > 0
    assert daemon.call(MAKE) == 0
    for days in (0, 3, 7):
        assert write(house, organization, integration, today() + days * DAY) != "sync_activity_logs_default"


@pytest.mark.parametrize(("retention", "days"), [("7 days", {1}), ("90 days", {7}), ("2 years", {28, 29, 30, 31})])
@pytest.mark.usefixtures("rolled_back")
def test_the_longer_entries_are_kept_the_more_time_a_partition_covers(
    house: House, daemon: Daemon, retention: str, days: set[int]
) -> None:
    retain(house, retention)
    daemon.call("select crm_sync.make_log_partitions('70 days')")
    found = bounds(house)
    assert [ends_at for _, ends_at in found[:-1]] == [begins_at for begins_at, _ in found[1:]]
    assert {(ends_at - begins_at).days for begins_at, ends_at in found[1:]} <= days
    assert found[0][0] == today()


@pytest.mark.usefixtures("rolled_back")
def test_partitions_of_an_earlier_version_stay_and_new_ones_begin_where_they_end(house: House, daemon: Daemon) -> None:
    began, ends = today() - 12 * DAY, today() + 18 * DAY
    later = ends + 3 * DAY
    add_partition(house, "sync_activity_logs_2001_01", began, ends)
    add_partition(house, "sync_activity_logs_2001_02", later, later + 30 * DAY)
    assert daemon.call("select crm_sync.make_log_partitions('17 days')") == 0
    assert daemon.call("select crm_sync.make_log_partitions('20 days')") >= 1
    found = bounds(house)
    assert (found[0], found[-1]) == ((began, ends), (later, later + 30 * DAY))
    assert [ends_at for _, ends_at in found[:-1]] == [begins_at for begins_at, _ in found[1:]]


def test_what_went_to_the_default_partition_stays_and_from_the_next_day_on_there_is_room(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """No daemon ran for weeks, but operators were at work."""
    for days in (-40, -1, 0):
        assert write(house, organization, integration, today() + days * DAY) == "sync_activity_logs_default"
    assert daemon.call(MAKE) > 0
    assert write(house, organization, integration, today()) == "sync_activity_logs_default"
    assert write(house, organization, integration, today() + DAY) != "sync_activity_logs_default"
    assert house.value("select count(*) from public.sync_activity_logs") == 5


def test_old_entries_of_the_default_partition_are_purged(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for days in (-200, -100, -91, -89):
        write(house, organization, integration, today() + days * DAY)
    assert [daemon.call("select crm_sync.purge_remains(2)") for _ in range(3)] == [2, 1, 0]
    assert house.value("select count(*) from public.sync_activity_logs") == 1


def test_partitions_are_dropped_after_their_time(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    add_partition(house, "sync_activity_logs_2001_01", today() - 150 * DAY, today() - 120 * DAY)
    add_partition(house, "sync_activity_logs_2001_02", today() - 120 * DAY, today() - 90 * DAY)
    add_partition(house, "sync_activity_logs_2001_03", today() - 90 * DAY, today() - 60 * DAY)
    for days in (-130, -100, -70):
        write(house, organization, integration, today() + days * DAY)
    assert [daemon.call(DROP) for _ in range(3)] == [1, 1, 0]
    assert bounds(house) == [(today() - 90 * DAY, today() - 60 * DAY)]
    assert house.value("select count(*) from public.sync_activity_logs") == 1


def test_a_report_on_the_log_makes_nobody_wait_but_the_housekeeping(
    house: House, daemon: Daemon, database: str, organization: UUID, integration: int
) -> None:
    daemon.call(MAKE)
    add_partition(house, "sync_activity_logs_2001_01", today() - 150 * DAY, today() - 120 * DAY)
    retain(house, "7 days")
    house.connection.execute("set lock_timeout = '10s'")
    with connect(database) as reader, reader.transaction(), connect(database) as writer:
        reader.execute("select count(*) from public.sync_activity_logs")
        writer.execute("set lock_timeout = '50ms'")
        has_written = threading.Event()

        def keep() -> None:
            tries = 0
            while tries < 2 or not has_written.is_set():
                daemon.call(DROP)
                daemon.call("select crm_sync.make_log_partitions('40 days')")
                tries += 1

        keeping = threading.Thread(target=keep)
        keeping.start()
        try:
            for written in itertools.count(1):
                write(House(writer), organization, integration)
                if written > 5:
                    has_written.set()
                if not keeping.is_alive():
                    break
        finally:
            has_written.set()
            keeping.join()
        assert daemon.call(DROP) == 0
        assert house.value("select to_regclass('public.sync_activity_logs_2001_01')") is not None
    assert daemon.call(DROP) == 1
    assert daemon.call("select crm_sync.make_log_partitions('40 days')") > 20


def test_two_daemons_make_each_partition_once(house: House, database: str) -> None:
    retain(house, "7 days")
    made: list[int] = []

    def make() -> None:
        with connect(database) as connection:
            made.append(Daemon(House(connection)).call(MAKE))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(made) == len(bounds(house)) == 8


@pytest.mark.usefixtures("rolled_back")
def test_a_new_partition_is_as_closed_as_the_log(house: House, daemon: Daemon) -> None:
    daemon.call(MAKE)
    assert house.rows(
        "select distinct c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner), "
        "has_table_privilege('authenticated', c.oid, 'select') or has_table_privilege('anon', c.oid, 'select') "
        "from pg_class as c join crm_sync.log_partitions() as p on p.partition = c.oid"
    ) == [(True, True, "crm_sync_owner", False)]


def test_a_deleted_connections_entries_go_from_every_partition(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    daemon.call(MAKE)
    write(house, organization, integration)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        write(house, organization, integration + 1)
    house.connection.execute("delete from public.user_integrations")
    assert house.value("select count(*) from public.sync_activity_logs") == 0
