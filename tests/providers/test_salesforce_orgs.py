"""What is Salesforce's own: orgs that are unlike the usual one, and what people do in them."""

from __future__ import annotations

from typing import Any

import pytest

from providers.errors import FailureKind, Unauthorized
from providers.models import Company, ContactDocument, DealDocument, Field
from tests.providers.contract import push
from tests.providers.samples_salesforce import KEY, Person, SalesforceAccount, SalesforceSample
from tests.providers.test_salesforce import ADA, company, contact, key_of, only_blank
from tests.providers.test_salesforce_leads import lead
from tests.providers.test_salesforce_timeline import activity, deal


@pytest.fixture
def person(org: SalesforceAccount) -> Person:
    return Person(org)


@pytest.fixture(params=["row", "call"])
def refused_as(request: pytest.FixtureRequest, salesforce: SalesforceSample, monkeypatch: pytest.MonkeyPatch) -> str:
    """What Salesforce does about a value that it cannot read: refuse its row, or the whole call."""
    monkeypatch.setattr(salesforce.salesforce, "parse_errors", request.param)
    return str(request.param)


@pytest.mark.usefixtures("refused_as")
async def test_values_that_salesforce_cannot_read_fail_their_own_rows_with_the_field(
    salesforce: SalesforceSample,
) -> None:
    def prepare(org: Any) -> None:
        org.add_field("Contact", "Vip__c", type="boolean", nillable=False, default=False)
        org.add_field("Contact", "Seats__c", type="double")

    org = await salesforce.prepared_org(prepare)
    bad = {
        7: ("Birthdate", "some day in May", "JSON_PARSER_ERROR"),
        31: ("Vip__c", "perhaps", "JSON_PARSER_ERROR"),
        32: ("Seats__c", "a dozen", "JSON_PARSER_ERROR"),
        60: ("Shoe__c", "9", "INVALID_FIELD"),
    }
    documents = [
        contact(
            number,
            f"p{number}@example.com",
            fields={bad[number][0]: Field(value=bad[number][1])} if number in bad else None,
        )
        for number in range(1, 65)
    ]
    pushed = await push(salesforce, org, *documents)
    for number, document in enumerate(documents, 1):
        outcome = pushed.of(document)
        if number not in bad:
            assert outcome.status == "synced"
            continue
        assert outcome.failure is not None
        field, _, code = bad[number]
        assert (outcome.failure.kind, outcome.failure.code, outcome.failure.field) == (
            FailureKind.REJECTED,
            code,
            field,
        )
        assert not outcome.uncertain
    emails = {record["id"]: record["fields"]["Email"] for record in org.ledger()["contacts"]}
    assert len(emails) == 60
    assert all(emails[each.external_id or ""] == d.email for d in documents if (each := pushed.of(d)).external_id)


@pytest.mark.usefixtures("refused_as")
async def test_deals_that_salesforce_cannot_read_fail_alone(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    ada = person.create("Contact", LastName="Lovelace")
    documents: list[DealDocument] = [deal(ada, number) for number in range(1, 9)]
    documents.append(deal(ada, 9, {"Amount": Field(value="a lot")}))
    documents.append(deal(ada, 10, {"Colour__c": Field(value="red")}))
    pushed = await push(salesforce, org, *documents)
    assert [pushed.of(document).status for document in documents] == ["synced"] * 8 + ["failed"] * 2
    fields = [failure.field for each in documents[8:] if (failure := pushed.of(each).failure) is not None]
    assert fields == ["Amount", "Colour__c"]
    assert len(org.ledger()["opportunities"]) == len(org.ledger()["opportunity_contact_roles"]) == 8


@pytest.mark.parametrize(
    ("prepare", "field", "code"),
    [
        (lambda org: org.add_field("Contact", "Region__c", nillable=False), "Region__c", "REQUIRED_FIELD_MISSING"),
        (
            lambda org: org.restrict_picklist("Contact", "LeadSource", ["Web"]),
            "LeadSource",
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        ),
        (
            lambda org: org.objects["Contact"].change("LeadSource", createable=False, updateable=False),
            "LeadSource",
            "INVALID_FIELD_FOR_INSERT_UPDATE",
        ),
        (lambda org: org.remove_field("Contact", "LeadSource"), "LeadSource", "INVALID_FIELD"),
    ],
    ids=["a required field", "an inactive value", "a field that is read-only", "a field that is hidden"],
)
async def test_what_an_administrator_made_of_a_field_is_told_by_its_name(
    salesforce: SalesforceSample, prepare: Any, field: str, code: str
) -> None:
    org = await salesforce.prepared_org(prepare)
    [outcome] = (await push(salesforce, org, contact(fields={"LeadSource": only_blank("Email Campaign")}))).all
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.failure.field, outcome.failure.code) == (FailureKind.REJECTED, field, code)


