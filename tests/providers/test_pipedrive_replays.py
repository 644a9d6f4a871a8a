"""No replay makes anything twice, although Pipedrive's search learns of a write only half a minute later."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from providers import pipedrive_wire
from providers.models import Company, ContactDocument, Field
from tests.providers.contract import STAGES, Stage, carry, contacts_of, new_account, push
from tests.providers.samples_pipedrive import Person, PipedriveAccount, PipedriveSample, open_sample

LOSSES: list[dict[str, Any]] = [{"drop_answer": True}, {"cut_body": True}, {"cut": True}, {"status": 503}]
OLD = 12


@pytest.fixture(scope="module")
def crm() -> Iterator[PipedriveSample]:
    with open_sample(limits=False, search_lag=30) as opened:
        yield opened


@pytest.fixture(params=["small account", "large account"])
async def company(
    request: pytest.FixtureRequest, crm: PipedriveSample, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[PipedriveAccount]:
    """A large one has more pages than are worth reading, so that its people are searched for."""
    opened = await new_account(crm)
    assert isinstance(opened, PipedriveAccount)
    if request.param == "large account":
        monkeypatch.setattr(pipedrive_wire, "PAGE", 5)
        person = Person(opened)
        for number in range(OLD):
            person.create("persons", name=f"Old {number}", emails=[{"value": f"old{number}@example.com"}])
            person.create("organizations", name=f"Old {number}")
        person.close()
    yield opened
    opened.calm()


def counts(company: PipedriveAccount) -> dict[str, int]:
    """How many records there are, without those of old."""
    ledger = company.ledger()
    numbers = {kind: len(ledger[kind]) for kind in ("persons", "organizations", "deals", "notes", "activities")}
    old = sum(each["name"].startswith("Old ") for each in ledger["persons"])
    return {**numbers, "persons": numbers["persons"] - old, "organizations": numbers["organizations"] - old}


def contact(number: int, name: str = "Engines", **more: Any) -> ContactDocument:
    return ContactDocument(
        rows=(number,),
        contact_id=UUID(int=number),
        email=f"p{number}@example.com",
        fields={"name": Field(value=f"Person {number}"), "email": Field(value=f"p{number}@example.com")},
        company=Company(key=f"company-{name}", name=name, fields={"name": name}),
        queued_at=datetime.now(UTC) - timedelta(hours=1),
        **more,
    )


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("harm", LOSSES, ids=str)
async def test_a_lost_answer_leaves_one_of_everything(
    crm: PipedriveSample, company: PipedriveAccount, stage: Stage, harm: dict[str, Any]
) -> None:
    company.disturb(stage, **harm)
    history = await carry(crm, company)
    assert len(history) > 2
    assert counts(company) == {"persons": 4, "organizations": 2, "deals": 4, "notes": 4, "activities": 1}


async def test_a_batch_whose_daemon_vanished_leaves_one_of_everything(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    await carry(crm, company)
    before = counts(company)
    again = [document.model_copy(update={"uncertain": True}) for document in contacts_of(crm)]
    pushed = await push(crm, company, *again)
    assert pushed.statuses == {"synced"}
    assert not any(outcome.created for outcome in pushed.all)
    assert counts(company) == before


async def test_a_row_that_waited_for_days_finds_what_it_left_behind(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    first = await push(crm, company, contact(1))
    later = contact(1, uncertain=True).model_copy(update={"queued_at": None})
    assert (await push(crm, company, later)).all[0].external_id == first.all[0].external_id
    assert counts(company)["persons"] == 1


async def test_a_contact_finds_the_organization_that_another_ones_lost_answer_made(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    company.disturb("companies", drop_answer=True)
    lost = await push(crm, company, contact(1))
    assert lost.all[0].uncertain
    company.calm()
    assert (await push(crm, company, contact(2))).statuses == {"synced"}
    assert (await push(crm, company, contact(1, uncertain=True))).statuses == {"synced"}
    assert counts(company)["organizations"] == 1


async def test_an_organization_made_for_a_contact_that_was_then_refused_is_found_again(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    company.disturb("contacts", status=423)
    refused = await push(crm, company, contact(1))
    assert (refused.all[0].status, refused.all[0].uncertain) == ("failed", False)
    company.calm()
    assert (await push(crm, company, contact(1))).statuses == {"synced"}
    assert counts(company)["organizations"] == 1


async def test_two_contacts_of_one_address_one_after_the_other_are_one_person(
    crm: PipedriveSample, company: PipedriveAccount
) -> None:
    first = await push(crm, company, contact(1))
    second = contact(2).model_copy(update={"email": "P1@example.com", "fields": contact(1).fields})
    pushed = await push(crm, company, second)
    assert pushed.all[0].external_id == first.all[0].external_id
    assert counts(company)["persons"] == 1
