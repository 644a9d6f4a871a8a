"""The emulated objects API is as strict as HubSpot's."""

from __future__ import annotations

import pytest

from sandbox.hubspot import HubSpot, Portal
from sandbox.server import serve
from tests.sandbox.hubspot_client import Hub, by_email, code

LEAD_STATUSES = "NEW, OPEN, IN_PROGRESS, OPEN_DEAL, UNQUALIFIED, ATTEMPTED_TO_CONTACT, CONNECTED, BAD_TIMING"


def test_an_upsert_creates_then_updates(hub: Hub) -> None:
    first = hub.upsert("contacts", by_email("ada@example.com", "t", firstname="Ada"))
    second = hub.upsert("contacts", by_email("ada@example.com", "t", firstname="Augusta"))
    assert (first.status_code, first.json()["results"][0]["new"]) == (200, True)
    assert (second.status_code, second.json()["results"][0]["new"]) == (200, False)
    assert first.json()["results"][0]["id"] == second.json()["results"][0]["id"]
    assert [each["properties"]["firstname"] for each in hub.ledger["contacts"]] == ["Augusta"]


def test_results_come_in_another_order_with_lower_case_addresses_and_their_trace_ids(hub: Hub) -> None:
    rows = [by_email(f"Person{n}@Example.COM", f"t{n}", firstname=str(n)) for n in range(10)]
    results = hub.upsert("contacts", *rows).json()["results"]
    traces = [each["objectWriteTraceId"] for each in results]
    assert sorted(traces) == sorted(row["objectWriteTraceId"] for row in rows)
    assert traces != [row["objectWriteTraceId"] for row in rows]
    assert all(each["properties"]["email"] == f"person{each['objectWriteTraceId'][1:]}@example.com" for each in results)


def test_two_results_are_never_in_the_order_of_their_inputs(hub: Hub) -> None:
    results = hub.upsert("contacts", by_email("a@example.com", "a"), by_email("b@example.com", "b")).json()["results"]
    assert [each["objectWriteTraceId"] for each in results] == ["b", "a"]


def test_the_same_address_in_other_capitals_is_the_same_contact(hub: Hub) -> None:
    hub.upsert("contacts", by_email("ada@example.com", firstname="Ada"))
    hub.upsert("contacts", by_email("ADA@EXAMPLE.COM", firstname="Ada"))
    assert len(hub.ledger["contacts"]) == 1


def test_only_set_properties_are_answered(hub: Hub) -> None:
    contact = hub.upsert("contacts", by_email("ada@example.com", firstname="Ada", phone="")).json()["results"][0]
    assert set(contact["properties"]) == {"email", "firstname", "createdate", "lastmodifieddate", "hs_object_id"}


def test_an_emulator_can_answer_unset_properties_with_null() -> None:
    hubspot = HubSpot(unset_as_null=True)
    with serve(hubspot.app) as server, Hub(server.url, hubspot, hubspot.open_portal()) as hub:
        record = hub.contact("ada@example.com")
        body = {"inputs": [{"id": record}], "properties": ["phone"]}
        assert hub.objects("contacts/batch/read", body).json()["results"][0]["properties"]["phone"] is None


def test_a_hundred_and_one_inputs_are_refused(hub: Hub) -> None:
    response = hub.upsert("contacts", *(by_email(f"p{n}@example.com", str(n)) for n in range(101)))
    assert response.status_code == 400
    assert hub.ledger["contacts"] == []


def test_an_empty_batch_is_refused(hub: Hub) -> None:
    assert hub.upsert("contacts").status_code == 400


def test_duplicate_ids_refuse_the_whole_batch_even_with_trace_ids(hub: Hub) -> None:
    rows = [by_email("ada@example.com", "1"), by_email("ADA@example.com", "2"), by_email("bob@example.com", "3")]
    response = hub.upsert("contacts", *rows)
    assert response.status_code == 400
    assert response.json()["message"] == ("Duplicate IDs found in batch input: [ada@example.com]. IDs must be unique")
    assert hub.ledger["contacts"] == []


