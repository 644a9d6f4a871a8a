"""A reply that needs a person becomes a task in the CRM, once."""

from __future__ import annotations

from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, elapse, failed, synced

pytestmark = pytest.mark.usefixtures("rolled_back")


def test_a_reply_that_needs_a_person_becomes_a_task(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, first_name="Ada", last_name="Lovelace")
    message = house.message(organization, contact, subject="Re: pricing", body="Call me!")
    house.classify(message, "not_sure", "urgent", attention=True)
    daemon.confirm(daemon.claim())
    batch = daemon.claim()
    (task,), (activity,) = batch["tasks"], batch["activities"]
    assert task["key"] == f"task:{message}"
    assert activity["key"] == f"message:{message}"
    assert task["subject"] == "Reply to Ada Lovelace: Re: pricing"
    assert {"Intent: not sure", "Priority: urgent", "Call me!"} <= set(task["body"].splitlines())
    assert task["is_urgent"]
    daemon.finish(batch, [synced(task, "77"), synced(activity, "78")])
    assert house.value("select external_id from crm_sync.effects where object_type = 'task'") == "77"
    assert_books_balance(house)


def test_a_reply_that_needs_nobody_makes_no_task(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "question")
    assert [batch["tasks"] for batch in daemon.work()] == [[], []]


def test_a_message_classified_again_has_one_task(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    message = house.reply(organization, house.contact(organization), "question", attention=True)
    daemon.work()
    house.classify(message, "objection", attention=True)
    batches = daemon.work()
    assert [batch["tasks"] for batch in batches] == [[], []]
    assert house.value("select count(*) from crm_sync.effects where object_type = 'task'") == 1


def test_a_connection_may_do_without_tasks(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    house.connection.execute(
        "update public.user_integrations set sync_settings = %s", [Jsonb({"attention_tasks": False})]
    )
    house.reply(organization, house.contact(organization), "question", attention=True)
    assert [batch["tasks"] for batch in daemon.work()] == [[], []]


def test_a_contact_that_is_gone_from_the_crm_is_made_again_and_its_activity_with_it(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "question")
    daemon.confirm(daemon.claim())
    batch = daemon.claim()
    daemon.finish(batch, [failed(batch["activities"][0], "rejected", "there is no such person", code="CONTACT_GONE")])
    again = daemon.claim()
    assert [document["contact_id"] for document in again["contacts"]] == [str(contact)]
    assert not again["contacts"][0].get("unchanged")
    assert len(again["activities"]) == 1
    daemon.finish(again, [synced(again["contacts"][0], "new"), failed(again["activities"][0], "contended")])
    elapse(house, "1 hour")
    (activity,) = daemon.claim()["activities"]
    assert activity["contact_external_id"] == "new"
    assert_books_balance(house)


def test_a_contact_that_is_unchanged_in_the_batch_that_finds_it_gone_is_made_again_all_the_same(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "question")
    daemon.confirm(daemon.claim())
    house.reply(organization, contact, "question")
    batch = daemon.claim()
    assert batch["contacts"][0]["unchanged"]
    gone = [failed(each, "rejected", "no person", code="CONTACT_GONE") for each in batch["activities"]]
    daemon.finish(batch, [synced(batch["contacts"][0]), *gone])
    elapse(house, "1 hour")
    assert not daemon.claim()["contacts"][0].get("unchanged")


def test_a_contact_that_stays_gone_is_not_tried_for_ever(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "question")
    daemon.confirm(daemon.claim())
    for _ in range(3):
        elapse(house, "1 hour")
        batch = daemon.claim()
        gone = [failed(each, "rejected", "no person", code="CONTACT_GONE") for each in batch["activities"]]
        daemon.finish(batch, [*map(synced, batch["contacts"]), *gone])
    statuses = house.rows("select status from public.sync_queue where queue_type = 'activity_sync'")
    assert statuses == [("failed",)]
    assert daemon.try_claim() is None
    assert_books_balance(house)


def test_a_reply_that_needs_a_person_only_after_a_second_look_becomes_a_task_then(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    message = house.reply(organization, house.contact(organization), "question")
    assert [len(batch["tasks"]) for batch in daemon.work()] == [0, 0]
    house.classify(message, "question", attention=True)
    assert [len(batch["tasks"]) for batch in daemon.work()] == [0, 1]
    house.classify(message, "question")
    house.classify(message, "question", attention=True)
    assert [len(batch["tasks"]) for batch in daemon.work()] == [0, 0]
    assert_books_balance(house)


def test_tasks_begin_when_a_connection_wants_them_and_end_when_it_does_not(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for wanted in (False, True, False):
        house.connection.execute(
            "update public.user_integrations set sync_settings = %s", [Jsonb({"attention_tasks": wanted})]
        )
        house.reply(organization, house.contact(organization, f"{wanted}@example.com"), "question", attention=True)
        assert sum(len(batch["tasks"]) for batch in daemon.work()) == wanted


def test_a_task_is_one_line_of_at_most_250_letters_whatever_people_write(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    nameless = house.contact(organization, " Ada@Example.com ")
    longwinded = house.contact(organization, "b@example.com", first_name="Б" * 5000, last_name=" \n\t x")
    for contact, subject in ((nameless, " Re:\n\n  hello\t"), (longwinded, "日本" * 4000)):
        house.classify(house.message(organization, contact, subject, "语" * 9000), "question", attention=True)
    tasks = [task for batch in daemon.work() for task in batch["tasks"]]
    by_contact = {task["contact_id"]: task for task in tasks}
    assert by_contact[str(nameless)]["subject"] == "Reply to ada@example.com: Re: hello"
    subject = by_contact[str(longwinded)]["subject"]
    assert len(subject) == 250
    assert "日本" in subject
    assert all(len(task["body"]) <= 4000 for task in tasks)


def test_a_lead_that_was_converted_gets_its_deal_with_the_next_sync(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    house.integration(organization, "salesforce", sync_settings={"contact_object": "lead"})
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    batch = daemon.claim()
    daemon.finish(batch, [synced(each, takes_deals=False) for each in batch["contacts"]])
    assert [len(each["deals"]) for each in daemon.work()] == [0]
    with house.as_role("crm_sync_daemon") as connection:
        connection.execute("select crm_sync.manual_sync(%s, array[%s])", [organization, contact])
    assert [len(each["deals"]) for each in daemon.work()] == [0, 1]
    assert_books_balance(house)
