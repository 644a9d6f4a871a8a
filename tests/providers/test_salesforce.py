"""What is Salesforce's own: contacts and accounts, and the calls they cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from providers.errors import FailureKind, RateLimited, Unauthorized
from providers.models import Company, ContactDocument, Field, Fields, Policy
from tests.providers.contract import Budget, push
from tests.providers.samples_salesforce import KEY, Person, SalesforceAccount, SalesforceSample

ADA = "ada@example.com"
RETRIEVE = "/composite/sobjects/Contact$"
UPDATE = "/composite/sobjects$"
QUERY = "/query"


@pytest.fixture
def person(org: SalesforceAccount) -> Person:
    return Person(org)


def only_blank(value: str) -> Field:
    return Field(value=value, policy=Policy.IF_BLANK)


def contact(number: int = 1, email: str = ADA, fields: dict[str, Any] | None = None, **more: Any) -> ContactDocument:
    given: Fields = {"LastName": only_blank("Lovelace"), "Email": only_blank(email), **(fields or {})}
    return ContactDocument(rows=(number,), contact_id=UUID(int=number), email=email, fields=given, **more)


def key_of(number: int) -> str:
    return str(UUID(int=number))


def company(name: str = "Engines", **more: Any) -> Company:
    return Company(key=f"company-{name.lower()}", name=name, fields={"Name": name}, **more)


async def test_two_hundred_new_contacts_with_accounts_cost_four_calls(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    documents = [
        contact(number, f"p{number}@example.com", company=company(f"Company {number % 9}")) for number in range(1, 201)
    ]
    pushed = await push(salesforce, org, *documents)
    assert pushed.statuses == {"synced"}
    assert pushed.calls == 4
    ledger = org.ledger()
    assert (len(ledger["contacts"]), len(ledger["accounts"])) == (200, 9)
    accounts = {record["id"]: record["fields"]["Name"] for record in ledger["accounts"]}
    for record in ledger["contacts"]:
        number = int(record["fields"]["Email"].removeprefix("p").partition("@")[0])
        assert accounts[record["fields"]["AccountId"]] == f"Company {number % 9}"


async def test_each_result_finds_its_own_document(salesforce: SalesforceSample, org: SalesforceAccount) -> None:
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 451)]
    pushed = await push(salesforce, org, *documents)
    emails = {record["id"]: record["fields"]["Email"] for record in org.ledger()["contacts"]}
    assert len(emails) == 450
    assert all(emails[pushed.of(document).external_id or ""] == document.email for document in documents)


async def test_known_contacts_without_a_change_cost_one_call(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 301)]
    first = await push(salesforce, org, *documents)
    known = [document.model_copy(update={"external_id": first.of(document).external_id}) for document in documents]
    assert (await push(salesforce, org, *known)).calls == 1


async def test_a_contact_that_people_made_is_adopted_and_keeps_what_they_wrote(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    held = person.create("Contact", LastName="Byron", Email="Ada@Example.com", Title="Countess")
    fields = {"FirstName": only_blank("Ada"), "Title": only_blank("CTO"), "Phone": Field(value="+44 20 7946 0000")}
    [outcome] = (await push(salesforce, org, contact(fields=fields))).all
    assert (outcome.external_id, outcome.created, outcome.remark) == (held, False, None)
    assert person.read("Contact", held, "FirstName", "LastName", "Title", "Phone", KEY) == {
        "FirstName": "Ada",
        "LastName": "Byron",
        "Title": "Countess",
        "Phone": "+44 20 7946 0000",
        KEY: key_of(1),
    }


async def test_of_several_contacts_of_one_address_the_oldest_is_adopted_with_a_remark(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    oldest, newer = (person.create("Contact", LastName=name, Email=ADA) for name in ("First", "Second"))
    [outcome] = (await push(salesforce, org, contact())).all
    assert outcome.external_id == oldest
    assert newer in (outcome.remark or "")
    assert len(org.ledger()["contacts"]) == 2


async def test_contacts_of_ours_that_share_an_address_share_its_record_and_the_first_ones_key_stays(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    [one] = (await push(salesforce, org, contact(1))).all
    later = (await push(salesforce, org, contact(2), contact(3))).all
    assert {outcome.external_id for outcome in later} == {one.external_id}
    assert not any(outcome.created for outcome in later)
    assert org.only("contacts")[KEY] == key_of(1)


async def test_contacts_of_one_address_in_one_push_become_one_record(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    pushed = await push(salesforce, org, contact(1), contact(2))
    assert len({outcome.external_id for outcome in pushed.all}) == 1
    assert org.only("contacts")[KEY] == key_of(1)


async def test_documents_of_one_contact_share_one_record(salesforce: SalesforceSample, org: SalesforceAccount) -> None:
    first = contact(1, fields={"FirstName": only_blank("Ada")})
    second = contact(2, fields={"FirstName": only_blank("A."), "Title": only_blank("Countess")})
    pushed = await push(salesforce, org, first, second.model_copy(update={"contact_id": first.contact_id}))
    assert pushed.statuses == {"synced"}
    held = org.only("contacts")
    assert (held["FirstName"], held["Title"]) == ("Ada", "Countess")


async def test_a_key_is_found_again_after_the_address_was_changed(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    [first] = (await push(salesforce, org, contact())).all
    assert first.external_id is not None
    person.change("Contact", first.external_id, Email="countess@example.com", LastName="King")
    known_no_more = contact(fields={"LastName": Field(value="King"), "Email": Field(value="countess@example.com")})
    [again] = (await push(salesforce, org, known_no_more)).all
    assert (again.external_id, again.created) == (first.external_id, False)
    assert len(org.ledger()["contacts"]) == 1


async def test_what_we_did_not_change_is_a_persons_to_change(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    document = contact(fields={"Phone": Field(value="1")})
    [outcome] = (await push(salesforce, org, document)).all
    assert outcome.external_id is not None
    person.change("Contact", outcome.external_id, Phone="2")
    known = document.model_copy(update={"external_id": outcome.external_id, "unchanged": True})
    await push(salesforce, org, known)
    assert person.read("Contact", outcome.external_id, "Phone") == {"Phone": "2"}
    await push(salesforce, org, known.model_copy(update={"unchanged": False}))
    assert person.read("Contact", outcome.external_id, "Phone") == {"Phone": "1"}


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"), [("Web", "Other", "Other"), ("Other", "Web", "Other"), ("Fair", "Web", "Fair")]
)
async def test_a_value_with_ranks_never_moves_backwards(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person, theirs: str, ours: str, expected: str
) -> None:
    held = person.create("Contact", LastName="L", Email=ADA, LeadSource=theirs)
    ranked = Field(value=ours, policy=Policy.FORWARD_ONLY, ranks=(("Web",), ("Other",)))
    await push(salesforce, org, contact(fields={"LeadSource": ranked}))
    assert person.read("Contact", held, "LeadSource") == {"LeadSource": expected}


async def test_values_that_a_lost_answer_left_behind_are_ours(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    org.disturb("contacts", drop_answer=True)
    [lost] = (await push(salesforce, org, contact(fields={"FirstName": only_blank("Adda")}))).all
    assert lost.uncertain
    again = contact(uncertain=True, queued_at=datetime.now(UTC), fields={"FirstName": only_blank("Ada")})
    [outcome] = (await push(salesforce, org, again)).all
    assert not outcome.created
    assert org.only("contacts")["FirstName"] == "Ada"


async def test_a_contact_that_a_person_deleted_is_made_again(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    [first] = (await push(salesforce, org, contact())).all
    assert first.external_id is not None
    person.delete("Contact", first.external_id)
    [again] = (await push(salesforce, org, contact(external_id=first.external_id, unchanged=True))).all
    assert again.created
    assert again.external_id not in {None, first.external_id}


async def test_a_contact_deleted_between_look_and_write_is_made_again(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    held = person.create("Contact", LastName="L", Email="elsewhere@example.com")
    gone = [{"success": False, "errors": [{"statusCode": "ENTITY_IS_DELETED", "message": "entity is deleted"}]}]
    org.disturb_path(UPDATE, status=200, body=gone)
    org.disturb_path(RETRIEVE, skip=1, status=200, body=[None])
    [outcome] = (await push(salesforce, org, contact(external_id=held, fields={"Phone": Field(value="1")}))).all
    assert outcome.created
    assert outcome.external_id != held


async def test_an_id_that_is_none_is_looked_for_by_key_and_address(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    held = person.create("Contact", LastName="L", Email=ADA)
    pushed = await push(salesforce, org, contact(external_id="no id at all"), contact(2, "b@example.com"))
    assert pushed.statuses == {"synced"}
    assert pushed.outcomes[(1,)].external_id == held


async def test_one_company_key_is_one_account_however_many_name_it(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    documents = [
        contact(1, "a@example.com", company=Company(key="engines", name="Engines")),
        contact(2, "b@example.com", company=Company(key="ENGINES", name="ENGINES Ltd")),
    ]
    pushed = await push(salesforce, org, *documents)
    assert pushed.statuses == {"synced"}
    assert org.only("accounts")["Name"] == "Engines"
    assert len({outcome.company_external_id for outcome in pushed.all}) == 1


async def test_an_account_that_people_made_is_adopted_and_left_as_it_is(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    held = person.create("Account", Name="ENGINES", Website="https://engines.example")
    [outcome] = (await push(salesforce, org, contact(company=company()))).all
    assert outcome.company_external_id == held
    account = org.only("accounts")
    assert (account["Name"], account["Website"], account[KEY]) == (
        "ENGINES",
        "https://engines.example",
        "company-engines",
    )
    assert org.only("contacts")["AccountId"] == held


async def test_of_several_accounts_of_one_name_none_is_taken(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    held = {person.create("Account", Name="Engines") for _ in range(2)}
    [outcome] = (await push(salesforce, org, contact(company=company()))).all
    assert outcome.status == "synced"
    assert outcome.company_external_id not in held


async def test_an_account_that_a_person_renamed_is_found_by_its_key(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    [first] = (await push(salesforce, org, contact(company=company()))).all
    assert first.company_external_id is not None
    person.change("Account", first.company_external_id, Name="Analytical Engines plc")
    [again] = (await push(salesforce, org, contact(2, "b@example.com", company=company()))).all
    assert again.company_external_id == first.company_external_id
    assert org.only("accounts")["Name"] == "Analytical Engines plc"


async def test_a_contact_that_a_person_moved_to_another_account_stays_there(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    theirs = person.create("Account", Name="Byron Estates")
    held = person.create("Contact", LastName="L", Email=ADA, AccountId=theirs)
    await push(salesforce, org, contact(company=company()))
    assert person.read("Contact", held, "AccountId") == {"AccountId": theirs}


async def test_a_contact_follows_our_change_of_company_where_nobody_moved_it(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    [first] = (await push(salesforce, org, contact(company=company()))).all
    moved = contact(
        external_id=first.external_id, linked_company_id=first.company_external_id, company=company("Looms")
    )
    [second] = (await push(salesforce, org, moved)).all
    assert second.company_external_id != first.company_external_id
    assert org.only("contacts")["AccountId"] == second.company_external_id


async def test_an_account_that_a_person_deleted_is_made_again(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    [first] = (await push(salesforce, org, contact(company=company()))).all
    assert first.company_external_id is not None
    person.delete("Account", first.company_external_id)
    newcomer = contact(2, "b@example.com", company=company(external_id=first.company_external_id))
    [outcome] = (await push(salesforce, org, newcomer)).all
    assert outcome.status == "synced"
    assert outcome.company_external_id not in {None, first.company_external_id}
    links = {record["id"]: record["fields"].get("AccountId") for record in org.ledger()["contacts"]}
    assert links[outcome.external_id] == outcome.company_external_id


async def test_an_account_that_salesforce_refuses_holds_up_its_own_contacts_only(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    refused = contact(
        1, "a@example.com", company=Company(key="long", name="L", fields={"Name": "L", "Site": "L" * 300})
    )
    others = [contact(2, "b@example.com", company=company()), contact(3, "c@example.com")]
    pushed = await push(salesforce, org, refused, *others)
    failure = pushed.of(refused).failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.field) == (FailureKind.REJECTED, "STRING_TOO_LONG", "Site")
    assert {pushed.of(document).status for document in others} == {"synced"}


async def test_a_locked_row_fails_alone_and_waits(salesforce: SalesforceSample, org: SalesforceAccount) -> None:
    locked = {"success": False, "errors": [{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "unable to obtain lock"}]}
    done = {"id": "0030000000000AAAAA", "success": True, "errors": [], "created": True}
    org.disturb("contacts", status=200, body=[locked, done])
    pushed = await push(salesforce, org, contact(1, "a@example.com"), contact(2, "b@example.com"))
    failure = pushed.outcomes[(1,)].failure
    assert failure is not None
    assert failure.kind is FailureKind.CONTENDED
    assert (failure.retry_after or 0) >= 2
    assert not pushed.outcomes[(1,)].uncertain
    assert pushed.outcomes[(2,)].external_id == done["id"]


async def test_a_row_that_comes_back_without_an_id_is_found_by_its_key(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    [first] = (await push(salesforce, org, contact(fields={"Phone": Field(value="1")}))).all
    org.disturb("contacts", status=200, body=[{"success": True, "errors": []}])
    [second] = (
        await push(salesforce, org, contact(external_id=first.external_id, fields={"Phone": Field(value="2")}))
    ).all
    assert (second.status, second.external_id) == ("synced", first.external_id)


async def test_a_field_that_the_org_has_not_is_named_and_fails_those_who_set_it(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    bad = [contact(number, f"p{number}@example.com", fields={"Shoe__c": Field(value="9")}) for number in range(1, 31)]
    good = contact(99, "good@example.com")
    pushed = await push(salesforce, org, *bad, good)
    assert pushed.of(good).status == "synced"
    failures = [pushed.of(document).failure for document in bad]
    assert {failure and (failure.kind, failure.code, failure.field) for failure in failures} == {
        (FailureKind.REJECTED, "INVALID_FIELD", "Shoe__c")
    }
    assert pushed.calls == 3


async def test_blanks_are_never_sent(salesforce: SalesforceSample, org: SalesforceAccount, person: Person) -> None:
    held = person.create("Contact", LastName="L", Email=ADA, Phone="1")
    await push(salesforce, org, contact(fields={"Phone": Field(value=""), "Title": Field(value="")}))
    assert person.read("Contact", held, "Phone") == {"Phone": "1"}


async def test_a_look_that_is_refused_fails_those_it_was_for_and_makes_nobody_twice(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    org.disturb_path(QUERY, status=422, times=99)
    [outcome] = (await push(salesforce, org, contact())).all
    assert outcome.status == "failed"
    assert org.ledger()["contacts"] == []


async def test_the_days_limit_pauses_the_connection(salesforce: SalesforceSample, org: SalesforceAccount) -> None:
    full = {"category": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}
    org.disturb("contacts", status=403, body=full)
    pushed = await push(salesforce, org, contact())
    assert isinstance(pushed.error, RateLimited)
    assert pushed.error.retry_after == 900
    assert not any(outcome.uncertain for outcome in pushed.all)


async def test_what_salesforce_says_of_its_day_reaches_the_budget(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    budget = Budget()
    await push(salesforce, org, contact(), budget=budget)
    assert {cost for spent in budget.spent for cost in spent.items()} == {("core", 1)}
    names, used, maxima = zip(*budget.observed, strict=True)
    assert set(names) == {"core"}
    assert list(used) == sorted(used)
    assert used[-1] - used[0] == len(budget.spent) - 1
    assert len(set(maxima)) == 1


async def test_a_field_of_ours_that_disappears_stops_the_connection_in_words(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    words = f"Provided external ID field does not exist or is not accessible: {KEY}"
    org.disturb("contacts", status=404, body={"category": "NOT_FOUND", "message": words})
    pushed = await push(salesforce, org, contact())
    assert isinstance(pushed.error, Unauthorized)
    assert pushed.error.code == "FIELDS_MISSING"


async def test_a_duplicate_rule_asks_for_a_persons_review(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    person.create("Contact", LastName="L", Email=ADA)
    org.org.duplicate_rule("Contact", "block")
    fine = contact(2, "b@example.com")
    double = contact(3, "c@example.com", fields={"LastName": Field(value="C"), "Email": Field(value=ADA)})
    pushed = await push(salesforce, org, double, fine)
    failure = pushed.of(double).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.REJECTED, "DUPLICATES_DETECTED")
    assert "needs review" in failure.message
    assert pushed.of(fine).status == "synced"


async def test_a_duplicate_rule_does_not_keep_us_from_adopting(
    salesforce: SalesforceSample, org: SalesforceAccount, person: Person
) -> None:
    held = person.create("Contact", LastName="L", Email=ADA)
    org.org.duplicate_rule("Contact", "block")
    [outcome] = (await push(salesforce, org, contact())).all
    assert (outcome.status, outcome.external_id) == ("synced", held)


async def test_a_row_that_somebody_holds_is_written_when_it_is_tried_again(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    org.org.lock_rows("Contact", 1)
    documents = [contact(1, "a@example.com"), contact(2, "b@example.com")]
    pushed = await push(salesforce, org, *documents)
    assert [pushed.of(document).status for document in documents] == ["failed", "synced"]
    assert (await push(salesforce, org, documents[0])).statuses == {"synced"}
    assert len(org.ledger()["contacts"]) == 2


@pytest.mark.parametrize("refused_as", ["row", "call"])
async def test_an_accounts_unknown_field_fails_its_own_contacts_however_salesforce_refuses_it(
    salesforce: SalesforceSample, org: SalesforceAccount, monkeypatch: pytest.MonkeyPatch, refused_as: str
) -> None:
    monkeypatch.setattr(salesforce.salesforce, "parse_errors", refused_as)
    odd = Company(key="odd", name="Odd", fields={"Name": "Odd", "Shoe__c": "9"})
    bad, good = contact(1, "a@example.com", company=odd), contact(2, "b@example.com", company=company())
    pushed = await push(salesforce, org, bad, good)
    failure = pushed.of(bad).failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.field) == (FailureKind.REJECTED, "INVALID_FIELD", "Shoe__c")
    assert pushed.of(good).status == "synced"
    assert not pushed.of(bad).uncertain


async def test_an_org_that_rotates_its_refresh_tokens_goes_on(salesforce: SalesforceSample) -> None:
    org = await salesforce.prepared_org(rotate=True)
    org.expire()
    for number in (1, 2):
        # each push begins with the token that has expired
        pushed = await push(salesforce, org, contact(number, f"p{number}@example.com"))
        assert (pushed.statuses, pushed.refreshes) == ({"synced"}, 1)
