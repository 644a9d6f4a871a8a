"""Fields, custom values, pipelines, stages, activity types and users of the emulated Pipedrive."""

from __future__ import annotations

import re
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


def field(acme: Acme, field_type: str, path: str = "/personFields", **body: Any) -> dict[str, Any]:
    return acme.made(path, field_name="Our field", field_type=field_type, **body)


def held(acme: Acme, person: int, code: str) -> Any:
    return acme.get(f"/persons/{person}").json()["data"]["custom_fields"][code]


@pytest.mark.parametrize("path", ["/personFields", "/organizationFields", "/dealFields"])
def test_a_custom_field_is_created_under_a_code_of_forty_hex_digits(acme: Acme, path: str) -> None:
    created = acme.post(path, field_name="Our key", field_type="varchar")
    assert created.status_code == 201
    document = created.json()["data"]
    assert re.fullmatch(r"[0-9a-f]{40}", document["field_code"])
    assert (document["field_name"], document["is_custom_field"], document["options"]) == ("Our key", True, None)
    assert document in acme.get(path).json()["data"]
    assert acme.get(f"{path}/{document['field_code']}").json()["data"] == document
    twin = acme.post(path, field_name="Our key", field_type="varchar").json()["data"]
    assert twin["field_code"] != document["field_code"]


def test_standard_fields_are_listed_page_by_page(acme: Acme) -> None:
    first = acme.get("/personFields", limit=3).json()
    codes = [each["field_code"] for each in first["data"]]
    cursor = first["additional_data"]["next_cursor"]
    while cursor:
        following = acme.get("/personFields", limit=3, cursor=cursor).json()
        codes += [each["field_code"] for each in following["data"]]
        cursor = following["additional_data"]["next_cursor"]
    assert {"name", "emails", "phones", "org_id", "owner_id", "label_ids"} <= set(codes)
    assert len(codes) == len(set(codes))
    assert acme.get("/personFields/nothing").status_code == 404
    types = acme.get("/activityFields").json()["data"]
    assert any(each["label"] == "Call" for code in types if code["field_code"] == "type" for each in code["options"])


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"field_type": "varchar"}, "field_name"),
        ({"field_name": " ", "field_type": "varchar"}, "field_name"),
        ({"field_name": "Key", "field_type": "string"}, "field_type"),
        ({"field_name": "Key", "field_type": "enum"}, "options"),
        ({"field_name": "Key", "field_type": "enum", "options": ["a"]}, "options"),
        ({"field_name": "Key", "field_type": "varchar", "options": [{"label": "a"}]}, "options"),
        ({"name": "Key", "field_name": "Key", "field_type": "varchar"}, "'name' is not allowed"),
    ],
)
def test_a_field_that_is_not_right_is_refused(acme: Acme, body: dict[str, Any], complaint: str) -> None:
    refused = acme.post("/personFields", **body)
    assert refused.status_code == 400
    assert complaint in error(refused)


@pytest.mark.parametrize(
    ("field_type", "good", "bad"),
    [
        ("varchar", "c-1", 1),
        ("varchar", "x" * 255, "x" * 256),
        ("text", "x" * 1000, ["x"]),
        ("double", 1.5, "1.5"),
        ("date", "2026-11-23", "2026-13-01"),
        ("phone", "+44", 44),
        ("time", {"value": "10:00"}, "10:00"),
        ("daterange", {"value": "2026-01-01", "until": "2026-01-02"}, {"value": "2026-01-01", "to": "2026-01-02"}),
        ("monetary", {"value": 5, "currency": "EUR"}, 5),
        ("monetary", {"value": 5.5, "currency": "USD"}, {"value": "5", "currency": "USD"}),
        ("people", None, 5),
        ("user", None, "Olga"),
    ],
)
def test_a_custom_value_has_the_type_of_its_field(acme: Acme, field_type: str, good: Any, bad: Any) -> None:
    code = field(acme, field_type)["field_code"]
    person = acme.person(custom_fields={code: good})
    assert held(acme, person, code) == good
    refused = acme.patch(f"/persons/{person}", custom_fields={code: bad})
    assert refused.status_code == 400
    assert code in error(refused)
    assert acme.patch(f"/persons/{person}", custom_fields={code: None}).status_code == 200
    assert held(acme, person, code) is None


def test_options_are_written_by_their_number(acme: Acme) -> None:
    document = field(acme, "enum", options=[{"label": "Gold"}, {"label": "Silver"}])
    code, (gold, silver) = document["field_code"], [each["id"] for each in document["options"]]
    assert gold != silver
    person = acme.person(custom_fields={code: gold})
    assert held(acme, person, code) == gold
    labelled = acme.get(f"/persons/{person}", include_option_labels="true").json()["data"]["custom_fields"][code]
    assert labelled == {"id": gold, "label": "Gold"}
    said = error(acme.patch(f"/persons/{person}", custom_fields={code: "Gold"}))
    assert "Expected 'number' as value for single option custom field" in said
    unknown = acme.patch(f"/persons/{person}", custom_fields={code: 5})
    assert f"it has {gold}, {silver}" in error(unknown)


