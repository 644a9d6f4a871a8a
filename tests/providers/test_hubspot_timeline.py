"""What is HubSpot's own: deals, their pipelines, and notes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from providers import client_for
from providers.errors import CONTACT_GONE, FailureKind
from providers.models import ActivityDocument, ContactDocument, DealDocument, Field, Outcome
from providers.report import Report
from sandbox.hubspot import HubSpot
from sandbox.hubspot.pipelines import DEFAULT_PIPELINE, Pipeline, Stage
from sandbox.server import serve
from tests.providers.contract import OCCURRED, Budget, Tokens, batch_of, new_account, push
from tests.providers.person import Person
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample

RENTALS = Pipeline(
    "p-77",
    "Rentals",
    (Stage("s-1", "Lost", "0.0"), Stage("s-2", "Enquiry", "0.1"), Stage("s-3", "Signed", "1.0")),
)


def deal(contact_id: str, pipeline: str = "default", stage: str = "appointmentscheduled", **more: Any) -> DealDocument:
    fields = {
        "dealname": Field(value="Ada - Email Lead"),
        "pipeline": Field(value=pipeline),
        "dealstage": Field(value=stage),
        "closedate": Field(value="2026-12-22T00:00:00Z"),
    }
    number = more.pop("number", 1)
    return DealDocument(
        rows=(number,),
        contact_id=UUID(int=1),
        key=f"deal-{number}",
        contact_external_id=contact_id,
        fields=fields,
        **more,
    )


def activity(contact_id: str, number: int = 1, **more: Any) -> ActivityDocument:
    given = {"subject": "Re: offer", "body": "Yes", **more}
    return ActivityDocument(
        rows=(number,),
        contact_id=UUID(int=1),
        key=f"activity-{number}",
        contact_external_id=contact_id,
        occurred_at=OCCURRED,
        **given,
    )


def stage_of(account: HubSpotAccount) -> tuple[str, str]:
    [held] = account.ledger()["deals"]
    return held["properties"]["pipeline"], held["properties"]["dealstage"]


async def test_a_deal_and_a_note_cost_their_batches_and_no_more(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada, engines = person.create("contacts", email="ada@example.com"), person.create("companies", name="Engines")
    deals = [deal(ada, number=number, company_external_id=engines) for number in range(1, 101)]
    assert (await push(hubspot, portal, *deals)).calls == 4
    notes = [activity(ada, number, company_external_id=engines) for number in range(1, 101)]
    assert (await push(hubspot, portal, *notes)).calls == 1
    ledger = portal.ledger()
    assert (len(ledger["deals"]), len(ledger["notes"])) == (100, 100)
    types = [each["type_id"] for each in ledger["associations"]]
    assert {kind: types.count(kind) for kind in (3, 341, 202, 190)} == {3: 100, 341: 100, 202: 100, 190: 100}


@pytest.mark.parametrize(
    ("pipeline", "stage"), [("p-77", "s-2"), ("Rentals", "Enquiry"), ("rentals", "ENQUIRY"), (" p-77 ", "enquiry")]
)
async def test_a_stage_is_named_by_id_or_by_label(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person, pipeline: str, stage: str
) -> None:
    portal.portal.pipelines[RENTALS.id] = RENTALS
    ada = person.create("contacts", email="ada@example.com")
    [outcome] = (await push(hubspot, portal, deal(ada, pipeline, stage))).all
    assert (outcome.status, outcome.remark) == ("synced", None)
    assert stage_of(portal) == ("p-77", "s-2")


async def test_the_default_stage_gives_way_to_the_first_open_one(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    portal.portal.pipelines = {RENTALS.id: RENTALS}
    ada = person.create("contacts", email="ada@example.com")
    [outcome] = (await push(hubspot, portal, deal(ada))).all
    assert stage_of(portal) == ("p-77", "s-2")
    assert outcome.remark is not None
    assert "'Enquiry' in 'Rentals'" in outcome.remark


@pytest.mark.parametrize(
    ("chosen", "field", "words"),
    [
        (("Rental", "Enquiry"), "pipeline", "p-77 (Rentals), default (Sales Pipeline)"),
        (("Rentals", "appointmentscheduled"), "dealstage", "s-1 (Lost), s-2 (Enquiry), s-3 (Signed)"),
        (("default", "Enquiry"), "dealstage", "appointmentscheduled (Appointment Scheduled)"),
    ],
)
async def test_a_chosen_stage_that_does_not_exist_is_refused_with_those_that_do(
    hubspot: HubSpotSample, portal: HubSpotAccount, chosen: tuple[str, str], field: str, words: str
) -> None:
    portal.portal.pipelines[RENTALS.id] = RENTALS
    contact = ContactDocument(rows=(9,), contact_id=UUID(int=1), email="ada@example.com", fields={})
    ada = (await push(hubspot, portal, contact)).of(contact).external_id or ""
    unusual, usual = deal(ada, *chosen, number=1), deal(ada, number=2)
    pushed = await push(hubspot, portal, unusual, usual)
    failure = pushed.of(unusual).failure
    assert failure is not None
    assert (failure.kind, failure.field) == (FailureKind.REJECTED, field)
    assert words in failure.message
    assert pushed.of(usual).status == "synced"
    assert not pushed.of(unusual).uncertain


async def test_pipelines_are_asked_for_once_in_a_clients_life_and_again_when_they_have_changed(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    budget = Budget()
    async with httpx.AsyncClient() as http:
        client = client_for("hubspot")(portal.config, Tokens(portal, http), budget, http)

        async def outcome_and_calls(document: DealDocument) -> tuple[Outcome, int]:
            before = len(budget.spent)
            batch = batch_of(portal, "hubspot", [document])
            report = Report(batch)
            await client.push(batch, report)
            [outcome] = report.close()
            return outcome, len(budget.spent) - before

        assert [(await outcome_and_calls(deal(ada, number=number)))[1] for number in (1, 2)] == [3, 2]
        portal.portal.pipelines[RENTALS.id] = RENTALS
        added, calls = await outcome_and_calls(deal(ada, "Rentals", "Enquiry", number=3))
        assert (added.status, calls) == ("synced", 3)
        del portal.portal.pipelines["default"]
        removed, calls = await outcome_and_calls(deal(ada, number=4))
        assert (removed.status, calls) == ("synced", 4)
        assert "'Enquiry' in 'Rentals'" in (removed.remark or "")
        refused, calls = await outcome_and_calls(deal(ada, "Sales", number=5))
        assert (refused.status, calls) == ("failed", 1)


async def test_a_portal_without_an_open_stage_refuses_the_deal(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    portal.portal.pipelines = {"p-1": replace(DEFAULT_PIPELINE, id="p-1", stages=(Stage("s", "Won", "1.0"),))}
    ada = person.create("contacts", email="ada@example.com")
    [outcome] = (await push(hubspot, portal, deal(ada))).all
    assert outcome.failure is not None
    assert outcome.failure.kind is FailureKind.REJECTED


async def test_a_deal_of_unknown_fate_stays_where_a_person_moved_it(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    portal.disturb("deals", drop_answer=True)
    [lost] = (await push(hubspot, portal, deal(ada))).all
    assert lost.uncertain
    [held] = portal.ledger()["deals"]
    person.change("deals", held["id"], dealstage="contractsent", dealname="Big one")
    [outcome] = (await push(hubspot, portal, deal(ada, uncertain=True))).all
    assert (outcome.status, outcome.external_id, outcome.created) == ("synced", held["id"], False)
    assert stage_of(portal) == ("default", "contractsent")
    assert 3 in {each["type_id"] for each in portal.ledger()["associations"]}


async def test_a_deal_that_was_written_but_not_associated_is_uncertain(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    portal.disturb_path("/deals/contacts/", status=429)
    [outcome] = (await push(hubspot, portal, deal(ada))).all
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.uncertain) == (FailureKind.RATE_LIMITED, True)


async def test_a_deal_without_its_contact_fails_and_one_without_its_company_is_remarked(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    orphan = deal("999999999", number=1)
    alone = deal(ada, number=2, company_external_id="999999998")
    pushed = await push(hubspot, portal, orphan, alone)
    failure = pushed.of(orphan).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.REJECTED, CONTACT_GONE)
    assert pushed.of(alone).status == "synced"
    assert "999999998" in (pushed.of(alone).remark or "")


async def test_a_note_of_unknown_fate_is_found_on_a_later_page(hubspot: HubSpotSample) -> None:
    emulator = HubSpot(association_page=30)
    with serve(emulator.app) as server:
        sample = HubSpotSample(emulator, server.url)
        portal = await new_account(sample)
        assert isinstance(portal, HubSpotAccount)
        person = Person(portal)
        ada, bob = (person.create("contacts", email=f"{name}@example.com") for name in ("ada", "bob"))
        person.close()
        await push(sample, portal, *(activity(ada, number) for number in range(11, 211)))
        portal.disturb("activities", drop_answer=True)
        lost = [activity(ada, 1), activity(bob, 2)]
        assert all(outcome.uncertain for outcome in (await push(sample, portal, *lost)).all)
        again = [document.model_copy(update={"uncertain": True}) for document in [*lost, activity(ada, 3)]]
        pushed = await push(sample, portal, *again)
        assert pushed.statuses == {"synced"}
        assert [pushed.of(document).created for document in again] == [False, False, True]
        assert len(portal.ledger()["notes"]) == 203


async def test_a_look_that_cannot_be_taken_leaves_the_note_uncertain(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    portal.disturb("activities", drop_answer=True)
    await push(hubspot, portal, activity(ada))
    for path in ("/contacts/notes/batch/read", "/notes/batch/read"):
        portal.disturb_path(path, status=422, skip=int(path.startswith("/notes")))
        [outcome] = (await push(hubspot, portal, activity(ada, uncertain=True))).all
        assert (outcome.status, outcome.uncertain) == ("failed", True)
        portal.calm()
    assert len(portal.ledger()["notes"]) == 1


async def test_a_known_note_gets_its_new_text(hubspot: HubSpotSample, portal: HubSpotAccount, person: Person) -> None:
    ada = person.create("contacts", email="ada@example.com")
    [first] = (await push(hubspot, portal, activity(ada))).all
    [second] = (await push(hubspot, portal, activity(ada, external_id=first.external_id, intent="question"))).all
    assert (second.external_id, second.created) == (first.external_id, False)
    [note] = portal.ledger()["notes"]
    assert "Intent: question" in note["properties"]["hs_note_body"]
    assert note["properties"]["hs_timestamp"] == "2026-11-22T10:00:00.000Z"


async def test_a_note_of_unknown_fate_gets_the_text_of_a_later_classification(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    portal.disturb("activities", drop_answer=True)
    await push(hubspot, portal, activity(ada, intent="question"))
    [outcome] = (await push(hubspot, portal, activity(ada, uncertain=True, intent="interested"))).all
    [note] = portal.ledger()["notes"]
    assert (outcome.status, outcome.external_id, outcome.created) == ("synced", note["id"], False)
    assert "Intent: interested" in note["properties"]["hs_note_body"]


async def test_a_note_that_a_person_deleted_stays_deleted(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    [first] = (await push(hubspot, portal, activity(ada))).all
    assert first.external_id is not None
    person.delete("notes", first.external_id)
    [second] = (await push(hubspot, portal, activity(ada, external_id=first.external_id))).all
    assert second.status == "synced"
    assert "stays deleted" in (second.remark or "")
    assert portal.ledger()["notes"] == []


async def test_a_note_outlives_the_company_that_a_person_deleted(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    orphan, fine = activity(ada, 1, company_external_id="999999999"), activity(ada, 2)
    pushed = await push(hubspot, portal, orphan, fine)
    assert pushed.statuses == {"synced"}
    assert "999999999" in (pushed.of(orphan).remark or "")
    assert pushed.calls == 2


async def test_a_note_for_a_contact_that_is_gone_fails_alone(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    lost, fine = activity("999999999", 1), activity(ada, 2)
    pushed = await push(hubspot, portal, lost, fine)
    failure = pushed.of(lost).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.REJECTED, CONTACT_GONE)
    assert "No contact with ID 999999999 exists" in failure.message
    assert pushed.of(fine).status == "synced"


async def test_a_message_of_a_megabyte_becomes_a_note_that_hubspot_takes(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    ada = person.create("contacts", email="ada@example.com")
    long = [activity(ada, number, body='"&🙂\n' * 250_000, subject="<" * 10_000) for number in range(1, 21)]
    assert (await push(hubspot, portal, *long)).statuses == {"synced"}
