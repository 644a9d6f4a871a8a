"""Disconnecting a CRM: what goes, what stays, and what brings it back."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.house import House


def test_disconnecting_wipes_the_credentials_and_keeps_settings_and_waiting_rows(house: House) -> None:
    organization = house.organization()
    integration = house.integration(organization, field_mappings={"contact": [{"from": "phone", "to": "mobilephone"}]})
    house.reply(organization, house.contact(organization))
    with house.as_role("authenticated", house.user(organization)):
        assert house.value("select crm_sync.disconnect(%s)", integration) is True
        assert house.value("select crm_sync.disconnect(%s)", integration) is False
    assert house.rows("select status, credentials, field_mappings <> '{}' from public.user_integrations") == [
        ("disconnected", None, True)
    ]
    assert house.value("select status from public.sync_queue") == "pending"
    assert house.value("select title from public.sync_activity_logs") == "Disconnected"
    claim = "select batch from crm_sync.claim_batch(gen_random_uuid())"
    with house.as_role("crm_sync_daemon"):
        assert house.value(claim) is None


def test_new_credentials_connect_it_again_and_the_rows_go_on(house: House) -> None:
    organization = house.organization()
    integration = house.integration(organization)
    house.reply(organization, house.contact(organization))
    house.value("select crm_sync.disconnect(%s)", integration)
    house.connection.execute(
        "update public.user_integrations set credentials = %s", [json.dumps({"access_token": "another"})]
    )
    assert house.value("select status from public.user_integrations") == "connected"
    with house.as_role("crm_sync_daemon"):
        assert house.value("select batch ->> 'integration_id' from crm_sync.claim_batch(gen_random_uuid())") == str(
            integration
        )


def test_nobody_disconnects_the_connection_of_another_organization(house: House) -> None:
    integration = house.integration(house.organization())
    stranger = house.user(house.organization("Other"))
    with house.as_role("authenticated", stranger), pytest.raises(psycopg.Error) as refused:
        house.value("select crm_sync.disconnect(%s)", integration)
    assert refused.value.sqlstate == "CS021"


def test_a_connection_that_a_member_prepares_is_not_connected_before_it_has_credentials(house: House) -> None:
    organization = house.organization()
    with house.as_role("authenticated", house.user(organization)) as connection:
        connection.execute(
            "insert into public.user_integrations (organization_id, provider_id) "
            "select %s, id from public.integration_providers where name = 'hubspot'",
            [organization],
        )
    assert house.value("select status from public.user_integrations") == "disconnected"


def test_the_reader_sees_classifications_whose_message_never_came(house: House) -> None:
    house.connection.execute(
        "insert into public.message_classifications (message_id, intent) values (gen_random_uuid(), 'question')"
    )
    with house.as_role("crm_sync_reader"):
        assert house.value("select reason from crm_sync.orphans") == "the message does not exist (yet)"