async def test_a_field_that_no_push_can_do_without_stops_the_connection_in_words(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    org.org.remove_field("Contact", "AccountId")
    pushed = await push(salesforce, org, contact())
    assert isinstance(pushed.error, Unauthorized)
    assert "Contact.AccountId" in pushed.error.message
    assert not any(outcome.uncertain for outcome in pushed.all)


async def test_the_contact_of_a_person_account_is_found_and_left_as_it_is(salesforce: SalesforceSample) -> None:
    org = await salesforce.prepared_org(lambda each: each.enable_person_accounts())
    assert org.learned["person_accounts"] is True
    held = org.org.create_person(FirstName="Ada", LastName="Byron", Email=ADA)
    others = contact(2, "b@example.com", company=company())
    pushed = await push(salesforce, org, contact(company=company()), others, activity(held, 3))
    outcome = pushed.of(contact())
    assert (outcome.status, outcome.external_id, outcome.takes_deals) == ("synced", held, True)
    assert "person account" in (outcome.remark or "")
    assert pushed.of(others).status == pushed.of(activity(held, 3)).status == "synced"
    assert org.org.read("Contact", held)["LastName"] == "Byron"
    assert org.only("tasks")["WhoId"] == held


async def test_a_contact_that_people_merged_into_another_is_that_one(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    [first] = (await push(salesforce, org, contact())).all
    middle = person.create("Contact", LastName="Second", Email="second@example.com")
    kept = person.create("Contact", LastName="King", Email="countess@example.com", Phone="1")
    org.org.merge("Contact", middle, first.external_id or "")
    org.org.merge("Contact", kept, middle)
    known = contact(external_id=first.external_id, unchanged=True, fields={"Phone": only_blank("2")})
    [again] = (await push(salesforce, org, known)).all
    assert (again.status, again.external_id, again.created) == ("synced", kept, False)
    held = org.only("contacts")
    assert (held["LastName"], held["Phone"], held["Email"], held[KEY]) == (
        "King",
        "1",
        "countess@example.com",
        key_of(1),
    )


async def test_a_connection_that_begins_anew_leaves_what_people_wrote_meanwhile(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    first = contact(fields={"FirstName": only_blank("Ada")}, company=company())
    [made] = (await push(salesforce, org, first)).all
    person.change("Contact", made.external_id or "", FirstName="Augusta")
    [again] = (await push(salesforce, org, first)).all
    assert (again.external_id, again.created) == (made.external_id, False)
    assert again.company_external_id == made.company_external_id
    assert org.only("contacts")["FirstName"] == "Augusta"


async def test_two_contacts_of_ours_that_people_merged_are_one_record_for_both(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    documents = [contact(1, "a@example.com"), contact(2, "b@example.com")]
    first = await push(salesforce, org, *documents)
    ids = [first.of(document).external_id or "" for document in documents]
    org.org.merge("Contact", ids[1], ids[0])
    known = [each.model_copy(update={"external_id": found}) for each, found in zip(documents, ids, strict=True)]
    again = await push(salesforce, org, *known)
    assert {outcome.external_id for outcome in again.all} == {ids[1]}
    assert org.only("contacts")[KEY] == key_of(2)


@pytest.mark.parametrize("theirs", [None, "somebody else's"])
async def test_an_account_that_people_merged_into_another_is_that_one(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, theirs: str | None
) -> None:
    [first] = (await push(salesforce, org, contact(company=company()))).all
    kept = person.create("Account", Name="Looms & Engines plc", **({KEY: theirs} if theirs else {}))
    org.org.merge("Account", kept, first.company_external_id or "")
    known = company(external_id=first.company_external_id)
    newcomers = [contact(number, f"p{number}@example.com", company=known) for number in (2, 3)]
    pushed = await push(salesforce, org, *newcomers)
    assert {outcome.company_external_id for outcome in pushed.all} == {kept}
    assert org.only("accounts")["Name"] == "Looms & Engines plc"
    assert {record["fields"]["AccountId"] for record in org.ledger()["contacts"]} == {kept}


async def test_a_deal_whose_account_was_merged_is_on_the_one_that_its_contact_is_in_now(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    [first] = (await push(salesforce, org, contact(company=company()))).all
    kept = person.create("Account", Name="Looms & Engines plc")
    org.org.merge("Account", kept, first.company_external_id or "")
    late = deal(first.external_id or "", 5, company_external_id=first.company_external_id)
    [outcome] = (await push(salesforce, org, late)).all
    assert outcome.status == "synced"
    assert org.only("opportunities")["AccountId"] == kept


async def test_a_deal_of_a_contact_in_an_account_that_people_chose_is_on_that_account(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    estates = person.create("Account", Name="Byron Estates")
    person.create("Contact", LastName="Byron", Email=ADA, AccountId=estates)
    [outcome] = (await push(salesforce, org, contact(company=company()))).all
    assert outcome.company_external_id is None
    await push(salesforce, org, deal(outcome.external_id or "", 5))
    assert org.only("opportunities")["AccountId"] == estates
    assert org.only("accounts")["Name"] == "Byron Estates"


async def test_records_too_many_at_once_for_the_orgs_own_triggers_are_written_in_smaller_calls(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    org.org.limit_automation("Contact", 40)
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 101)]
    pushed = await push(salesforce, org, *documents)
    assert pushed.statuses == {"synced"}
    assert pushed.calls == 6
    assert len(org.ledger()["contacts"]) == 100


async def test_a_trigger_that_breaks_at_a_single_record_fails_it_in_its_words(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    org.org.limit_automation("Contact", 0)
    pushed = await push(salesforce, org, contact(1, "a@example.com"), contact(2, "b@example.com"))
    failures = [outcome.failure for outcome in pushed.all]
    assert {failure and failure.kind for failure in failures} == {FailureKind.REJECTED}
    assert all(failure and "Too many SOQL queries" in failure.message for failure in failures)


async def test_an_org_without_room_waits_for_people_and_what_was_written_before_counts(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    full = {"success": False, "errors": [{"statusCode": "STORAGE_LIMIT_EXCEEDED", "message": "storage limit exceeded"}]}
    done = {"id": "0030000000000AAAAA", "success": True, "errors": [], "created": True}
    org.disturb("contacts", status=200, body=[full, done])
    first, second = contact(1, "a@example.com"), contact(2, "b@example.com")
    pushed = await push(salesforce, org, first, second)
    assert isinstance(pushed.error, Unauthorized)
    assert "storage" in pushed.error.message
    assert pushed.of(second).external_id == done["id"]
    assert (pushed.of(first).status, pushed.of(first).uncertain) == ("failed", False)


def long_names(record: str) -> tuple[ContactDocument, dict[str, int]]:
    if record == "lead":
        fields = {"FirstName": only_blank("F" * 50), "LastName": only_blank("L" * 90), "Company": only_blank("C" * 300)}
        return lead(fields=fields), {"FirstName": 40, "LastName": 80, "Company": 255}
    fields = {"FirstName": only_blank("F" * 50), "LastName": only_blank("L" * 90)}
    return contact(fields=fields), {"FirstName": 40, "LastName": 80}


@pytest.mark.parametrize("record", ["contact", "lead"])
async def test_names_longer_than_salesforce_takes_them_are_cut_with_a_remark(
    salesforce: SalesforceSample, org: SalesforceAccount, record: str
) -> None:
    document, lengths = long_names(record)
    [outcome] = (await push(salesforce, org, document)).all
    assert outcome.status == "synced"
    held = org.only(f"{record}s")
    assert {name: len(held[name]) for name in lengths} == lengths
    assert all(held[name].endswith("…") and name in (outcome.remark or "") for name in lengths)
    effects = org.effects()
    known = document.model_copy(update={"external_id": outcome.external_id})
    assert (await push(salesforce, org, known)).statuses == {"synced"}
    assert org.effects() == effects


async def test_a_companys_long_name_is_cut_and_its_account_found_again(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    long = Company(key="long", name="N" * 300, fields={"Name": "N" * 300})
    [outcome] = (await push(salesforce, org, contact(company=long))).all
    assert outcome.status == "synced"
    assert "account's Name was cut" in (outcome.remark or "")
    assert org.only("accounts")["Name"] == "N" * 254 + "…"


async def test_an_orgs_own_lengths_are_kept_to(salesforce: SalesforceSample) -> None:
    def shorten(each: Any) -> None:
        each.objects["Contact"].change("LastName", length=20)

    org = await salesforce.prepared_org(shorten)
    [outcome] = (await push(salesforce, org, contact(fields={"LastName": only_blank("L" * 30)}))).all
    assert outcome.status == "synced"
    assert org.only("contacts")["LastName"] == "L" * 19 + "…"


@pytest.mark.parametrize(
    ("field", "value"), [("Phone", "1" * 41), ("Email", f"{'a' * 80}@example.com")], ids=["a number", "an address"]
)
async def test_what_would_be_wrong_if_it_were_cut_is_refused(
    salesforce: SalesforceSample, org: SalesforceAccount, field: str, value: str
) -> None:
    [outcome] = (await push(salesforce, org, contact(fields={field: Field(value=value)}))).all
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.failure.field) == ("STRING_TOO_LONG", field)


async def test_a_deals_long_name_is_cut_with_a_remark(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    ada = person.create("Contact", LastName="Lovelace")
    [outcome] = (await push(salesforce, org, deal(ada, fields={"Name": Field(value="N" * 200)}))).all
    assert org.only("opportunities")["Name"] == "N" * 119 + "…"
    assert "Name was cut" in (outcome.remark or "")
    gone = person.create("Account", Name="Engines")
    person.delete("Account", gone)
    [other] = (
        await push(salesforce, org, deal(ada, 2, {"Name": Field(value="N" * 200)}, company_external_id=gone))
    ).all
    assert "Name was cut" in (other.remark or "")
    assert gone in (other.remark or "")
