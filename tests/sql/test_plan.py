"""What would be sent now is what is then sent, and nothing is written to find out."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.house import House
from tests.sql.crm import FIELDS, describe, field
from tests.sql.daemon import Daemon, Document

pytestmark = pytest.mark.usefixtures("rolled_back")

Row = dict[str, Any]
PROVIDERS = ("hubspot", "salesforce", "pipedrive")


def plan(house: House, contact: UUID, integration: int, user: UUID | None = None) -> list[Row]:
    """As a DBA or a member asks, in a transaction that may not write."""
    with house.as_role("authenticated" if user else "crm_sync_reader", user) as connection:
        cursor = connection.execute("select * from crm_sync.plan(%s, %s)", [contact, integration])
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def planned(rows: list[Row], *objects: str) -> dict[str, dict[str, Any]]:
    """What is to be written, by key and field."""
    values: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in rows:
        if row["object"] in objects and row["change"] != "kept out" and row["field"] is not None:
            values[row["key"]][row["field"]] = row["value"]
    return dict(values)


def sent(batches: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """The same of documents as a daemon gets them."""
    documents: list[Document] = [document for batch in batches for document in batch[kind]]
    names = {
        "activities": [
            *("subject", "body", "occurred_at", "intent", "sentiment", "priority"),
            *("next_action", "confidence", "requires_human_attention"),
        ],
        "tasks": ["subject", "body", "is_urgent"],
    }
    if kind in names:
        return {each["key"]: {name: each[name] for name in names[kind] if name in each} for each in documents}
    key = "email" if kind == "contacts" else "key"
    return {each[key]: {name: given["value"] for name, given in each["fields"].items()} for each in documents}


def companies(batches: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    found = [document["company"] for batch in batches for document in batch["contacts"] if "company" in document]
    return {each["key"]: each["fields"] for each in found if "fields" in each}


def assert_as_planned(rows: list[Row], batches: list[dict[str, Any]]) -> None:
    tasks = {
        key: {name: value for name, value in values.items() if name != "due_at"}  # counted from the arrival
        for key, values in planned(rows, "task").items()
    }
    assert planned(rows, "contact", "lead") == sent(batches, "contacts")
    assert planned(rows, "company") == companies(batches)
    assert planned(rows, "deal") == sent(batches, "deals")
    assert planned(rows, "activity") == sent(batches, "activities")
    assert tasks == sent(batches, "tasks")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_plan_is_what_is_then_sent(house: House, daemon: Daemon, organization: UUID, provider: str) -> None:
    integration = house.integration(organization, provider)
    contact = house.contact(organization, " Ada@Example.com", first_name="Ada", company="Engines Ltd", phone="+1")
    house.reply(organization, contact, "interested", attention=True)
    house.connection.execute("delete from public.sync_queue")
    rows = plan(house, contact, integration)
    assert {row["object"] for row in rows} == {"contact", "company", "deal", "activity", "task"}
    assert {row["change"] for row in rows if row["object"] != "contact"} == {"new"}
    with house.as_role("crm_sync_daemon"):
        house.connection.execute("select crm_sync.manual_sync(%s, %s)", [organization, [contact]])
    assert plan(house, contact, integration) == rows
    assert_as_planned(rows, daemon.work())

    # all of it is there: nothing is new, and the deal and the task belong to people
    again = plan(house, contact, integration)
    assert {row["change"] for row in again if row["object"] == "contact" and row["value"] is not None} == {"same"}
    assert {row["object"] for row in again if row["change"] == "kept out" and row["key"]} >= {"deal", "task"}
    assert {row["change"] for row in again if row["object"] == "activity"} == {"changed"}
    house.connection.execute("update public.contacts set first_name = 'Augusta', last_name = 'King'")
    changed = plan(house, contact, integration)
    assert {
        row["our_field"] for row in changed if row["change"] in ("new", "changed") and row["object"] == "contact"
    } <= {"first_name", "last_name", "surname", "full_name"}
    assert any(row["change"] == "changed" and row["last_sent"] for row in changed if row["object"] == "contact")
    with house.as_role("crm_sync_daemon"):
        house.connection.execute("select crm_sync.manual_sync(%s, %s)", [organization, [contact]])
    assert_as_planned(changed, daemon.work())
    fields = house.value("select sync_data -> 'fields' from public.contact_sync_mappings")
    assert planned(changed, "contact") == {"ada@example.com": fields}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_plan_of_what_waits_carries_all_of_it(
    house: House, daemon: Daemon, organization: UUID, provider: str
) -> None:
    integration = house.integration(organization, provider)
    contact = house.contact(organization)
    for intent, attention in (("question", True), ("interested", False), ("objection", True), ("interested", True)):
        house.reply(organization, contact, intent, attention=attention)
    rows = plan(house, contact, integration)
    assert len(planned(rows, "activity")) == 4
    assert len(planned(rows, "task")) == 3
    assert len(planned(rows, "deal")) == 1
    assert_as_planned(rows, daemon.work())


def test_what_follows_and_waits_already_is_part_of_the_plan(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "interested", attention=True)
    daemon.confirm(daemon.claim())
    assert house.value("select count(*) from public.sync_queue where queue_type <> 'contact_sync'") == 3
    rows = plan(house, contact, integration)
    assert len(planned(rows, "deal")) == 1
    with house.as_role("crm_sync_daemon"):
        house.connection.execute("select crm_sync.manual_sync(%s, %s)", [organization, [contact]])
    batch = daemon.claim()
    assert_as_planned(rows, [batch])


def test_what_is_kept_out_says_why(house: House, organization: UUID, integration: int) -> None:
    describe(house, integration, [*FIELDS, field("company", is_writable=False)])
    contact = house.contact(organization, first_name=" ", phone="+1")
    reasons = {row["field"]: row["reason"] for row in plan(house, contact, integration) if row["change"] == "kept out"}
    assert reasons["firstname"] == "we have no value for it: blank never replaces anything"
    assert reasons["company"].startswith("HubSpot has no such field for us, or it may not be written")
    nobody = house.contact(organization, None)
    (row,) = plan(house, nobody, integration)
    assert (row["object"], row["change"]) == ("contact", "kept out")
    assert row["reason"] == "the contact has no e-mail address: nothing of it is sent"


def test_where_the_crm_has_the_last_word_the_reason_says_so(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, phone="+1")
    house.reply(organization, contact, "interested")
    reasons = {row["field"]: row["reason"] for row in plan(house, contact, integration) if row["object"] == "contact"}
    assert reasons["hs_lead_status"].startswith("written unless the CRM holds a later rank")
    assert reasons["crm_sync_lead_source"].startswith("written only where the CRM holds nothing")
    daemon.work()
    house.connection.execute("update public.contacts set phone = '+2'")
    reasons = {row["field"]: row["reason"] for row in plan(house, contact, integration) if row["object"] == "contact"}
    assert reasons["phone"] == "ours has changed since it was last sent: it replaces what the CRM holds"


def test_a_lead_takes_no_deal(house: House, daemon: Daemon, organization: UUID) -> None:
    integration = house.integration(organization, "salesforce", sync_settings={"contact_object": "lead"})
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    rows = plan(house, contact, integration)
    assert {row["object"] for row in rows} == {"lead", "deal", "activity"}
    (deal,) = [row for row in rows if row["object"] == "deal"]
    assert (deal["change"], deal["reason"]) == ("kept out", "a lead takes no deal; people convert it first")
    batch = daemon.claim()
    assert planned(rows, "lead") == sent([batch], "contacts")


def test_a_connections_own_rules_are_planned_by(house: House, daemon: Daemon, organization: UUID) -> None:
    integration = house.integration(
        organization,
        field_mappings={"contact": [{"value": "mail", "to": "origin"}, {"from": "phone", "to": "mobilephone"}]},
    )
    contact = house.contact(organization, phone="+1")
    house.reply(organization, contact, "x")
    rows = plan(house, contact, integration)
    ours = {row["field"]: (row["our_field"], row["value"]) for row in rows if row["object"] == "contact"}
    assert ours["origin"] == (None, "mail")
    assert ours["mobilephone"] == ("phone", "+1")
    assert "phone" not in ours
    assert_as_planned(rows, daemon.work())


def test_of_very_many_messages_the_newest_are_shown_and_the_rest_counted(
    house: House, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    for _ in range(23):
        house.reply(organization, contact, "x")
    rows = plan(house, contact, integration)
    assert len(planned(rows, "activity")) == 20
    assert [row["reason"] for row in rows if row["object"] == "activity" and row["key"] is None] == [
        "3 older messages become notes as well"
    ]


def test_members_plan_for_their_own_only(house: House, organization: UUID, integration: int) -> None:
    contact = house.contact(organization)
    member = house.user(organization)
    other = house.organization("Other")
    stranger, foreign = house.user(other, "o@example.com"), house.contact(other)
    assert plan(house, contact, integration, member)
    for asked in (plan(house, contact, integration, stranger), plan(house, foreign, integration, member)):
        assert asked == []
    assert plan(house, uuid4(), integration) == plan(house, contact, 0) == []


def test_a_plan_may_be_asked_where_nothing_can_be_written(house: House, organization: UUID, integration: int) -> None:
    contact = house.contact(organization)
    message = house.reply(organization, contact, "interested", attention=True)
    with house.connection.transaction():
        house.connection.execute("set local transaction_read_only = on")
        assert plan(house, contact, integration)
        house.connection.execute("select * from crm_sync.explain(%s)", [message])
        house.connection.execute("select * from crm_sync.believed(%s, now())", [contact])
        house.connection.execute("select * from crm_sync.stuck")
