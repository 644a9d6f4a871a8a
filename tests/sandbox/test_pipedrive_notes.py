"""Notes of the emulated Pipedrive, which are still of v1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.pipedrive import Pipedrive
from tests.clock import Clock
from tests.sandbox.pipedrive_client import Acme, error, opened

NOTES = "/api/v1/notes"


@pytest.fixture
def acme(clock: Clock) -> Iterator[Acme]:
    with opened(Pipedrive(clock, limits=False)) as acme:
        yield acme


def ids(acme: Acme, **params: Any) -> list[int]:
    return [each["id"] for each in acme.get(NOTES, **params).raise_for_status().json()["data"] or []]


def test_a_note_is_created_and_read_with_the_names_of_what_it_belongs_to(acme: Acme) -> None:
    person = acme.person("Ada")
    organization = acme.made("/organizations", name="Acme")["id"]
    deal = acme.made("/deals", title="Deal")["id"]
    created = acme.post(
        NOTES, content="<b>Hello</b>", person_id=person, org_id=organization, deal_id=deal, pinned_to_person_flag=1
    )
    assert created.status_code == 201
    note = created.json()["data"]
    assert (note["person"], note["organization"], note["deal"]) == (
        {"name": "Ada"},
        {"name": "Acme"},
        {"title": "Deal"},
    )
    assert (note["content"], note["active_flag"], note["pinned_to_person_flag"]) == ("<b>Hello</b>", True, 1)
    assert "T" not in note["add_time"]
    assert acme.get(f"{NOTES}/{note['id']}").json()["data"] == note
    assert acme.get(f"/v1/notes/{note['id']}").json()["data"] == note


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"content": "x"}, "a note needs one of"),
        ({"person_id": None, "content": "x"}, "a note needs one of"),
        ({"content": "x", "person_id": 999_999}, "person 999999 not found"),
        ({"content": "x", "lead_id": "no-lead"}, "lead no-lead not found"),
        ({"content": "x", "person_id": "1"}, "person_id: Expected 'integer'"),
        ({"content": "x", "pinned_to_person_flag": True}, "pinned_to_person_flag"),
        ({"content": "x", "text": "y"}, "'text' is not allowed"),
    ],
)
def test_a_note_that_is_not_right_is_refused(acme: Acme, body: dict[str, Any], complaint: str) -> None:
    refused = acme.post(NOTES, **body)
    assert refused.status_code == 400
    assert complaint in error(refused)


def test_a_note_has_content_of_at_most_a_hundred_thousand_characters(acme: Acme) -> None:
    person = acme.person()
    assert acme.post(NOTES, person_id=person).status_code == 400
    assert acme.post(NOTES, person_id=person, content=" ").status_code == 400
    assert acme.post(NOTES, person_id=person, content="x" * 100_001).status_code == 400
    assert acme.post(NOTES, person_id=person, content="x" * 100_000).status_code == 201


def test_a_note_of_a_deleted_person_is_refused(acme: Acme) -> None:
    person = acme.person()
    acme.delete(f"/persons/{person}")
    assert acme.post(NOTES, content="x", person_id=person).status_code == 400


def test_a_note_is_changed_by_put_and_deleted(acme: Acme) -> None:
    note = acme.made(NOTES, content="x", person_id=acme.person())["id"]
    assert acme.put(f"{NOTES}/{note}", content="y").json()["data"]["content"] == "y"
    assert acme.patch(f"{NOTES}/{note}", content="z").status_code == 405
    assert acme.put(f"{NOTES}/{note}", person_id=None).status_code == 400
    assert acme.delete(f"{NOTES}/{note}").json()["data"] is True
    for response in (
        acme.get(f"{NOTES}/{note}"),
        acme.put(f"{NOTES}/{note}", content="z"),
        acme.delete(f"{NOTES}/{note}"),
    ):
        assert response.status_code == 404
        assert error(response) == "Note not found"


def test_notes_are_listed_by_what_they_belong_to(acme: Acme) -> None:
    ada, eve = acme.person("Ada"), acme.person("Eve")
    first, second, third = (acme.made(NOTES, content="x", person_id=each)["id"] for each in (ada, ada, eve))
    assert ids(acme, person_id=ada) == [first, second]
    assert ids(acme, person_id=eve) == [third]
    assert ids(acme, sort="person_id DESC, id DESC") == [third, second, first]
    assert ids(acme, sort="add_time DESC,id ASC") == [first, second, third]
    acme.delete(f"{NOTES}/{first}")
    assert ids(acme) == [second, third]


def test_notes_are_paged_from_a_start(acme: Acme) -> None:
    person = acme.person()
    notes = [acme.made(NOTES, content=str(number), person_id=person)["id"] for number in range(3)]
    first = acme.get(NOTES, limit=2).json()
    assert [each["id"] for each in first["data"]] == notes[:2]
    assert first["additional_data"]["pagination"] == {
        "start": 0,
        "limit": 2,
        "more_items_in_collection": True,
        "next_start": 2,
    }
    last = acme.get(NOTES, limit=2, start=2).json()
    assert [each["id"] for each in last["data"]] == notes[2:]
    assert last["additional_data"]["pagination"]["more_items_in_collection"] is False


def test_a_list_without_notes_has_no_list(acme: Acme) -> None:
    assert acme.get(NOTES, person_id=acme.person()).json()["data"] is None


def test_notes_are_listed_by_time(acme: Acme, clock: Clock) -> None:
    person = acme.person()
    old = acme.made(NOTES, content="x", person_id=person)
    clock.advance(2 * 86_400)
    acme.client.headers["authorization"] = f"Bearer {acme.refresh().json()['access_token']}"
    new = acme.made(NOTES, content="x", person_id=person)
    assert ids(acme, start_date=new["add_time"][:10]) == [new["id"]]
    assert ids(acme, end_date=old["add_time"][:10]) == [old["id"]]
    since = new["add_time"].replace(" ", "T") + "Z"
    assert ids(acme, updated_since=since) == [new["id"]]


@pytest.mark.parametrize(
    "params",
    [{"cursor": "x"}, {"sort": "name ASC"}, {"sort": "id UP"}, {"start_date": "x"}, {"person": 1}, {"limit": 501}],
)
def test_an_undocumented_parameter_or_value_is_refused(acme: Acme, params: dict[str, Any]) -> None:
    assert acme.get(NOTES, **params).status_code == 400