def test_several_options_are_written_as_a_list(acme: Acme) -> None:
    document = field(acme, "set", options=[{"label": "AI"}, {"label": "CRM"}])
    code, ids = document["field_code"], [each["id"] for each in document["options"]]
    person = acme.person(custom_fields={code: ids})
    assert held(acme, person, code) == ids
    assert acme.patch(f"/persons/{person}", custom_fields={code: ids[0]}).status_code == 400
    assert acme.patch(f"/persons/{person}", custom_fields={code: [str(ids[0])]}).status_code == 400
    assert acme.patch(f"/persons/{person}", custom_fields={code: ids[:1]}).status_code == 200
    assert held(acme, person, code) == ids[:1]


def test_custom_values_go_below_custom_fields_and_to_fields_of_their_kind(acme: Acme) -> None:
    code = field(acme, "varchar")["field_code"]
    assert f"Parameter '{code}' is not allowed" in error(acme.post("/persons", name="Ada", **{code: "c-1"}))
    assert acme.post("/organizations", name="Acme", custom_fields={code: "c-1"}).status_code == 400
    assert acme.post("/persons", name="Ada", custom_fields={"0" * 40: "c-1"}).status_code == 400
    assert acme.post("/persons", name="Ada", custom_fields={"name": "c-1"}).status_code == 400
    assert acme.post("/persons", name="Ada", custom_fields=["c-1"]).status_code == 400


def test_a_patch_leaves_the_custom_values_that_it_does_not_name(acme: Acme) -> None:
    first, second = (field(acme, "varchar")["field_code"] for _ in range(2))
    person = acme.person(custom_fields={first: "1", second: "2"})
    acme.patch(f"/persons/{person}", custom_fields={first: "3"})
    assert (held(acme, person, first), held(acme, person, second)) == ("3", "2")
    chosen = acme.get("/persons", custom_fields=first).json()["data"][0]["custom_fields"]
    assert chosen == {first: "3"}


def test_a_removed_field_takes_no_values_any_more(acme: Acme) -> None:
    code = acme.company.add_field("persons", "Our key")
    person = acme.person(custom_fields={code: "c-1"})
    acme.company.remove_field("persons", code)
    assert code not in acme.get(f"/persons/{person}").json()["data"]["custom_fields"]
    assert acme.patch(f"/persons/{person}", custom_fields={code: "c-2"}).status_code == 400
    other = field(acme, "varchar")["field_code"]
    assert acme.delete(f"/personFields/{other}").status_code == 200
    assert acme.delete(f"/personFields/{other}").status_code == 404
    assert acme.delete("/personFields/name").status_code == 404


def test_a_person_can_change_the_options_of_a_field(acme: Acme) -> None:
    code = acme.company.add_field("persons", "Tier", "enum", options=["Gold", "Silver"])
    gold, silver = (each.id for each in acme.company.fields["persons"].get(code).options)
    assert acme.company.set_options("persons", code, ["Silver", "Bronze"])[0] == silver
    assert acme.post("/persons", name="Ada", custom_fields={code: gold}).status_code == 400
    assert acme.post("/persons", name="Ada", custom_fields={code: silver}).status_code == 201


def test_a_fresh_company_has_one_pipeline_with_five_stages(acme: Acme) -> None:
    pipelines = acme.get("/pipelines").json()["data"]
    assert [each["name"] for each in pipelines] == ["Pipeline"]
    stages = acme.get("/stages", pipeline_id=pipelines[0]["id"]).json()["data"]
    assert [each["name"] for each in stages] == [
        "Qualified",
        "Contact Made",
        "Demo Scheduled",
        "Proposal Made",
        "Negotiations Started",
    ]
    assert acme.get("/stages", pipeline_id=2).json()["data"] == []


def test_activity_types_and_the_user_are_told_by_v1(acme: Acme) -> None:
    keys = [each["key_string"] for each in acme.get("/api/v1/activityTypes").json()["data"]]
    assert keys == ["call", "meeting", "task", "deadline", "email", "lunch"]
    me = acme.get("/v1/users/me").json()["data"]
    assert (me["company_id"], me["company_name"]) == (acme.company.number, acme.company.name)
    assert (me["id"], me["is_you"]) == (acme.company.me.id, True)
    second = acme.company.add_user("Sam Seller", "sam@example.com")
    assert [each["id"] for each in acme.get("/api/v1/users").json()["data"]] == [me["id"], second]
    assert acme.made("/persons", name="Ada", owner_id=second)["owner_id"] == second
