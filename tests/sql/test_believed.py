"""What we had sent of a contact, and believed, at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.house import House
from tests.sql.daemon import Daemon

pytestmark = pytest.mark.usefixtures("rolled_back")


def believed(house: House, contact: UUID, at: datetime, user: UUID | None = None) -> list[dict[str, Any]]:
    with house.as_role("authenticated" if user else "crm_sync_reader", user) as connection:
        cursor = connection.execute("select * from crm_sync.believed(%s, %s)", [contact, at])
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def age(house: House, hours: int) -> None:
    """Let all that was logged have happened so long ago."""
    house.connection.execute(
        "update public.sync_activity_logs set created_at = created_at - make_interval(hours => %s)", [hours]
    )
    house.connection.execute(
        "update public.contact_sync_mappings set last_synced_at = last_synced_at - make_interval(hours => %s)", [hours]
    )


def moment(house: House, hours_ago: int) -> datetime:
    found: datetime = house.value("select now() - make_interval(hours => %s)", hours_ago)
    return found


def test_each_moment_has_what_was_sent_last_before_it(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, first_name="Ada")
    first = house.reply(organization, contact, "interested", attention=True)
    daemon.work()
    age(house, 2)
    house.connection.execute("update public.contacts set first_name = 'Grace'")
    second = house.reply(organization, contact, "question")
    daemon.work()
    age(house, 2)
    assert believed(house, contact, moment(house, 5)) == []
    earlier = {row["object"]: row for row in believed(house, contact, moment(house, 3))}
    assert set(earlier) == {"contact", "deal", "activity", "task"}
    assert earlier["contact"]["fields"]["firstname"] == "Ada"
    assert earlier["contact"]["external_id"] == f"crm-{contact}"
    assert earlier["deal"]["fields"]["dealname"] == "Ada - Email Lead"
    assert earlier["contact"]["message_id"] == first
    later = believed(house, contact, moment(house, 1))
    assert [row["object"] for row in later] == ["contact", "deal", "task", "activity", "activity"]
    assert later[0]["fields"]["firstname"] == "Grace"
    assert (later[0]["sent_at"], later[0]["source"]) == (moment(house, 2), "log")
    assert {row["message_id"] for row in later if row["object"] == "activity"} == {first, second}
    assert integration


def test_what_is_older_than_the_log_is_known_from_the_mapping(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, first_name="Ada")
    house.reply(organization, contact, "x")
    daemon.work()
    age(house, 2)
    house.connection.execute("delete from public.sync_activity_logs")
    (row,) = believed(house, contact, moment(house, 1))
    assert (row["source"], row["fields"]["firstname"], row["integration_id"]) == ("mapping", "Ada", integration)
    assert believed(house, contact, moment(house, 3)) == []


def test_members_are_told_of_their_own(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "x")
    daemon.work()
    stranger = house.user(house.organization("Other"), "o@example.com")
    assert believed(house, contact, moment(house, 0), house.user(organization))
    assert believed(house, contact, moment(house, 0), stranger) == believed(house, uuid4(), moment(house, 0)) == []
    assert integration
