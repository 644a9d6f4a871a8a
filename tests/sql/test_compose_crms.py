"""What Salesforce and Pipedrive are sent by default, and what the account's own fields make of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.house import House
from tests.sql.daemon import Daemon, synced

pytestmark = pytest.mark.usefixtures("rolled_back")

PERSON = {"first_name": "Ada", "last_name": "Lovelace", "company": "Analytical  Engines", "phone": "+44 1"}


def values(document: Any) -> dict[str, str]:
    return {name: field["value"] for name, field in document["fields"].items()}


def describe(house: House, integration: int, object_: str, *fields: dict[str, Any]) -> None:
    """As the daemon stores what a CRM says of its fields."""
    for field in fields:
        house.connection.execute(
            "insert into crm_sync.crm_fields "
            "(organization_id, integration_id, object, name, is_writable, options, is_closed) "
            "select organization_id, id, %s, %s, %s, %s, %s from public.user_integrations where id = %s",
            [
                object_,
                field["name"],
                field.get("is_writable", True),
                Jsonb([{"value": value, "label": label} for value, label in field.get("options", {}).items()]),
                field.get("is_closed", False),
                integration,
            ],
        )


def deal_of(house: House, daemon: Daemon, organization: UUID) -> Any:
    house.reply(organization, house.contact(organization, **PERSON), "interested")
    daemon.confirm(daemon.claim())
    (deal,) = daemon.claim()["deals"]
    return deal


def test_a_salesforce_contact_has_salesforces_names(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(organization, "salesforce")
    house.reply(organization, house.contact(organization, **PERSON), "question")
    (contact,) = daemon.claim()["contacts"]
    assert contact["record"] == "contact"
    assert values(contact) == {
        "FirstName": "Ada",
        "LastName": "Lovelace",
        "Email": "ada@example.com",
        "Phone": "+44 1",
        "LeadSource": "Email Campaign",
    }
    assert contact["company"]["fields"] == {"Name": "Analytical Engines"}


def test_who_has_no_last_name_is_called_by_the_address(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(organization, "salesforce")
    house.integration(organization, "pipedrive")
    house.reply(organization, house.contact(organization, "zoe.k@example.com", first_name=" "), "question")
    names = [values(contact) for batch in (daemon.claim(), daemon.claim()) for contact in batch["contacts"]]
    assert {name.get("LastName") for name in names} == {None, "zoe.k"}
    assert {name.get("name") for name in names} == {None, "zoe.k@example.com"}


def test_a_lead_needs_a_company_and_has_a_status_that_its_account_knows(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = house.integration(organization, "salesforce", sync_settings={"contact_object": "lead"})
    describe(
        house,
        integration,
        "lead",
        *({"name": name} for name in ("FirstName", "LastName", "Company", "Email", "Phone", "LeadSource")),
        {"name": "Status", "options": {"Open - Not Contacted": "Open", "Working - Contacted": "Working"}},
    )
    house.reply(organization, house.contact(organization), "question")
    (lead,) = daemon.claim()["contacts"]
    assert lead["record"] == "lead"
    assert values(lead)["Company"] == "[not provided]"
    assert values(lead)["Status"] == "Working - Contacted"
    assert lead["fields"]["Status"]["policy"] == "forward_only"
    assert lead["fields"]["Status"]["ranks"][0][:2] == ["New", "Open - Not Contacted"]


def test_no_deal_is_asked_for_where_none_can_hang(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(organization, "salesforce", sync_settings={"contact_object": "lead"})
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    batch = daemon.claim()
    daemon.finish(batch, [synced(batch["contacts"][0], takes_deals=False)])
    assert daemon.work()[0]["deals"] == []
    house.reply(organization, contact, "interested")
    batch = daemon.claim()
    daemon.finish(batch, [synced(batch["contacts"][0], "003", takes_deals=True)])
    assert len(daemon.claim()["deals"]) == 1


def test_an_opportunity_has_salesforces_names(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(organization, "salesforce")
    deal = values(deal_of(house, daemon, organization))
    close = deal.pop("CloseDate")
    assert deal == {"Name": "Ada - Email Lead", "StageName": "Prospecting", "Amount": "1000"}
    assert len(close) == len("2026-12-31")


def test_a_pipedrive_deal_leaves_pipeline_and_stage_to_the_account(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    house.integration(organization, "pipedrive", sync_settings={"deal_currency": "EUR"})
    deal = values(deal_of(house, daemon, organization))
    assert deal.pop("expected_close_date")
    assert deal == {
        "title": "Ada - Email Lead",
        "value": "1000",
        "currency": "EUR",
        "pipeline_id": "default",
        "stage_id": "default",
    }


def test_a_stage_may_be_named_as_people_see_it(house: House, daemon: Daemon, organization: UUID) -> None:
    integration = house.integration(organization, "pipedrive", sync_settings={"deal_stage": "demo scheduled"})
    describe(
        house, integration, "deal", {"name": "stage_id", "options": {"1": "Qualified", "3": "Demo Scheduled"}},
        {"name": "title"},
    )  # fmt: skip
    assert values(deal_of(house, daemon, organization))["stage_id"] == "3"


def test_a_default_stage_that_the_account_has_not_gives_way_to_its_first(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = house.integration(organization, "salesforce")
    describe(
        house, integration, "deal", {"name": "Name"}, {"name": "CloseDate"},
        {"name": "StageName", "options": {"Discovery": "Discovery", "Won": "Won"}},
    )  # fmt: skip
    deal = values(deal_of(house, daemon, organization))
    assert deal["StageName"] == "Discovery"
    assert "Amount" not in deal


def test_a_default_field_that_the_account_has_not_is_left_out(house: House, daemon: Daemon, organization: UUID) -> None:
    integration = house.integration(organization, "salesforce")
    describe(
        house, integration, "contact", {"name": "LastName"}, {"name": "Email"},
        {"name": "Phone", "is_writable": False},
        {"name": "LeadSource", "options": {"Web": "Web"}, "is_closed": True},
    )  # fmt: skip
    house.reply(organization, house.contact(organization, **PERSON), "question")
    assert values(daemon.claim()["contacts"][0]) == {"LastName": "Lovelace", "Email": "ada@example.com"}


def test_a_rule_that_somebody_chose_is_never_left_out(house: House, daemon: Daemon, organization: UUID) -> None:
    integration = house.integration(
        organization,
        field_mappings={"contact": [{"value": "Gold", "to": "tier"}, {"from": "sentiment", "to": "vanished"}]},
    )
    describe(
        house, integration, "contact", {"name": "email"},
        {"name": "tier", "options": {"silver": "Silver"}, "is_closed": True},
    )  # fmt: skip
    message = house.message(organization, house.contact(organization))
    house.connection.execute(
        "insert into public.message_classifications (message_id, intent, sentiment) values (%s, 'question', 'warm')",
        [message],
    )
    assert values(daemon.claim()["contacts"][0]) == {"email": "ada@example.com", "tier": "Gold", "vanished": "warm"}


def test_a_choice_goes_forward_in_the_order_of_the_crms_options(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = house.integration(
        organization,
        field_mappings={"contact": [{"value": "Lead", "to": "lifecyclestage", "policy": "forward_only"}]},
    )
    describe(
        house, integration, "contact", {"name": "email"},
        {"name": "lifecyclestage", "options": {"subscriber": "Subscriber", "lead": "Lead", "customer": "Customer"}},
    )  # fmt: skip
    house.reply(organization, house.contact(organization), "question")
    assert daemon.claim()["contacts"][0]["fields"]["lifecyclestage"] == {
        "value": "lead",
        "policy": "forward_only",
        "ranks": [["subscriber"], ["lead"], ["customer"]],
    }


def test_a_word_for_a_status_that_somebody_chose_is_never_left_out(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = house.integration(organization, sync_settings={"status_values": {"contacted": "WARM"}})
    describe(
        house, integration, "contact", {"name": "email"},
        {"name": "hs_lead_status", "options": {"NEW": "New", "CONNECTED": "Connected"}, "is_closed": True},
    )  # fmt: skip
    house.reply(organization, house.contact(organization), "question")
    assert values(daemon.claim()["contacts"][0])["hs_lead_status"] == "WARM"


def test_a_company_has_its_own_mapping(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(
        organization, field_mappings={"company": [{"from": "phone", "to": "phone"}, {"value": "EMAIL", "to": "source"}]}
    )
    house.reply(organization, house.contact(organization, **PERSON), "x")
    (contact,) = daemon.claim()["contacts"]
    assert contact["company"]["fields"] == {"name": "Analytical Engines", "phone": "+44 1", "source": "EMAIL"}


def test_a_document_tells_since_when_it_may_be_in_the_crm(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization), "interested", attention=True)
    first = daemon.claim()
    daemon.confirm(first)
    second = daemon.claim()
    documents = [*first["contacts"], *second["deals"], *second["activities"], *second["tasks"]]
    assert len(documents) == 4
    assert all(document["queued_at"] for document in documents)


@pytest.mark.parametrize("provider", ["salesforce", "pipedrive"])
def test_where_the_crm_enforces_no_key_one_batch_is_under_way_at_a_time(
    house: House, daemon: Daemon, organization: UUID, provider: str
) -> None:
    house.integration(organization, provider)
    for n in range(3):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"), "x")
    daemon.claim(limit=1)
    assert daemon.try_claim(limit=1) is None


def test_a_batch_is_as_large_as_the_crm_makes_worth_while(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(organization, "pipedrive")
    for n in range(3):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"), "x")
    house.connection.execute(
        "update public.integration_providers set config = config || '{\"batch_rows\": 2}' where name = 'pipedrive'"
    )
    assert len(daemon.claim(limit=1000)["contacts"]) == 2
