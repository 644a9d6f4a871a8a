"""sync_filters: which classifications a connection lets through."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.house import House
from tests.sql.daemon import queue

FACTS = {
    "intent": "interested",
    "sentiment": "Positive",
    "confidence": 0.8,
    "requires_human_attention": True,
    "next_action": None,
    "priority": " High ",
    "email_domain": "example.com",
    "contact": {"company": "Acme", "phone": " ", "score": "85.0", "odd": "9" * 5000},
}


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    ("field", "op", "value", "passes"),
    [
        ("intent", "=", "Interested", True),
        ("intent", "=", "question", False),
        ("next_action", "=", "call", False),
        ("intent", "<>", "question", True),
        ("intent", "<>", "interested", False),
        ("next_action", "<>", "call", True),
        ("sentiment", "in", ["positive", "neutral"], True),
        ("sentiment", "in", [], False),
        ("sentiment", "not in", ["negative"], True),
        ("sentiment", "not in", ["POSITIVE"], False),
        ("next_action", "not in", ["call"], True),
        ("confidence", ">=", 0.8, True),
        ("confidence", ">=", 0.81, False),
        ("confidence", "<=", 0.8, True),
        ("confidence", "<=", 0.79, False),
        ("intent", ">=", 0, False),
        ("requires_human_attention", "=", True, True),
        ("email_domain", "=", "EXAMPLE.com", True),
        ("contact.company", "=", "acme", True),
        ("contact.phone", "is blank", None, True),
        ("contact.company", "is blank", None, False),
        ("contact.unknown", "is blank", None, True),
        ("contact.company", "is not blank", None, True),
        ("next_action", "is not blank", None, False),
        ("intent", "in", ["not interested", "INTERESTED!"], True),
        ("priority", "=", "high", True),
        ("confidence", "=", 0.80, True),
        ("confidence", "=", "0.80", True),
        ("confidence", "in", [0.5, "0.8"], True),
        ("confidence", "<>", 0.80, False),
        ("contact.score", "=", 85, True),
        ("contact.score", ">=", 85, True),
        ("contact.score", "<=", 84.9, False),
        ("contact.odd", ">=", 1, False),
        ("contact.phone", "=", "", True),
        ("next_action", "not in", [""], False),
    ],
)
def test_each_operator_of_a_filter_does_what_it_says(
    house: House, field: str, op: str, value: Any, passes: bool
) -> None:
    condition = {"field": field, "op": op, "value": value}
    reason = house.value(
        "select crm_sync.filter_reason(%s, %s)", Jsonb({"all": [condition], "any": [condition]}), Jsonb(FACTS)
    )
    assert (reason is None) == passes
    if not passes:
        assert reason.startswith(f"filtered out: not {field} {op}")


@pytest.mark.usefixtures("rolled_back")
def test_any_lets_through_what_meets_one_condition_and_all_needs_each(house: House) -> None:
    yes = {"field": "intent", "op": "=", "value": "interested"}
    no = {"field": "intent", "op": "=", "value": "question"}
    query = "select crm_sync.filter_reason(%s, %s)"
    assert house.value(query, Jsonb({"any": [no, yes]}), Jsonb(FACTS)) is None
    assert house.value(query, Jsonb({"any": []}), Jsonb(FACTS)) is None
    assert house.value(query, Jsonb({"any": [no, no]}), Jsonb(FACTS)).startswith("filtered out: none of intent =")
    assert house.value(query, Jsonb({"all": [yes], "any": [no]}), Jsonb(FACTS)) is not None
    assert house.value(query, Jsonb({"all": [yes, no], "any": [yes]}), Jsonb(FACTS)) is not None


@pytest.mark.usefixtures("rolled_back")
def test_what_a_filter_keeps_out_is_skipped_with_the_filters_words(house: House, organization: UUID) -> None:
    filters = {"all": [{"field": "contact.company", "op": "is not blank"}]}
    integration = house.integration(organization, sync_filters=filters)
    house.reply(organization, house.contact(organization))
    house.reply(organization, house.contact(organization, "b@example.com", company="Acme"))
    assert queue(house, "integration_id, status") == [(integration, "skipped"), (integration, "pending")]
    assert queue(house, "last_error")[0][0].startswith("filtered out: not contact.company is not blank")


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    ("email", "status"),
    [
        (" Ada@Example.COM ", "pending"),
        ('"a@b"@example.com', "pending"),
        ("ada@mail.example.com", "skipped"),
        ("ada@example.com.evil.org", "skipped"),
        ("example.com", "skipped"),
        ("ada@", "skipped"),
        (None, "skipped"),
    ],
)
def test_the_domain_of_an_address_is_what_follows_its_last_at(
    house: House, organization: UUID, email: str | None, status: str
) -> None:
    house.integration(
        organization, sync_filters={"all": [{"field": "email_domain", "op": "=", "value": "example.com"}]}
    )
    house.reply(organization, house.contact(organization, email))
    assert queue(house) == [(status, 0)]


@pytest.mark.usefixtures("rolled_back")
def test_a_reason_is_no_longer_than_people_read(house: House) -> None:
    many = {"field": "intent", "op": "in", "value": [f"intent number {n}" for n in range(1000)]}
    query = "select length(crm_sync.filter_reason(%s, %s))"
    assert house.value(query, Jsonb({"all": [many]}), Jsonb(FACTS)) < 300
    assert house.value(query, Jsonb({"any": [many] * 50}), Jsonb(FACTS)) < 1100


SHAPES: list[tuple[Any, bool]] = [
    ({}, True),
    ({"all": [], "any": []}, True),
    (
        {"all": [{"field": "contact.a_1", "op": "is blank"}], "any": [{"field": "confidence", "op": ">=", "value": 1}]},
        True,
    ),
    (
        {"any": [{"field": "intent", "op": "not in", "value": ["x"]}, {"field": "intent", "op": "<>", "value": True}]},
        True,
    ),
    ([], False),
    ("x", False),
    ({"some": []}, False),
    ({"all": {}}, False),
    ({"all": None}, False),
    ({"all": ["x"]}, False),
    ({"all": [{}]}, False),
    ({"all": [[{"field": "intent", "op": "=", "value": "x"}]]}, False),
    ({"all": [{"field": "intent", "op": "=", "value": "x"}, {"field": "intent", "op": "="}]}, False),
    ({"all": [{"field": "body", "op": "=", "value": "x"}]}, False),
    ({"all": [{"field": ["intent"], "op": "=", "value": "x"}]}, False),
    ({"all": [{"field": "contact.a'", "op": "=", "value": "x"}]}, False),
    ({"all": [{"field": "intent", "op": "like", "value": "x"}]}, False),
    ({"all": [{"field": "intent", "op": ["="], "value": "x"}]}, False),
    ({"all": [{"field": "intent", "op": "=", "value": None}]}, False),
    ({"all": [{"field": "intent", "op": "=", "value": ["x"]}]}, False),
    ({"all": [{"field": "intent", "op": "in", "value": "x"}]}, False),
    ({"all": [{"field": "intent", "op": ">=", "value": "1"}]}, False),
]


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(("filters", "is_well_formed"), SHAPES)
def test_the_table_itself_keeps_the_shape_of_filters_and_the_words_agree_with_it(
    house: House, organization: UUID, filters: Any, is_well_formed: bool
) -> None:
    """Also on a path around the triggers, as a restored dump takes it."""
    house.integration(organization)
    assert (house.value("select crm_sync.filters_problem(%s)", Jsonb(filters)) is None) == is_well_formed
    house.connection.execute("set local session_replication_role = replica")
    update = "update public.user_integrations set sync_filters = %s"
    if is_well_formed:
        house.connection.execute(update, [Jsonb(filters)])
    else:
        with pytest.raises(psycopg.errors.CheckViolation), house.connection.transaction():
            house.connection.execute(update, [Jsonb(filters)])
