"""What a backlog costs: HubSpot's limits count calls, so each has to be full."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from providers.errors import Unavailable
from providers.hubspot_rows import Record, Row
from providers.hubspot_wire import WIDTH, Wire
from providers.models import ActivityDocument, Company, DealDocument
from providers.report import Report
from tests.providers.contract import OCCURRED, batch_of, push
from tests.providers.people import contact
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample

PEOPLE = 1_000
CALLS_FOR_EACH = 0.06


async def test_a_backlog_of_a_thousand_contacts_and_what_follows_costs_few_calls(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    contacts = [
        contact(
            number,
            f"p{number}@example.com",
            fields=hubspot.contact_fields(f"p{number}@example.com", "P", str(number)),
            company=Company(key=f"c{number}", name=f"Company {number}", fields={"name": f"Company {number}"}),
        )
        for number in range(1, PEOPLE + 1)
    ]
    first = await push(hubspot, portal, *contacts)
    later: list[ActivityDocument | DealDocument] = []
    for number, person in enumerate(contacts, 1):
        outcome = first.of(person)
        common: dict[str, Any] = {
            "contact_id": person.contact_id,
            "contact_external_id": outcome.external_id,
            "company_external_id": outcome.company_external_id,
        }
        key = f"key-{number}"
        later.append(
            ActivityDocument(
                rows=(10_000 + number,), key=key, occurred_at=OCCURRED, subject="Re", body=f"Yes {number}", **common
            )
        )
        if number % 4 == 0:
            later.append(
                DealDocument(rows=(20_000 + number,), key=key, fields=hubspot.deal_fields(f"Deal {number}"), **common)
            )
    second = await push(hubspot, portal, *later)
    assert first.statuses == second.statuses == {"synced"}
    assert first.calls + second.calls <= CALLS_FOR_EACH * PEOPLE
    ledger = portal.ledger()
    assert {kind: len(ledger[kind]) for kind in ("contacts", "companies", "notes", "deals")} == {
        "contacts": PEOPLE,
        "companies": PEOPLE,
        "notes": PEOPLE,
        "deals": PEOPLE // 4,
    }
    types = [each["type_id"] for each in ledger["associations"]]
    assert {kind: types.count(kind) for kind in (279, 202, 190, 3, 341)} == {
        279: PEOPLE,
        202: PEOPLE,
        190: PEOPLE,
        3: PEOPLE // 4,
        341: PEOPLE // 4,
    }


async def test_one_lost_call_among_several_leaves_only_its_own_rows_uncertain(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 401)]
    portal.disturb("contacts", drop_answer=True, skip=2)
    pushed = await push(hubspot, portal, *documents)
    lost = [document for document in documents if pushed.of(document).uncertain]
    assert {pushed.of(document).status for document in lost} == {"failed"}
    assert {pushed.of(document).status for document in documents if document not in lost} == {"synced"}
    assert len(lost) == 100
    assert isinstance(pushed.error, Unavailable)
    again = await push(hubspot, portal, *[document.model_copy(update={"uncertain": True}) for document in lost])
    assert again.statuses == {"synced"}
    assert len(portal.ledger()["contacts"]) == 400


async def test_calls_of_one_step_go_side_by_side_after_the_first_has_come_back(portal: HubSpotAccount) -> None:
    documents = [contact(number, f"p{number}@example.com") for number in range(1, PEOPLE + 1)]
    under_way = 0
    seen: list[int] = []

    async def call(method: str, path: str, *, limit: str, json: Any = None) -> Any:
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        await asyncio.sleep(0)
        under_way -= 1
        results = [
            {"id": str(UUID(int=number)), "objectWriteTraceId": entry["objectWriteTraceId"]}
            for number, entry in enumerate(json["inputs"], 1)
        ]
        return {"status": "COMPLETE", "results": results}

    async def no_schema() -> None:
        raise AssertionError("nobody asked for it")

    wire = Wire(call, "2026-03", Report(batch_of(portal, "hubspot", documents)), no_schema)
    rows = [Row(document.email, {"firstname": "P"}, (document,)) for document in documents]
    results = [result async for _, result in wire.write("contacts", "upsert", rows, id_property="email")]
    assert len(results) == PEOPLE
    assert all(isinstance(result, Record) for result in results)
    assert len(seen) == PEOPLE / 100
    assert seen[:2] == [1, 1]
    assert max(seen) == WIDTH
