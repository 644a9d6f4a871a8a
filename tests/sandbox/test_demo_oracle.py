"""The oracle: what the host application's rows demand of any CRM, and the story that they tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from sandbox.demo.oracle import Demand, Rows, demands
from sandbox.demo.scenario import make_scenario
from tests.sandbox.demo_ledgers import ADA, MOMENT, ORGANIZATION, classification, demand_of, rows_of


@pytest.mark.parametrize(
    ("intents", "status"),
    [
        (["question"], "contacted"),
        (["objection", "out_of_office"], "contacted"),
        (["Interested", "question"], "qualified"),
        (["interested", "Not interested"], "unqualified"),
        (["not-interested", "interested", None], "qualified"),
        (["unsubscribe", "bounce", "🤷", "", None], "new"),
    ],
)
def test_a_status_is_the_furthest_that_was_reached_and_the_newer_of_equals(
    intents: list[str | None], status: str
) -> None:
    assert demand_of(*intents).contacts["ada@example.com"].statuses == {status}


def test_rows_that_share_an_address_demand_one_contact_with_any_of_their_values() -> None:
    twin = replace(ADA, id=UUID(int=12), email="ADA@EXAMPLE.COM", first_name=None, company="acme gmbh", phone="+44")
    rows = rows_of("question")
    rows = Rows(
        [ADA, twin],
        [*rows.messages, replace(rows.messages[0], id=UUID(int=99), contact_id=twin.id)],
        [*rows.classifications, classification(99, UUID(int=99), "interested")],
    )
    demand = demands(rows, [ORGANIZATION])[ORGANIZATION]
    assert list(demand.contacts) == ["ada@example.com"]
    contact = demand.contacts["ada@example.com"]
    assert contact.values("phone") == {"+1 555", "+44"}
    assert contact.values("first_name") == {"Ada"}
    assert contact.statuses == {"qualified"}
    assert len(demand.companies) == 1
    assert demand.deals == {"ada@example.com - Email Lead": 1}


def test_a_message_that_ever_needed_a_human_demands_a_task_and_one_only() -> None:
    rows = rows_of("question", "objection")
    urgent = replace(rows.classifications[0], id=UUID(int=90), requires_human_attention=True)
    later = replace(rows.classifications[0], id=UUID(int=91), intent="interested")
    said = [rows.classifications[0], urgent, replace(urgent, id=UUID(int=92)), later, rows.classifications[1]]
    demand = demands(Rows(rows.contacts, rows.messages, said), [ORGANIZATION])[ORGANIZATION]
    assert [task.moment for task in demand.tasks] == [round(MOMENT.timestamp() * 1000)]
    assert [note.intent for note in demand.notes] == ["interested", "objection"]


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        (None, "the contact has no e-mail address"),
        ("  ", "the contact has no e-mail address"),
        ("ada", "the contact's e-mail address is malformed"),
        ("a@b@example.com", "the contact's e-mail address is malformed"),
    ],
)
def test_what_cannot_be_sent_is_demanded_as_skipped(email: str | None, reason: str) -> None:
    rows = rows_of("interested")
    demand = demands(Rows([replace(ADA, email=email)], rows.messages, rows.classifications), [ORGANIZATION])
    assert demand[ORGANIZATION].skipped == {reason: 1}
    assert not demand[ORGANIZATION].contacts
    assert not demand[ORGANIZATION].notes


def test_a_classification_of_an_unknown_message_demands_nothing() -> None:
    rows = rows_of("interested")
    assert demands(Rows(rows.contacts, [], rows.classifications), [ORGANIZATION])[ORGANIZATION] == Demand()


def test_the_same_seed_tells_the_same_story() -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    first, second = (make_scenario(300, 7, 5, now) for _ in range(2))
    assert first == second
    assert first != make_scenario(300, 7, 6, now)


def test_the_story_has_every_oddity() -> None:
    scenario = make_scenario(1_000, 20, 2026, datetime(2026, 11, 22, tzinfo=UTC))
    sizes = sorted(sum(m.organization_id == each for m in scenario.messages) for each in scenario.organizations)
    assert len(scenario.classifications) == len(scenario.messages) == 1_000
    assert sizes[0] <= 3
    assert sizes[-1] >= 150
    known = {message.id for message in scenario.messages}
    assert any(row.message_id not in known for row in scenario.classifications)
    assert len({row.message_id for row in scenario.classifications}) < 1_000
    assert {None, "", "Interested", "bounce", "OOO", "🤷"} <= {row.intent for row in scenario.classifications}
    addresses = [
        (c.organization_id, (c.email or "").strip().lower()) for c in scenario.contacts if (c.email or "").strip()
    ]
    assert len(set(addresses)) < len(addresses)
    assert len({message.received_at for message in scenario.messages}) == 1_000
