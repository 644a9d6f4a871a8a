"""The emulated task list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.hubspot_client import Hub, code

TASK = {
    "hs_timestamp": "2026-11-22T10:00:00Z",
    "hs_task_subject": "Reply",
    "hs_task_body": "Soon",
    "hs_task_status": "NOT_STARTED",
    "hs_task_priority": "MEDIUM",
    "hs_task_type": "TODO",
}


def to(record_id: str, type_id: int) -> dict[str, Any]:
    return {
        "to": {"id": record_id},
        "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}],
    }


def test_a_task_hangs_on_its_contact_and_its_company(hub: Hub) -> None:
    ada, engines = hub.contact("ada@example.com"), hub.create("companies", name="Engines")
    deal = hub.create("deals", dealname="Deal", dealstage="closedwon")
    row = {"properties": TASK, "associations": [to(ada, 204), to(engines, 192), to(deal, 216)]}
    [made] = hub.objects("tasks/batch/create", {"inputs": [row]}).raise_for_status().json()["results"]
    assert made["properties"]["hs_timestamp"] == "2026-11-22T10:00:00.000Z"
    types = {(each["from_type"], each["to_type"]): each["type_id"] for each in hub.ledger["associations"]}
    assert types == {
        ("tasks", "contacts"): 204,
        ("contacts", "tasks"): 203,
        ("tasks", "companies"): 192,
        ("companies", "tasks"): 191,
        ("tasks", "deals"): 216,
        ("deals", "tasks"): 215,
    }
    assert [each["properties"]["hs_task_subject"] for each in hub.ledger["tasks"]] == ["Reply"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hs_task_status", "DONE"),
        ("hs_task_priority", "URGENT"),
        ("hs_task_type", "NOTE"),
        ("hs_task_body", "x" * 65_537),
    ],
)
def test_a_task_takes_no_other_values(hub: Hub, name: str, value: str) -> None:
    refused = hub.objects("tasks", {"properties": {**TASK, name: value}})
    assert refused.status_code == 400
    assert code(refused) in {"INVALID_OPTION", "PROPERTY_TOO_LONG"}


def test_a_task_needs_a_time(hub: Hub) -> None:
    body = {"properties": {name: value for name, value in TASK.items() if name != "hs_timestamp"}}
    assert hub.objects("tasks", body).status_code == 400


def test_a_task_does_not_hang_on_what_is_gone_or_by_a_notes_type(hub: Hub) -> None:
    ada = hub.contact("ada@example.com")
    for association in (to("999", 204), to(ada, 202)):
        body = {"inputs": [{"properties": TASK, "associations": [association]}]}
        assert hub.objects("tasks/batch/create", body).status_code == 400
    assert hub.ledger["tasks"] == []


def test_tasks_are_written_under_the_contacts_scope(hub: Hub) -> None:
    hub.portal.scopes = ("crm.objects.contacts.read",)
    assert hub.objects("tasks", {"properties": TASK}).status_code == 403
    hub.portal.scopes = ("crm.objects.contacts.write",)
    assert hub.objects("tasks", {"properties": TASK}).status_code == 201
