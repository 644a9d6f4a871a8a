"""What is Salesforce's own: opportunities with their roles, and tasks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from providers.errors import CONTACT_GONE, FailureKind
from providers.models import ActivityDocument, DealDocument, Field, TaskDocument
from tests.providers.contract import OCCURRED, push
from tests.providers.samples_salesforce import KEY, Person, SalesforceAccount, SalesforceSample

CREATE = "/composite/sobjects$"


@pytest.fixture
def person(org: SalesforceAccount) -> Person:
    return Person(org)


@pytest.fixture
def ada(person: Person) -> str:
    return person.create("Contact", LastName="Lovelace", Email="ada@example.com")


@pytest.fixture
async def unkeyed(salesforce: SalesforceSample) -> AsyncIterator[SalesforceAccount]:
    """An org that has no external id on its tasks."""
    opened = await salesforce.prepared_org(task_key=False)
    yield opened
    opened.calm()


def deal(contact_id: str, number: int = 1, fields: dict[str, Field] | None = None, **more: Any) -> DealDocument:
    given = {
        "Name": Field(value="Ada - Email Lead"),
        "StageName": Field(value="Prospecting"),
        "CloseDate": Field(value="2026-12-22"),
        "Amount": Field(value="1000.50"),
        **(fields or {}),
    }
    return DealDocument(
        rows=(number,),
        contact_id=UUID(int=1),
        key=f"deal-{number}",
        contact_external_id=contact_id,
        fields=given,
        **more,
    )


def activity(contact_id: str, number: int = 1, **more: Any) -> ActivityDocument:
    given = {"subject": "Re: offer", "body": "Yes", "occurred_at": OCCURRED, **more}
    return ActivityDocument(
        rows=(number,), contact_id=UUID(int=1), key=f"activity-{number}", contact_external_id=contact_id, **given
    )


def to_do(contact_id: str, number: int = 1, **more: Any) -> TaskDocument:
    given = {"subject": "Reply to Ada", "body": "Call her", "due_at": OCCURRED + timedelta(days=2), **more}
    return TaskDocument(
        rows=(number,), contact_id=UUID(int=1), key=f"task-{number}", contact_external_id=contact_id, **given
    )


async def test_deals_cost_two_calls_and_tasks_one(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    engines = person.create("Account", Name="Engines")
    deals = [deal(ada, number, company_external_id=engines) for number in range(1, 201)]
    assert (await push(salesforce, org, *deals)).calls == 2
    tasks = [activity(ada, number, company_external_id=engines) for number in range(1, 101)]
    pushed = await push(salesforce, org, *tasks, *(to_do(ada, number) for number in range(101, 201)))
    assert (pushed.calls, pushed.statuses) == (1, {"synced"})
    ledger = org.ledger()
    assert (len(ledger["opportunities"]), len(ledger["tasks"])) == (200, 200)
    assert {record["fields"]["AccountId"] for record in ledger["opportunities"]} == {engines}
    roles = [record["fields"] for record in ledger["opportunity_contact_roles"]]
    assert len({role["OpportunityId"] for role in roles}) == 200
    assert {(role["ContactId"], role["IsPrimary"]) for role in roles} == {(ada, True)}


async def test_an_opportunity_has_numbers_and_dates_as_salesforce_keeps_them(
    salesforce: SalesforceSample, org: SalesforceAccount, ada: str
) -> None:
    fields = {"CloseDate": Field(value="2026-12-22T00:00:00Z"), "Name": Field(value="N" * 200)}
    [outcome] = (await push(salesforce, org, deal(ada, fields=fields))).all
    assert (outcome.status, outcome.created) == ("synced", True)
    held = org.only("opportunities")
    assert (held["Amount"], held["CloseDate"], held["StageName"]) == (1000.5, "2026-12-22", "Prospecting")
    assert held["Name"] == "N" * 119 + "…"


async def test_a_deal_of_unknown_fate_stays_where_a_person_moved_it(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    org.disturb("deals", drop_answer=True)
    [lost] = (await push(salesforce, org, deal(ada))).all
    assert lost.uncertain
    [held] = org.ledger()["opportunities"]
    person.change("Opportunity", held["id"], StageName="Closed Won", Name="Big one")
    [outcome] = (await push(salesforce, org, deal(ada, uncertain=True))).all
    assert (outcome.status, outcome.external_id, outcome.created) == ("synced", held["id"], False)
    assert org.only("opportunities")["StageName"] == "Closed Won"
    assert org.only("opportunity_contact_roles")["ContactId"] == ada


async def test_a_role_whose_answer_was_lost_is_not_made_twice(
    salesforce: SalesforceSample, org: SalesforceAccount, ada: str
) -> None:
    org.disturb_path(CREATE, drop_answer=True)
    [lost] = (await push(salesforce, org, deal(ada))).all
    assert (lost.status, lost.uncertain) == ("failed", True)
    [outcome] = (await push(salesforce, org, deal(ada, uncertain=True))).all
    assert (outcome.status, outcome.created) == ("synced", False)
    assert len(org.ledger()["opportunity_contact_roles"]) == 1


async def test_a_deal_whose_role_was_refused_is_uncertain(
    salesforce: SalesforceSample, org: SalesforceAccount, ada: str
) -> None:
    org.disturb_path(CREATE, status=429)
    [outcome] = (await push(salesforce, org, deal(ada))).all
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.uncertain) == (FailureKind.RATE_LIMITED, True)


async def test_a_primary_contact_that_a_person_chose_stays_primary(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    bob = person.create("Contact", LastName="Bob")
    fields = {KEY: "deal-1", "Name": "Theirs", "StageName": "Prospecting", "CloseDate": "2026-12-22"}
    held = person.create("Opportunity", **fields)
    person.create("OpportunityContactRole", OpportunityId=held, ContactId=bob, IsPrimary=True)
    [outcome] = (await push(salesforce, org, deal(ada, uncertain=True))).all
    assert outcome.external_id == held
    roles = [record["fields"] for record in org.ledger()["opportunity_contact_roles"]]
    assert {role["ContactId"]: role["IsPrimary"] for role in roles} == {bob: True, ada: False}


async def test_a_deal_without_its_account_is_remarked_and_one_without_its_contact_waits_for_it(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    engines = person.create("Account", Name="Engines")
    person.delete("Account", engines)
    bob = person.create("Contact", LastName="Bob")
    person.delete("Contact", bob)
    alone, orphan, fine = deal(ada, 1, company_external_id=engines), deal(bob, 2), deal(ada, 3)
    pushed = await push(salesforce, org, alone, orphan, fine)
    assert pushed.of(fine).status == pushed.of(alone).status == "synced"
    assert engines in (pushed.of(alone).remark or "")
    failure = pushed.of(orphan).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.REJECTED, CONTACT_GONE)
    assert pushed.of(orphan).uncertain


async def test_a_stage_that_the_org_does_not_take_is_refused_in_words(
    salesforce: SalesforceSample, org: SalesforceAccount, ada: str
) -> None:
    org.org.restrict_picklist("Opportunity", "StageName", ["Prospecting", "Won"])
    bad, good = deal(ada, 1, {"StageName": Field(value="Elsewhere")}), deal(ada, 2)
    pushed = await push(salesforce, org, bad, good)
    failure = pushed.of(bad).failure
    assert failure is not None
    assert (failure.kind, failure.field) == (FailureKind.REJECTED, "StageName")
    assert "Elsewhere" in failure.message
    assert pushed.of(good).status == "synced"
    assert not pushed.of(bad).uncertain


async def test_a_message_is_a_completed_task_and_a_to_do_an_open_one(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    engines = person.create("Account", Name="Engines")
    documents = (
        activity(ada, 1, company_external_id=engines, intent="interested", subject="Re:\n offer"),
        to_do(ada, 2, is_urgent=True),
        to_do(ada, 3),
    )
    pushed = await push(salesforce, org, *documents)
    assert all(outcome.created for outcome in pushed.all)
    tasks = {record["fields"][KEY]: record["fields"] for record in org.ledger()["tasks"]}
    message, urgent, calm = tasks["activity-1"], tasks["task-2"], tasks["task-3"]
    assert (message["Status"], message["Priority"], message["TaskSubtype"]) == ("Completed", "Normal", "Email")
    assert (message["Subject"], message["ActivityDate"]) == ("Re: offer", "2026-11-22")
    assert (message["WhoId"], message["WhatId"]) == (ada, engines)
    assert "Intent: interested" in message["Description"]
    assert "[crm-sync activity-1]" in message["Description"]
    assert "Type" not in message
    assert (urgent["Status"], urgent["Priority"], urgent["ActivityDate"]) == ("Not Started", "High", "2026-11-24")
    assert (calm["Priority"], calm.get("TaskSubtype", "Task")) == ("Normal", "Task")


async def test_a_tasks_type_is_set_where_the_org_has_it(salesforce: SalesforceSample) -> None:
    org = await salesforce.prepared_org(prepare=lambda each: each.restrict_picklist("Task", "Type", ["Call", "Email"]))
    ada = Person(org).create("Contact", LastName="Lovelace")
    await push(salesforce, org, activity(ada))
    assert org.only("tasks")["Type"] == "Email"


async def test_an_org_of_other_statuses_gets_those_it_has(salesforce: SalesforceSample) -> None:
    def rename(each: Any) -> None:
        each.restrict_picklist("Task", "Status", ["To Do", "Done"])
        each.restrict_picklist("Task", "Priority", ["Urgent", "Whenever"])

    org = await salesforce.prepared_org(prepare=rename)
    ada = Person(org).create("Contact", LastName="Lovelace")
    assert (await push(salesforce, org, activity(ada, 1), to_do(ada, 2))).statuses == {"synced"}
    tasks = {record["fields"][KEY]: record["fields"] for record in org.ledger()["tasks"]}
    assert tasks["activity-1"]["Status"] == "Done"
    assert tasks["task-2"]["Status"] == "To Do"
    assert {task["Priority"] for task in tasks.values()} == {"Whenever"}


async def test_a_known_message_gets_its_new_text_and_nothing_else(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    [first] = (await push(salesforce, org, activity(ada))).all
    assert first.external_id is not None
    person.change("Task", first.external_id, Priority="Low")
    [second] = (await push(salesforce, org, activity(ada, external_id=first.external_id, intent="question"))).all
    assert (second.external_id, second.created) == (first.external_id, False)
    held = org.only("tasks")
    assert "Intent: question" in held["Description"]
    assert held["Priority"] == "Low"


async def test_a_task_that_a_person_deleted_stays_deleted(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    [first] = (await push(salesforce, org, activity(ada))).all
    person.delete("Task", first.external_id or "")
    [second] = (await push(salesforce, org, activity(ada, external_id=first.external_id))).all
    assert (second.status, second.external_id) == ("synced", first.external_id)
    assert "stays deleted" in (second.remark or "")
    assert org.ledger()["tasks"] == []


async def test_a_to_do_belongs_to_those_who_do_it(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    org.disturb("tasks", drop_answer=True)
    [lost] = (await push(salesforce, org, to_do(ada))).all
    assert lost.uncertain
    [held] = org.ledger()["tasks"]
    person.change("Task", held["id"], Status="Completed", Subject="Done that")
    [found] = (await push(salesforce, org, to_do(ada, uncertain=True))).all
    assert (found.external_id, found.created) == (held["id"], False)
    await push(salesforce, org, to_do(ada, external_id=held["id"]))
    assert (org.only("tasks")["Status"], org.only("tasks")["Subject"]) == ("Completed", "Done that")


@pytest.mark.parametrize("with_key", [True, False])
async def test_a_message_of_unknown_fate_is_found_and_gets_its_later_text(
    salesforce: SalesforceSample, org: SalesforceAccount, unkeyed: SalesforceAccount, with_key: bool
) -> None:
    used = org if with_key else unkeyed
    ada = Person(used).create("Contact", LastName="Lovelace")
    since = datetime.now(UTC) - timedelta(minutes=1)
    await push(salesforce, used, *(activity(ada, number) for number in range(10, 20)))
    used.disturb_path("/composite/sobjects(/Task.*)?$", drop_answer=True)
    [lost] = (await push(salesforce, used, activity(ada, 1, intent="question", queued_at=since))).all
    assert lost.uncertain
    again = [
        activity(ada, number, uncertain=True, queued_at=since, intent="interested" if number == 1 else None)
        for number in (1, 2, 10)
    ]
    pushed = await push(salesforce, used, *again)
    assert [pushed.of(document).created for document in again] == [False, True, False]
    texts = [record["fields"]["Description"] for record in used.ledger()["tasks"]]
    assert len(texts) == 12
    assert [text for text in texts if "[crm-sync activity-1]" in text and "Intent: interested" in text]


async def test_an_org_without_our_field_on_tasks_gets_them_all_the_same(
    salesforce: SalesforceSample, unkeyed: SalesforceAccount
) -> None:
    assert unkeyed.learned["task_key"] is False
    ada = Person(unkeyed).create("Contact", LastName="Lovelace")
    pushed = await push(salesforce, unkeyed, *(activity(ada, number) for number in range(1, 201)))
    assert (pushed.calls, pushed.statuses) == (1, {"synced"})
    assert all(outcome.created for outcome in pushed.all)
    assert len(unkeyed.ledger()["tasks"]) == 200


async def test_a_field_on_tasks_that_disappears_is_done_without(
    salesforce: SalesforceSample, org: SalesforceAccount, ada: str
) -> None:
    org.org.remove_field("Task", KEY)
    pushed = await push(salesforce, org, activity(ada, 1), activity(ada, 2, uncertain=True))
    assert pushed.statuses == {"synced"}
    assert len(org.ledger()["tasks"]) == 2


async def test_a_user_who_may_not_upsert_tasks_by_our_key_creates_them_with_it(
    salesforce: SalesforceSample, org: SalesforceAccount, ada: str
) -> None:
    refused = {"success": False, "errors": [{"statusCode": "INSUFFICIENT_ACCESS_OR_READONLY", "message": "no"}]}
    org.disturb("activities", status=200, body=[refused])
    [outcome] = (await push(salesforce, org, activity(ada))).all
    assert (outcome.status, outcome.created) == ("synced", True)
    assert org.only("tasks")[KEY] == "activity-1"


async def test_a_task_without_its_account_is_on_the_contact_and_one_without_its_contact_waits_for_it(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, ada: str
) -> None:
    engines, bob = person.create("Account", Name="Engines"), person.create("Contact", LastName="Bob")
    person.delete("Account", engines)
    person.delete("Contact", bob)
    alone, orphan = activity(ada, 1, company_external_id=engines), activity(bob, 2, company_external_id=engines)
    fine = activity(ada, 3)
    pushed = await push(salesforce, org, alone, orphan, fine)
    assert pushed.of(fine).status == pushed.of(alone).status == "synced"
    assert "contact only" in (pushed.of(alone).remark or "")
    failure = pushed.of(orphan).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.REJECTED, CONTACT_GONE)
    assert not pushed.of(orphan).uncertain


async def test_a_look_that_cannot_be_taken_leaves_the_task_uncertain(
    salesforce: SalesforceSample, org: SalesforceAccount, ada: str
) -> None:
    org.disturb("activities", drop_answer=True)
    await push(salesforce, org, activity(ada))
    org.disturb_path("/query", status=422)
    [outcome] = (await push(salesforce, org, activity(ada, uncertain=True))).all
    assert (outcome.status, outcome.uncertain) == ("failed", True)
    assert len(org.ledger()["tasks"]) == 1


async def test_a_message_of_a_megabyte_becomes_a_task_that_salesforce_takes(
    salesforce: SalesforceSample, org: SalesforceAccount, ada: str
) -> None:
    long = [activity(ada, number, body='"&🙂\n' * 250_000, subject="<" * 10_000) for number in range(1, 21)]
    assert (await push(salesforce, org, *long)).statuses == {"synced"}
