"""What a CRM deletes when somebody is erased: all that was made for them and nothing else, if asked twice as well."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from providers.errors import FailureKind
from providers.models import ActivityDocument, ContactDocument, DealDocument, ErasureDocument, TaskDocument
from tests.providers.contract import OCCURRED, Account, Pushed, Sample, push
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample
from tests.providers.samples_salesforce import SalesforceAccount, SalesforceSample

Ids = dict[str, tuple[str, ...]]
PERSON, OTHER = UUID(int=1), UUID(int=2)


def texts(account: Account) -> str:
    """All that an account holds, without what was called."""
    held = {kind: records for kind, records in account.ledger().items() if kind != "calls"}  # type: ignore[attr-defined]
    return json.dumps(held, ensure_ascii=False, default=str)


def hurry(account: Account) -> None:
    """Let the search index know at once."""
    for name in ("portal", "company"):
        if (crm := getattr(account, name, None)) is not None:
            crm.lag = 0.0


def erasure(**ids: Any) -> ErasureDocument:
    return ErasureDocument(rows=(90,), contact_id=PERSON, **ids)


def somebody(sample: Sample, contact_id: UUID, number: int, name: str) -> ContactDocument:
    email = f"{name}@example.com"
    fields = sample.contact_fields(email, name, "Canary")
    return ContactDocument(rows=(number,), contact_id=contact_id, email=email, fields=fields, queued_at=OCCURRED)


async def made(sample: Sample, account: Account, contact_id: UUID, number: int, name: str) -> Ids:
    """A contact with a deal, a message and a task; returns the ids as an erasure has them."""
    contact = somebody(sample, contact_id, number, name)
    contact_external_id = (await push(sample, account, contact)).of(contact).external_id
    assert contact_external_id is not None
    shared: dict[str, Any] = {"contact_id": contact_id, "contact_external_id": contact_external_id}
    deal = DealDocument(
        rows=(number + 1,),
        key=f"deal:{contact_id}:interested",
        fields=sample.deal_fields(f"{name} - Email Lead"),
        **shared,
    )
    message = ActivityDocument(
        rows=(number + 2,), key=f"message:{number}", occurred_at=OCCURRED, subject="Hi", body=f"I am {name}", **shared
    )
    task = TaskDocument(
        rows=(number + 3,), key=f"task:{number}", due_at=OCCURRED, subject=f"Reply to {name}", body="Soon", **shared
    )
    pushed = await push(sample, account, deal, message, task)
    ids = [str(pushed.of(each).external_id) for each in (deal, message, task)]
    return {"contacts": (contact_external_id,), "deals": (ids[0],), "activities": (ids[1],), "tasks": (ids[2],)}


async def test_all_that_was_made_for_a_person_is_deleted_and_nothing_of_another(
    sample: Sample, account: Account
) -> None:
    ids = await made(sample, account, PERSON, 1, "quetzal")
    await made(sample, account, OTHER, 11, "sparrow")
    before = texts(account).count("sparrow")
    pushed = await push(sample, account, erasure(**ids))
    assert pushed.statuses == {"synced"}
    [outcome] = pushed.all
    assert outcome.external_id is None
    assert "quetzal" not in texts(account)
    assert texts(account).count("sparrow") == before
    again = await push(sample, account, erasure(**ids))  # an answer was lost: done again
    assert again.statuses == {"synced"}


async def test_a_person_whose_ids_nobody_confirmed_is_found_by_our_keys(sample: Sample, account: Account) -> None:
    hurry(account)
    await made(sample, account, PERSON, 1, "quetzal")
    await made(sample, account, OTHER, 11, "sparrow")
    deal_keys = (f"deal:{PERSON}:interested",)
    pushed = await push(sample, account, erasure(uncertain=True, deal_keys=deal_keys))
    assert pushed.statuses == {"synced"}
    held = texts(account)
    assert "quetzal@" not in held
    assert "quetzal - Email" not in held
    assert "sparrow@" in held
    nothing = await push(sample, account, erasure(uncertain=True, deal_keys=deal_keys))
    assert nothing.statuses == {"synced"}


async def test_a_connection_that_may_not_delete_says_so_and_goes_on_with_other_work(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    ids = await made(hubspot, portal, PERSON, 1, "quetzal")
    portal.disturb_path("/gdpr-delete$", status=403)
    sparrow = somebody(hubspot, OTHER, 20, "sparrow")
    pushed: Pushed = await push(hubspot, portal, erasure(**ids), sparrow)
    failure = pushed.of(erasure()).failure
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.REJECTED, "ERASURE_FORBIDDEN")
    assert "does not let this connection delete contacts" in failure.message
    assert pushed.of(sparrow).status == "synced"


@pytest.mark.parametrize("harm", [{"status": 503}, {"status": 429}])
async def test_a_crm_that_is_away_is_asked_again(
    hubspot: HubSpotSample, portal: HubSpotAccount, harm: dict[str, Any]
) -> None:
    ids = await made(hubspot, portal, PERSON, 1, "quetzal")
    portal.disturb_path("/gdpr-delete$", **harm)
    pushed = await push(hubspot, portal, erasure(**ids))
    failure = pushed.of(erasure()).failure
    assert failure is not None
    assert failure.kind in (FailureKind.UNAVAILABLE, FailureKind.RATE_LIMITED)
    assert (await push(hubspot, portal, erasure(**ids))).statuses == {"synced"}


async def test_a_path_that_is_not_there_is_not_taken_for_a_person_who_is_not_there(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    ids = await made(hubspot, portal, PERSON, 1, "quetzal")
    portal.disturb_path("/gdpr-delete$", status=404)
    pushed = await push(hubspot, portal, erasure(**ids))
    assert pushed.statuses == {"failed"}


async def test_a_contact_that_people_merged_into_another_is_that_one(
    salesforce: SalesforceSample, org: SalesforceAccount
) -> None:
    ids = await made(salesforce, org, PERSON, 1, "quetzal")
    others = await made(salesforce, org, OTHER, 11, "sparrow")
    org.org.merge("Contact", others["contacts"][0], ids["contacts"][0])  # people say that they are one person
    assert (await push(salesforce, org, erasure(**ids))).statuses == {"synced"}
    assert org.ledger()["contacts"] == []
