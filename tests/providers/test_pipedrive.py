"""What is Pipedrive's own: contacts as persons, and what people set in them."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from providers.errors import FailureKind
from providers.models import Field, Policy
from providers.pipedrive import Client
from providers.report import Report
from sandbox.pipedrive.fields import Option
from tests.providers.contract import Budget, Tokens, batch_of, follow_ups, push
from tests.providers.samples_pipedrive import (
    ADA,
    MINE,
    Person,
    PipedriveAccount,
    PipedriveSample,
    contact,
    held_by,
)


@pytest.fixture
def person(company: PipedriveAccount) -> Iterator[Person]:
    opened = Person(company)
    yield opened
    opened.close()


async def test_what_a_person_wrote_stays_and_what_was_blank_is_filled(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    held = person.create("persons", name="Countess Lovelace", emails=[{"value": ADA, **MINE}])
    document = contact(
        external_id=str(held["id"]),
        fields={
            "name": Field(value="Ada", policy=Policy.IF_BLANK),
            "phone": Field(value="+44 1", policy=Policy.IF_BLANK),
        },
    )
    pushed = await push(crm, company, document)
    assert pushed.calls == 2
    [now] = held_by(company)
    assert now["name"] == "Countess Lovelace"
    assert [each["value"] for each in now["phones"]] == ["+44 1"]


async def test_a_value_of_ours_that_changed_replaces_the_held_one(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    held = person.create("persons", name="Ada", emails=[{"value": ADA, **MINE}])
    await push(crm, company, contact(external_id=str(held["id"]), fields={"name": Field(value="Ada Lovelace")}))
    assert held_by(company)[0]["name"] == "Ada Lovelace"


async def test_none_of_a_persons_addresses_is_lost(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    theirs = [
        {"value": "home@example.com", "primary": True, "label": "home"},
        {"value": "club@example.com", "primary": False, "label": "other"},
    ]
    held = person.create("persons", name="Ada", emails=theirs, phones=[{"value": "+44 (1) 23", **MINE}])
    document = contact(external_id=str(held["id"]), fields={"email": Field(value=ADA), "phone": Field(value="+44123")})
    await push(crm, company, document)
    [now] = held_by(company)
    assert now["emails"] == [*theirs, {"value": ADA, "primary": False, "label": "work"}]
    assert [each["value"] for each in now["phones"]] == ["+44 (1) 23"]


async def test_a_person_with_our_address_is_adopted_and_marked(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    held = person.create("persons", name="Ada", emails=[{"value": "Ada@Example.com", **MINE}])
    document = contact(fields={"name": Field(value="Somebody", policy=Policy.IF_BLANK)})
    pushed = await push(crm, company, document)
    assert (pushed.of(document).external_id, pushed.of(document).created) == (str(held["id"]), False)
    [now] = held_by(company)
    assert now["name"] == "Ada"
    assert now["emails"] == held["emails"]
    assert now["custom_fields"][company.learned["person_key"]] == str(document.contact_id)


async def test_of_several_persons_with_our_address_the_oldest_is_taken_and_said_so(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    ids = [person.create("persons", name=f"Ada {n}", emails=[{"value": ADA, **MINE}])["id"] for n in range(3)]
    outcome = (await push(crm, company, contact())).all[0]
    assert outcome.external_id == str(min(ids))
    assert "3 records" in (outcome.remark or "")
    person.change("persons", ids[0], custom_fields={company.learned["person_key"]: None})
    person.change("persons", ids[2], custom_fields={company.learned["person_key"]: str(UUID(int=1))})
    assert (await push(crm, company, contact())).all[0].external_id == str(ids[2])


async def test_a_person_who_was_deleted_is_made_again_and_a_deal_follows(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    first = await push(crm, company, contact())
    old = first.all[0].external_id or ""
    person.delete("persons", old)
    document = contact(external_id=old)
    later = follow_ups(crm, [document], first)
    pushed = await push(crm, company, document, *later)
    assert pushed.statuses == {"synced"}
    new = pushed.of(document).external_id
    assert new not in (None, old)
    assert {str(each["person_id"]) for kind in ("deals", "notes", "activities") for each in held_by(company, kind)} == {
        new
    }


async def test_contacts_that_share_an_address_share_one_person(crm: PipedriveSample, company: PipedriveAccount) -> None:
    first = contact(1, fields={"name": Field(value="Ada", policy=Policy.IF_BLANK)})
    second = contact(2, fields={"phone": Field(value="+44 1", policy=Policy.IF_BLANK)})
    pushed = await push(crm, company, first, second)
    assert len({outcome.external_id for outcome in pushed.all}) == 1
    [held] = held_by(company)
    assert (held["name"], held["phones"][0]["value"]) == ("Ada", "+44 1")


async def test_options_are_written_by_label_and_a_value_that_is_none_is_refused_with_those_there_are(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    field = person.create(
        "personFields",
        field_name="Temperature",
        field_type="enum",
        options=[{"label": "Cold"}, {"label": "Hot"}],
    )
    code, options = field["field_code"], {each["label"]: each["id"] for each in field["options"]}
    good = contact(1, "hot@example.com", fields={code: Field(value="Hot")})
    bad = contact(2, "mild@example.com", fields={code: Field(value="Mild")})
    pushed = await push(crm, company, good, bad)
    assert pushed.of(good).status == "synced"
    assert held_by(company)[0]["custom_fields"][code] == options["Hot"]
    failure = pushed.of(bad).failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.field) == (FailureKind.REJECTED, "INVALID_OPTION", code)
    assert "Cold" in failure.message
    ranks = ((str(options["Cold"]),), ("Hot",))
    back = contact(
        1,
        "hot@example.com",
        external_id=pushed.of(good).external_id,
        fields={code: Field(value=str(options["Cold"]), policy=Policy.FORWARD_ONLY, ranks=ranks)},
    )
    assert (await push(crm, company, back)).statuses == {"synced"}
    assert held_by(company)[0]["custom_fields"][code] == options["Hot"]


async def test_a_field_of_ours_that_was_deleted_is_made_again_once(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    person.delete("personFields", company.learned["person_key"])
    pushed = await push(crm, company, *(contact(number, f"p{number}@example.com") for number in range(1, 5)))
    assert pushed.statuses == {"synced"}
    [code] = {code for each in held_by(company) for code, value in each["custom_fields"].items() if value}
    assert code != company.learned["person_key"]


async def test_a_client_without_facts_looks_them_up(crm: PipedriveSample, company: PipedriveAccount) -> None:
    learned, company.learned = company.learned, {}
    document = contact()
    assert (await push(crm, company, document)).statuses == {"synced"}
    assert held_by(company)[0]["custom_fields"][learned["person_key"]] == str(document.contact_id)


async def test_an_option_added_since_is_known_at_the_next_try(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    field = person.create("personFields", field_name="Mood", field_type="enum", options=[{"label": "Good"}])
    code = field["field_code"]
    document = contact(fields={code: Field(value="Better")})
    async with httpx.AsyncClient() as http:
        client = Client(company.config, Tokens(company, http), Budget(), http)
        statuses = []
        for _ in range(2):
            batch = batch_of(company, "pipedrive", [document])
            report = Report(batch)
            await client.push(batch, report)
            statuses += [outcome.status for outcome in report.close()]
            company.company.fields["persons"].get(code).options.append(Option(987, "Better"))
    assert statuses == ["failed", "synced"]


async def test_a_person_deleted_between_reading_and_writing_is_made_again(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    held = person.create("persons", name="Ada", emails=[{"value": ADA, **MINE}])
    gone = {"success": False, "error": "Person not found", "errorCode": 404}
    company.disturb_path("/api/v2/persons/", method="PATCH", status=404, body=gone)
    pushed = await push(crm, company, contact(external_id=str(held["id"]), fields={"name": Field(value="Ada L.")}))
    [outcome] = pushed.all
    assert (outcome.status, outcome.created) == ("synced", True)
    assert outcome.external_id != str(held["id"])
