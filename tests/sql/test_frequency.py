"""Connections that work by the hour or by the day."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.house import House
from tests.sql.daemon import Daemon, elapse, queue

pytestmark = pytest.mark.usefixtures("rolled_back")


def hourly(house: House, organization: UUID, **settings: bool) -> int:
    return house.integration(organization, sync_frequency="hourly", sync_settings=settings)


def test_an_hourly_connection_sends_nothing_before_its_slot_and_says_when_that_is(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    hourly(house, organization)
    house.reply(organization, house.contact(organization), "interested")
    assert daemon.try_claim() is None
    slots = house.rows(
        "select q.next_attempt_at = i.next_sync_at from public.sync_queue as q, public.user_integrations as i"
    )
    assert slots == [(True,)]
    elapse(house, "1 hour")
    assert len(daemon.claim()["contacts"]) == 1


def test_the_interested_may_overtake_where_the_connection_says_so(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    hourly(house, organization, interested_overtake=True)
    eager = house.contact(organization, "eager@example.com")
    house.reply(organization, house.contact(organization, "calm@example.com"), "question")
    house.reply(organization, eager, "question")
    house.reply(organization, eager, "interested")
    batch = daemon.claim()
    assert [contact["contact_id"] for contact in batch["contacts"]] == [str(eager)]
    assert len(batch["contacts"][0]["rows"]) == 2
    daemon.confirm(batch)
    daemon.work()
    assert queue(house, "status", "queue_type = 'contact_sync'") == [("pending",), ("completed",), ("completed",)]


def test_a_connection_that_turns_to_realtime_waits_no_longer(house: House, daemon: Daemon, organization: UUID) -> None:
    hourly(house, organization)
    house.reply(organization, house.contact(organization), "question")
    house.connection.execute("update public.user_integrations set sync_frequency = 'realtime'")
    assert len(daemon.claim()["contacts"]) == 1


def test_a_connection_that_turns_to_daily_waits_for_the_day(house: House, daemon: Daemon, organization: UUID) -> None:
    hourly(house, organization)
    house.reply(organization, house.contact(organization), "question")
    house.connection.execute("update public.user_integrations set sync_frequency = 'daily'")
    assert queue(house, "next_attempt_at = date_trunc('day', now(), 'UTC') + interval '1 day'") == [(True,)]


def test_what_a_paused_connection_missed_goes_when_it_is_resumed(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = hourly(house, organization)
    house.reply(organization, house.contact(organization), "question")
    with house.as_role("crm_sync_daemon"):
        house.value("select crm_sync.pause(%s)", integration)
    elapse(house, "3 hours")
    assert daemon.try_claim() is None
    with house.as_role("crm_sync_daemon"):
        house.value("select crm_sync.resume(%s)", integration)
    assert len(daemon.claim()["contacts"]) == 1
    assert house.value("select next_sync_at > now() from public.user_integrations") is True


def test_a_new_frequency_leaves_rows_that_were_tried_to_their_own_time(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    hourly(house, organization)
    house.reply(organization, house.contact(organization), "question")
    elapse(house, "1 hour")
    daemon.fail(daemon.claim(), "contended")
    house.connection.execute("update public.user_integrations set sync_frequency = 'daily'")
    assert queue(house, "status, next_attempt_at < now() + interval '1 minute'") == [("retry", True)]
