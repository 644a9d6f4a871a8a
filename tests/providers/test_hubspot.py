"""What is HubSpot's own: contacts and companies, and the calls they cost."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from providers.errors import FailureKind
from providers.models import Company, Field
from sandbox.hubspot.schema import LEAD_STATUSES
from tests.providers.contract import push
from tests.providers.people import ADA, contact, forward, only_blank
from tests.providers.person import Person
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample


async def test_a_hundred_new_contacts_with_companies_cost_four_calls(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    documents = [
        contact(number, f"p{number}@example.com", company=Company(key=f"c{number % 9}", name=f"Company {number % 9}"))
        for number in range(1, 101)
    ]
    pushed = await push(hubspot, portal, *documents)
    assert pushed.statuses == {"synced"}
    assert pushed.calls == 4
    ledger = portal.ledger()
    assert (len(ledger["contacts"]), len(ledger["companies"])) == (100, 9)


async def test_each_result_finds_its_own_document(hubspot: HubSpotSample, portal: HubSpotAccount) -> None:
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 251)]
    pushed = await push(hubspot, portal, *documents)
    emails = {record["id"]: record["properties"]["email"] for record in portal.ledger()["contacts"]}
    assert len(emails) == 250
    assert all(emails[pushed.of(document).external_id or ""] == document.email for document in documents)


async def test_known_contacts_without_a_change_cost_one_call(hubspot: HubSpotSample, portal: HubSpotAccount) -> None:
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 101)]
    first = await push(hubspot, portal, *documents)
    known = [document.model_copy(update={"external_id": first.of(document).external_id}) for document in documents]
    assert (await push(hubspot, portal, *known)).calls == 1


async def test_several_documents_of_one_address_share_one_contact(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    first = contact(1, fields={"firstname": only_blank("Ada"), "hs_lead_status": forward("CONNECTED")})
    second = contact(
        2,
        fields={
            "firstname": only_blank("A."),
            "lastname": only_blank("Lovelace"),
            "hs_lead_status": forward("OPEN_DEAL"),
        },
    )
    third = contact(3, fields={"hs_lead_status": forward("NEW")})
    pushed = await push(hubspot, portal, first, second, third)
    assert pushed.statuses == {"synced"}
    assert len({outcome.external_id for outcome in pushed.all}) == 1
    [held] = portal.ledger()["contacts"]
    written = {name: held["properties"].get(name) for name in ("firstname", "lastname", "hs_lead_status")}
    assert written == {"firstname": "Ada", "lastname": "Lovelace", "hs_lead_status": "OPEN_DEAL"}
    assert held["properties"]["crm_sync_contact_id"] == str(first.contact_id)


async def test_documents_found_by_id_and_by_address_share_one_update(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    held = person.create("contacts", email=ADA)
    known = contact(1, external_id=held, fields={"firstname": only_blank("Ada")})
    unknown = contact(2, fields={"lastname": only_blank("Lovelace")})
    pushed = await push(hubspot, portal, known, unknown)
    assert {outcome.external_id for outcome in pushed.all} == {held}
    assert person.read("contacts", held, "firstname", "lastname") == {"firstname": "Ada", "lastname": "Lovelace"}
    assert pushed.calls == 3


async def test_what_a_person_wrote_stays_and_what_was_blank_is_filled(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    held = person.create("contacts", email="Ada@Example.com", firstname="Augusta", hs_lead_status="CONNECTED")
    fields = {
        "firstname": only_blank("Ada"),
        "lastname": only_blank("Lovelace"),
        "phone": Field(value="+44 20 7946 0000"),
        "hs_lead_status": forward("OPEN"),
    }
    pushed = await push(hubspot, portal, contact(fields=fields))
    [outcome] = pushed.all
    assert (outcome.external_id, outcome.created) == (held, False)
    assert person.read("contacts", held, "firstname", "lastname", "phone", "hs_lead_status") == {
        "firstname": "Augusta",
        "lastname": "Lovelace",
        "phone": "+44 20 7946 0000",
        "hs_lead_status": "CONNECTED",
    }


@pytest.mark.parametrize(
    "statuses",
    [
        ("NEW", "OPEN_DEAL", "OPEN_DEAL"),
        ("OPEN_DEAL", "NEW", "OPEN_DEAL"),
        ("BAD_TIMING", "OPEN_DEAL", "BAD_TIMING"),
    ],
)
async def test_a_lead_status_never_moves_backwards(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person, statuses: tuple[str, str, str]
) -> None:
    theirs, ours, expected = statuses
    held = person.create("contacts", email=ADA, hs_lead_status=theirs)
    await push(hubspot, portal, contact(fields={"hs_lead_status": forward(ours)}))
    assert person.read("contacts", held, "hs_lead_status") == {"hs_lead_status": expected}


async def test_values_of_a_contact_that_a_lost_answer_left_behind_are_ours(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    portal.disturb("contacts", drop_answer=True)
    await push(hubspot, portal, contact(fields={"firstname": only_blank("Adda")}))
    again = contact(fields={"firstname": only_blank("Ada")}, uncertain=True, queued_at=datetime.now(UTC))
    [outcome] = (await push(hubspot, portal, again)).all
    assert outcome.external_id is not None
    assert person.read("contacts", outcome.external_id, "firstname") == {"firstname": "Ada"}


async def test_values_of_a_contact_whose_mapping_was_lost_are_a_persons(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    """Connected anew, say: people have worked with it since."""
    await push(hubspot, portal, contact(fields={"firstname": only_blank("Adda")}))
    [outcome] = (await push(hubspot, portal, contact(fields={"firstname": only_blank("Ada")}))).all
    assert outcome.external_id is not None
    assert person.read("contacts", outcome.external_id, "firstname") == {"firstname": "Adda"}


async def test_what_we_did_not_change_is_a_persons_to_change(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    document = contact(fields={"phone": Field(value="1")})
    [outcome] = (await push(hubspot, portal, document)).all
    assert outcome.external_id is not None
    person.change("contacts", outcome.external_id, phone="2")
    known = document.model_copy(update={"external_id": outcome.external_id, "unchanged": True})
    await push(hubspot, portal, known)
    assert person.read("contacts", outcome.external_id, "phone") == {"phone": "2"}


async def test_a_contact_of_another_owner_keeps_its_key(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    held = person.create("contacts", email=ADA, crm_sync_contact_id="somebody-else", firstname="Augusta")
    [outcome] = (await push(hubspot, portal, contact(fields={"firstname": only_blank("Ada")}))).all
    assert (outcome.status, outcome.external_id) == ("synced", held)
    assert person.read("contacts", held, "crm_sync_contact_id", "firstname") == {
        "crm_sync_contact_id": "somebody-else",
        "firstname": "Augusta",
    }


async def test_a_contact_that_a_person_deleted_is_made_again(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    company = Company(key="c1", name="Engines")
    [first] = (await push(hubspot, portal, contact(company=company))).all
    assert first.external_id is not None
    person.delete("contacts", first.external_id)
    known = contact(
        external_id=first.external_id,
        unchanged=True,
        linked_company_id=first.company_external_id,
        company=company.model_copy(update={"external_id": first.company_external_id}),
    )
    [again] = (await push(hubspot, portal, known)).all
    assert again.created
    assert again.external_id not in {None, first.external_id}
    links = {(each["from_id"], each["to_id"]) for each in portal.ledger()["associations"]}
    assert (again.external_id, first.company_external_id) in links


async def test_a_contact_deleted_between_look_and_write_is_made_again(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    held = person.create("contacts", email="elsewhere@example.com")
    gone = {
        "status": "COMPLETE",
        "results": [],
        "numErrors": 1,
        "errors": [{"category": "OBJECT_NOT_FOUND", "message": "gone", "context": {"ids": [held]}}],
    }
    portal.disturb_path("/contacts/batch/update", status=207, body=gone)
    [outcome] = (await push(hubspot, portal, contact(external_id=held, fields={"firstname": only_blank("Ada")}))).all
    assert outcome.created
    assert outcome.external_id != held


async def test_a_contact_under_another_address_is_found_by_the_conflict(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    held = person.create("contacts", email="augusta@example.com", firstname="Augusta")
    conflict = {
        "status": "COMPLETE",
        "results": [],
        "errors": [
            {
                "category": "CONFLICT",
                "message": f"Contact already exists. Existing ID: {held}",
                "context": {"objectWriteTraceId": ["row-1"]},
            }
        ],
    }
    portal.disturb("contacts", status=207, body=conflict)
    fields = {"firstname": only_blank("Ada"), "lastname": only_blank("King")}
    [outcome] = (await push(hubspot, portal, contact(fields=fields))).all
    assert (outcome.status, outcome.external_id, outcome.created) == ("synced", held, False)
    assert person.read("contacts", held, "firstname", "lastname") == {"firstname": "Augusta", "lastname": "King"}


async def test_a_malformed_address_fails_alone_in_hubspots_words(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    bad = contact(2, "not an address")
    pushed = await push(hubspot, portal, contact(1), bad)
    assert pushed.of(contact(1)).status == "synced"
    failure = pushed.of(bad).failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.field) == (FailureKind.REJECTED, "INVALID_EMAIL", "email")


async def test_a_field_that_the_portal_has_not_is_named_at_the_cost_of_one_call(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    documents = [
        contact(number, f"p{number}@example.com", fields={"shoe_size": Field(value="9")}) for number in range(1, 51)
    ]
    good = contact(99, "good@example.com")
    pushed = await push(hubspot, portal, *documents, good)
    assert pushed.of(good).status == "synced"
    failures = [pushed.of(document).failure for document in documents]
    assert {failure and (failure.kind, failure.code, failure.field) for failure in failures} == {
        (FailureKind.REJECTED, "PROPERTY_DOESNT_EXIST", "shoe_size")
    }
    assert pushed.calls == 2


async def test_a_batch_refused_whole_is_halved_until_the_guilty_row_stands_alone(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 3)]
    # Refused as two, then one of them alone.
    portal.disturb("contacts", status=422, times=2)
    pushed = await push(hubspot, portal, *documents)
    assert sorted(outcome.status for outcome in pushed.all) == ["failed", "synced"]
    assert pushed.calls == 1 + 3


async def test_blanks_are_never_sent(hubspot: HubSpotSample, portal: HubSpotAccount, person: Person) -> None:
    held = person.create("contacts", email=ADA, phone="1")
    await push(hubspot, portal, contact(fields={"phone": Field(value=""), "lastname": Field(value="")}))
    assert person.read("contacts", held, "phone") == {"phone": "1"}
    new = contact(2, "new@example.com", fields={"phone": Field(value="")})
    assert (await push(hubspot, portal, new)).statuses == {"synced"}


async def test_one_company_key_is_one_company_however_many_name_it(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    documents = [
        contact(1, "a@example.com", company=Company(key="engines", name="Engines")),
        contact(2, "b@example.com", company=Company(key="engines", name="ENGINES Ltd")),
    ]
    pushed = await push(hubspot, portal, *documents)
    assert pushed.statuses == {"synced"}
    assert [record["properties"]["name"] for record in portal.ledger()["companies"]] == ["Engines"]
    kinds = {each["type_id"] for each in portal.ledger()["associations"]}
    assert kinds == {279, 280}


async def test_a_linked_contact_is_not_associated_again(hubspot: HubSpotSample, portal: HubSpotAccount) -> None:
    company = Company(key="engines", name="Engines")
    [first] = (await push(hubspot, portal, contact(company=company))).all
    known = contact(
        external_id=first.external_id,
        linked_company_id=first.company_external_id,
        company=company.model_copy(update={"external_id": first.company_external_id}),
    )
    assert (await push(hubspot, portal, known)).calls == 1


async def test_a_company_that_a_person_deleted_is_made_again(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    company = Company(key="engines", name="Engines")
    [first] = (await push(hubspot, portal, contact(company=company))).all
    assert first.company_external_id is not None
    person.delete("companies", first.company_external_id)
    known = company.model_copy(update={"external_id": first.company_external_id})
    newcomer = contact(2, "b@example.com", company=known)
    [outcome] = (await push(hubspot, portal, newcomer)).all
    assert outcome.status == "synced"
    assert outcome.company_external_id not in {None, first.company_external_id}


async def test_a_new_company_begins_with_what_is_known_of_it(hubspot: HubSpotSample, portal: HubSpotAccount) -> None:
    fields = {"name": "Engines", "industry": "COMPUTER_SOFTWARE", "city": ""}
    company = Company(key="engines", name="engines", fields=fields)
    assert (await push(hubspot, portal, contact(company=company))).statuses == {"synced"}
    [held] = portal.ledger()["companies"]
    written = {name: held["properties"].get(name) for name in ("name", "industry", "city", "crm_sync_key")}
    assert written == {"name": "Engines", "industry": "COMPUTER_SOFTWARE", "city": None, "crm_sync_key": "engines"}


async def test_a_company_that_a_lost_answer_left_behind_keeps_what_a_person_made_of_it(
    hubspot: HubSpotSample, portal: HubSpotAccount, person: Person
) -> None:
    document = contact(company=Company(key="engines", name="Engines", fields={"name": "Engines"}))
    portal.disturb("companies", drop_answer=True)
    await push(hubspot, portal, document)
    [held] = portal.ledger()["companies"]
    person.change("companies", held["id"], name="Analytical Engines Ltd")
    [outcome] = (await push(hubspot, portal, document.model_copy(update={"uncertain": True}))).all
    assert (outcome.status, outcome.company_external_id) == ("synced", held["id"])
    assert person.read("companies", held["id"], "name") == {"name": "Analytical Engines Ltd"}


async def test_a_company_that_cannot_be_looked_for_is_not_written_over(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    document = contact(company=Company(key="engines", name="Engines"), uncertain=True)
    portal.disturb_path("/companies/batch/read", status=422)
    [outcome] = (await push(hubspot, portal, document)).all
    assert (outcome.status, outcome.uncertain) == ("failed", True)
    assert portal.ledger()["companies"] == []


async def test_a_refused_option_is_told_with_those_that_there_are(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    [outcome] = (await push(hubspot, portal, contact(fields={"hs_lead_status": Field(value="QUALIFIED")}))).all
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.field) == ("INVALID_OPTION", "hs_lead_status")
    assert f"QUALIFIED was not one of the allowed options: [{', '.join(LEAD_STATUSES)}]" in outcome.failure.message


async def test_a_company_that_hubspot_refuses_holds_up_its_own_contacts_only(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    refused = contact(1, "a@example.com", company=Company(key="blank", name=""))
    others = [contact(2, "b@example.com", company=Company(key="engines", name="Engines")), contact(3, "c@example.com")]
    pushed = await push(hubspot, portal, refused, *others)
    assert pushed.of(refused).status == "failed"
    assert {pushed.of(document).status for document in others} == {"synced"}
