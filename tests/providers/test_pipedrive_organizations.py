"""What is Pipedrive's own: companies as organizations."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from providers.errors import FailureKind
from providers.models import Company
from providers.pipedrive import Client
from providers.report import Report
from tests.providers.contract import Budget, Tokens, batch_of, push
from tests.providers.samples_pipedrive import (
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
