"""The calls and tokens that Pipedrive's contacts cost."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from providers import pipedrive_wire
from providers.errors import FailureKind
from providers.pipedrive import Client
from providers.report import Report
from tests.providers.contract import Budget, Tokens, batch_of, follow_ups, push
from tests.providers.samples_pipedrive import (
    ADA,
    MINE,
    Person,
    PipedriveAccount,
    PipedriveSample,
    contact,
    held_by,
    works_at,
)


@pytest.fixture
def person(company: PipedriveAccount) -> Iterator[Person]:
    opened = Person(company)
    yield opened
    opened.close()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of five, so that a few records make a large account."""
    monkeypatch.setattr(pipedrive_wire, "PAGE", 5)


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
