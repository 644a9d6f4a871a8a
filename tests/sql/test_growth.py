"""Growth has an end: the simulation of the benchmark, on a small scale."""

from __future__ import annotations

from bench.cluster import furnish
from bench.growth import simulate
from tests.house import House

DAYS = 8
RETENTION_DAYS = 2
REPLIES = 40
ROWS_PER_REPLY = 2.5
"""A contact, an activity, and now and then a deal."""


def test_queue_and_log_level_off_once_the_retention_has_passed(house: House, database: str) -> None:
    furnish(database, organizations=2, contacts=30)
    sizes = list(simulate(house.connection, DAYS, REPLIES, f"{RETENTION_DAYS} days"))
    level = [sum(each.values()) for each in sizes[RETENTION_DAYS + 1 :]]
    assert max(level) <= 1.1 * level[0]
    assert 0 < house.value("select count(*) from public.sync_queue") <= (RETENTION_DAYS + 1) * REPLIES * ROWS_PER_REPLY
    assert house.value("select max(now() - completed_at) < '3 days' from public.sync_queue")
    assert house.value("select max(now() - created_at) < '4 days' from public.sync_activity_logs")
    assert house.value("select count(*) from public.sync_activity_logs_default") == 0
    assert house.rows("select distinct difference from crm_sync.accounting") == [(0,)]
