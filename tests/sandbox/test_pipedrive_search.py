"""Search of the emulated Pipedrive, whose index is behind the writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.pipedrive import Pipedrive
from tests.clock import Clock
from tests.sandbox.pipedrive_client import Acme, error, opened


@pytest.fixture
def acme(clock: Clock) -> Iterator[Acme]:
    with opened(Pipedrive(clock, limits=False)) as acme:
        yield acme


def by_email(acme: Acme, address: str) -> list[int]:
    return acme.found(term=address, fields="email", exact_match="true")


def by_field(acme: Acme, code: str, term: str, **params: Any) -> list[dict[str, Any]]:
    answer = acme.get("/itemSearch/field", term=term, entity_type="person", field=code, **params)
    rows: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
    return rows


def test_a_person_is_found_by_its_exact_address_without_regard_to_case(acme: Acme) -> None:
    ada = acme.person("Ada", "Ada@Example.com")
    acme.person("Eve", "not-ada@example.com")
    assert by_email(acme, "ada@example.COM") == [ada]
    assert by_email(acme, "example.com") == []
    assert acme.found(term="ada", fields="phone", exact_match="true") == []


def test_an_answer_has_scores_items_and_a_cursor(acme: Acme) -> None:
    organization = acme.made("/organizations", name="Acme", address={"value": "Main Street"})["id"]
    code = acme.company.add_field("persons", "Key")
    ada = acme.person("Ada", "ada@example.com", org_id=organization, custom_fields={code: "c-1"})
    document = acme.get("/persons/search", term="ada@example.com", fields="email", exact_match="true").json()
    assert document["success"] is True
    assert document["additional_data"] == {"next_cursor": None}
    [found] = document["data"]["items"]
    assert found["result_score"] == 0.29
    assert found["item"] == {
        "id": ada,
        "type": "person",
        "name": "Ada",
        "emails": ["ada@example.com"],
        "primary_email": "ada@example.com",
        "phones": [],
        "organization": {"id": organization, "name": "Acme", "address": "Main Street"},
        "visible_to": 3,
        "owner": {"id": acme.company.me.id},
        "custom_fields": ["c-1"],
        "notes": [],
    }


def test_several_persons_with_one_address_are_all_found(acme: Acme) -> None:
    people = [acme.person(f"Ada {number}", "ada@example.com") for number in range(3)]
    assert by_email(acme, "ada@example.com") == people
    first = acme.get("/persons/search", term="ada@example.com", limit=2).json()
    cursor = first["additional_data"]["next_cursor"]
    assert acme.found(term="ada@example.com", limit=2, cursor=cursor) == people[2:]


def test_a_part_of_a_name_is_enough_without_exact_match(acme: Acme) -> None:
    ada = acme.person("Ada Lovelace")
    assert acme.found(term="LOVE") == [ada]
    assert acme.found(term="love", fields="email") == []
    assert acme.found(term="love", exact_match="true") == []


def test_the_index_is_behind_the_writes(clock: Clock) -> None:
    with opened(Pipedrive(clock, limits=False, search_lag=5.0)) as acme:
        ada = acme.person("Ada", "ada@example.com")
        assert by_email(acme, "ada@example.com") == []
        clock.advance(5)
        assert by_email(acme, "ada@example.com") == [ada]
        acme.patch(f"/persons/{ada}", emails=[{"value": "new@example.com"}])
        assert (by_email(acme, "ada@example.com"), by_email(acme, "new@example.com")) == ([ada], [])
        clock.advance(5)
        assert (by_email(acme, "ada@example.com"), by_email(acme, "new@example.com")) == ([], [ada])
        acme.delete(f"/persons/{ada}")
        assert by_email(acme, "new@example.com") == [ada]
        clock.advance(5)
        assert by_email(acme, "new@example.com") == []


def test_a_list_is_not_behind(clock: Clock) -> None:
    with opened(Pipedrive(clock, limits=False, search_lag=5.0)) as acme:
        ada = acme.person("Ada")
        assert [each["id"] for each in acme.get("/persons").json()["data"]] == [ada]


def test_a_term_has_two_characters_or_one_for_an_exact_match(acme: Acme) -> None:
    for params in ({"term": "a"}, {"term": ""}, {}, {"term": "", "exact_match": "true"}):
        refused = acme.get("/persons/search", **params)
        assert refused.status_code == 400
        assert "term" in error(refused)
    assert acme.found(term="a", exact_match="true") == []


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/persons/search", {"fields": "emails"}),
        ("/persons/search", {"exact_match": "1"}),
        ("/persons/search", {"status": "open"}),
        ("/persons/search", {"start": 0}),
        ("/persons/search", {"limit": 501}),
        ("/organizations/search", {"fields": "domain"}),
        ("/deals/search", {"status": "deleted"}),
        ("/itemSearch", {"item_types": "contact"}),
    ],
)
def test_an_undocumented_parameter_or_value_is_refused(acme: Acme, path: str, params: dict[str, Any]) -> None:
    assert acme.get(path, term="ada", **params).status_code == 400


def test_organizations_are_found_by_name_and_address(acme: Acme) -> None:
    organization = acme.made("/organizations", name="Acme Ltd", address={"value": "Main Street"})["id"]
    where = "/organizations/search"
    assert acme.found(where, term="acme ltd", fields="name", exact_match="true") == [organization]
    assert acme.found(where, term="acme", fields="name", exact_match="true") == []
    assert acme.found(where, term="main street", fields="address", exact_match="true") == [organization]


def test_persons_and_deals_are_narrowed_by_what_they_belong_to(acme: Acme) -> None:
    first, second = (acme.made("/organizations", name=name)["id"] for name in ("Acme", "Other"))
    ada, other = (acme.person("Ada", org_id=each) for each in (first, second))
    assert acme.found(term="ada", organization_id=second) == [other]
    won = acme.made("/deals", title="Deal with Ada", person_id=ada, status="won")["id"]
    opened_deal = acme.made("/deals", title="Deal with Ada", person_id=ada)["id"]
    assert acme.found("/deals/search", term="deal", person_id=ada) == [won, opened_deal]
    assert acme.found("/deals/search", term="deal", status="open") == [opened_deal]
    assert acme.found("/deals/search", term="deal", person_id=other) == []
    item = acme.get("/deals/search", term="deal", status="won").json()["data"]["items"][0]["item"]
    assert (item["person"], item["stage"]["name"]) == ({"id": ada, "name": "Ada"}, "Qualified")


def test_a_search_over_all_kinds_finds_each(acme: Acme) -> None:
    organization = acme.made("/organizations", name="Lovelace Ltd")["id"]
    person, deal = acme.person("Ada Lovelace"), acme.made("/deals", title="Lovelace")["id"]
    assert sorted(acme.found("/itemSearch", term="lovelace")) == sorted([organization, person, deal])
    assert acme.found("/itemSearch", term="lovelace", item_types="deal,lead") == [deal]


def test_custom_values_are_found(acme: Acme) -> None:
    code = acme.company.add_field("persons", "Key")
    date = acme.company.add_field("persons", "Day", "date")
    ada = acme.person("Ada", custom_fields={code: "key-42", date: "2026-11-23"})
    assert acme.found(term="KEY-42", fields="custom_fields", exact_match="true") == [ada]
    assert acme.found(term="2026-11-23", fields="custom_fields") == []


def test_one_field_is_searched_with_regard_to_case(acme: Acme) -> None:
    code = acme.company.add_field("persons", "Key")
    ada = acme.person("Ada", custom_fields={code: "Key-42"})
    assert by_field(acme, code, "Key-42") == [{"id": ada, code: "Key-42"}]
    assert by_field(acme, code, "key-42") == []
    assert by_field(acme, code, "Key", match="exact") == []
    assert by_field(acme, code, "Key", match="beginning") == [{"id": ada, code: "Key-42"}]
    assert by_field(acme, code, "y-4", match="middle") == [{"id": ada, code: "Key-42"}]


def test_only_texts_and_numbers_of_known_fields_are_searched(acme: Acme) -> None:
    date = acme.company.add_field("persons", "Day", "date")
    for params, status in (
        ({"entity_type": "person", "field": date}, 400),
        ({"entity_type": "person", "field": "0" * 40}, 404),
        ({"entity_type": "contact", "field": date}, 400),
        ({"entity_type": "person"}, 400),
    ):
        assert acme.get("/itemSearch/field", term="key-42", **params).status_code == status
    assert acme.get("/itemSearch/field", term="key", entity_type="lead", field="title").json()["data"] == []


def test_a_person_is_found_by_its_notes(acme: Acme) -> None:
    ada = acme.person("Ada")
    acme.made("/api/v1/notes", content="<p>met in Paris</p>", person_id=ada)
    assert acme.found(term="paris", fields="notes") == [ada]
    assert acme.found(term="paris", fields="name") == []