def test_one_bad_row_without_trace_ids_refuses_the_batch_and_writes_nothing(hub: Hub) -> None:
    good, bad = by_email("ada@example.com", firstname="Ada"), by_email("bob@example.com", nonsense="1")
    assert hub.upsert("contacts", good, bad).status_code == 400
    assert hub.ledger["contacts"] == []


def test_one_row_without_a_trace_id_is_enough_to_refuse_the_batch(hub: Hub) -> None:
    good, bad = by_email("ada@example.com", firstname="Ada"), by_email("bob@example.com", "b", nonsense="1")
    assert hub.upsert("contacts", good, bad).status_code == 400
    assert hub.ledger["contacts"] == []


def test_with_trace_ids_valid_rows_are_written_and_bad_ones_named(hub: Hub) -> None:
    rows = [by_email("ada@example.com", "a"), by_email("bob@example.com", "b", hs_lead_status="HOT")]
    response = hub.upsert("contacts", *rows)
    document = response.json()
    assert (response.status_code, document["numErrors"], len(document["results"])) == (207, 1, 1)
    error = document["errors"][0]
    assert error["context"]["objectWriteTraceId"] == ["b"]
    assert (error["category"], error["errors"][0]["code"], error["errors"][0]["in"]) == (
        "VALIDATION_ERROR",
        "INVALID_OPTION",
        "hs_lead_status",
    )
    assert [each["properties"]["email"] for each in hub.ledger["contacts"]] == ["ada@example.com"]


def test_the_2026_09_api_tells_of_bad_rows_without_a_207(hub: Hub) -> None:
    body = {"inputs": [by_email("ada@example.com", "a", nonsense="1")]}
    response = hub.post("/crm/objects/2026-09/contacts/batch/upsert", body)
    assert (response.status_code, response.json()["numErrors"]) == (200, 1)


