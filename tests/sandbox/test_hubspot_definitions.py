"""The emulated properties, pipelines and account-info APIs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.hubspot_client import Hub

PROPERTIES = "/crm/properties/2026-03/contacts"
PROPERTY = {
    "name": "app_key",
    "label": "App key",
    "type": "string",
    "fieldType": "text",
    "groupName": "contactinformation",
}


def test_a_unique_property_is_created_once(hub: Hub) -> None:
    assert hub.get(f"{PROPERTIES}/app_key").status_code == 404
    assert hub.unique_property("contacts", "app_key").status_code == 201
    again = hub.unique_property("contacts", "app_key")
    assert (again.status_code, again.json()["errors"][0]["code"]) == (409, "PROPERTY_EXISTS")
    assert hub.get(f"{PROPERTIES}/app_key").json()["hasUniqueValue"] is True
    assert "app_key" in [each["name"] for each in hub.get(PROPERTIES).json()["results"]]


def test_an_object_has_at_most_ten_unique_properties(hub: Hub) -> None:
    answers = [hub.unique_property("deals", f"key_{number}").status_code for number in range(11)]
    assert answers == [201] * 10 + [400]


@pytest.mark.parametrize(
    "change",
    [
        {"groupName": "nonsense"},
        {"name": "App Key"},
        {"fieldType": "number"},
        {"type": "text"},
        {"type": "enumeration", "fieldType": "select"},
        {"unique": True},
        {"hasUniqueValue": "true"},
    ],
)
def test_a_bad_property_definition_is_refused(hub: Hub, change: dict[str, Any]) -> None:
    assert hub.post(PROPERTIES, {**PROPERTY, **change}).status_code == 400


@pytest.mark.parametrize("need", sorted(PROPERTY))
def test_a_property_definition_needs_all_its_parts(hub: Hub, need: str) -> None:
    assert hub.post(PROPERTIES, {name: value for name, value in PROPERTY.items() if name != need}).status_code == 400


def test_a_property_that_exists_by_default_is_taken(hub: Hub) -> None:
    assert hub.post(PROPERTIES, {**PROPERTY, "name": "email"}).status_code == 409


def test_a_custom_enumeration_knows_its_options(hub: Hub) -> None:
    options = [{"label": "Hot", "value": "hot"}]
    body = {**PROPERTY, "name": "heat", "type": "enumeration", "fieldType": "select", "options": options}
    assert hub.post(PROPERTIES, body).status_code == 201
    assert hub.objects("contacts", {"properties": {"email": "a@example.com", "heat": "cold"}}).status_code == 400
    assert hub.objects("contacts", {"properties": {"email": "a@example.com", "heat": "hot"}}).status_code == 201


@pytest.mark.parametrize("object_type", ["notes", "tasks"])
def test_notes_and_tasks_have_no_unique_properties(hub: Hub, object_type: str) -> None:
    body = {**PROPERTY, "groupName": "engagement"}
    path = f"/crm/properties/2026-03/{object_type}"
    assert hub.post(path, {**body, "hasUniqueValue": True}).status_code == 400
    assert hub.post(path, body).status_code == 201


def test_a_hidden_option_is_marked_and_still_accepted(hub: Hub) -> None:
    options = [{"label": "Hot", "value": "hot"}, {"label": "Lukewarm", "value": "lukewarm", "hidden": True}]
    body = {**PROPERTY, "name": "heat", "type": "enumeration", "fieldType": "select", "options": options}
    listed = hub.post(PROPERTIES, body).json()["options"]
    assert {each["value"]: each["hidden"] for each in listed} == {"hot": False, "lukewarm": True}
    assert hub.objects("contacts", {"properties": {"email": "a@example.com", "heat": "lukewarm"}}).status_code == 201


def test_a_property_that_hubspot_works_out_itself_says_so(hub: Hub) -> None:
    listed = {each["name"]: each for each in hub.get("/crm/properties/2026-03/deals").json()["results"]}
    assert [listed[name]["calculated"] for name in ("hs_is_closed", "dealname")] == [True, False]
    assert listed["hs_is_closed"]["modificationMetadata"]["readOnlyValue"] is True


def test_a_fresh_portal_has_one_pipeline_of_seven_stages(hub: Hub) -> None:
    pipelines = hub.get("/crm/pipelines/2026-03/deals").json()["results"]
    assert [each["id"] for each in pipelines] == ["default"]
    assert [each["id"] for each in pipelines[0]["stages"]] == [
        "appointmentscheduled",
        "qualifiedtobuy",
        "presentationscheduled",
        "decisionmakerboughtin",
        "contractsent",
        "closedwon",
        "closedlost",
    ]


def test_the_account_is_described(hub: Hub) -> None:
    assert hub.get("/account-info/2026-03/details").json()["portalId"] == hub.portal.hub_id
