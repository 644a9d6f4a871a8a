"""The oracle and the comparison: what is wrong with a CRM is found, whatever the pipeline believes."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from sandbox.demo.oracle import Demand, Rows, demands
from sandbox.demo.people import Contact
from sandbox.demo.proof import Kind, Proof, compare
from sandbox.demo.scenario import Classification, Message, make_scenario

ORGANIZATION = UUID(int=1)
TODAY = date(2026, 11, 22)
MOMENT = datetime(2026, 11, 21, 9, 30, 0, 123_000, tzinfo=UTC)
ADA = Contact(UUID(int=11), ORGANIZATION, " Ada@Example.com ", "Ada", "O'Neil", "Acme  GmbH", "+1 555")


def test_a_faithful_crm_has_nothing_missing_doubled_or_wrong() -> None:
    proof = proof_of(ledger())
    assert proof.is_clean
    assert proof.details == []
    assert proof.demanded == proof.found
    assert proof.found["deal–company"] == 1


@pytest.mark.parametrize(
    ("kind", "records"),
    [("notes", "notes"), ("contacts", "contacts"), ("companies", "companies"), ("deals", "deals")],
)
def test_a_removed_record_is_missing(kind: Kind, records: str) -> None:
    doctored = ledger()
    doctored[records].pop()
    assert proof_of(doctored).problems[kind, "missing"] == 1


@pytest.mark.parametrize(("kind"), ["notes", "contacts", "companies", "deals"])
def test_a_copied_record_is_doubled(kind: Kind) -> None:
    doctored = ledger()
    doctored[kind].append({**copy.deepcopy(doctored[kind][0]), "id": "999"})
    assert proof_of(doctored).problems[kind, "doubled"] == 1


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("contacts", "hs_lead_status", "NEW"),
        ("contacts", "hs_lead_status", "UNQUALIFIED"),
        ("contacts", "lastname", "O&#x27;Neil"),
        ("contacts", "phone", ""),
        ("contacts", "crm_sync_lead_source", "Cold Call"),
        ("companies", "name", "ACME GMBH"),
        ("deals", "dealstage", "closedwon"),
        ("deals", "amount", "10"),
        ("deals", "closedate", "2026-11-22T00:00:00.000Z"),
        ("notes", "hs_note_body", "<p>Re: hello</p><li>Intent: question</li>"),
        ("notes", "hs_note_body", "<p>Re: <hello> & more</p><li>Intent: interested</li><p>Yes!</p>"),
    ],
)
def test_another_value_is_wrong(kind: Kind, name: str, value: str) -> None:
    doctored = ledger()
    doctored[kind][0]["properties"][name] = value
    assert proof_of(doctored).problems == {(kind, "wrong"): 1}


def test_a_note_at_another_moment_is_missing_and_wrong() -> None:
    doctored = ledger()
    doctored["notes"][0]["properties"]["hs_timestamp"] = "2026-11-21T09:30:00.124Z"
    problems = proof_of(doctored).problems
    assert problems["notes", "missing"] == problems["notes", "wrong"] == 1


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("contact–company", ("contacts", "companies")),
        ("deal–contact", ("deals", "contacts")),
        ("deal–company", ("deals", "companies")),
        ("note–contact", ("notes", "contacts")),
        ("note–company", ("notes", "companies")),
    ],
)
def test_a_lost_association_is_missing(kind: Kind, ends: tuple[str, str]) -> None:
    doctored = ledger()
    doctored["associations"] = [
        each for each in doctored["associations"] if (each["from_type"], each["to_type"]) != ends
    ]
    assert proof_of(doctored).problems == {(kind, "missing"): 1}


def test_somebody_elses_contact_is_wrong() -> None:
    doctored = ledger()
    doctored["contacts"].append({"id": "7", "properties": {"email": "eve@example.com"}})
    assert proof_of(doctored).problems == {("contacts", "wrong"): 1}


@pytest.mark.parametrize(
    ("intents", "status"),
    [
        (["question"], "CONNECTED"),
        (["objection", "out_of_office"], "CONNECTED"),
        (["Interested", "question"], "OPEN_DEAL"),
        (["interested", "Not interested"], "UNQUALIFIED"),
        (["not-interested", "interested", None], "OPEN_DEAL"),
        (["unsubscribe", "bounce", "🤷", "", None], "NEW"),
    ],
)
def test_a_lead_status_is_the_furthest_that_was_reached_and_the_newer_of_equals(
    intents: list[str | None], status: str
) -> None:
    assert demand_of(*intents).contacts["ada@example.com"].values["hs_lead_status"] == {status}


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
    values = demand.contacts["ada@example.com"].values
    assert (values["phone"], values["firstname"], values["hs_lead_status"]) == (
        {"+1 555", "+44"},
        {"Ada"},
        {"OPEN_DEAL"},
    )
    assert len(demand.companies) == 1
    assert demand.deals == {"ada@example.com - Email Lead": 1}


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


def rows_of(*intents: str | None) -> Rows:
    messages = [
        Message(UUID(int=20 + n), ORGANIZATION, ADA.id, "Re: <hello> & more", "Yes!\nAda", MOMENT + timedelta(hours=n))
        for n in range(len(intents))
    ]
    said = [classification(30 + n, messages[n].id, intent) for n, intent in enumerate(intents)]
    return Rows([ADA], messages, said)


def classification(number: int, message_id: UUID, intent: str | None) -> Classification:
    return Classification(UUID(int=number), message_id, intent, None, None, False, None, None)


def demand_of(*intents: str | None) -> Demand:
    return demands(rows_of(*intents), [ORGANIZATION])[ORGANIZATION]


def proof_of(found: dict[str, Any]) -> Proof:
    proof = Proof()
    compare(proof, demand_of("interested"), found, (TODAY, TODAY))
    return proof


def ledger() -> dict[str, Any]:
    """What HubSpot has after Ada's one reply, written by hand."""
    pairs = [
        ("contacts", "1", "companies", "2"),
        ("deals", "3", "contacts", "1"),
        ("deals", "3", "companies", "2"),
        ("notes", "4", "contacts", "1"),
        ("notes", "4", "companies", "2"),
    ]
    contact = {
        "email": "ada@example.com",
        "firstname": "Ada",
        "lastname": "O'Neil",
        "company": "Acme  GmbH",
        "phone": "+1 555",
        "hs_lead_status": "OPEN_DEAL",
        "crm_sync_lead_source": "Email Campaign",
    }
    deal = {
        "dealname": "Ada - Email Lead",
        "pipeline": "default",
        "dealstage": "appointmentscheduled",
        "amount": "1000",
        "closedate": "2026-12-22T00:00:00.000Z",
    }
    body = "<p>Re: &lt;hello&gt; &amp; more</p><ul><li>Intent: interested</li></ul><p>Yes!<br>Ada</p>"
    return {
        "contacts": [{"id": "1", "properties": contact}],
        "companies": [{"id": "2", "properties": {"name": "Acme GmbH"}}],
        "deals": [{"id": "3", "properties": deal}],
        "notes": [{"id": "4", "properties": {"hs_timestamp": "2026-11-21T09:30:00.123Z", "hs_note_body": body}}],
        "associations": [
            {"from_type": a, "from_id": b, "to_type": c, "to_id": d, "type_id": 0, "label": None}
            for a, b, c, d in pairs
        ],
    }