def test_a_contact_cannot_be_created_twice(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    body = {"inputs": [{"properties": {"email": "Ada@Example.com"}}]}
    for response in (
        hub.objects("contacts/batch/create", body),
        hub.objects("contacts", {"properties": {"email": "ada@example.com"}}),
    ):
        assert (response.status_code, response.json()["category"]) == (409, "CONFLICT")
        assert response.json()["message"] == f"Contact already exists. Existing ID: {record}"


def test_a_traced_conflict_names_its_row_and_the_other_row_is_created(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    body = {
        "inputs": [
            {"objectWriteTraceId": "a", "properties": {"email": "ada@example.com"}},
            {"objectWriteTraceId": "b", "properties": {"email": "bob@example.com"}},
        ]
    }
    response = hub.objects("contacts/batch/create", body)
    assert response.status_code == 207
    assert response.json()["errors"][0]["message"] == f"Contact already exists. Existing ID: {record}"
    assert len(hub.ledger["contacts"]) == 2


def test_one_address_twice_in_a_batch_create_is_a_conflict(hub: Hub) -> None:
    body = {"inputs": [{"properties": {"email": "a@example.com"}}, {"properties": {"email": "A@example.com"}}]}
    assert hub.objects("contacts/batch/create", body).status_code == 409
    assert hub.ledger["contacts"] == []


def test_an_upsert_by_a_unique_property_conflicts_with_another_contact_s_address(hub: Hub) -> None:
    hub.unique_property("contacts", "app_key")
    record = hub.contact("ada@example.com")
    row = {"id": "k1", "idProperty": "app_key", "objectWriteTraceId": "t", "properties": {"email": "ada@example.com"}}
    response = hub.upsert("contacts", row)
    assert response.status_code == 207
    assert response.json()["errors"][0]["category"] == "CONFLICT"
    assert record in response.json()["errors"][0]["message"]


def test_a_unique_value_belongs_to_one_record(hub: Hub) -> None:
    hub.unique_property("companies", "app_key")
    one = hub.create("companies", name="One", app_key="k")
    response = hub.objects("companies/batch/create", {"inputs": [{"properties": {"name": "Two", "app_key": "k"}}]})
    assert (response.status_code, code(response)) == (400, "CONFLICTING_UNIQUE_VALUE")
    assert f"{one} already has that value" in response.json()["message"]


def test_deals_cannot_be_upserted_by_their_name(hub: Hub) -> None:
    properties = {"dealstage": "appointmentscheduled"}
    response = hub.upsert("deals", {"id": "A deal", "idProperty": "dealname", "properties": properties})
    assert response.status_code == 400
    assert response.json()["message"] == "Unable to perform update/upsert by non-unique 0-3 property dealname"


def test_companies_cannot_be_upserted_by_their_domain(hub: Hub) -> None:
    response = hub.upsert("companies", {"id": "x.com", "idProperty": "domain", "properties": {"name": "X"}})
    assert "non-unique 0-2 property domain" in response.json()["message"]


def test_a_company_is_upserted_by_a_custom_unique_property(hub: Hub) -> None:
    hub.unique_property("companies", "app_key")
    row = {"id": "k1", "idProperty": "app_key", "properties": {"name": "X"}}
    assert hub.upsert("companies", row).json()["results"][0]["new"] is True
    assert hub.upsert("companies", row).json()["results"][0]["new"] is False
    assert hub.ledger["companies"][0]["properties"]["app_key"] == "k1"


def test_a_batch_update_does_not_accept_addresses(hub: Hub) -> None:
    hub.contact("ada@example.com")
    response = hub.objects("contacts/batch/update", {"inputs": [by_email("ada@example.com", firstname="A")]})
    assert response.status_code == 400


def test_a_single_contact_is_read_and_updated_by_address(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    path = "/crm/objects/2026-03/contacts/ada@example.com?idProperty=email"
    assert hub.get(path).json()["id"] == record
    assert hub.request("PATCH", path, {"properties": {"firstname": "Ada"}}).json()["properties"]["firstname"] == "Ada"
    missing = "/crm/objects/2026-03/contacts/bob@example.com?idProperty=email"
    assert hub.request("PATCH", missing, {"properties": {"firstname": "Bob"}}).status_code == 404


def test_a_batch_update_names_missing_records_and_writes_the_others(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    inputs = [{"id": each, "properties": {"firstname": "A"}} for each in (record, "999")]
    response = hub.objects("contacts/batch/update", {"inputs": inputs})
    assert response.status_code == 207
    error = response.json()["errors"][0]
    assert (error["category"], error["context"]["ids"]) == ("OBJECT_NOT_FOUND", ["999"])
    assert hub.ledger["contacts"][0]["properties"]["firstname"] == "A"


def test_a_batch_read_answers_200_or_207_with_the_missing_ids(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    found = hub.objects("contacts/batch/read", {"inputs": [{"id": record}], "properties": ["email"]})
    assert (found.status_code, found.json()["results"][0]["id"]) == (200, record)
    some = hub.objects("contacts/batch/read", {"inputs": [{"id": record}, {"id": "998"}, {"id": "999"}]})
    assert some.status_code == 207
    assert some.json()["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert some.json()["errors"][0]["context"]["ids"] == ["998", "999"]


def test_a_batch_read_by_address_finds_contacts(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    body = {"idProperty": "email", "inputs": [{"id": "ADA@example.com"}], "properties": ["email"]}
    assert hub.objects("contacts/batch/read", body).json()["results"][0]["id"] == record


def test_an_id_of_another_object_type_finds_nothing(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    assert hub.get(f"/crm/objects/2026-03/companies/{record}").status_code == 404


def test_companies_of_the_same_domain_become_twins(hub: Hub) -> None:
    hub.create("companies", domain="x.com")
    hub.create("companies", domain="x.com")
    assert len(hub.ledger["companies"]) == 2


def test_associations_ride_along_on_create_but_not_on_upsert(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]
    row = {
        "properties": {"hs_timestamp": "2026-11-22T10:00:00Z", "hs_note_body": "Hello"},
        "associations": [{"to": {"id": record}, "types": types}],
    }
    assert hub.objects("notes/batch/create", {"inputs": [row]}).status_code == 201
    assert {(each["from_type"], each["to_type"], each["type_id"]) for each in hub.ledger["associations"]} == {
        ("notes", "contacts", 202),
        ("contacts", "notes", 201),
    }
    refused = hub.upsert("contacts", {**by_email("bob@example.com"), "associations": []})
    assert refused.status_code == 400
    assert 'Unrecognized field "associations"' in refused.json()["message"]


@pytest.mark.parametrize("type_id", [201, 190, 99_999])
def test_an_inline_association_of_the_wrong_type_creates_nothing(hub: Hub, type_id: int) -> None:
    record = hub.contact("ada@example.com")
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}]
    associations = [{"to": {"id": record}, "types": types}]
    body = {"properties": {"hs_timestamp": "1798675200000"}, "associations": associations}
    assert hub.objects("notes", body).status_code == 400
    assert hub.ledger["notes"] == []


def test_an_inline_association_to_an_archived_record_creates_nothing(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    assert hub.request("DELETE", f"/crm/objects/2026-03/contacts/{record}").status_code == 204
    types = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]
    associations = [{"to": {"id": record}, "types": types}]
    body = {"properties": {"hs_timestamp": "1798675200000"}, "associations": associations}
    response = hub.objects("notes", body)
    assert (response.status_code, response.json()["category"]) == (400, "OBJECT_NOT_FOUND")
    assert hub.ledger["notes"] == []


def test_an_archived_contact_is_gone_and_its_address_is_free(hub: Hub) -> None:
    record = hub.contact("ada@example.com")
    assert hub.objects("contacts/batch/archive", {"inputs": [{"id": record}]}).status_code == 204
    assert hub.get(f"/crm/objects/2026-03/contacts/{record}").status_code == 404
    assert hub.get(f"/crm/objects/2026-03/contacts/{record}?archived=true").json()["archived"] is True
    assert hub.contact("ada@example.com") != record


@pytest.mark.parametrize(
    "path", ["/", "/crm/v3/objects/contacts", "/crm/objects/2025-01/contacts/1", "/oauth/v1/token"]
)
def test_an_unknown_path_or_version_gets_hubspot_s_404(hub: Hub, path: str) -> None:
    response = hub.get(path)
    assert response.status_code in ((404, 405) if path == "/oauth/v1/token" else (404,))
    assert response.json()["status"] == "error"
    assert response.json()["correlationId"]


def test_a_wrong_method_gets_a_405(hub: Hub) -> None:
    assert hub.request("PUT", "/crm/objects/2026-03/contacts/batch/upsert", {}).status_code == 405


def test_an_unknown_object_type_is_refused(hub: Hub) -> None:
    response = hub.get("/crm/objects/2026-03/unicorns/1")
    assert (response.status_code, response.json()["message"]) == (400, "Unable to infer object type from: unicorns")


def test_two_portals_share_nothing(hub: Hub) -> None:
    other: Portal = hub.hubspot.open_portal()
    record = hub.contact("ada@example.com")
    headers = {"authorization": f"Bearer {other.access_token}"}
    assert hub.client.get(f"/crm/objects/2026-03/contacts/{record}", headers=headers).status_code == 404
    assert hub.hubspot.ledger(other.hub_id)["contacts"] == []


def test_an_update_that_changes_nothing_leaves_no_effect(hub: Hub) -> None:
    hub.upsert("contacts", by_email("ada@example.com", firstname="Ada"))
    hub.upsert("contacts", by_email("ada@example.com", firstname="Ada"))
    hub.upsert("contacts", by_email("ada@example.com", firstname="Augusta"))
    assert [each["effect"] for each in hub.hubspot.effects(hub.portal.hub_id)] == ["created", "updated"]
