"""What is Salesforce's own: its fields, ours among them, and the package that makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from providers.account import AccountFacts, CrmField
from providers.errors import ProviderError, RateLimited, Unauthorized
from providers.salesforce import Client
from tests.providers.contract import Budget, Tokens
from tests.providers.samples_salesforce import KEY, SalesforceAccount, SalesforceSample

PACKAGE = Path(__file__).parents[2] / "deploy" / "salesforce"
XML = "{http://soap.sforce.com/2006/04/metadata}"


async def ask(org: SalesforceAccount, method: str) -> Any:
    async with httpx.AsyncClient() as http:
        client = Client(org.config, Tokens(org, http), Budget(), http)
        return await getattr(client, method)()


async def described(org: SalesforceAccount) -> dict[tuple[str, str], CrmField]:
    return {(field.object, field.name): field for field in await ask(org, "describe")}


async def test_an_org_without_our_fields_is_told_what_an_administrator_has_to_do(salesforce: SalesforceSample) -> None:
    bare = salesforce.open_org(fields=False)
    with pytest.raises(Unauthorized) as caught:
        await ask(bare, "ensure_schema")
    assert (caught.value.code, caught.value.field) == ("FIELDS_MISSING", KEY)
    for words in (
        "deploy/salesforce",
        "sf project deploy start",
        "CRM_Sync",
        "Object Manager > Account",
        "External ID",
    ):
        assert words in caught.value.message
    assert bare.effects() == 0
    bare.org.deploy_fields()
    assert await ask(bare, "ensure_schema")


@pytest.mark.parametrize("name", ["Account", "Contact", "Opportunity"])
async def test_each_object_needs_its_field(org: SalesforceAccount, name: str) -> None:
    org.org.remove_field(name, KEY)
    with pytest.raises(Unauthorized) as caught:
        await ask(org, "ensure_schema")
    assert f"{KEY} on {name}" in caught.value.message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"external_id": False}, "External ID"),
        ({"unique": False}, "Unique"),
        ({"updateable": False}, "does not let this connection write"),
        ({"createable": False}, "does not let this connection write"),
    ],
)
async def test_a_field_that_cannot_serve_is_named_with_its_fault(
    org: SalesforceAccount, changes: dict[str, bool], words: str
) -> None:
    org.org.objects["Contact"].change(KEY, **changes)
    with pytest.raises(Unauthorized) as caught:
        await ask(org, "ensure_schema")
    assert words in caught.value.message


async def test_leads_and_tasks_may_be_without_our_field(org: SalesforceAccount) -> None:
    assert {name: org.learned[name] for name in ("lead", "task_key")} == {"lead": True, "task_key": True}
    org.org.remove_field("Lead", KEY)
    org.org.remove_field("Task", KEY)
    facts = await ask(org, "ensure_schema")
    assert {name: facts[name] for name in ("lead", "task_key")} == {"lead": False, "task_key": False}


async def test_an_object_that_the_user_may_not_see_is_named(org: SalesforceAccount) -> None:
    org.disturb_path(
        "/sobjects/Opportunity/describe", status=404, body={"message": "The requested resource does not exist"}
    )
    with pytest.raises(Unauthorized) as caught:
        await ask(org, "ensure_schema")
    assert "no access to Opportunity" in caught.value.message


async def test_an_org_without_leads_is_no_fault(org: SalesforceAccount) -> None:
    gone = {"message": "The requested resource does not exist", "category": "NOT_FOUND"}
    org.disturb_path("/sobjects/Lead/describe", status=404, body=gone, times=2)
    assert (await ask(org, "ensure_schema"))["lead"] is False
    assert "lead" not in {field for field, _ in await described(org)}


async def test_a_description_that_does_not_come_is_no_answer(org: SalesforceAccount) -> None:
    org.disturb_path("/sobjects/Lead/describe", status=429)
    with pytest.raises(RateLimited):
        await ask(org, "ensure_schema")
    org.disturb_path("/sobjects/Account/describe", status=200, body=[])
    with pytest.raises(ProviderError):
        await ask(org, "describe")


async def test_fields_are_described_as_mappings_need_them(org: SalesforceAccount) -> None:
    org.org.add_field("Contact", "Tier__c", type="picklist", label="Tier", options=["Gold", "Tin"], restricted=True)
    org.org.add_field("Contact", "Vip__c", type="boolean", label="VIP", nillable=False, default=False)
    fields = await described(org)
    tier, last_name = fields["contact", "Tier__c"], fields["contact", "LastName"]
    assert (tier.label, tier.type, tier.is_closed) == ("Tier", "enum", True)
    assert [option.value for option in tier.options] == ["Gold", "Tin"]
    assert (last_name.type, last_name.is_required, last_name.is_writable) == ("text", True, True)
    assert (fields["contact", "Vip__c"].type, fields["contact", "Vip__c"].is_required) == ("boolean", False)
    assert fields["deal", "Amount"].type == "number"
    assert fields["deal", "CloseDate"].type == "date"
    assert not fields["deal", "StageName"].is_closed
    assert fields["company", "Name"].is_required
    assert not fields["contact", "CreatedDate"].is_writable
    assert fields["lead", "Company"].is_required
    assert {name for _, name in fields if name == KEY} == set()


async def test_types_that_pushes_need_are_learned(org: SalesforceAccount) -> None:
    org.org.add_field("Contact", "Vip__c", type="boolean", nillable=False, default=False)
    facts = await ask(org, "ensure_schema")
    assert facts["types"]["Contact"]["Vip__c"] == "boolean"
    assert facts["types"]["Opportunity"]["Amount"] == "number"
    assert "LastName" not in facts["types"]["Contact"]


async def test_the_org_is_named(salesforce: SalesforceSample) -> None:
    org = salesforce.open_org(name="Engines Ltd")
    assert await ask(org, "identify") == AccountFacts(id=org.org.id, name="Engines Ltd", url=org.config.api_base_url)


async def test_an_org_whose_name_may_not_be_read_is_named_by_its_id(org: SalesforceAccount) -> None:
    org.disturb_path("/query", status=400, body={"category": "INVALID_TYPE", "message": "not supported"})
    assert await ask(org, "identify") == AccountFacts(id=org.org.id, url=org.config.api_base_url)


@pytest.mark.parametrize("body", [[], [{}], {"records": []}, {"records": [{"Id": "00D"}]}, "words"])
async def test_an_answer_that_names_no_org_is_none(org: SalesforceAccount, body: Any) -> None:
    org.disturb_path("/query", status=200, body=json.dumps(body) if isinstance(body, list | str) else body)
    with pytest.raises(ProviderError):
        await ask(org, "identify")


async def test_a_connections_own_host_must_be_one_of_salesforces(org: SalesforceAccount) -> None:
    async with httpx.AsyncClient() as http:
        client = Client(org.config, Tokens(org, http), Budget(), http)
        elsewhere = org.credentials().model_copy(update={"instance_url": "https://evil.example"})
        with pytest.raises(Unauthorized):
            client.base_url(elsewhere)


def test_the_package_makes_the_fields_that_the_client_looks_for() -> None:
    fields = PACKAGE / "force-app" / "main" / "default" / "objects"
    made = {}
    for path in fields.glob("*/fields/*.field-meta.xml"):
        root = ET.parse(path).getroot()
        made[path.parts[-3]] = {
            name: root.findtext(f"{XML}{name}") for name in ("fullName", "type", "externalId", "unique")
        }
        assert path.name == f"{KEY}.field-meta.xml"
    text = {"fullName": KEY, "type": "Text", "externalId": "true"}
    assert made == {
        **{name: {**text, "unique": "true"} for name in ("Account", "Contact", "Lead", "Opportunity")},
        "Activity": {**text, "unique": "false"},
    }


def test_the_permission_set_and_the_manifest_cover_every_field() -> None:
    granted = ET.parse(
        PACKAGE / "force-app" / "main" / "default" / "permissionsets" / "CRM_Sync.permissionset-meta.xml"
    ).getroot()
    fields = {each.findtext(f"{XML}field") for each in granted.iter(f"{XML}fieldPermissions")}
    assert fields == {f"{name}.{KEY}" for name in ("Account", "Contact", "Lead", "Opportunity", "Task")}
    manifest = ET.parse(PACKAGE / "manifest" / "package.xml").getroot()
    members = {each.text for each in manifest.iter(f"{XML}members")}
    assert members == {f"{name}.{KEY}" for name in ("Account", "Contact", "Lead", "Opportunity", "Activity")} | {
        "CRM_Sync"
    }
