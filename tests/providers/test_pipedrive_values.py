"""Texts as Pipedrive's values, and back."""

from __future__ import annotations

from typing import Any

import pytest

from providers.errors import Rejected
from providers.models import Field, Policy
from providers.pipedrive_values import Definition, canonical, comparable, held_text, json_of, with_address

CODE = "ab" * 20
SIZES = (("11", "Small"), ("12", "Large"))


def custom(kind: str, options: tuple[tuple[str, str], ...] = ()) -> Definition:
    return Definition(code=CODE, label="Size", type=kind, is_custom=True, options=options)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", " Ada ", "Ada"),
        ("owner_id", "7", 7),
        ("value", "1000", 1000),
        ("value", "10.5", 10.5),
        ("value", "1e3", 1000),
        ("label_ids", "3, 4", [3, 4]),
        ("expected_close_date", "2026-12-22T00:00:00Z", "2026-12-22"),
        ("address", "Baker Street", {"value": "Baker Street"}),
        ("status", "open", "open"),
    ],
)
def test_a_standard_field_gets_its_type(name: str, text: str, value: Any) -> None:
    assert json_of(name, text, None) == value


@pytest.mark.parametrize(
    ("definition", "text", "value"),
    [
        (custom("varchar"), "12", "12"),
        (custom("double"), "12", 12),
        (custom("enum", SIZES), "12", 12),
        (custom("enum", SIZES), "large", 12),
        (custom("set", SIZES), "Large,11", [12, 11]),
        (custom("date"), "2026-12-22T10:00:00Z", "2026-12-22"),
        (custom("monetary"), "12.5 eur", {"value": 12.5, "currency": "EUR"}),
        (custom("monetary"), "12", {"value": 12}),
        (custom("user"), "5", 5),
        (custom("address"), "Baker Street", {"value": "Baker Street"}),
        (custom("boolean"), "true", True),
    ],
)
def test_a_custom_field_gets_the_type_of_its_definition(definition: Definition, text: str, value: Any) -> None:
    assert json_of(CODE, text, definition) == value


@pytest.mark.parametrize(
    ("name", "text", "definition", "words"),
    [
        ("owner_id", "Ada", None, "not an id"),
        ("owner_id", "-1", None, "not an id"),
        ("value", "much", None, "not a number"),
        ("value", "nan", None, "not a number"),
        (CODE, "Huge", custom("enum", SIZES), r"it has 11 \(Small\), 12 \(Large\)"),
        (CODE, "11,Huge", custom("set", SIZES), "Huge"),
        (CODE, "2026", custom("daterange"), "no single value"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(
    name: str, text: str, definition: Definition | None, words: str
) -> None:
    with pytest.raises(Rejected, match=words) as caught:
        json_of(name, text, definition)
    assert caught.value.field == name


def test_held_values_read_as_a_document_would_say_them() -> None:
    record = {
        "org_id": 7,
        "emails": [{"value": "b@example.com"}, {"value": "a@example.com", "primary": True}],
        "phones": [],
        "custom_fields": {CODE: {"value": 12.0, "currency": "EUR"}},
        "label_ids": [4, 3],
        "name": "",
    }
    assert held_text(record, "org_id") == "7"
    assert held_text(record, "email") == "a@example.com"
    assert held_text(record, "phone") is None
    assert held_text(record, CODE) == "12"
    assert held_text(record, "label_ids") == "3,4"
    assert held_text(record, "name") is None
    assert canonical(True) == "true"


def test_labels_in_ranks_are_compared_as_options() -> None:
    ranks = (("Small",), ("Large",))
    forward = Field(value="Large", policy=Policy.FORWARD_ONLY, ranks=ranks)
    value, field = comparable(forward, custom("enum", SIZES), CODE)
    assert value == 12
    assert field.may_replace("11")
    backward = Field(value="Small", policy=Policy.FORWARD_ONLY, ranks=ranks)
    assert not comparable(backward, custom("enum", SIZES), CODE)[1].may_replace("12")


def test_none_of_a_persons_addresses_is_lost_by_ours() -> None:
    held = {
        "emails": [{"value": "home@example.com", "primary": True, "label": "home", "extra": 1}, "plain@example.com"]
    }
    assert with_address(held, "email", "ada@example.com") == [
        {"value": "home@example.com", "primary": True, "label": "home"},
        {"value": "plain@example.com"},
        {"value": "ada@example.com", "primary": False, "label": "work"},
    ]
    assert with_address({}, "phone", "+1 2") == [{"value": "+1 2", "primary": True, "label": "work"}]
