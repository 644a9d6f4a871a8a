"""What HubSpot refuses, and why: by the code that it then has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from providers.models import Field
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.schema import Property
from tests.providers.causes.hubspot_tokens import TOKENS
from tests.providers.causes.scene import Cause, Met, Scene
from tests.providers.samples_hubspot import VERSION, HubSpotAccount

OBJECTS = f"/crm/objects/{VERSION}"
WHOLE_NUMBER = Property("shoes", "Shoes", "number", "number", "contactinformation", hubspot_defined=False)
SINCE = Property("since", "Since", "datetime", "date", "contactinformation", hubspot_defined=False)
BIRTHDAY = Property("birthday", "Birthday", "date", "date", "contactinformation", hubspot_defined=False)
BADGE = Property("badge", "Badge", "string", "text", "contactinformation", unique=True, hubspot_defined=False)
VALUES: Mapping[str, tuple[str, str]] = {
    "INVALID_OPTION": ("hs_lead_status", "QUALIFIED"),
    "PROPERTY_DOESNT_EXIST": ("shoe_size", "46"),
    "READ_ONLY_VALUE": ("createdate", "2026-11-22T10:00:00Z"),
    "INVALID_NUMBER": ("shoes", "two"),
    "INVALID_LONG": ("since", "soon"),
    "INVALID_DATE": ("birthday", "1700000000001"),
    "PROPERTY_TOO_LONG": ("jobtitle", 65_537 * "x"),
}
"""A contact's field and what it holds."""
CALLS: Mapping[str, tuple[str, str, Any]] = {
    "DUPLICATE_IDS": ("POST", f"{OBJECTS}/contacts/batch/upsert", {"inputs": 2 * [
        {"id": "twice@example.com", "idProperty": "email", "properties": {}}]}),
    "NON_UNIQUE_KEY": ("POST", f"{OBJECTS}/contacts/batch/upsert", {"inputs": [
        {"id": "Ada", "idProperty": "firstname", "properties": {}}]}),
    "TOO_MANY_INPUTS": ("POST", f"{OBJECTS}/contacts/batch/upsert", {"inputs": [
        {"id": f"p{number}@example.com", "idProperty": "email", "properties": {}} for number in range(101)]}),
    "OBJECT_NOT_FOUND": ("POST", f"{OBJECTS}/notes/batch/create", {"inputs": [
        {"properties": {"hs_timestamp": "2026-11-22T10:00:00Z", "hs_note_body": "x"}, "associations": [
            {"to": {"id": "7"}, "types": [{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 202}]}]}]}),
    "PROPERTY_EXISTS": ("POST", f"/crm/properties/{VERSION}/contacts", {
        "name": "crm_sync_lead_source", "label": "x", "type": "string", "fieldType": "text",
        "groupName": "contactinformation"}),
}  # fmt: skip
"""Calls that this version does not make, or only once: method, path and body."""


def _value(name: str, value: str) -> Cause:
    async def meet(scene: Scene) -> Met:
        account = await scene.shared(HubSpotAccount)
        definitions = account.portal.stores["contacts"].definitions
        definitions.update({each.name: each for each in (WHOLE_NUMBER, SINCE, BIRTHDAY)})
        return await scene.push_value(account, name, value)

    return meet


def _call(method: str, path: str, body: Any) -> Cause:
    async def meet(scene: Scene) -> Met:
        return await scene.call(await scene.shared(HubSpotAccount), method, path, json=body)

    return meet


def _state(change: Callable[[Portal], object]) -> Cause:
    """A contact is sent to an account in this state."""

    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(HubSpotAccount)
        change(account.portal)
        return await scene.push(account)

    return meet


async def deal_without_name(scene: Scene) -> Met:
    account = await scene.shared(HubSpotAccount)
    return await scene.push(account, scene.deal(await scene.arrived(account), {"dealname": Field(value="")}))


async def bad_address(scene: Scene) -> Met:
    return await scene.push(await scene.shared(HubSpotAccount), scene.contact(email="ada"))


async def address_of_another(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    await scene.arrived(account, scene.contact(email="first@example.com"))
    second = await scene.arrived(account, scene.contact(email="second@example.com"))
    taken = {"email": Field(value="first@example.com")}
    return await scene.push(account, scene.contact(taken, email="first@example.com", external_id=second))


async def address_of_a_hidden_one(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    held = await scene.arrived(account, scene.contact(email="hidden@example.com"))
    account.portal.stores["contacts"].hidden.add(held)
    return await scene.push(account, scene.contact(email="hidden@example.com"))


async def badge_of_another(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    store = account.portal.stores["contacts"]
    store.definitions["badge"] = BADGE
    store.make_unique("badge")
    await scene.arrived(account, scene.contact({"badge": Field(value="7")}))
    return await scene.push_value(account, "badge", "7")


async def no_open_stage(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    held = await scene.arrived(account)
    (pipeline,) = account.portal.pipelines.values()
    closed = tuple(stage for stage in pipeline.stages if stage.is_closed)
    account.portal.pipelines[pipeline.id] = replace(pipeline, stages=closed)
    return await scene.push(account, scene.deal(held))


async def key_not_unique(scene: Scene) -> Met:
    account = scene.sample.open_account()
    assert isinstance(account, HubSpotAccount)
    definition = replace(BADGE, name="crm_sync_key", unique=False)
    for store in account.portal.stores.values():
        store.definitions["crm_sync_key"] = definition
    return await scene.make_schema(account)


async def contact_gone(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    held = await scene.arrived(account)
    store = account.portal.stores["contacts"]
    record = store.get(held)
    assert record is not None
    account.portal.archive(store, record, scene.clock())
    return await scene.push(account, scene.activity(held))


async def search_too_often(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    account.portal.search_window.calls = 0
    return await scene.call(account, "POST", f"{OBJECTS}/contacts/search", json={})


async def day_spent(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    account.portal.daily.calls = 0
    account.portal.access_token = account.portal.static_token
    return await scene.push(account)


def _without(scope: str) -> Callable[[Portal], object]:
    def change(portal: Portal) -> None:
        portal.scopes = tuple(each for each in portal.scopes if each != scope)

    return change


def _few_calls(portal: Portal) -> None:
    portal.app_window.calls = 0


def _move(portal: Portal) -> None:
    portal.is_moving = True


CAUSES: Mapping[str, Cause] = {
    **TOKENS,
    **{code: _value(*given) for code, given in VALUES.items()},
    **{code: _call(*given) for code, given in CALLS.items()},
    "MISSING_SCOPES": _state(_without("crm.objects.contacts.write")),
    "CRM_PERMISSIONS_ENFORCEMENT": _state(lambda portal: portal.closed.add("contacts")),
    "VALIDATION_ERROR": deal_without_name,
    "REQUIRED_PROPERTY_MISSING": _state(lambda portal: portal.required.update(contacts={"jobtitle"})),
    "INVALID_EMAIL": bad_address,
    "CONFLICT": address_of_another,
    "LOCKED": _state(lambda portal: portal.locks.update(contacts=9)),
    "TEN_SECONDLY_ROLLING": _state(_few_calls),
    "SECONDLY": search_too_often,
    "DAILY": day_spent,
    "HTTP_477": _state(_move),
    "ADDRESS_TAKEN": address_of_a_hidden_one,
    "NO_OPEN_STAGE": no_open_stage,
    "PROPERTY_NOT_UNIQUE": key_not_unique,
}
