"""What is Pipedrive's own: contacts and companies, and the calls they cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from providers import pipedrive_wire
from providers.base import Report
from providers.errors import FailureKind
from providers.models import Company, ContactDocument, Field, Fields, Policy
from providers.pipedrive import Client
from sandbox.pipedrive.fields import Option
from tests.providers.contract import Budget, Tokens, batch_of, follow_ups, new_account, push
from tests.providers.samples_pipedrive import Person, PipedriveAccount, PipedriveSample, open_sample

ADA = "ada@example.com"
MINE = {"primary": True, "label": "work"}


@pytest.fixture(scope="module")
def crm() -> Iterator[PipedriveSample]:
    with open_sample(limits=False) as opened:
        yield opened


@pytest.fixture
async def company(crm: PipedriveSample) -> AsyncIterator[PipedriveAccount]:
    opened = await new_account(crm)
    assert isinstance(opened, PipedriveAccount)
    yield opened
    opened.calm()


@pytest.fixture
def person(company: PipedriveAccount) -> Iterator[Person]:
    opened = Person(company)
    yield opened
    opened.close()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of five, so that a few records make a large account."""
    monkeypatch.setattr(pipedrive_wire, "PAGE", 5)


def contact(number: int = 1, email: str = ADA, fields: Fields | None = None, **more: Any) -> ContactDocument:
    given = {
        "email": Field(value=email, policy=Policy.IF_BLANK),
        "name": Field(value=f"Person {number}", policy=Policy.IF_BLANK),
        **(fields or {}),
    }
    return ContactDocument(rows=(number,), contact_id=UUID(int=number), email=email, fields=given, **more)


def works_at(name: str, external_id: str | None = None) -> Company:
    return Company(key=f"company-{name}", name=name, external_id=external_id, fields={"name": name})


def held_by(company: PipedriveAccount, kind: str = "persons") -> list[dict[str, Any]]:
    return list(company.ledger()[kind])


async def test_what_is_known_and_unchanged_costs_no_call(crm: PipedriveSample, company: PipedriveAccount) -> None:
    alone = contact(1, external_id="4711", unchanged=True)
    employed = contact(
        2, external_id="4712", unchanged=True, linked_company_id="9", company=works_at("Engines", external_id="9")
    )
    pushed = await push(crm, company, alone, employed)
    assert pushed.calls == 0
    assert (pushed.of(alone).external_id, pushed.of(employed).company_external_id) == ("4711", "9")


async def test_what_may_have_been_written_without_an_answer_is_read_again(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    held = person.create("persons", name="Ada", emails=[{"value": ADA, **MINE}])
    document = contact(external_id=str(held["id"]), unchanged=True, uncertain=True)
    assert (await push(crm, company, document)).calls >= 1


async def test_a_hundred_new_contacts_cost_a_page_and_a_call_each(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    before = company.ledger()["tokens_spent"]
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 101)]
    pushed = await push(crm, company, *documents)
    assert pushed.statuses == {"synced"}
    assert pushed.calls == 101
    assert company.ledger()["tokens_spent"] - before == 10 + 100 * 5
    emails = {str(each["id"]): each["emails"][0]["value"] for each in held_by(company)}
    assert all(emails[pushed.of(document).external_id or ""] == document.email for document in documents)


async def test_the_budget_is_charged_what_the_calls_cost(crm: PipedriveSample, company: PipedriveAccount) -> None:
    budget = Budget()
    before = company.ledger()["tokens_spent"]
    contacts = [contact(number, f"p{number}@example.com", company=works_at("Engines")) for number in (1, 2)]
    first = await push(crm, company, *contacts, budget=budget)
    await push(crm, company, *follow_ups(crm, contacts, first), budget=budget)
    assert sum(costs["daily"] for costs in budget.spent) == company.ledger()["tokens_spent"] - before


async def test_known_contacts_are_read_by_the_hundred(crm: PipedriveSample, company: PipedriveAccount) -> None:
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 121)]
    first = await push(crm, company, *documents)
    known = [document.model_copy(update={"external_id": first.of(document).external_id}) for document in documents]
    effects = company.effects()
    again = await push(crm, company, *known)
    assert (again.calls, again.statuses) == (2, {"synced"})
    assert company.effects() == effects


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


