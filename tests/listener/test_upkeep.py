"""The database's house, kept by a daemon that has nothing else to do."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo

import psycopg
import pytest

import listener.db.presence
from tests.house import House, eventually
from tests.listener.daemons import daemon

FINISHED = """
insert into public.sync_queue (organization_id, integration_id, queue_type, status, completed_at)
select i.organization_id, i.id, 'contact_sync', 'completed', now() - interval '20 days' + n * interval '1 second'
from public.user_integrations as i, generate_series(1, 2500) as n
"""
BACKLOG = """
insert into public.sync_queue (organization_id, integration_id, contact_id, queue_type)
select l.organization_id, l.integration_id, gen_random_uuid(), 'contact_sync'
from crm_sync.lanes as l, generate_series(1, 1100)
"""
OLD_PARTITION = """
create table public.sync_activity_logs_2020_01 partition of public.sync_activity_logs
for values from ('2020-01-01+00') to ('2020-02-01+00')
"""


def furnish(house: House) -> None:
    house.connection.execute("select crm_sync.pause(%s)", [house.integration(house.organization())])
    house.connection.execute(FINISHED.encode())
    house.connection.execute(BACKLOG.encode())
    house.connection.execute(OLD_PARTITION.encode())
    house.connection.execute("alter table public.sync_activity_logs_2020_01 owner to crm_sync_owner")


def is_kept(house: House) -> bool:
    """Partitions made, the old one dropped, all that is past its time purged, and what is much counted."""
    return bool(
        house.value(
            "select not exists (select from public.sync_queue where completed_at is not null) and exists (select from "
            "crm_sync.tallies where waiting = 1100) and to_regclass('public.sync_activity_logs_2020_01') "
            "is null and exists (select from crm_sync.log_partitions())"
        )
    )


def test_a_daemon_keeps_the_house_by_itself(house: House, database: str) -> None:
    furnish(house)
    with daemon(database):
        eventually(lambda: is_kept(house), "a kept house")
    assert house.value("select sum(purged) from crm_sync.lanes") == 2500


def test_what_fails_for_one_chore_does_not_let_the_others_wait(house: House, database: str) -> None:
    furnish(house)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "create or replace function crm_sync.advance_slots() returns integer language sql as 'select 1 / 0'"
        )
    with daemon(database):
        eventually(lambda: is_kept(house), "a kept house")


def test_a_daemon_says_by_how_much_its_clock_is_ahead(
    house: House, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(minutes=5)

    monkeypatch.setattr(listener.db.presence, "datetime", Ahead)
    with daemon(database, lease_seconds=2.0):
        offset = eventually(lambda: house.value("select clock_offset from crm_sync.workers"), "a measured offset")
    assert abs(offset - timedelta(minutes=5)) < timedelta(seconds=1), "a slow round trip is not believed"
