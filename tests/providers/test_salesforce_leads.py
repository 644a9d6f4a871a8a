"""What is Salesforce's own: leads, and what becomes of them when people convert them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from providers.errors import FailureKind, Unauthorized
from providers.models import Company, ContactDocument, DealDocument, Field, Policy
from tests.providers.contract import OCCURRED, push
from tests.providers.samples_salesforce import KEY, Person, SalesforceAccount, SalesforceSample
from tests.providers.test_salesforce_timeline import activity, deal

ADA = "ada@example.com"


@pytest.fixture
def person(org: SalesforceAccount) -> Person:
    return Person(org)


def lead(number: int = 1, email: str = ADA, fields: dict[str, Any] | None = None, **more: Any) -> ContactDocument:
    given = {
        "LastName": Field(value="Lovelace", policy=Policy.IF_BLANK),
        "Email": Field(value=email, policy=Policy.IF_BLANK),
        "Company": Field(value="Engines", policy=Policy.IF_BLANK),
        **(fields or {}),
    }
    return ContactDocument(
        rows=(number,), contact_id=UUID(int=number), email=email, record="lead", fields=given, **more
    )


async def test_leads_cost_three_calls_and_take_no_deals(salesforce: SalesforceSample, org: SalesforceAccount) -> None:
    pushed = await push(salesforce, org, *(lead(number, f"p{number}@example.com") for number in range(1, 201)))
    assert pushed.calls == 3
    assert pushed.statuses == {"synced"}
    assert not any(outcome.takes_deals for outcome in pushed.all)
    assert all((outcome.external_id or "").startswith("00Q") for outcome in pushed.all)
    assert len(org.ledger()["leads"]) == 200
    assert org.ledger()["accounts"] == org.ledger()["contacts"] == []


async def test_a_lead_that_people_made_is_adopted(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    held = person.create("Lead", LastName="Byron", Company="Estates", Email=ADA)
    [outcome] = (await push(salesforce, org, lead(fields={"Phone": Field(value="1")}))).all
    assert (outcome.external_id, outcome.created) == (held, False)
    found = person.read("Lead", held, "LastName", "Company", "Phone", KEY)
    assert found == {"LastName": "Byron", "Company": "Estates", "Phone": "1", KEY: str(UUID(int=1))}


async def test_a_converted_lead_is_followed_to_the_contact_it_became(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    [first] = (await push(salesforce, org, lead())).all
    assert first.external_id is not None
    made = org.org.convert_lead(first.external_id)
    fields = {"Phone": Field(value="1"), "Status": Field(value="Working - Contacted")}
    [second] = (await push(salesforce, org, lead(external_id=first.external_id, fields=fields))).all
    assert (second.status, second.external_id) == ("synced", made)
    assert second.takes_deals
    held = org.only("contacts")
    assert (held["Phone"], held[KEY]) == ("1", str(UUID(int=1)))
    [third] = (
        await push(salesforce, org, lead(external_id=second.external_id, fields={"Phone": Field(value="2")}))
    ).all
    assert third.external_id == made
    assert org.only("contacts")["Phone"] == "2"
    assert len(org.ledger()["leads"]) == 1


async def test_a_lead_converted_between_look_and_write_is_followed(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    [first] = (await push(salesforce, org, lead())).all
    assert first.external_id is not None
    org.disturb_path(
        f"/composite/sobjects/Lead/{KEY}$",
        status=200,
        body=[{"success": False, "errors": [{"statusCode": "CANNOT_UPDATE_CONVERTED_LEAD", "message": "converted"}]}],
    )
    org.org.convert_lead(first.external_id)
    stale = [
        {"Id": first.external_id, "IsConverted": False, KEY: str(UUID(int=1)), "Email": ADA, "LastName": "Lovelace"}
    ]
    org.disturb_path("/composite/sobjects/Lead$", status=200, body=stale)
    [second] = (
        await push(salesforce, org, lead(external_id=first.external_id, fields={"Phone": Field(value="1")}))
    ).all
    assert second.takes_deals
    assert second.external_id == org.ledger()["contacts"][0]["id"]


async def test_a_converted_lead_that_is_met_for_the_first_time_is_followed_too(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    [first] = (await push(salesforce, org, lead())).all
    assert first.external_id is not None
    made = org.org.convert_lead(first.external_id)
    [again] = (await push(salesforce, org, lead())).all
    assert again.external_id == made
    assert len(org.ledger()["leads"]) == len(org.ledger()["contacts"]) == 1


async def test_a_known_contact_stays_one_when_leads_are_wanted(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    held = person.create("Contact", LastName="L", Email=ADA)
    [outcome] = (await push(salesforce, org, lead(external_id=held, fields={"Phone": Field(value="1")}))).all
    assert (outcome.external_id, outcome.takes_deals) == (held, True)
    assert org.only("contacts")["Phone"] == "1"


async def test_a_known_lead_stays_one_when_contacts_are_wanted(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    [first] = (await push(salesforce, org, lead())).all
    wanted = lead(external_id=first.external_id, fields={"Phone": Field(value="1"), "Department": Field(value="R&D")})
    [outcome] = (await push(salesforce, org, wanted.model_copy(update={"record": "contact"}))).all
    assert (outcome.external_id, outcome.takes_deals) == (first.external_id, False)
    assert org.only("leads")["Phone"] == "1"


async def test_a_lead_gets_its_messages_but_no_account_and_no_deal(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    [held] = (await push(salesforce, org, lead())).all
    engines = person.create("Account", Name="Engines")
    documents: tuple[DealDocument, Any] = (
        deal(held.external_id or "", number=11),
        activity(held.external_id or "", number=12, company_external_id=engines, occurred_at=OCCURRED),
    )
    pushed = await push(salesforce, org, *documents)
    failure = pushed.of(documents[0]).failure
    assert failure is not None
    assert failure.kind is FailureKind.REJECTED
    assert pushed.of(documents[1]).status == "synced"
    task = org.only("tasks")
    assert (task["WhoId"], task.get("WhatId")) == (held.external_id, None)
    assert org.ledger()["opportunities"] == []


async def test_a_message_after_the_conversion_goes_to_the_contact(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    [first] = (await push(salesforce, org, lead())).all
    assert first.external_id is not None
    made = org.org.convert_lead(first.external_id)
    await push(salesforce, org, lead(external_id=first.external_id), activity(first.external_id, number=12))
    assert org.only("tasks")["WhoId"] == made


async def test_leads_without_our_field_stop_the_connection_in_words_and_contacts_are_written(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    org.learned = {**org.learned, "lead": False}
    org.org.remove_field("Lead", KEY)
    person = ContactDocument(
        rows=(2,),
        contact_id=UUID(int=2),
        email="b@example.com",
        fields={"LastName": Field(value="B"), "Email": Field(value="b@example.com")},
    )
    pushed = await push(salesforce, org, lead(), person)
    assert isinstance(pushed.error, Unauthorized)
    assert (pushed.error.code, pushed.error.field) == ("FIELDS_MISSING", KEY)
    assert "Object Manager > Lead" in pushed.error.message
    assert pushed.of(person).status == "synced"
    assert org.ledger()["leads"] == []


async def test_a_field_for_leads_that_was_made_later_is_seen(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    org.learned = {**org.learned, "lead": False}
    assert (await push(salesforce, org, lead())).statuses == {"synced"}


async def test_who_is_a_contact_already_does_not_become_a_lead_too(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    estates = person.create("Account", Name="Byron Estates")
    held = person.create("Contact", LastName="Byron", Email="Ada@Example.com", AccountId=estates)
    fields = {"FirstName": Field(value="Ada", policy=Policy.IF_BLANK), "Status": Field(value="Working - Contacted")}
    documents = [lead(fields=fields, company=Company(key="engines", name="Engines")), lead(2, "b@example.com")]
    pushed = await push(salesforce, org, *documents)
    met, new = pushed.of(documents[0]), pushed.of(documents[1])
    assert (met.status, met.external_id, met.created, met.takes_deals) == ("synced", held, False, True)
    assert person.read("Contact", held, "FirstName", "LastName", "AccountId", KEY) == {
        "FirstName": "Ada",
        "LastName": "Byron",
        "AccountId": estates,
        KEY: str(UUID(int=1)),
    }
    assert (new.created, new.takes_deals) == (True, False)
    assert len(org.ledger()["leads"]) == 1
    assert [record["id"] for record in org.ledger()["accounts"]] == [estates]


async def test_a_lead_is_preferred_to_a_contact_of_the_same_address(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    person.create("Contact", LastName="Byron", Email=ADA)
    held = person.create("Lead", LastName="Byron", Company="Estates", Email=ADA)
    [outcome] = (await push(salesforce, org, lead())).all
    assert (outcome.external_id, outcome.takes_deals) == (held, False)


async def test_of_several_contacts_that_a_lead_may_be_the_oldest_is_taken_with_a_remark(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    oldest, newer = (person.create("Contact", LastName=name, Email=ADA) for name in ("First", "Second"))
    [outcome] = (await push(salesforce, org, lead())).all
    assert outcome.external_id == oldest
    assert newer in (outcome.remark or "")


async def test_a_lead_that_people_made_and_converted_is_met_as_the_contact_it_became(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    made = org.org.convert_lead(person.create("Lead", LastName="Byron", Company="Estates", Email=ADA))
    person.change("Contact", made, Email="countess@example.com")
    [outcome] = (await push(salesforce, org, lead())).all
    assert (outcome.external_id, outcome.takes_deals) == (made, True)
    assert len(org.ledger()["leads"]) == len(org.ledger()["contacts"]) == 1


async def test_a_converted_lead_whose_contact_was_deleted_is_made_a_lead_again(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    made = org.org.convert_lead(person.create("Lead", LastName="Byron", Company="Estates", Email=ADA))
    person.delete("Contact", made)
    [outcome] = (await push(salesforce, org, lead())).all
    assert (outcome.created, outcome.takes_deals) == (True, False)
    assert org.ledger()["contacts"] == []


async def test_a_look_among_contacts_that_is_refused_makes_no_lead(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    person.create("Contact", LastName="Byron", Email=ADA)
    org.disturb_path("/query", skip=1, status=422, times=99)
    [outcome] = (await push(salesforce, org, lead())).all
    assert outcome.status == "failed"
    assert org.ledger()["leads"] == []


async def test_leads_that_were_merged_are_one_lead(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    [first] = (await push(salesforce, org, lead())).all
    kept = person.create("Lead", LastName="Byron", Company="Estates", Email="elsewhere@example.com")
    org.org.merge("Lead", kept, first.external_id or "")
    [again] = (await push(salesforce, org, lead(external_id=first.external_id))).all
    assert (again.external_id, again.created) == (kept, False)
    assert org.only("leads")["LastName"] == "Byron"
