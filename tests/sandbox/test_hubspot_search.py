"""The emulated search API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clock import Clock
from tests.sandbox.hubspot_client import Hub


def find(hub: Hub, *filters: dict[str, Any], object_type: str = "contacts", **body: Any) -> list[str]:
    response = hub.objects(f"{object_type}/search", {"filterGroups": [{"filters": list(filters)}], **body})
    assert response.status_code == 200, response.text
    return [each["id"] for each in response.json()["results"]]


def by(name: str, operator: str, *values: str) -> dict[str, Any]:
    given: dict[str, Any] = {"propertyName": name, "operator": operator}
    if operator in ("IN", "NOT_IN"):
        return {**given, "values": list(values)}
    return {**given, **dict(zip(("value", "highValue"), values, strict=False))}


@pytest.fixture
def people(hub: Hub, clock: Clock) -> dict[str, str]:
    made = {
        "ada": hub.contact("ada@example.com", firstname="Ada", city="London", hs_lead_status="NEW"),
        "bob": hub.contact("bob@example.com", firstname="Bob", city="Paris"),
        "cyd": hub.contact("cyd@example.org", lastname="Cyd"),
    }
    clock.advance(5)
    return made


def test_the_index_lags_behind_the_writes(hub: Hub, clock: Clock) -> None:
    record = hub.contact("ada@example.com", city="London")
    assert find(hub, by("email", "EQ", "ada@example.com")) == []
    clock.advance(2)
    assert find(hub, by("email", "EQ", "ada@example.com")) == [record]
    hub.request("PATCH", f"/crm/objects/2026-03/contacts/{record}", {"properties": {"city": "Paris"}})
    assert find(hub, by("city", "EQ", "London")) == [record]
    clock.advance(2)
    assert find(hub, by("city", "EQ", "London")) == []
    hub.request("DELETE", f"/crm/objects/2026-03/contacts/{record}")
    assert find(hub, by("city", "EQ", "Paris")) == [record]
    clock.advance(2)
    assert find(hub, by("city", "EQ", "Paris")) == []


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (by("city", "EQ", "london"), ["ada"]),
        (by("city", "NEQ", "London"), ["bob", "cyd"]),
        (by("city", "IN", "london", "paris"), ["ada", "bob"]),
        (by("city", "IN", "London"), []),
        (by("hs_lead_status", "IN", "NEW"), ["ada"]),
        (by("city", "NOT_IN", "london"), ["bob"]),
        (by("city", "HAS_PROPERTY"), ["ada", "bob"]),
        (by("city", "NOT_HAS_PROPERTY"), ["cyd"]),
        (by("email", "CONTAINS_TOKEN", "example"), ["ada", "bob", "cyd"]),
        (by("email", "CONTAINS_TOKEN", "exam"), []),
        (by("email", "CONTAINS_TOKEN", "exam*"), ["ada", "bob", "cyd"]),
        (by("email", "NOT_CONTAINS_TOKEN", "org"), ["ada", "bob"]),
        (by("createdate", "GT", "1"), ["ada", "bob", "cyd"]),
        (by("createdate", "LTE", "1"), []),
        (by("createdate", "BETWEEN", "1", "99999999999999"), ["ada", "bob", "cyd"]),
    ],
)
def test_each_operator_finds_what_it_says(
    hub: Hub, people: dict[str, str], condition: dict[str, Any], expected: list[str]
) -> None:
    assert find(hub, condition) == [people[name] for name in expected]


def test_filters_of_a_group_are_joined_by_and_groups_by_or(hub: Hub, people: dict[str, str]) -> None:
    assert find(hub, by("city", "EQ", "London"), by("firstname", "EQ", "Bob")) == []
    groups = [{"filters": [by("city", "EQ", "London")]}, {"filters": [by("firstname", "EQ", "Bob")]}]
    found = hub.objects("contacts/search", {"filterGroups": groups}).json()
    assert found["total"] == 2


def test_notes_are_found_by_their_contact_and_a_marker(hub: Hub, people: dict[str, str], clock: Clock) -> None:
    note = hub.create("notes", hs_timestamp="1798675200000", hs_note_body="<p>Hello</p><!-- ref:msg-42 -->")
    hub.request("PUT", f"/crm/objects/2026-03/notes/{note}/associations/default/contacts/{people['ada']}")
    clock.advance(5)
    marker = by("hs_note_body", "CONTAINS_TOKEN", "*msg-42*")
    assert find(hub, by("associations.contact", "EQ", people["ada"]), marker, object_type="notes") == [note]
    assert find(hub, by("associations.contact", "EQ", people["bob"]), marker, object_type="notes") == []


def test_results_are_sorted_and_paged(hub: Hub, people: dict[str, str]) -> None:
    body = {"sorts": [{"propertyName": "email", "direction": "DESCENDING"}], "limit": 2}
    first = hub.objects("contacts/search", body).json()
    assert [each["id"] for each in first["results"]] == [people["cyd"], people["bob"]]
    second = hub.objects("contacts/search", {**body, "after": first["paging"]["next"]["after"]}).json()
    assert [each["id"] for each in second["results"]] == [people["ada"]]
    assert "paging" not in second


@pytest.mark.parametrize(
    "body",
    [
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [by("city", "HAS_PROPERTY")] * 7}]},
        {"filterGroups": [{"filters": [by("city", "HAS_PROPERTY")] * 5}] * 4},
        {"limit": 201},
        {"after": "9901", "limit": 100},
        {"sorts": ["email", "city"]},
        {"query": "x" * 3000},
        {"filterGroups": [{"filters": [by("lead_source", "EQ", "x")]}]},
        {"filterGroups": [{"filters": [by("city", "LIKE", "x")]}]},
        {"filterGroups": [{"filters": [by("city", "HAS_PROPERTY", "x")]}]},
        {"filterGroups": [{"filters": [by("city", "EQ")]}]},
        {"filter": []},
    ],
)
def test_a_search_over_a_cap_or_misshapen_is_refused(hub: Hub, body: dict[str, Any]) -> None:
    assert hub.objects("contacts/search", body).status_code == 400
