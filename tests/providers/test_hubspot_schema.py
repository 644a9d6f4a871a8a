"""What is HubSpot's own: the properties it needs, the scopes, the versions."""

from __future__ import annotations

import httpx
import pytest

from providers import client_for
from providers.errors import FailureKind, Unauthorized
from providers.models import Company, Field
from tests.providers.contract import Budget, Tokens, push
from tests.providers.people import contact, only_blank
from tests.providers.person import Person
from tests.providers.samples_hubspot import HubSpotAccount, HubSpotSample


async def ensure_schema(account: HubSpotAccount) -> None:
    async with httpx.AsyncClient() as http:
        await client_for("hubspot")(account.config, Tokens(account, http), Budget(), http).ensure_schema()


async def test_a_missing_scope_stops_the_connection_and_is_named(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    portal.portal.scopes = tuple(scope for scope in portal.portal.scopes if scope != "crm.objects.contacts.write")
    pushed = await push(hubspot, portal, contact())
    assert isinstance(pushed.error, Unauthorized)
    assert pushed.error.code == "MISSING_SCOPES"
    assert "crm.objects.contacts.write" in pushed.error.message


async def test_a_schema_that_may_not_be_made_names_the_scope(hubspot: HubSpotSample) -> None:
    account = hubspot.open_account()
    account.portal.scopes = tuple(scope for scope in account.portal.scopes if "schemas" not in scope)
    with pytest.raises(Unauthorized, match=r"lacks the scope crm\.schemas\.companies\.write"):
        await ensure_schema(account)


async def test_a_schema_that_somebody_else_has_made_needs_no_scope(hubspot: HubSpotSample) -> None:
    account = hubspot.open_account()
    await ensure_schema(account)
    account.portal.scopes = tuple(scope for scope in account.portal.scopes if "schemas" not in scope)
    await ensure_schema(account)


async def test_the_schema_is_what_the_client_needs(hubspot: HubSpotSample) -> None:
    account = hubspot.open_account()
    await ensure_schema(account)
    made = [
        (effect["object_type"], effect["name"], effect["unique"])
        for effect in hubspot.hubspot.effects(account.portal.hub_id)
    ]
    assert made == [
        ("companies", "crm_sync_key", True),
        ("deals", "crm_sync_key", True),
        ("contacts", "crm_sync_contact_id", False),
        ("contacts", "crm_sync_lead_source", False),
    ]


async def test_a_key_property_that_is_not_unique_tells_an_administrator_what_to_do(hubspot: HubSpotSample) -> None:
    account = hubspot.open_account()
    person = Person(account)
    person.define(
        "deals", name="crm_sync_key", label="Mine", type="string", fieldType="text", groupName="dealinformation"
    )
    person.close()
    with pytest.raises(Unauthorized, match=r"crm_sync_key on deals that does not require unique values.*delete it"):
        await ensure_schema(account)


async def test_a_key_property_of_which_hubspot_says_no_more_is_taken_for_unique(hubspot: HubSpotSample) -> None:
    account = hubspot.open_account()
    await ensure_schema(account)
    account.disturb_path("/properties/2026-03/deals/crm_sync_key", status=200, body={"name": "crm_sync_key"})
    await ensure_schema(account)


async def test_a_portal_that_makes_no_more_properties_needs_an_administrator(hubspot: HubSpotSample) -> None:
    account = hubspot.open_account()
    account.disturb_path("/properties/", status=422, body={"message": "Too many", "category": "VALIDATION_ERROR"})
    with pytest.raises(Unauthorized, match="an administrator has to: Too many"):
        await ensure_schema(account)


async def test_properties_that_vanished_are_made_again_once(hubspot: HubSpotSample) -> None:
    account = hubspot.open_account()
    document = contact(
        fields={"crm_sync_lead_source": only_blank("Email Campaign")}, company=Company(key="engines", name="Engines")
    )
    assert (await push(hubspot, account, document)).statuses == {"synced"}
    made = [effect["name"] for effect in hubspot.hubspot.effects(account.portal.hub_id) if "name" in effect]
    assert len(made) == len(set(made)) + 1 == 4


async def test_a_version_that_hubspot_has_not_blames_no_row(hubspot: HubSpotSample, portal: HubSpotAccount) -> None:
    portal.config = portal.config.model_copy(update={"api_version": "1999-01"})
    documents = [contact(number, f"p{number}@example.com") for number in range(1, 101)]
    pushed = await push(hubspot, portal, *documents)
    assert {outcome.failure and outcome.failure.kind for outcome in pushed.all} == {FailureKind.BUG}
    assert pushed.calls == 1


async def test_the_newer_version_answers_refused_rows_inside_a_success(
    hubspot: HubSpotSample, portal: HubSpotAccount
) -> None:
    portal.config = portal.config.model_copy(update={"api_version": "2026-09"})
    bad = contact(2, "b@example.com", fields={"hs_lead_status": Field(value="QUALIFIED")})
    pushed = await push(hubspot, portal, contact(1), bad)
    assert [pushed.of(contact(1)).status, pushed.of(bad).status] == ["synced", "failed"]
