"""Rules, locks, conversions and relations between the records of the emulated Salesforce."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.salesforce import Salesforce
from tests.sandbox.salesforce_client import KEY, Force, error, force

ADA = {KEY: "c-1", "LastName": "Lovelace", "FirstName": "Ada", "Email": "Ada@Example.com"}
LEAD = {"LastName": "Lovelace", "Company": "Analytical Engines"}
DEAL = {"Name": "Engine", "StageName": "Prospecting", "CloseDate": "2026-12-31"}


@pytest.fixture
def sf() -> Iterator[Force]:
    with force(Salesforce()) as opened:
        yield opened


def test_a_locked_row_fails_inside_an_answer_that_succeeds(sf: Force) -> None:
    sf.org.lock_rows("Contact")
    answers = sf.upsert("Contact", ADA, {KEY: "c-2", "LastName": "Byron"}).json()
    assert answers[0]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"
    assert answers[1]["success"]


def test_a_validation_rule_refuses_what_it_says(sf: Force) -> None:
    sf.org.validation_rule("Contact", lambda values: "Phone" not in values, "A phone number is a must")
    refusal = sf.refused("Contact", {"LastName": "L"})
    assert (refusal["statusCode"], refusal["message"]) == (
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "A phone number is a must",
    )


def test_a_duplicate_rule_blocks_or_can_be_overruled(sf: Force) -> None:
    first = sf.org.create("Contact", LastName="L", Email="ada@example.com")
    sf.org.duplicate_rule("Contact", "alert")
    allow = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    body = {"LastName": "King", "Email": "ADA@example.com"}
    refused = sf.call("POST", "sobjects/Contact", body)
    assert error(refused)[:2] == (400, "DUPLICATES_DETECTED")
    matches = refused.json()[0]["duplicateResult"]["matchResults"][0]["matchRecords"]
    assert matches[0]["record"]["Id"] == first
    assert sf.upsert("Contact", ADA).json()[0]["errors"][0]["statusCode"] == "DUPLICATES_DETECTED"
    assert sf.call("POST", "sobjects/Contact", body, headers=allow).status_code == 201
    sf.org.duplicate_rule("Contact", "block")
    assert error(sf.call("POST", "sobjects/Contact", body, headers=allow))[:2] == (400, "DUPLICATES_DETECTED")
    assert len(sf.ledger["contacts"]) == 2


def test_a_converted_lead_is_a_contact_and_can_be_written_no_more(sf: Force) -> None:
    (lead,) = sf.upsert("Lead", {KEY: "l-1", **LEAD, "Email": "ada@example.com"}).json()
    task = sf.org.create("Task", WhoId=lead["id"], Subject="Called")
    contact = sf.org.convert_lead(lead["id"])
    assert sf.org.read("Task", task)["WhoId"] == contact
    assert sf.org.read("Contact", contact)["Email"] == "ada@example.com"
    (row,) = sf.upsert("Lead", {KEY: "l-1", **LEAD}).json()
    assert row["errors"][0]["statusCode"] == "CANNOT_UPDATE_CONVERTED_LEAD"
    refusal = sf.refused("Task", {"WhoId": lead["id"], "Subject": "Called"})
    assert refusal["statusCode"] == "CANNOT_UPDATE_CONVERTED_LEAD"
    found = sf.found(f"SELECT IsConverted, ConvertedContactId FROM Lead WHERE {KEY} = 'l-1'")
    assert found == [{"IsConverted": True, "ConvertedContactId": contact}]


def test_a_task_of_a_lead_has_no_other_relation(sf: Force) -> None:
    lead, account = sf.org.create("Lead", **LEAD), sf.org.create("Account", Name="A")
    refusal = sf.refused("Task", {"WhoId": lead, "WhatId": account})
    assert (refusal["statusCode"], refusal["fields"]) == ("FIELD_INTEGRITY_EXCEPTION", ["WhatId"])


def test_tasks_are_upserted_by_our_key_and_know_their_account(sf: Force) -> None:
    account = sf.org.create("Account", Name="A")
    contact = sf.org.create("Contact", LastName="L", AccountId=account, **{KEY: "c-1"})
    row = {
        KEY: "t-1",
        "Subject": "Reply",
        "Status": "Completed",
        "Who": {"attributes": {"type": "Contact"}, KEY: "c-1"},
    }
    assert sf.upsert("Task", row).json()[0]["created"]
    fields = sf.ledger["tasks"][0]["fields"]
    assert (fields["WhoId"], fields["AccountId"], fields["IsClosed"]) == (contact, account, True)
    assert sf.upsert("Task", row).json()[0]["created"] is False
    nameless = {**row, KEY: "t-2", "Who": {KEY: "c-1"}}
    assert sf.upsert("Task", nameless).json()[0]["errors"][0]["statusCode"] == "INVALID_FIELD"


def test_what_is_deleted_takes_its_own_along_and_cannot_be_referred_to(sf: Force) -> None:
    account = sf.org.create("Account", Name="A")
    contact = sf.org.create("Contact", LastName="L", AccountId=account)
    deal = sf.org.create("Opportunity", AccountId=account, **DEAL)
    sf.org.create("OpportunityContactRole", OpportunityId=deal, ContactId=contact)
    sf.org.create("Task", WhoId=contact)
    sf.org.delete("Account", account)
    ledger = sf.ledger
    assert [ledger[kind] for kind in ledger if kind != "calls"] == [[]] * 6
    assert sf.refused("Task", {"WhoId": contact})["statusCode"] == "ENTITY_IS_DELETED"


def test_one_contact_of_an_opportunity_is_primary(sf: Force) -> None:
    deal = sf.org.create("Opportunity", **DEAL)
    contacts = [sf.org.create("Contact", LastName=name) for name in ("A", "B")]
    rows = [{"OpportunityId": deal, "ContactId": each, "IsPrimary": True, "Role": "Evaluator"} for each in contacts]
    sf.insert("OpportunityContactRole", *rows).raise_for_status()
    roles = {
        each["fields"]["ContactId"]: each["fields"]["IsPrimary"] for each in sf.ledger["opportunity_contact_roles"]
    }
    assert roles == {contacts[0]: False, contacts[1]: True}


def test_what_people_merge_goes_over_to_the_one_that_is_kept(sf: Force) -> None:
    kept, lost = (sf.org.create("Account", Name=name) for name in ("Kept", "Lost"))
    contact = sf.org.create("Contact", LastName="L", AccountId=lost)
    deal = sf.org.create("Opportunity", AccountId=lost, **DEAL)
    sf.org.merge("Account", kept, lost)
    assert sf.org.read("Contact", contact)["AccountId"] == sf.org.read("Opportunity", deal)["AccountId"] == kept
    assert sf.found("SELECT Id FROM Account") == [{"Id": kept}]
    query = f"SELECT MasterRecordId, IsDeleted FROM Account WHERE Id IN ('{lost}')"
    assert sf.query(query, every=True).json()["records"][0]["MasterRecordId"] == kept
    assert sf.refused("Contact", {"LastName": "L", "AccountId": lost})["statusCode"] == "ENTITY_IS_DELETED"


def test_an_orgs_own_trigger_breaks_at_too_many_records_of_one_call(sf: Force) -> None:
    sf.org.limit_automation("Contact", 2)
    rows = [{KEY: f"c-{number}", "LastName": "L"} for number in range(3)]
    answers = sf.upsert("Contact", *rows).json()
    assert {answer["errors"][0]["statusCode"] for answer in answers} == {"CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"}
    assert sf.ledger["contacts"] == []
    assert all(answer["success"] for answer in sf.upsert("Contact", *rows[:2]).json())


def test_the_contact_of_a_person_account_is_not_written_as_a_contact(sf: Force) -> None:
    sf.org.enable_person_accounts()
    held = sf.org.create_person(FirstName="Ada", LastName="Byron", Email="ada@example.com")
    (row,) = sf.call(
        "PATCH", "composite/sobjects", {"records": [{"attributes": {"type": "Contact"}, "id": held, "Phone": "1"}]}
    ).json()
    assert row["errors"][0]["statusCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"
    found = sf.found("SELECT IsPersonAccount, Account.Name FROM Contact")
    assert (found[0]["IsPersonAccount"], found[0]["Account"]["Name"]) == (True, "Ada Byron")
    assert sf.insert("Task", {"WhoId": held}).json()[0]["success"]
