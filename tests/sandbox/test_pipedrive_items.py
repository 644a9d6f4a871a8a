"""Persons, organizations, deals and activities of the emulated Pipedrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.pipedrive import Pipedrive
from sandbox.pipedrive.wire import to_cursor
from tests.clock import Clock
from tests.sandbox.pipedrive_client import Acme, error, opened

NOWHERE = 999_999


@pytest.fixture
def acme(clock: Clock) -> Iterator[Acme]:
    with opened(Pipedrive(clock, limits=False)) as acme:
        yield acme


def listed(acme: Acme, path: str, **params: Any) -> list[int]:
    return [each["id"] for each in acme.get(path, **params).raise_for_status().json()["data"]]


def test_a_person_is_created_and_read(acme: Acme) -> None:
    organization = acme.made("/organizations", name="Acme")["id"]
    created = acme.post(
        "/persons",
        name="Ada King Lovelace",
        emails=[{"value": "Ada@Example.com", "primary": True, "label": "work"}, {"value": "ada@home.example"}],
        phones=[{"value": "+44 1", "label": "mobile"}],
        org_id=organization,
    )
    assert created.status_code == 201
    document = created.json()
    assert document["success"] is True
    assert document["additional_data"] is None
    person = document["data"]
    assert (person["first_name"], person["last_name"]) == ("Ada", "King Lovelace")
    assert person["emails"][0] == {"value": "Ada@Example.com", "primary": True, "label": "work"}
    assert person["emails"][1] == {"value": "ada@home.example", "primary": False, "label": "work"}
    assert person["phones"][0]["primary"] is True
    assert (person["org_id"], person["owner_id"], person["is_deleted"]) == (organization, acme.company.me.id, False)
    assert acme.get(f"/persons/{person['id']}").json()["data"] == person


def test_addresses_of_persons_are_not_unique(acme: Acme) -> None:
    assert acme.person("Ada", "ada@example.com") != acme.person("Eve", "ada@example.com")


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("/persons", {}, "name: Parameter 'name' is required"),
        ("/persons", {"name": "  "}, "name: the value must not be empty"),
        ("/persons", {"name": "Ada", "nickname": "A"}, "Parameter 'nickname' is not allowed"),
        ("/persons", {"name": "Ada", "emails": "ada@example.com"}, "emails: Expected 'array'"),
        ("/persons", {"name": "Ada", "emails": ["ada@example.com"]}, "emails[0]: Expected 'object'"),
        ("/persons", {"name": "Ada", "emails": [{"value": ""}]}, "emails[0].value"),
        ("/persons", {"name": "Ada", "emails": [{"value": "a", "primary": "true"}]}, "Expected 'boolean'"),
        ("/persons", {"name": "Ada", "emails": [{"value": "a", "kind": "x"}]}, "'emails[0].kind' is not allowed"),
        ("/persons", {"name": "Ada", "email": "ada@example.com"}, "'email' is not allowed"),
        ("/persons", {"name": "Ada", "org_id": "1"}, "org_id: Expected 'integer'"),
        ("/persons", {"name": "Ada", "org_id": {"value": 1}}, "org_id: Expected 'integer'"),
        ("/persons", {"name": "Ada", "org_id": NOWHERE}, "org_id: organization 999999 not found"),
        ("/persons", {"name": "Ada", "owner_id": NOWHERE}, "owner_id: user 999999 not found"),
        ("/persons", {"name": "Ada", "owner_id": None}, "owner_id: the value must not be null"),
        ("/persons", {"name": "Ada", "visible_to": "3"}, "visible_to"),
        ("/persons", {"name": "Ada", "label_ids": [NOWHERE]}, "there is no label 999999"),
        ("/persons", {"name": "Ada", "first_name": "A"}, "'first_name' is not allowed"),
        ("/persons", {"name": "Ada", "add_time": "2026-01-01T00:00:00.000Z"}, "not a valid datetime"),
        ("/organizations", {}, "name: Parameter 'name' is required"),
        ("/organizations", {"name": "Acme", "address": "Main Street"}, "address: Expected 'object'"),
        ("/organizations", {"name": "Acme", "industry": "Software"}, "industry"),
        ("/organizations", {"name": "Acme", "domain": "acme.test"}, "'domain' is not allowed"),
        ("/deals", {}, "title: Parameter 'title' is required"),
        ("/deals", {"title": "Deal", "value": "12"}, "value: Expected 'number'"),
        ("/deals", {"title": "Deal", "currency": "XXX"}, "currency"),
        ("/deals", {"title": "Deal", "stage_id": 77}, "stage_id"),
        ("/deals", {"title": "Deal", "status": "closed"}, "status: the value must be one of"),
        ("/deals", {"title": "Deal", "lost_reason": "price"}, "lost_reason"),
        ("/deals", {"title": "Deal", "expected_close_date": "2026-02-30"}, "expected_close_date"),
        ("/deals", {"title": "Deal", "expected_close_date": "2026-02-03T00:00:00Z"}, "expected_close_date"),
        ("/deals", {"title": "Deal", "person_id": NOWHERE}, "person_id: person 999999 not found"),
        ("/deals", {"title": "Deal", "probability": 101}, "probability"),
        ("/activities", {"type": "fax"}, "type: the value must be one of"),
        ("/activities", {"person_id": 1}, "'person_id' is not allowed"),
        ("/activities", {"due_date": "tomorrow"}, "due_date"),
        ("/activities", {"due_time": "25:00"}, "due_time"),
        ("/activities", {"done": 1}, "done: Expected 'boolean'"),
        ("/activities", {"participants": [{"person_id": NOWHERE}]}, "participants[0].person_id"),
        ("/activities", {"participants": [NOWHERE]}, "participants[0]: Expected 'object'"),
    ],
)
def test_a_body_that_is_not_right_is_refused_by_name(
    acme: Acme, path: str, body: dict[str, Any], complaint: str
) -> None:
    refused = acme.post(path, **body)
    assert (refused.status_code, refused.json()["code"]) == (400, "ERR_SCHEMA_VALIDATION_FAILED")
    assert complaint in error(refused)
    assert not acme.effects


def test_every_problem_of_a_body_is_named_at_once(acme: Acme) -> None:
    said = error(acme.post("/persons", nickname="A", org_id="1"))
    assert all(name in said for name in ("name:", "nickname:", "org_id:"))


def test_a_body_must_be_a_json_object(acme: Acme) -> None:
    for content, kind, status in (
        (b"{", "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"name": NaN}', "application/json", 400),
        (b"name=Ada", "application/x-www-form-urlencoded", 415),
    ):
        response = acme.client.post("/api/v2/persons", content=content, headers={"content-type": kind})
        assert response.status_code == status
        assert error(response)


@pytest.mark.parametrize("member", ["job_title", "im", "birthday", "notes", "postal_address"])
def test_members_of_contact_sync_are_forbidden_without_it(acme: Acme, member: str) -> None:
    refused = acme.post("/persons", name="Ada", **{member: "x"})
    assert refused.status_code == 403
    assert member in error(refused)


def test_a_patch_changes_what_it_names_and_replaces_lists(acme: Acme, clock: Clock) -> None:
    organization = acme.made("/organizations", name="Acme")["id"]
    person = acme.person("Ada", "ada@example.com", org_id=organization, phones=[{"value": "1"}])
    clock.advance(60)
    changed = acme.patch(f"/persons/{person}", emails=[{"value": "new@example.com"}])
    assert changed.status_code == 200
    document = changed.json()["data"]
    assert [each["value"] for each in document["emails"]] == ["new@example.com"]
    assert (document["name"], document["org_id"], len(document["phones"])) == ("Ada", organization, 1)
    assert document["update_time"] > document["add_time"]
    assert acme.patch(f"/persons/{person}", org_id=None).json()["data"]["org_id"] is None


def test_a_patch_that_changes_nothing_is_no_effect(acme: Acme) -> None:
    person = acme.person("Ada", "ada@example.com")
    assert acme.patch(f"/persons/{person}", name="Ada").status_code == 200
    assert [each["effect"] for each in acme.effects] == ["created"]


def test_a_patch_is_refused_as_a_whole(acme: Acme) -> None:
    person = acme.person("Ada")
    assert acme.patch(f"/persons/{person}", name="Eve", org_id=NOWHERE).status_code == 400
    assert acme.get(f"/persons/{person}").json()["data"]["name"] == "Ada"


def test_put_is_gone(acme: Acme) -> None:
    person = acme.person()
    refused = acme.put(f"/persons/{person}", name="Eve")
    assert refused.status_code == 405
    assert error(refused)


@pytest.mark.parametrize("path", ["persons", "persons/1", "deals", "organizations/1", "activities", "itemSearch"])
def test_the_twins_of_v1_are_gone(acme: Acme, path: str) -> None:
    for prefix in ("/api/v1", "/v1"):
        refused = acme.client.get(f"{prefix}/{path}")
        assert refused.status_code == 410
        assert error(refused)


def test_a_deleted_record_is_not_there_any_more(acme: Acme) -> None:
    person = acme.person()
    deleted = acme.delete(f"/persons/{person}")
    assert (deleted.status_code, deleted.json()["data"]) == (200, {"id": person})
    for response in (
        acme.get(f"/persons/{person}"),
        acme.patch(f"/persons/{person}", name="Eve"),
        acme.delete(f"/persons/{person}"),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "ERR_NOT_FOUND")
        assert error(response) == "Person not found"
    assert listed(acme, "/persons") == []
    assert listed(acme, "/persons", ids=str(person)) == []
    assert error(acme.post("/deals", title="Deal", person_id=person)) == (
        f"Validation failed: person_id: person {person} not found"
    )


def test_an_emulator_can_answer_what_is_gone_the_other_way(clock: Clock) -> None:
    pipedrive = Pipedrive(clock, limits=False, missing_reference_status=404, deleted_readable=True)
    with opened(pipedrive) as acme:
        person = acme.person()
        acme.delete(f"/persons/{person}")
        assert acme.get(f"/persons/{person}").json()["data"]["is_deleted"] is True
        refused = acme.post("/deals", title="Deal", person_id=person)
        assert (refused.status_code, refused.json()["code"]) == (404, "ERR_NOT_FOUND")


def test_an_id_of_another_kind_finds_nothing(acme: Acme) -> None:
    person = acme.person()
    assert acme.get(f"/organizations/{person}").status_code == 404
    assert acme.post("/persons", name="Eve", org_id=person).status_code == 400
    assert acme.get("/persons/abc").status_code == 400


def test_a_list_is_paged_by_an_opaque_cursor(acme: Acme) -> None:
    people = [acme.person(f"Person {number}") for number in range(5)]
    first = acme.get("/persons", limit=2).json()
    assert [each["id"] for each in first["data"]] == people[:2]
    acme.delete(f"/persons/{people[0]}")
    cursor = first["additional_data"]["next_cursor"]
    second = acme.get("/persons", limit=2, cursor=cursor).json()
    assert [each["id"] for each in second["data"]] == people[2:4]
    last = acme.get("/persons", limit=2, cursor=second["additional_data"]["next_cursor"]).json()
    assert [each["id"] for each in last["data"]] == people[4:]
    assert last["additional_data"]["next_cursor"] is None
    forged = to_cursor({"order": "persons id asc", "after": ["one"]})
    assert [acme.get("/persons", cursor=each).status_code for each in ("nonsense", forged)] == [400, 400]
    assert acme.get("/persons", cursor=cursor, sort_by="add_time").status_code == 400


def test_a_list_backwards_is_paged_too(acme: Acme) -> None:
    people = [acme.person(f"Person {number}") for number in range(3)]
    first = acme.get("/persons", limit=2, sort_direction="desc").json()
    assert [each["id"] for each in first["data"]] == [people[2], people[1]]
    cursor = first["additional_data"]["next_cursor"]
    assert listed(acme, "/persons", sort_direction="desc", cursor=cursor) == [people[0]]


def test_a_list_has_a_hundred_rows_and_at_most_five_hundred(acme: Acme) -> None:
    for number in range(101):
        acme.company.create("persons", name=f"Person {number}")
    assert len(listed(acme, "/persons")) == 100
    assert len(listed(acme, "/persons", limit=500)) == 101
    assert acme.get("/persons", limit=501).status_code == 400
    assert acme.get("/persons", limit=0).status_code == 400


def test_a_list_is_filtered_by_ids_links_and_times(acme: Acme, clock: Clock) -> None:
    organization = acme.made("/organizations", name="Acme")["id"]
    ada, eve = acme.person("Ada", org_id=organization), acme.person("Eve")
    deal = acme.made("/deals", title="Deal", person_id=eve)["id"]
    assert listed(acme, "/persons", org_id=organization) == [ada]
    assert listed(acme, "/persons", ids=f"{eve},{NOWHERE},{ada}") == [ada, eve]
    assert listed(acme, "/persons", deal_id=deal) == [eve]
    assert listed(acme, "/persons", owner_id=NOWHERE) == []
    clock.advance(10)
    moment = acme.patch(f"/persons/{ada}", name="Ada L").json()["data"]["update_time"]
    assert listed(acme, "/persons", updated_since=moment) == [ada]
    assert listed(acme, "/persons", updated_until=moment) == [eve]
    assert listed(acme, "/persons", sort_by="update_time") == [eve, ada]
    assert listed(acme, "/persons", sort_by="update_time", sort_direction="desc") == [ada, eve]


@pytest.mark.parametrize(
    "params",
    [
        {"email": "ada@example.com"},
        {"sort_by": "name"},
        {"sort_direction": "up"},
        {"updated_since": "2026-01-01"},
        {"updated_since": "2026-01-01T00:00:00.000Z"},
        {"ids": ",".join(str(number) for number in range(101))},
        {"ids": "abc"},
        {"owner_id": "me"},
        {"start": 0},
        {"filter_id": 1},
        {"include_fields": "everything"},
        {"api_token": "x"},
    ],
)
def test_an_undocumented_parameter_or_value_is_refused(acme: Acme, params: dict[str, Any]) -> None:
    refused = acme.get("/persons", **params)
    assert refused.status_code == 400
    assert next(iter(params)) in error(refused)


def test_a_parameter_given_twice_is_refused(acme: Acme) -> None:
    assert acme.client.get("/api/v2/persons?limit=1&limit=2").status_code == 400
    assert acme.client.post("/api/v2/persons?limit=1", json={"name": "Ada"}).status_code == 400


def test_further_fields_come_when_they_are_asked_for(acme: Acme) -> None:
    person = acme.person()
    acme.made("/api/v1/notes", content="Hello", person_id=person)
    acme.made("/deals", title="Deal", person_id=person, status="won")
    asked = "notes_count,open_deals_count,won_deals_count,next_activity_id"
    document = acme.get(f"/persons/{person}", include_fields=asked).json()["data"]
    assert [document[each] for each in asked.split(",")] == [1, 0, 1, None]
    assert "notes_count" not in acme.get(f"/persons/{person}").json()["data"]


def test_what_an_organization_does_is_answered_on_request_only(acme: Acme) -> None:
    created = acme.made("/organizations", name="Acme", website="https://acme.example", employee_count=12)
    assert "website" not in created
    where = f"/organizations/{created['id']}"
    assert "website" not in acme.get(where).json()["data"]
    document = acme.get(where, include_fields="website,employee_count").json()["data"]
    assert (document["website"], document["employee_count"]) == ("https://acme.example", 12)
    assert "industry" not in document
    assert acme.ledger["organizations"][0]["website"] == "https://acme.example"


def test_a_record_can_be_older_than_its_entry(acme: Acme) -> None:
    person = acme.made("/persons", name="Ada", add_time="2020-01-02T03:04:05+01:00")
    assert person["add_time"] == "2020-01-02T02:04:05Z"
    assert person["update_time"] > person["add_time"]
    note = acme.made("/api/v1/notes", content="x", person_id=person["id"], add_time="2020-01-02 03:04:05")
    assert note["add_time"] == "2020-01-02 03:04:05"
    wrong = acme.post("/api/v1/notes", content="x", person_id=person["id"], add_time="2020-01-02T03:04:05Z")
    assert wrong.status_code == 400
