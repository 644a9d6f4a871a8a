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
