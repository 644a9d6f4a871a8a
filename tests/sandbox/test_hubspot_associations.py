"""The emulated associations API."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sandbox.hubspot import HubSpot
from sandbox.server import serve
from tests.sandbox.hubspot_client import Hub

BATCH = "/crm/associations/2026-03/{}/{}/batch/{}"


@pytest.fixture
def ends(hub: Hub) -> tuple[str, str]:
    return hub.contact("ada@example.com"), hub.create("companies", name="X")


def default(hub: Hub, start: str, end: str, *pairs: tuple[str, str]) -> httpx.Response:
    inputs = [{"from": {"id": one}, "to": {"id": other}} for one, other in pairs]
    return hub.post(BATCH.format(start, end, "associate/default"), {"inputs": inputs})


def types(hub: Hub, start: str, end: str) -> list[tuple[str, str, int]]:
    return sorted(
        (each["from_id"], each["to_id"], each["type_id"])
        for each in hub.ledger["associations"]
        if (each["from_type"], each["to_type"]) == (start, end)
    )


def read(hub: Hub, start: str, end: str, *inputs: dict[str, str]) -> httpx.Response:
    return hub.post(BATCH.format(start, end, "read"), {"inputs": list(inputs)})


def test_a_default_association_is_visible_from_both_ends(hub: Hub, ends: tuple[str, str]) -> None:
    contact, company = ends
    assert default(hub, "contacts", "companies", ends).status_code == 200
    assert types(hub, "contacts", "companies") == [(contact, company, 279)]
    assert types(hub, "companies", "contacts") == [(company, contact, 280)]
    found = read(hub, "companies", "contacts", {"id": company}).json()["results"][0]
    assert found["from"] == {"id": company}
    assert found["to"] == [
        {
            "toObjectId": contact,
            "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": 280, "label": None}],
        }
    ]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [("deals", "contacts", 3), ("contacts", "deals", 4), ("deals", "companies", 341), ("notes", "companies", 190)],
)
def test_each_pair_has_its_default_type(hub: Hub, start: str, end: str, expected: int) -> None:
    made = {
        "contacts": lambda: hub.contact("ada@example.com"),
        "companies": lambda: hub.create("companies", name="X"),
        "deals": lambda: hub.create("deals", dealname="A", dealstage="closedwon"),
        "notes": lambda: hub.create("notes", hs_timestamp="1798675200000"),
    }
    pair = (made[start](), made[end]())
    default(hub, start, end, pair)
    assert types(hub, start, end) == [(*pair, expected)]


def test_associating_twice_changes_nothing(hub: Hub, ends: tuple[str, str]) -> None:
    default(hub, "contacts", "companies", ends)
    before = (hub.ledger["associations"], len(hub.hubspot.effects(hub.portal.hub_id)))
    assert default(hub, "contacts", "companies", ends).status_code == 200
    assert (hub.ledger["associations"], len(hub.hubspot.effects(hub.portal.hub_id))) == before


def test_an_association_to_a_missing_record_is_an_error_beside_the_others(hub: Hub, ends: tuple[str, str]) -> None:
    response = default(hub, "contacts", "companies", ends, (ends[0], "999"))
    assert (response.status_code, response.json()["numErrors"]) == (207, 1)
    assert response.json()["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert response.json()["errors"][0]["context"] == {"toObjectId": ["999"]}
    assert len(types(hub, "contacts", "companies")) == 1


def test_more_than_2000_pairs_are_refused(hub: Hub, ends: tuple[str, str]) -> None:
    assert default(hub, "contacts", "companies", *[ends] * 2000).status_code == 200
    assert default(hub, "contacts", "companies", *[ends] * 2001).status_code == 400


def test_numeric_ids_are_refused(hub: Hub) -> None:
    body = {"inputs": [{"from": {"id": 1}, "to": {"id": 2}}]}
    assert hub.post(BATCH.format("contacts", "companies", "associate/default"), body).status_code == 400


def test_type_1_replaces_the_primary_company_and_keeps_the_plain_association(hub: Hub) -> None:
    contact = hub.contact("ada@example.com")
    one, two = hub.create("companies", name="One"), hub.create("companies", name="Two")
    for company in (one, two):
        spec = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]
        path = f"/crm/objects/2026-03/contacts/{contact}/associations/companies/{company}"
        response = hub.request("PUT", path, spec)
        assert (response.status_code, response.json()["labels"]) == (201, ["Primary"])
    assert types(hub, "contacts", "companies") == [(contact, one, 279), (contact, two, 1), (contact, two, 279)]
    assert types(hub, "companies", "contacts") == [(one, contact, 280), (two, contact, 2), (two, contact, 280)]


def test_a_default_association_leaves_the_primary_company_alone(hub: Hub) -> None:
    contact = hub.contact("ada@example.com")
    one, two = hub.create("companies", name="One"), hub.create("companies", name="Two")
    spec = [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 1}]
    hub.request("PUT", f"/crm/objects/2026-03/contacts/{contact}/associations/companies/{one}", spec)
    hub.request("PUT", f"/crm/objects/2026-03/contacts/{contact}/associations/default/companies/{two}")
    assert (contact, one, 1) in types(hub, "contacts", "companies")
    assert (contact, two, 279) in types(hub, "contacts", "companies")


@pytest.mark.parametrize(
    ("category", "type_id"), [("HUBSPOT_DEFINED", 280), ("HUBSPOT_DEFINED", 3), ("USER_DEFINED", 279)]
)
def test_a_type_of_another_direction_is_refused(hub: Hub, ends: tuple[str, str], category: str, type_id: int) -> None:
    types_given = [{"associationCategory": category, "associationTypeId": type_id}]
    row = {"from": {"id": ends[0]}, "to": {"id": ends[1]}, "types": types_given}
    response = hub.post(BATCH.format("contacts", "companies", "create"), {"inputs": [row]})
    assert response.status_code == 400
    assert hub.ledger["associations"] == []


def test_a_labelled_put_takes_an_array(hub: Hub, ends: tuple[str, str]) -> None:
    path = f"/crm/objects/2026-03/contacts/{ends[0]}/associations/companies/{ends[1]}"
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 279}
    assert hub.request("PUT", path, spec).status_code == 400
    assert hub.request("PUT", path, [spec]).status_code == 201


def test_reading_where_there_is_none_is_an_error_row(hub: Hub, ends: tuple[str, str]) -> None:
    response = read(hub, "contacts", "companies", {"id": ends[0]})
    assert (response.status_code, response.json()["results"]) == (207, [])
    assert response.json()["errors"][0]["subCategory"] == "crm.associations.NO_ASSOCIATIONS_FOUND"
    assert response.json()["errors"][0]["context"]["fromObjectId"] == [ends[0]]


def test_more_than_1000_reads_are_refused(hub: Hub) -> None:
    assert read(hub, "contacts", "companies", *[{"id": "1"}] * 1001).status_code == 400


def test_long_lists_of_associations_come_in_pages() -> None:
    hubspot = HubSpot(association_page=2)
    with serve(hubspot.app) as server, Hub(server.url, hubspot, hubspot.open_portal()) as hub:
        company = hub.create("companies", name="X")
        contacts = [hub.contact(f"p{number}@example.com") for number in range(5)]
        default(hub, "companies", "contacts", *[(company, contact) for contact in contacts])
        seen: list[str] = []
        request: dict[str, Any] = {"id": company}
        sizes = []
        while True:
            result = read(hub, "companies", "contacts", request).json()["results"][0]
            sizes.append(len(result["to"]))
            seen += [each["toObjectId"] for each in result["to"]]
            if "paging" not in result:
                break
            request["after"] = result["paging"]["next"]["after"]
    assert (sizes, seen) == ([2, 2, 1], contacts)


def test_archiving_an_association_ends_it_at_both_ends(hub: Hub, ends: tuple[str, str]) -> None:
    default(hub, "contacts", "companies", ends)
    body = {"inputs": [{"from": {"id": ends[0]}, "to": [{"id": ends[1]}]}]}
    assert hub.post(BATCH.format("contacts", "companies", "archive"), body).status_code == 204
    assert hub.ledger["associations"] == []


def test_archiving_a_record_ends_its_associations(hub: Hub, ends: tuple[str, str]) -> None:
    default(hub, "contacts", "companies", ends)
    hub.request("DELETE", f"/crm/objects/2026-03/companies/{ends[1]}")
    assert hub.ledger["associations"] == []
