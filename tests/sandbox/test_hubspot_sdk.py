"""HubSpot's own SDK accepts the emulator's answers, strictly validated: client and emulator cannot drift together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hubspot_sdk import HubSpot as Sdk
from hubspot_sdk.types.auth import AccessTokenResponse, PublicAccessTokenInfoResponse, PublicRefreshTokenInfoResponse

from sandbox.hubspot import CLIENT_ID, CLIENT_SECRET
from tests.clock import Clock
from tests.sandbox.hubspot_client import Hub

SPEC: Any = {"association_category": "HUBSPOT_DEFINED", "association_type_id": 202}


@pytest.fixture
def sdk(hub: Hub) -> Iterator[Sdk]:
    with Sdk(
        access_token=hub.portal.access_token,
        base_url=str(hub.client.base_url),
        _strict_response_validation=True,
        max_retries=0,
    ) as sdk:
        yield sdk


def test_contacts_in_batches(sdk: Sdk) -> None:
    rows: Any = [
        {
            "id": f"P{n}@example.com",
            "id_property": "email",
            "object_write_trace_id": f"t{n}",
            "properties": {"city": "X"},
        }
        for n in range(3)
    ]
    upserted = sdk.crm.objects.contacts.batch.upsert(inputs=rows)
    assert {each.object_write_trace_id for each in upserted.results if each.new} == {"t0", "t1", "t2"}
    ids: Any = [{"id": each.id, "properties": {"city": "Y"}} for each in upserted.results]
    assert len(sdk.crm.objects.contacts.batch.update(inputs=ids).results) == 3
    read = sdk.crm.objects.contacts.batch.get(
        inputs=[{"id": each["id"]} for each in ids], properties=["city", "phone"], properties_with_history=[]
    )
    assert {each.properties["city"] for each in read.results} == {"Y"}
    sdk.crm.objects.contacts.batch.delete(inputs=[{"id": each["id"]} for each in ids])


def test_a_partly_refused_batch(sdk: Sdk) -> None:
    rows: Any = [
        {"id": "a@example.com", "id_property": "email", "object_write_trace_id": "a", "properties": {}},
        {"id": "b@example.com", "id_property": "email", "object_write_trace_id": "b", "properties": {"nonsense": "1"}},
    ]
    response = sdk.crm.objects.contacts.batch.with_raw_response.upsert(inputs=rows)
    assert (response.status_code, len(response.parse().results)) == (207, 1)


def test_a_single_contact(sdk: Sdk) -> None:
    contact = sdk.crm.objects.contacts.create(associations=[], properties={"email": "ada@example.com"})
    sdk.crm.objects.contacts.update(contact.id, properties={"city": "X"})
    got = sdk.crm.objects.contacts.get(contact.id, properties=["city"], associations=["companies"])
    assert got.properties["city"] == "X"
    sdk.crm.objects.contacts.delete(contact.id)


def test_companies_deals_and_notes_with_their_associations(sdk: Sdk) -> None:
    contact = sdk.crm.objects.contacts.create(associations=[], properties={"email": "ada@example.com"})
    company = sdk.crm.objects.companies.batch.create(inputs=[{"associations": [], "properties": {"name": "X"}}])
    deal = sdk.crm.objects.deals.batch.create(
        inputs=[{"associations": [], "properties": {"dealname": "A", "dealstage": "closedwon", "amount": "1"}}]
    )
    note = sdk.crm.objects.notes.batch.create(
        inputs=[
            {
                "associations": [{"to": {"id": contact.id}, "types": [SPEC]}],
                "properties": {"hs_timestamp": "2026-11-22T10:00:00Z", "hs_note_body": "Hello"},
            }
        ]
    )
    batch = sdk.crm.associations.batch
    pair: Any = {"from": {"id": contact.id}, "to": {"id": company.results[0].id}}
    assert batch.create_default("companies", from_object_type="contacts", inputs=[pair]).results
    labelled: Any = {
        "from": {"id": deal.results[0].id},
        "to": {"id": contact.id},
        "types": [{"association_category": "HUBSPOT_DEFINED", "association_type_id": 3}],
    }
    assert batch.create("contacts", from_object_type="deals", inputs=[labelled]).results
    for end, expected in (("companies", company), ("deals", deal), ("notes", note)):
        read = batch.get(end, from_object_type="contacts", inputs=[{"id": contact.id}])
        assert [to.to_object_id for to in read.results[0].to] == [expected.results[0].id]
    single = sdk.crm.associations
    single.create(
        company.results[0].id, from_object_type="deals", from_object_id=deal.results[0].id, to_object_type="companies"
    )
    single.update_labels(
        company.results[0].id,
        object_type="deals",
        object_id=deal.results[0].id,
        to_object_type="companies",
        body=[{"association_category": "HUBSPOT_DEFINED", "association_type_id": 5}],
    )
    archived: Any = {"from": {"id": contact.id}, "to": [{"id": company.results[0].id}]}
    batch.delete("companies", from_object_type="contacts", inputs=[archived])


def test_tasks_with_their_associations(sdk: Sdk) -> None:
    contact = sdk.crm.objects.contacts.create(associations=[], properties={"email": "ada@example.com"})
    company = sdk.crm.objects.companies.create(associations=[], properties={"name": "X"})
    ends: Any = [
        {"to": {"id": end.id}, "types": [{**SPEC, "association_type_id": type_id}]}
        for end, type_id in ((contact, 204), (company, 192))
    ]
    properties = {
        "hs_timestamp": "2026-11-22T10:00:00Z",
        "hs_task_subject": "Reply",
        "hs_task_body": "Soon",
        "hs_task_status": "NOT_STARTED",
        "hs_task_priority": "HIGH",
        "hs_task_type": "TODO",
    }
    tasks = sdk.crm.objects.tasks.batch
    rows: Any = [{"associations": ends, "object_write_trace_id": "t1", "properties": properties}]
    created = tasks.create(inputs=rows)
    [made] = created.results
    assert made.object_write_trace_id == "t1"
    read = tasks.get(inputs=[{"id": made.id}], properties=list(properties), properties_with_history=[])
    assert read.results[0].properties["hs_task_priority"] == "HIGH"
    done: Any = [{"id": made.id, "properties": {"hs_task_status": "COMPLETED"}}]
    assert tasks.update(inputs=done).results[0].properties["hs_task_status"] == "COMPLETED"
    for kind, end in (("contacts", contact), ("companies", company)):
        found = sdk.crm.associations.batch.get("tasks", from_object_type=kind, inputs=[{"id": end.id}])
        assert [to.to_object_id for to in found.results[0].to] == [made.id]


def test_searches(sdk: Sdk, clock: Clock) -> None:
    sdk.crm.objects.contacts.create(associations=[], properties={"email": "ada@example.com"})
    clock.advance(5)
    found = sdk.crm.objects.contacts.search(
        after="0",
        filter_groups=[{"filters": [{"property_name": "email", "operator": "EQ", "value": "ada@example.com"}]}],
        limit=10,
        properties=["email"],
        sorts=["email"],
    )
    assert (found.total, found.results[0].properties["email"]) == (1, "ada@example.com")


def test_properties(sdk: Sdk) -> None:
    created = sdk.crm.properties.create(
        "companies",
        name="app_key",
        label="App key",
        type="string",
        field_type="text",
        group_name="companyinformation",
        has_unique_value=True,
    )
    assert created.has_unique_value
    assert sdk.crm.properties.get("app_key", object_type="companies").name == "app_key"
    assert "app_key" in {each.name for each in sdk.crm.properties.list("companies").results}
    for object_type in ("contacts", "companies", "deals", "tasks"):
        listed = {each.name: each for each in sdk.crm.properties.list(object_type).results}
        metadata = listed["hs_object_id"].modification_metadata
        assert metadata is not None
        assert metadata.read_only_value
    row: Any = {"id": "k", "id_property": "app_key", "properties": {"name": "X"}}
    assert sdk.crm.objects.companies.batch.upsert(inputs=[row]).results[0].new


def test_pipelines_and_the_account(sdk: Sdk, hub: Hub) -> None:
    assert [each.id for each in sdk.crm.pipelines.list("deals").results] == ["default"]
    assert sdk.account.get().portal_id == hub.portal.hub_id


def test_tokens(hub: Hub) -> None:
    # The SDK posts tokens as JSON, which the documented endpoint refuses: only its models are used here.
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    form = {**client, "grant_type": "refresh_token", "refresh_token": hub.portal.refresh_token}
    answer = hub.client.post("/oauth/2026-03/token", data=form)
    token = AccessTokenResponse.model_validate(answer.json())
    assert token.hub_id == hub.portal.hub_id
    for value, model in (
        (token.access_token, PublicAccessTokenInfoResponse),
        (token.refresh_token, PublicRefreshTokenInfoResponse),
    ):
        described = hub.client.post("/oauth/2026-03/token/introspect", data={**client, "token": value})
        assert model.model_validate(described.json()).active
