"""What is Pipedrive's own: deals, notes and tasks, and what describes its fields."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pytest

from providers.account import CrmField
from providers.errors import CONTACT_GONE, FailureKind
from providers.models import ActivityDocument, DealDocument, Field, TaskDocument
from providers.notes import marker_of
from providers.pipedrive import Client
from tests.providers.contract import OCCURRED, Budget, Tokens, push
from tests.providers.samples_pipedrive import Person, PipedriveAccount, PipedriveSample

FollowUp = TypeVar("FollowUp", DealDocument, ActivityDocument, TaskDocument)
KINDS = ("deals", "notes", "activities")
STANDARD = (
    *(("contact", name) for name in ("name", "email", "phone")),
    ("company", "name"),
    *(("deal", name) for name in ("title", "value", "currency", "expected_close_date")),
)


@pytest.fixture
def person(company: PipedriveAccount) -> Iterator[Person]:
    opened = Person(company)
    yield opened
    opened.close()


@pytest.fixture
def ada(person: Person) -> str:
    return str(person.create("persons", name="Ada", emails=[{"value": "ada@example.com"}])["id"])


@pytest.fixture
def engines(person: Person) -> str:
    return str(person.create("organizations", name="Engines")["id"])


def made(model: type[FollowUp], contact_id: str, **more: Any) -> FollowUp:
    """A document of that kind; each kind has rows and a key of its own."""
    number = KINDS.index({DealDocument: "deals", ActivityDocument: "notes", TaskDocument: "activities"}[model]) + 1
    facts: dict[str, Any] = {
        "rows": (number,),
        "contact_id": UUID(int=1),
        "contact_external_id": contact_id,
        "key": f"{KINDS[number - 1]}-1",
        "queued_at": datetime.now(UTC) - timedelta(minutes=1),
        "subject": "Re: offer",
        "body": "Tell me <more>",
        "occurred_at": OCCURRED,
        "due_at": OCCURRED,
        "fields": {"title": Field(value="Deal"), "value": Field(value="1000")},
    }
    return model.model_validate({**facts, **more})


def all_kinds(contact_id: str, **more: Any) -> list[DealDocument | ActivityDocument | TaskDocument]:
    return [made(DealDocument, contact_id, **more), made(ActivityDocument, contact_id, **more),
            made(TaskDocument, contact_id, **more)]  # fmt: skip


async def test_a_deal_a_note_and_a_task_belong_to_person_and_organization(
    crm: PipedriveSample, company: PipedriveAccount, ada: str, engines: str
) -> None:
    pushed = await push(crm, company, *all_kinds(ada, company_external_id=engines))
    assert pushed.statuses == {"synced"}
    assert pushed.calls == 3
    ledger = company.ledger()
    for kind in KINDS:
        [record] = ledger[kind]
        assert (str(record["person_id"]), str(record["org_id"])) == (ada, engines)
    assert ledger["deals"][0]["custom_fields"][company.learned["deal_key"]] == "deals-1"
    assert ledger["notes"][0]["pinned_to_person_flag"] in (0, False)
    task = ledger["activities"][0]
    assert (task["type"], task["done"], task["due_date"]) == ("task", False, "2026-11-22")
    assert "Tell me &lt;more&gt;" in task["note"]


@pytest.mark.parametrize("status", [400, 404])
async def test_an_organization_that_is_gone_keeps_nothing_from_the_person(
    crm: PipedriveSample,
    company: PipedriveAccount,
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    ada: str,
    engines: str,
    status: int,
) -> None:
    monkeypatch.setattr(crm.pipedrive, "missing_reference_status", status)
    person.delete("organizations", engines)
    pushed = await push(crm, company, *all_kinds(ada, company_external_id=engines))
    assert pushed.statuses == {"synced"}
    assert all(engines in (outcome.remark or "") for outcome in pushed.all)
    ledger = company.ledger()
    assert [(str(ledger[kind][0]["person_id"]), ledger[kind][0]["org_id"]) for kind in KINDS] == [(ada, None)] * 3


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("uncertain", [False, True])
async def test_what_hangs_on_a_person_who_is_gone_says_so(
    crm: PipedriveSample,
    company: PipedriveAccount,
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    ada: str,
    engines: str,
    status: int,
    uncertain: bool,
) -> None:
    monkeypatch.setattr(crm.pipedrive, "missing_reference_status", status)
    person.delete("persons", ada)
    pushed = await push(crm, company, *all_kinds(ada, company_external_id=engines, uncertain=uncertain))
    failures = [outcome.failure for outcome in pushed.all]
    assert {failure.code for failure in failures if failure is not None} == {CONTACT_GONE}
    assert all(failure is not None and failure.kind is FailureKind.REJECTED for failure in failures)
    assert {outcome.uncertain for outcome in pushed.all} == {uncertain}


@pytest.mark.parametrize(
    ("name", "field"), [("stage_id", "Qualified and so on"), ("pipeline_id", "Nobody's")], ids=["stage", "pipeline"]
)
async def test_a_stage_that_is_no_number_is_refused_with_those_there_are(
    crm: PipedriveSample, company: PipedriveAccount, person: Person, ada: str, name: str, field: str
) -> None:
    deal = made(DealDocument, ada, fields={"title": Field(value="Deal"), name: Field(value=field)})
    failure = (await push(crm, company, deal)).all[0].failure
    assert failure is not None
    assert (failure.code, failure.field) == ("INVALID_OPTION", name)
    path = {"stage_id": "stages", "pipeline_id": "pipelines"}[name]
    assert all(str(each["id"]) in failure.message for each in person.call("GET", f"/api/v2/{path}"))
    assert not company.ledger()["deals"]


async def test_a_stage_by_its_number_is_where_the_deal_goes(
    crm: PipedriveSample, company: PipedriveAccount, person: Person, ada: str
) -> None:
    stage = person.call("GET", "/api/v2/stages")[-1]
    fields = {
        "title": Field(value="Deal"),
        "pipeline_id": Field(value=str(stage["pipeline_id"])),
        "stage_id": Field(value=str(stage["id"])),
    }
    assert (await push(crm, company, made(DealDocument, ada, fields=fields))).statuses == {"synced"}
    assert company.ledger()["deals"][0]["stage_id"] == stage["id"]


async def test_a_deal_of_unknown_fate_is_taken_as_people_have_it(
    crm: PipedriveSample, company: PipedriveAccount, person: Person, ada: str
) -> None:
    deal = made(DealDocument, ada)
    first = await push(crm, company, deal)
    person.change("deals", first.all[0].external_id, title="Theirs now")
    again = await push(crm, company, deal.model_copy(update={"uncertain": True}))
    assert (again.all[0].external_id, again.calls) == (first.all[0].external_id, 1)
    assert [each["title"] for each in company.ledger()["deals"]] == ["Theirs now"]


async def test_a_known_note_is_rewritten_and_a_deleted_one_stays_deleted(
    crm: PipedriveSample, company: PipedriveAccount, person: Person, ada: str
) -> None:
    note = made(ActivityDocument, ada)
    note_id = (await push(crm, company, note)).all[0].external_id
    known = note.model_copy(update={"external_id": note_id, "intent": "interested"})
    assert (await push(crm, company, known)).calls == 1
    assert "interested" in company.ledger()["notes"][0]["content"]
    person.delete("notes", note_id, version="v1")
    outcome = (await push(crm, company, known)).all[0]
    assert (outcome.status, outcome.external_id) == ("synced", note_id)
    assert "stays deleted" in (outcome.remark or "")
    assert not company.ledger()["notes"]


async def test_a_note_left_behind_by_a_push_that_knew_less_is_rewritten(
    crm: PipedriveSample, company: PipedriveAccount, ada: str
) -> None:
    note = made(ActivityDocument, ada)
    first = await push(crm, company, note)
    newer = note.model_copy(update={"uncertain": True, "intent": "interested"})
    pushed = await push(crm, company, newer)
    assert (pushed.all[0].external_id, pushed.all[0].created) == (first.all[0].external_id, False)
    [held] = company.ledger()["notes"]
    assert "interested" in held["content"]
    assert marker_of(note.key) in held["content"]


async def test_a_known_task_is_peoples_own(
    crm: PipedriveSample, company: PipedriveAccount, person: Person, ada: str
) -> None:
    task = made(TaskDocument, ada, is_urgent=True)
    first = await push(crm, company, task)
    assert company.ledger()["activities"][0]["subject"] == "Urgent: Re: offer"
    person.change("activities", first.all[0].external_id, done=True)
    known = task.model_copy(update={"external_id": first.all[0].external_id})
    assert (await push(crm, company, known)).calls == 0
    await push(crm, company, task.model_copy(update={"uncertain": True}))
    assert [each["done"] for each in company.ledger()["activities"]] == [True]


async def test_the_fields_are_described_by_the_names_that_mappings_use(
    crm: PipedriveSample, company: PipedriveAccount, person: Person
) -> None:
    custom = person.create(
        "dealFields", field_name="Source", field_type="enum", options=[{"label": "Mail"}, {"label": "Phone"}]
    )
    async with httpx.AsyncClient() as http:
        described = await Client(company.config, Tokens(company, http), Budget(), http).describe()
    by_name: dict[tuple[str, str], CrmField] = {(each.object, each.name): each for each in described}
    assert len(by_name) == len(described)
    for name in STANDARD:
        assert by_name[name].is_writable
    assert not {("contact", "emails"), ("contact", "phones")} & set(by_name)
    assert by_name["contact", "name"].is_required
    stages = by_name["deal", "stage_id"]
    assert stages.is_closed
    assert {each.value for each in stages.options} == {str(each["id"]) for each in person.call("GET", "/api/v2/stages")}
    assert by_name["deal", "pipeline_id"].options
    source = by_name["deal", custom["field_code"]]
    assert (source.label, source.type, source.is_closed, source.is_writable) == ("Source", "enum", True, True)
    assert {each.label for each in source.options} == {"Mail", "Phone"}
    assert not by_name["contact", "id"].is_writable
    assert not {code for _, code in by_name} & set(company.learned.values())
