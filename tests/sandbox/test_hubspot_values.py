"""What the emulated HubSpot refuses to store: values and bodies."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.sandbox.hubspot_client import Hub, by_email, code

LEAD_STATUSES = "NEW, OPEN, IN_PROGRESS, OPEN_DEAL, UNQUALIFIED, ATTEMPTED_TO_CONTACT, CONNECTED, BAD_TIMING"


@pytest.mark.parametrize("value", [1, 1.5, True, ["x"], {"x": "y"}])
def test_a_property_value_that_is_not_text_is_refused(hub: Hub, value: object) -> None:
    response = hub.upsert("contacts", by_email("ada@example.com", "1", firstname=value))
    assert response.status_code == 400
    assert response.json()["message"].startswith("Invalid input JSON on line 1, column ")


def test_null_and_the_empty_text_clear_a_property(hub: Hub) -> None:
    hub.upsert("contacts", by_email("ada@example.com", firstname="Ada", lastname="Lovelace", city="London"))
    hub.upsert("contacts", by_email("ada@example.com", firstname=None, lastname=""))
    held = hub.ledger["contacts"][0]["properties"]
    assert "firstname" not in held
    assert "lastname" not in held
    assert held["city"] == "London"


def test_lead_source_is_not_a_contact_property(hub: Hub) -> None:
    response = hub.upsert("contacts", by_email("ada@example.com", lead_source="Email Campaign"))
    assert (response.status_code, code(response)) == (400, "PROPERTY_DOESNT_EXIST")


@pytest.mark.parametrize("status", ["QUALIFIED", "CONTACTED", "new"])
def test_a_lead_status_of_an_older_tutorial_is_refused_with_the_allowed_ones(hub: Hub, status: str) -> None:
    response = hub.upsert("contacts", by_email("ada@example.com", hs_lead_status=status))
    assert (response.status_code, code(response)) == (400, "INVALID_OPTION")
    assert f"{status} was not one of the allowed options: [{LEAD_STATUSES}]" in response.json()["message"]


@pytest.mark.parametrize("status", LEAD_STATUSES.split(", "))
def test_each_documented_lead_status_is_accepted(hub: Hub, status: str) -> None:
    assert hub.upsert("contacts", by_email("ada@example.com", hs_lead_status=status)).status_code == 200


@pytest.mark.parametrize("email", ["ada", "ada@", "@example.com", "a b@example.com", "ada@example", "a@b@c.de"])
def test_a_malformed_address_is_refused(hub: Hub, email: str) -> None:
    response = hub.upsert("contacts", by_email(email, firstname="Ada"))
    assert (response.status_code, code(response)) == (400, "INVALID_EMAIL")


def test_a_company_of_unknown_industry_is_refused_and_a_contact_s_industry_is_free_text(hub: Hub) -> None:
    refused = hub.objects("companies/batch/create", {"inputs": [{"properties": {"name": "X", "industry": "Unknown"}}]})
    assert (refused.status_code, code(refused)) == (400, "INVALID_OPTION")
    known = {"inputs": [{"properties": {"name": "X", "industry": "COMPUTER_SOFTWARE"}}]}
    assert hub.objects("companies/batch/create", known).status_code == 201
    assert hub.upsert("contacts", by_email("ada@example.com", industry="Unknown")).status_code == 200


def test_a_life_cycle_does_not_move_backwards_unless_it_is_cleared_first(hub: Hub) -> None:
    record = hub.contact("ada@example.com", lifecyclestage="opportunity")
    path = f"/crm/objects/2026-03/contacts/{record}"
    assert hub.request("PATCH", path, {"properties": {"lifecyclestage": "lead"}}).status_code == 200
    assert hub.ledger["contacts"][0]["properties"]["lifecyclestage"] == "opportunity"
    hub.request("PATCH", path, {"properties": {"lifecyclestage": ""}})
    hub.request("PATCH", path, {"properties": {"lifecyclestage": "lead"}})
    assert hub.ledger["contacts"][0]["properties"]["lifecyclestage"] == "lead"


@pytest.mark.parametrize("need", ["dealname", "dealstage"])
def test_a_deal_needs_a_name_and_a_stage(hub: Hub, need: str) -> None:
    properties = {"dealname": "A", "dealstage": "closedwon"}
    del properties[need]
    response = hub.objects("deals", {"properties": properties})
    assert response.status_code == 400
    assert response.json()["context"]["properties"] == [need]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("dealstage", "won", "INVALID_OPTION"),
        ("pipeline", "other", "INVALID_OPTION"),
        ("amount", "about 1000", "INVALID_NUMBER"),
        ("amount", "1,000", "INVALID_NUMBER"),
        ("closedate", "soon", "INVALID_LONG"),
        ("closedate", "2026-12-31", "INVALID_LONG"),
        ("closedate", "2026-13-31T00:00:00Z", "INVALID_LONG"),
        ("createdate", "2026-12-31T00:00:00Z", "READ_ONLY_VALUE"),
        ("hs_is_closed", "true", "READ_ONLY_VALUE"),
        ("hubspot_owner_id", "1", "INVALID_OPTION"),
    ],
)
def test_a_deal_s_invalid_value_is_refused(hub: Hub, name: str, value: str, expected: str) -> None:
    properties = {"dealname": "A", "dealstage": "closedwon", name: value}
    response = hub.objects("deals", {"properties": properties})
    assert (response.status_code, code(response)) == (400, expected)


@pytest.mark.parametrize("moment", ["2026-12-31T00:00:00Z", "1798675200000", "2026-12-31T01:00:00.000+01:00"])
def test_a_close_date_is_kept_as_a_moment(hub: Hub, moment: str) -> None:
    hub.create("deals", dealname="A", dealstage="closedwon", closedate=moment, amount="1000.50")
    held = hub.ledger["deals"][0]["properties"]
    assert (held["closedate"], held["amount"]) == ("2026-12-31T00:00:00.000Z", "1000.50")
    assert (held["pipeline"], held["hs_is_closed"]) == ("default", "true")


def test_a_company_needs_a_name_or_a_domain(hub: Hub) -> None:
    assert hub.objects("companies", {"properties": {"city": "Paris"}}).status_code == 400
    assert hub.objects("companies", {"properties": {"domain": "x.com"}}).status_code == 201


def test_a_note_needs_its_moment(hub: Hub) -> None:
    assert hub.objects("notes", {"properties": {"hs_note_body": "Hello"}}).status_code == 400


def test_a_note_has_at_most_65536_characters(hub: Hub) -> None:
    def note(size: int) -> httpx.Response:
        return hub.objects("notes", {"properties": {"hs_timestamp": "1798675200000", "hs_note_body": "x" * size}})

    assert note(65_536).status_code == 201
    assert note(65_537).status_code == 400


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"idProperty": "email", "properties": {}}, "some of required attributes are not set [id]"),
        ({"id": "a@b.de", "idProperty": "email"}, "some of required attributes are not set [properties]"),
        ({"id": 1, "properties": {}}, "Cannot deserialize value of type `java.lang.String`"),
        ({"id": "1", "properties": {}, "lead_source": "x"}, 'Unrecognized field "lead_source"'),
        ("a@b.de", "Cannot deserialize value"),
    ],
)
def test_a_misshapen_input_is_refused_whatever_its_trace_id(hub: Hub, row: Any, told: str) -> None:
    response = hub.upsert("contacts", row)
    assert response.status_code == 400
    assert response.json()["message"].startswith("Invalid input JSON on line ")
    assert told in response.json()["message"]
    assert "correlationId" in response.json()


@pytest.mark.parametrize("raw", [b"{", b"", b"\xff", b"[]", b"[" * 100_000])
def test_a_body_that_is_not_a_json_object_is_refused(hub: Hub, raw: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = hub.client.post("/crm/objects/2026-03/contacts/batch/upsert", content=raw, headers=headers)
    assert response.status_code == 400
    assert response.json()["message"].startswith("Invalid input JSON")


def test_a_refusal_points_at_the_line_of_the_fault(hub: Hub) -> None:
    raw = json.dumps({"inputs": [{"id": "1", "properties": {}, "extra": 1}]}, indent=1)
    headers = {"content-type": "application/json"}
    response = hub.client.post("/crm/objects/2026-03/contacts/batch/upsert", content=raw, headers=headers)
    assert response.json()["message"].startswith("Invalid input JSON on line 6, column 4:")


def test_a_body_of_another_content_type_is_refused(hub: Hub) -> None:
    assert hub.client.post("/crm/objects/2026-03/contacts/batch/upsert", data={"a": "b"}).status_code == 415
