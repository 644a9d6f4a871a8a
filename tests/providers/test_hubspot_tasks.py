"""What is HubSpot's own: tasks for people, and what becomes of them when contacts and companies go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from providers.errors import CONTACT_GONE, FailureKind
from providers.models import ActivityDocument, DealDocument, Field, TaskDocument
from tests.providers.contract import OCCURRED, push
from tests.providers.people import ADA, contact
from tests.providers.person import Person
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample

DUE = OCCURRED + timedelta(days=1)


def task(contact_id: str, number: int = 1, **more: Any) -> TaskDocument:
    given = {"subject": "Reply to Ada", "body": "They ask for a <call>.", **more}
    return TaskDocument(
        rows=(number,),
        contact_id=UUID(int=1),
        key=f"task-{number}",
        contact_external_id=contact_id,
        due_at=DUE,
        **given,
    )


async def test_a_task_says_what_is_to_be_done_until_when(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada, engines = person.create("contacts", email=ADA), person.create("companies", name="Engines")
    pushed = await push(
        hubspot, portal, task(ada, company_external_id=engines, is_urgent=True), task(ada, 2, subject=" ")
    )
    assert (pushed.statuses, pushed.calls) == ({"synced"}, 1)
    held = {record["properties"]["hs_task_priority"]: record["properties"] for record in portal.ledger()["tasks"]}
    assert {name: value for name, value in held["HIGH"].items() if name.startswith("hs_t")} == {
        "hs_timestamp": "2026-11-23T10:00:00.000Z",
        "hs_task_subject": "Reply to Ada",
        "hs_task_body": "<p>They ask for a &lt;call&gt;.</p><p><small>[crm-sync task-1]</small></p>",
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": "HIGH",
        "hs_task_type": "TODO",
    }
    assert held["MEDIUM"]["hs_task_subject"] == "(no subject)"
    types = sorted(each["type_id"] for each in portal.ledger()["associations"])
    assert types == [191, 192, 203, 203, 204, 204]


async def test_a_known_task_is_a_persons_and_costs_no_call(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email=ADA)
    [first] = (await push(hubspot, portal, task(ada))).all
    assert first.external_id is not None
    person.change("tasks", first.external_id, hs_task_status="COMPLETED", hs_task_subject="Done")
    again = await push(hubspot, portal, task(ada, external_id=first.external_id, uncertain=True))
    assert (again.statuses, again.calls) == ({"synced"}, 0)
    assert again.all[0].external_id == first.external_id
    held = person.read("tasks", first.external_id, "hs_task_status", "hs_task_subject")
    assert held == {"hs_task_status": "COMPLETED", "hs_task_subject": "Done"}


async def test_a_task_of_unknown_fate_is_found_and_stays_as_a_person_left_it(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email=ADA)
    portal.disturb("tasks", drop_answer=True)
    assert all(outcome.uncertain for outcome in (await push(hubspot, portal, task(ada))).all)
    [held] = portal.ledger()["tasks"]
    person.change("tasks", held["id"], hs_task_status="IN_PROGRESS", hs_task_priority="LOW")
    [outcome] = (await push(hubspot, portal, task(ada, uncertain=True, is_urgent=True))).all
    assert (outcome.status, outcome.external_id, outcome.created) == ("synced", held["id"], False)
    now = person.read("tasks", held["id"], "hs_task_status", "hs_task_priority")
    assert now == {"hs_task_status": "IN_PROGRESS", "hs_task_priority": "LOW"}


async def test_a_look_that_cannot_be_taken_leaves_the_task_uncertain(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email=ADA)
    portal.disturb("tasks", drop_answer=True)
    await push(hubspot, portal, task(ada))
    portal.disturb_path("/contacts/tasks/batch/read", status=422)
    [outcome] = (await push(hubspot, portal, task(ada, uncertain=True))).all
    assert (outcome.status, outcome.uncertain) == ("failed", True)
    assert len(portal.ledger()["tasks"]) == 1


async def test_a_task_outlives_the_company_that_a_person_deleted(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email=ADA)
    silent = {"category": "VALIDATION_ERROR", "message": "One of the associations is not valid"}
    portal.disturb("tasks", status=400, body=silent)
    [outcome] = (await push(hubspot, portal, task(ada, company_external_id="999999999"))).all
    assert outcome.status == "synced"
    assert "refused the task with company 999999999" in (outcome.remark or "")


async def test_a_refusal_that_is_not_about_the_company_does_not_cost_the_company(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada, engines = person.create("contacts", email=ADA), person.create("companies", name="Engines")
    portal.disturb("tasks", status=422)
    [outcome] = (await push(hubspot, portal, task(ada, company_external_id=engines))).all
    failure = outcome.failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.REJECTED, "VALIDATION_ERROR")
    assert portal.ledger()["tasks"] == []


@pytest.mark.parametrize("kind", ["deal", "activity", "task"])
async def test_what_hangs_on_a_contact_that_is_gone_says_so_and_nothing_else_does(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person, kind: str
) -> None:
    ada, eve = (person.create("contacts", email=f"{name}@example.com") for name in ("ada", "eve"))
    person.delete("contacts", eve)

    def about(contact_id: str, number: int) -> DealDocument | ActivityDocument | TaskDocument:
        common: dict[str, Any] = {
            "rows": (number,),
            "contact_id": UUID(int=number),
            "key": f"{kind}-{number}",
            "contact_external_id": contact_id,
        }
        if kind == "deal":
            return DealDocument(fields=hubspot.deal_fields("Deal"), **common)
        if kind == "activity":
            return ActivityDocument(occurred_at=OCCURRED, subject="Re", body="Yes", **common)
        return TaskDocument(due_at=DUE, subject="Reply", body="Soon", **common)

    lost, fine = about(eve, 1), about(ada, 2)
    pushed = await push(hubspot, portal, lost, fine)
    assert pushed.of(fine).status == "synced"
    failure = pushed.of(lost).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.REJECTED, CONTACT_GONE)
    assert eve in failure.message


@pytest.mark.parametrize("uncertain", [False, True])
async def test_what_follows_a_contact_that_this_push_made_again_hangs_on_the_new_one(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person, uncertain: bool
) -> None:
    old = person.create("contacts", email=ADA)
    person.delete("contacts", old)
    ada = contact(9, external_id=old, fields={"firstname": Field(value="Ada")}).model_copy(
        update={"contact_id": UUID(int=1)}
    )
    deal = DealDocument(
        rows=(11,),
        contact_id=UUID(int=1),
        key="deal",
        contact_external_id=old,
        fields=hubspot.deal_fields("Deal"),
        uncertain=uncertain,
    )
    note = ActivityDocument(
        rows=(12,),
        contact_id=UUID(int=1),
        key="note",
        contact_external_id=old,
        occurred_at=OCCURRED,
        subject="Re",
        body="Yes",
        uncertain=uncertain,
    )
    pushed = await push(hubspot, portal, ada, deal, note, task(old, 13, uncertain=uncertain))
    assert pushed.statuses == {"synced"}
    new = pushed.of(ada).external_id
    assert new != old
    ends = {each["from_type"]: each["to_id"] for each in portal.ledger()["associations"] if each["to_id"] == new}
    assert set(ends) == {"deals", "notes", "tasks"}


async def test_a_deal_whose_contact_went_away_meanwhile_is_kept_for_the_contact_that_follows(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    old = person.create("contacts", email=ADA)
    person.delete("contacts", old)
    deal = DealDocument(
        rows=(1,), contact_id=UUID(int=1), key="d", contact_external_id=old, fields=hubspot.deal_fields("Deal")
    )
    [refused] = (await push(hubspot, portal, deal)).all
    assert refused.failure is not None
    assert refused.failure.code == CONTACT_GONE
    new = person.create("contacts", email=ADA)
    again = deal.model_copy(update={"contact_external_id": new, "uncertain": refused.uncertain})
    [arrived] = (await push(hubspot, portal, again)).all
    [held] = portal.ledger()["deals"]
    assert (arrived.status, arrived.external_id) == ("synced", held["id"])
    assert {each["to_id"] for each in portal.ledger()["associations"] if each["from_type"] == "deals"} == {new}