async def test_an_organization_is_adopted_by_its_name_and_made_once(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    held = person.create("organizations", name="Analytical  ENGINES")
    documents = [
        contact(n, f"p{n}@example.com", company=works_at("Analytical Engines" if n % 2 else "Smekkleysa"))
        for n in range(1, 7)
    ]
    pushed = await push(crm, company, *documents)
    assert pushed.of(documents[0]).company_external_id == str(held["id"])
    assert pushed.calls == 2 + 2 + 6
    key = company.learned["organization_key"]
    assert {each["name"]: each["custom_fields"][key] for each in held_by(company, "organizations")} == {
        "Analytical  ENGINES": "company-Analytical Engines",
        "Smekkleysa": "company-Smekkleysa",
    }
    assert {each["org_id"] for each in held_by(company)} == {each["id"] for each in held_by(company, "organizations")}


async def test_a_link_that_a_person_made_stays_and_ours_follows_our_contact(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    theirs, old, new = (str(person.create("organizations", name=name)["id"]) for name in ("Theirs", "Old", "New"))
    moved = person.create("persons", name="A", emails=[{"value": "a@example.com", **MINE}], org_id=int(theirs))
    ours = person.create("persons", name="B", emails=[{"value": "b@example.com", **MINE}], org_id=int(old))
    documents = [
        contact(
            n,
            f"{'ab'[n]}@example.com",
            external_id=str(each["id"]),
            unchanged=True,
            linked_company_id=old,
            company=works_at("New", external_id=new),
        )
        for n, each in enumerate((moved, ours))
    ]
    assert (await push(crm, company, *documents)).statuses == {"synced"}
    assert {each["name"]: str(each["org_id"]) for each in held_by(company)} == {"A": theirs, "B": new}


@pytest.mark.parametrize("status", [400, 404])
async def test_an_organization_deleted_since_is_made_again(
    crm: PipedriveSample, company: PipedriveAccount, person: Person, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(crm.pipedrive, "missing_reference_status", status)
    gone = str(person.create("organizations", name="Engines")["id"])
    held = person.create("persons", name="Known", emails=[{"value": "k@example.com", **MINE}])
    person.delete("organizations", gone)
    new = contact(1, company=works_at("Engines", external_id=gone))
    known = contact(2, "k@example.com", external_id=str(held["id"]), company=works_at("Engines", external_id=gone))
    pushed = await push(crm, company, new, known)
    assert pushed.statuses == {"synced"}
    [made] = held_by(company, "organizations")
    assert {outcome.company_external_id for outcome in pushed.all} == {str(made["id"])} != {gone}
    assert {each["org_id"] for each in held_by(company)} == {made["id"]}


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


@pytest.mark.usefixtures("small_pages")
async def test_in_a_large_account_a_few_are_searched_for_and_the_list_is_not_tried_again(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    for number in range(12):
        person.create("persons", name=f"Old {number}", emails=[{"value": f"old{number}@example.com", **MINE}])
    async with httpx.AsyncClient() as http:
        budget = Budget()
        listed: list[int] = []
        client = Client(company.config, Tokens(company, http), budget, http)
        for round_, email in enumerate(("old11@example.com", "old10@example.com")):
            document = contact(round_, email)
            batch = batch_of(company, "pipedrive", [document])
            report = Report(batch)
            budget.spent.clear()
            await client.push(batch, report)
            [outcome] = report.close()
            assert (outcome.status, outcome.created) == ("synced", False)
            listed.append(sum(costs["daily"] == 10 for costs in budget.spent))
            assert sum("search" in costs for costs in budget.spent) == 1
    # One page of all in vain, only the first time.
    assert listed[0] == listed[1] + 1
    assert len(held_by(company)) == 12


@pytest.mark.usefixtures("small_pages")
async def test_in_a_large_account_an_old_person_is_found_by_search(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    for number in range(40):
        person.create("persons", name=f"Old {number}", emails=[{"value": f"old{number}@example.com", **MINE}])
    budget = Budget()
    document = contact(email="old7@example.com")
    pushed = await push(crm, company, document, budget=budget)
    assert pushed.of(document).created is False
    assert sum("search" in costs for costs in budget.spent) == 1
    assert len(held_by(company)) == 40


async def test_a_backlog_keeps_to_its_calls(crm: PipedriveSample, company: PipedriveAccount) -> None:
    contacts = [
        contact(number, f"p{number}@example.com", company=works_at(f"Company {number % 10}")) for number in range(60)
    ]
    first = await push(crm, company, *contacts)
    later = [
        document.model_copy(update={"rows": (1_000 + place,), "key": f"{document.key}-new"})
        for place, document in enumerate(follow_ups(crm, contacts, first))
        if "activity" in document.key or ("deal" in document.key and int(document.key.split("-")[1]) % 4 == 0)
    ]
    second = await push(crm, company, *later)
    assert first.statuses == second.statuses == {"synced"}
    assert sum("deal" in document.key for document in later) == 15
    assert (first.calls + second.calls) / 60 <= 3.2 - 0.5
    known = [
        document.model_copy(
            update={
                "external_id": first.of(document).external_id,
                "unchanged": True,
                "linked_company_id": first.of(document).company_external_id,
                "company": works_at(document.company.name, first.of(document).company_external_id)
                if document.company
                else None,
            }
        )
        for document in contacts
    ]
    again = [document.model_copy(update={"key": f"{document.key}-again"}) for document in later]
    third = await push(crm, company, *known, *again)
    assert third.statuses == {"synced"}
    assert third.calls / 60 <= 1.3


async def test_throttling_by_a_page_makes_the_connection_wait(crm: PipedriveSample, company: PipedriveAccount) -> None:
    company.disturb_path("/api/v2/persons$", method="POST", status=403, html=True)
    pushed = await push(crm, company, contact())
    failure = pushed.all[0].failure
    assert failure is not None
    assert (failure.kind, failure.status) == (FailureKind.RATE_LIMITED, 403)
    assert (failure.retry_after or 0) >= 60
    assert not pushed.all[0].uncertain


async def test_two_pushes_at_once_make_one_organization_of_a_name(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    async with httpx.AsyncClient() as http:
        client = Client(company.config, Tokens(company, http), Budget(), http)
        reports = []
        for number in (1, 2):
            batch = batch_of(company, "pipedrive", [contact(number, f"p{number}@example.com", company=works_at("E"))])
            reports.append((batch, Report(batch)))
        await asyncio.gather(*(client.push(batch, report) for batch, report in reports))
    outcomes = [outcome for _, report in reports for outcome in report.close()]
    assert {outcome.status for outcome in outcomes} == {"synced"}
    [made] = held_by(company, "organizations")
    assert {outcome.company_external_id for outcome in outcomes} == {str(made["id"])}


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


async def test_an_id_that_cannot_be_one_of_pipedrives_is_of_nobody(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    document = contact(external_id="003xx", company=works_at("Engines", external_id="001xx"))
    pushed = await push(crm, company, document)
    assert pushed.statuses == {"synced"}
    assert pushed.all[0].external_id == str(held_by(company)[0]["id"])
    assert pushed.all[0].company_external_id == str(held_by(company, "organizations")[0]["id"])


async def test_a_person_whose_organization_is_refused_whatever_it_is_arrives_without_it(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    refusal = {"success": False, "error": "Validation failed: org_id: not visible to you", "errorCode": 400}
    company.disturb_path("/api/v2/persons$", method="POST", status=400, body=refusal, times=2)
    pushed = await push(crm, company, contact(company=works_at("Engines")))
    [outcome] = pushed.all
    assert (outcome.status, outcome.company_external_id) == ("synced", None)
    assert "not visible to you" in (outcome.remark or "")
    assert [each["org_id"] for each in held_by(company)] == [None]


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


async def test_an_organization_deleted_between_reading_and_marking_is_made_again(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    held = person.create("organizations", name="Engines")
    gone = {"success": False, "error": "Organization not found", "errorCode": 404}
    company.disturb_path("/api/v2/organizations/", method="PATCH", status=404, body=gone)
    pushed = await push(crm, company, contact(company=works_at("Engines")))
    assert pushed.statuses == {"synced"}
    assert pushed.all[0].company_external_id not in (None, str(held["id"]))


async def test_an_organization_that_is_refused_fails_its_contacts_only(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    bad = Company(key="bad", name="Bad", fields={"name": "Bad", "owner_id": "987654321"})
    refused, other = contact(1, "p1@example.com", company=bad), contact(2, "p2@example.com", company=works_at("Good"))
    pushed = await push(crm, company, refused, other)
    assert pushed.of(other).status == "synced"
    failure = pushed.of(refused).failure
    assert failure is not None
    assert (failure.kind, failure.field) == (FailureKind.REJECTED, "owner_id")
    assert len(held_by(company)) == 1


@pytest.mark.usefixtures("small_pages")
async def test_a_search_that_is_refused_fails_the_contact_it_was_for(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    for number in range(6):
        person.create("persons", name=f"Old {number}", emails=[{"value": f"old{number}@example.com", **MINE}])
    company.disturb_path("/api/v2/persons/search", status=400)
    pushed = await push(crm, company, contact(1, "p1@example.com"), contact(2, "p2@example.com"))
    assert sorted(outcome.status for outcome in pushed.all) == ["failed", "synced"]
    assert not any(outcome.uncertain for outcome in pushed.all)
