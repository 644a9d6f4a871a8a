"""What HubSpot says of its properties becomes what a mapping may lead to."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from providers import client_for
from providers.account import CrmField, Option
from providers.errors import Unexpected
from providers.hubspot_fields import fields_of, with_pipelines
from sandbox.hubspot.pipelines import Pipeline, Stage
from sandbox.hubspot.schema import LEAD_STATUSES
from tests.providers.contract import Budget, Tokens
from tests.providers.person import Person
from tests.providers.samples_hubspot import HubSpotAccount


async def described(account: HubSpotAccount) -> dict[tuple[str, str], CrmField]:
    budget = Budget()
    async with httpx.AsyncClient() as http:
        fields = await client_for("hubspot")(account.config, Tokens(account, http), budget, http).describe()
    assert len(budget.spent) == 4
    assert len({(field.object, field.name) for field in fields}) == len(fields)
    return {(field.object, field.name): field for field in fields}


def values(field: CrmField) -> tuple[str, ...]:
    return tuple(option.value for option in field.options)


async def test_contacts_companies_and_deals_are_described(portal: HubSpotAccount) -> None:
    fields = await described(portal)
    assert {kind for kind, _ in fields} == {"contact", "company", "deal"}
    assert fields["contact", "email"].type == "text"
    assert fields["company", "numberofemployees"].type == "number"
    assert (fields["deal", "closedate"].type, fields["deal", "closedate"].is_writable) == ("datetime", True)
    assert fields["contact", "crm_sync_lead_source"].label == "Lead source (CRM sync)"
    status = fields["contact", "hs_lead_status"]
    assert (status.type, status.is_closed, values(status)) == ("enum", True, LEAD_STATUSES)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("contact", "hs_object_id"),
        ("contact", "hs_additional_emails"),
        ("contact", "num_associated_deals"),
        ("company", "createdate"),
        ("deal", "hs_is_closed"),
    ],
)
async def test_what_hubspot_sets_itself_is_not_ours_to_write(portal: HubSpotAccount, kind: str, name: str) -> None:
    assert not (await described(portal))[kind, name].is_writable


async def test_pipelines_and_stages_are_choices_of_a_deal(portal: HubSpotAccount) -> None:
    portal.portal.pipelines["p-77"] = Pipeline(
        "p-77", "Rentals", (Stage("s-2", "Enquiry", "0.1"), Stage("s-3", "Won", "1.0"))
    )
    fields = await described(portal)
    assert values(fields["deal", "pipeline"]) == ("p-77", "default")
    assert Option(value="s-2", label="Rentals: Enquiry") in fields["deal", "dealstage"].options
    assert "appointmentscheduled" in values(fields["deal", "dealstage"])
    assert fields["deal", "pipeline"].is_closed
    assert not fields["deal", "dealstage"].is_closed


async def test_an_option_that_people_do_not_see_is_none_and_a_choice_of_several_is_told_from_one_of_one(
    portal: HubSpotAccount, person: Person
) -> None:
    person.define(
        "contacts",
        name="interests",
        label="Interests",
        type="enumeration",
        fieldType="checkbox",
        groupName="contactinformation",
        options=[{"label": "Chess", "value": "chess"}, {"label": "Whist", "value": "whist", "hidden": True}],
    )
    field = (await described(portal))["contact", "interests"]
    assert (field.type, field.is_closed) == ("multi_enum", True)
    assert field.options == (Option(value="chess", label="Chess"),)


async def test_a_choice_whose_values_live_elsewhere_is_open(portal: HubSpotAccount) -> None:
    owner = (await described(portal))["contact", "hubspot_owner_id"]
    assert (owner.type, owner.options, owner.is_closed) == ("enum", (), False)


def test_archived_properties_and_types_that_are_new_do_no_harm() -> None:
    entries = [
        {"name": "old", "type": "string", "archived": True},
        {"name": "new", "type": "hologram"},
        {"name": "kept", "type": "bool", "options": [{"value": "true", "label": "Yes"}], "label": ""},
    ]
    fields = {field.name: field for field in fields_of("contact", {"results": entries})}
    assert set(fields) == {"new", "kept"}
    assert (fields["new"].type, fields["new"].is_writable) == ("other", True)
    assert (fields["kept"].type, fields["kept"].label, fields["kept"].is_closed) == ("boolean", "kept", False)


@pytest.mark.parametrize("answer", [None, [], {}, {"results": None}, {"results": ["x"]}, {"results": [{}]}])
def test_what_is_no_list_of_properties_is_refused(answer: Any) -> None:
    with pytest.raises(Unexpected):
        fields_of("deal", answer)


@pytest.mark.parametrize("answer", [None, [], {}, {"results": None}])
def test_what_is_no_list_of_pipelines_is_refused(answer: Any) -> None:
    with pytest.raises(Unexpected):
        list(with_pipelines([], answer))
