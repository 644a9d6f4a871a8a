"""The documents of deals and activities."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.house import House
from tests.sql.daemon import Daemon


def configure(house: House, **columns: Any) -> None:
    for column, value in columns.items():
        house.connection.execute(f"update public.user_integrations set {column} = %s".encode(), [Jsonb(value)])


def values(document: Any) -> dict[str, str]:
    return {name: field["value"] for name, field in document["fields"].items()}


pytestmark = pytest.mark.usefixtures("rolled_back")


def test_a_deal_has_the_settings_defaults(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    house.reply(organization, house.contact(organization, first_name=" Ada "), "interested")
    daemon.confirm(daemon.claim())
    (deal,) = daemon.claim()["deals"]
    close = house.value(
        "select to_char((created_at + interval '30 days') at time zone 'UTC', 'YYYY-MM-DD\"T00:00:00Z\"') "
        "from crm_sync.effects where object_type = 'deal'"
    )
    assert values(deal) == {
        "dealname": "Ada - Email Lead",
        "pipeline": "default",
        "dealstage": "appointmentscheduled",
        "amount": "1000",
        "closedate": close,
    }


def test_a_deal_without_an_amount_leaves_it_empty_and_keeps_a_precise_one(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "interested")
    daemon.confirm(daemon.claim())
    configure(house, sync_settings={"deal_amount": None, "deal_close_days": 0, "deal_stage": "won"})
    batch = daemon.claim()
    assert "amount" not in values(batch["deals"][0])
    assert values(batch["deals"][0])["dealstage"] == "won"
    daemon.call("select crm_sync.release_batch(%s)", batch["id"])
    configure(house, sync_settings={"deal_amount": 1234567890.12})
    assert values(daemon.claim()["deals"][0])["amount"] == "1234567890.12"


def test_a_deal_closes_on_the_same_day_however_often_it_is_tried(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "interested")
    daemon.confirm(daemon.claim())
    house.connection.execute("update crm_sync.effects set created_at = created_at - interval '5 days'")
    (deal,) = daemon.claim()["deals"]
    assert values(deal)["closedate"][:10] == str(
        house.value("select ((now() - interval '5 days') at time zone 'UTC')::date + 30")
    )


def test_a_long_body_is_cut_where_it_is_composed(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.classify(house.message(organization, contact, subject="s" * 5_000, body="ä" * 1_000_000), "x")
    daemon.confirm(daemon.claim())
    (activity,) = daemon.claim()["activities"]
    assert (len(activity["body"]), len(activity["subject"])) == (60_000, 500)


def test_an_activity_without_a_subject_and_body_is_sent_empty(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    message = house.value(
        "insert into public.inbox_messages (organization_id, contact_id) values (%s, %s) returning id",
        organization,
        house.contact(organization),
    )
    house.classify(message, None)
    daemon.confirm(daemon.claim())
    (activity,) = daemon.claim()["activities"]
    assert (activity["subject"], activity["body"]) == ("", "")
    assert "intent" not in activity
