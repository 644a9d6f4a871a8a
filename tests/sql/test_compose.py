"""The documents of a claim: what is true now, by the CRM's names, with defaults, overrides and policies."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from providers.models import Batch
from tests.house import House
from tests.sql.daemon import Daemon

pytestmark = pytest.mark.usefixtures("rolled_back")

MACHINES = (
    "unsubscribe", "Unsubscribed", "opt-out", "optout", "bounce", "hard bounce", "undeliverable", "delivery failure",
    "out of office", "Out of the Office", "OOO", "auto-reply", "autoreply", "automatic reply", "auto response",
    "vacation", "spam complaint",
)  # fmt: skip


def contact_of(house: House, daemon: Daemon, organization: UUID, intent: str = "x", **columns: str | None) -> Any:
    """The document of a new contact with these columns, that has replied once."""
    house.connection.execute("update crm_sync.config set batches_in_flight = 64")
    house.reply(organization, house.contact(organization, **columns), intent)
    return daemon.claim()["contacts"][0]


def values(document: Any) -> dict[str, str]:
    return {name: field["value"] for name, field in document["fields"].items()}


def configure(house: House, **columns: Any) -> None:
    for column, value in columns.items():
        house.connection.execute(f"update public.user_integrations set {column} = %s".encode(), [Jsonb(value)])


def test_a_batch_is_what_the_providers_contract_says(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, company="Acme", first_name="Ada", phone="+1 555")
    message = house.reply(organization, contact, "interested")
    first = daemon.claim()
    batch = Batch.model_validate_json(json.dumps(first))
    assert (batch.integration_id, batch.organization_id, batch.provider) == (integration, organization, "hubspot")
    assert batch.config.api_base_url == "https://api.hubapi.com"
    assert (batch.credentials_version, batch.schema_ready) == (1, False)
    assert batch.contacts[0].company is not None
    assert batch.contacts[0].company.name == "Acme"
    daemon.call("select crm_sync.mark_schema_ready(%s)", integration)
    daemon.confirm(first)
    batch = Batch.model_validate_json(json.dumps(daemon.claim()))
    assert batch.schema_ready is True
    assert (batch.deals[0].contact_id, batch.activities[0].key) == (contact, f"message:{message}")
    assert batch.activities[0].body == "Hi!"


def test_a_batch_carries_no_secret_and_no_other_tenants_row(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(organization, credentials={"access_token": "sesame-open"})
    other = house.organization("Other")
    house.integration(other)
    house.reply(other, house.contact(other, "secret@other.example"), "x")
    house.reply(organization, house.contact(organization), "x")
    batches = [daemon.claim(), daemon.claim()]
    mine = next(batch for batch in batches if batch["organization_id"] == str(organization))
    assert "sesame" not in str(mine)
    assert "sealed" not in str(mine)
    assert "other.example" not in str(mine)


def test_hubspots_fields_have_their_names_and_policies(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    document = contact_of(
        house, daemon, organization, "interested",
        email=" Ada@Example.com ", first_name=" Ada ", last_name="Lovelace", company="Acme  Inc", phone="1",
    )  # fmt: skip
    assert document["email"] == "ada@example.com"
    assert document["fields"] == {
        "email": {"value": "ada@example.com", "policy": "if_blank"},
        "firstname": {"value": "Ada", "policy": "if_blank"},
        "lastname": {"value": "Lovelace", "policy": "if_blank"},
        "company": {"value": "Acme  Inc", "policy": "if_blank"},
        "phone": {"value": "1", "policy": "if_blank"},
        "hs_lead_status": {
            "value": "OPEN_DEAL",
            "policy": "forward_only",
            "ranks": [
                ["NEW", "OPEN", "NEW"],
                ["ATTEMPTED_TO_CONTACT", "CONNECTED", "CONNECTED"],
                ["IN_PROGRESS", "OPEN_DEAL", "UNQUALIFIED", "OPEN_DEAL", "UNQUALIFIED"],
            ],
        },
        "crm_sync_lead_source": {"value": "Email Campaign", "policy": "if_blank"},
    }
    assert document["company"]["name"] == "Acme Inc"


@pytest.mark.parametrize("blank", [None, "", "  ", "\t\n", "\u00a0", "\u2003\u3000", "\u200b\ufeff"])
def test_blank_is_never_sent(
    house: House, daemon: Daemon, organization: UUID, integration: int, blank: str | None
) -> None:
    blanks = dict.fromkeys(("first_name", "last_name", "company", "phone"), blank)
    house.reply(organization, house.contact(organization, **blanks), "interested")
    batch = daemon.claim()
    (document,) = batch["contacts"]
    assert set(document["fields"]) == {"email", "hs_lead_status", "crm_sync_lead_source"}
    assert "company" not in document
    daemon.confirm(batch)
    assert values(daemon.claim()["deals"][0])["dealname"] == "ada@example.com - Email Lead"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (["x"], "new"),
        (["question"], "contacted"),
        (["interested"], "qualified"),
        (["not_interested"], "unqualified"),
        (["interested", "question"], "qualified"),
        (["question", "x"], "contacted"),
        (["interested", "not_interested"], "unqualified"),
        (["not_interested", "interested"], "qualified"),
        (["not_interested", "unsubscribe"], "unqualified"),
        (["interested", "out of office"], "qualified"),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_status_never_moves_backwards_and_between_equals_the_newer_wins(
    house: House, daemon: Daemon, organization: UUID, integration: int, said: list[str], status: str, together: bool
) -> None:
    contact = house.contact(organization)
    for intent in said[:-1]:
        house.reply(organization, contact, intent)
        if not together:
            daemon.work()
    house.reply(organization, contact, said[-1])
    assert daemon.claim()["contacts"][0]["echo"]["status"] == status


@pytest.mark.parametrize("intent", MACHINES)
def test_a_machines_intent_is_never_interest(house: House, intent: str) -> None:
    assert house.value("select crm_sync.is_machine_intent(%s)", intent) is True
    refused = pytest.raises(psycopg.errors.CheckViolation, match="intent_rules_machines_are_not_interested")
    with refused, house.connection.transaction():
        house.connection.execute(
            "insert into crm_sync.intent_rules (intent, contact_status, create_deal) "
            "values (crm_sync.normalize_intent(%s), 'qualified', true)",
            [intent],
        )


@pytest.mark.parametrize("intent", [None, "interested", "question", "booked a room", "pool party", "automatic payment"])
def test_a_persons_intent_is_not_taken_for_a_machines(house: House, intent: str | None) -> None:
    assert house.value("select crm_sync.is_machine_intent(%s)", intent) is False


def test_the_settings_change_what_is_sent(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    configure(
        house,
        sync_settings={"lead_source": None, "status_values": {"qualified": "IN_PROGRESS", "contacted": None}},
    )
    sent = values(contact_of(house, daemon, organization, "interested"))
    assert sent["hs_lead_status"] == "IN_PROGRESS"
    assert "crm_sync_lead_source" not in sent
    second = contact_of(house, daemon, organization, "question", email="b@example.com")
    assert "hs_lead_status" not in second["fields"]


def test_a_status_value_of_the_connections_own_has_its_rank(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    configure(house, sync_settings={"status_values": {"qualified": "Hot!"}})
    field = contact_of(house, daemon, organization, "interested")["fields"]["hs_lead_status"]
    assert field["value"] == "Hot!"
    assert "Hot!" in field["ranks"][2]


def test_a_connections_own_mapping_replaces_adds_and_leaves_out(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    configure(
        house,
        field_mappings={
            "contact": [
                {"from": "phone", "to": "mobilephone", "policy": "always"},
                {"from": "company", "to": None},
                {"value": "outreach", "to": "channel"},
                {"from": "intent", "to": "last_intent", "values": {"interested": "Hot", "question": None}},
                {"from": "first_name", "to": "lastname"},
            ]
        },
    )
    sent = contact_of(
        house, daemon, organization, "interested", first_name="Ada", last_name="L", phone="1", company="C"
    )
    assert values(sent) == {
        "email": "ada@example.com",
        "mobilephone": "1",
        "channel": "outreach",
        "last_intent": "Hot",
        "lastname": "Ada",
        "hs_lead_status": "OPEN_DEAL",
        "crm_sync_lead_source": "Email Campaign",
    }
    assert sent["fields"]["mobilephone"]["policy"] == "always"
    other = contact_of(house, daemon, organization, "question", email="b@example.com")
    assert "last_intent" not in values(other), "mapped to null: left out"
    third = contact_of(house, daemon, organization, "objection", email="c@example.com")
    assert values(third)["last_intent"] == "objection", "not mapped: as it is"


def test_a_value_of_ours_that_changed_is_sent_and_one_that_did_not_yields_to_people(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, first_name="Ada", phone="1")
    house.reply(organization, contact, "x")
    daemon.work()
    house.reply(organization, contact, "x")
    unchanged = daemon.claim()
    assert unchanged["contacts"][0]["unchanged"] is True
    assert {f["policy"] for f in unchanged["contacts"][0]["fields"].values()} == {"if_blank", "forward_only"}
    daemon.confirm(unchanged)
    daemon.work()
    house.connection.execute("update public.contacts set phone = '2'")
    house.reply(organization, contact, "x")
    changed = daemon.claim()["contacts"][0]
    assert changed["unchanged"] is False
    assert changed["fields"]["phone"] == {"value": "2", "policy": "always"}
    assert changed["fields"]["firstname"]["policy"] == "if_blank"


def test_a_retry_sends_todays_truth(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    contact = house.contact(organization, first_name="Ada")
    house.reply(organization, contact, "x")
    daemon.fail(daemon.claim(), "rate_limited", retry_after=0)
    house.connection.execute("update public.contacts set first_name = 'Grace'")
    house.connection.execute("update crm_sync.lanes set parked_until = null")
    assert values(daemon.claim()["contacts"][0])["firstname"] == "Grace"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Acme", "ACME", True),
        ("Acme  Inc", " acme inc ", True),
        ("Acme\u00a0Inc", "Acme Inc", True),
        ("\tAcme\n", "Acme", True),
        ("Ａｃｍｅ", "Acme", True),
        ("Cafe\u0301", "Café", True),
        ("ÉCOLE", "école", True),
        ("Acme", "Acme Inc", False),
        ("Straße", "Strasse", False),
        ("株式会社", "有限会社", False),
    ],
)
def test_companies_are_one_when_their_names_differ_in_case_or_white_space_only(
    house: House, one: str, other: str, same: bool
) -> None:
    assert house.value("select crm_sync.company_key(%s) = crm_sync.company_key(%s)", one, other) is same


def test_contacts_of_one_company_share_its_key_and_later_its_id(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n, name in enumerate(("Acme", " ACME ")):
        house.reply(organization, house.contact(organization, f"c{n}@example.com", company=name), "x")
    batch = daemon.claim()
    assert len({document["company"]["key"] for document in batch["contacts"]}) == 1
    daemon.confirm(batch)
    third = contact_of(house, daemon, organization, email="c3@example.com", company="acme")
    assert third["company"]["external_id"] == f"crm-{third['company']['key']}"


def test_names_of_any_script_and_length_arrive_as_they_are(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    name = "O'Brien-“Ñandú” 李小龙 🦜 مرحبا" + "x" * 2_000
    document = contact_of(house, daemon, organization, first_name=name, company=name)
    assert values(document)["firstname"] == name
    assert document["company"]["name"] == name[:250]


def test_a_provider_without_a_mapping_still_gets_a_document(house: House, daemon: Daemon, organization: UUID) -> None:
    house.connection.execute("select crm_sync.register_provider('bare', 'Bare', '', '', 'oauth', '{}')")
    house.integration(organization, "bare")
    assert contact_of(house, daemon, organization)["fields"] == {}
