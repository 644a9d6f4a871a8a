"""sync_filters: which classifications a connection lets through."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.house import House
from tests.sql.daemon import queue

FACTS = {
    "intent": "interested",
    "sentiment": "Positive",
    "confidence": 0.8,
    "requires_human_attention": True,
    "next_action": None,
    "email_domain": "example.com",
    "contact": {"company": "Acme", "phone": " "},
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
    ],
)
def test_each_operator_of_a_filter_does_what_it_says(
    house: House, field: str, op: str, value: Any, passes: bool
) -> None:
    from psycopg.types.json import Jsonb

    condition = {"field": field, "op": op, "value": value}
    reason = house.value(
        "select crm_sync.filter_reason(%s, %s)", Jsonb({"all": [condition], "any": [condition]}), Jsonb(FACTS)
    )
    assert (reason is None) == passes
    if not passes:
        assert reason.startswith(f"filtered out: not {field} {op}")


@pytest.mark.usefixtures("rolled_back")
def test_any_lets_through_what_meets_one_condition_and_all_needs_each(house: House) -> None:
    from psycopg.types.json import Jsonb

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
