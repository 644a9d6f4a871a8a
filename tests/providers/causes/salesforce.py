"""What Salesforce refuses, and why: by the code that it then has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from providers.errors import ProviderError
from providers.models import Field
from providers.salesforce_errors import row_error
from sandbox.salesforce.org import Org
from sandbox.salesforce.standing import CALLS, REFRESHES
from tests.providers.causes.salesforce_tokens import TOKENS
from tests.providers.causes.scene import Cause, Met, Scene
from tests.providers.samples_salesforce import KEY, VERSION, SalesforceAccount

DATA = f"/services/data/{VERSION}"
COLLECTION = f"{DATA}/composite/sobjects"
VALUES: Mapping[str, tuple[str, str]] = {
    "INVALID_EMAIL_ADDRESS": ("Email", "ada"),
    "STRING_TOO_LONG": ("Badge__c", 256 * "7"),
    "NUMBER_OUTSIDE_VALID_RANGE": ("Age__c", "1e30"),
    "JSON_PARSER_ERROR": ("Birthdate", "soon"),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": ("Size__c", "XXL"),
    "INVALID_FIELD": ("Shoe__c", "46"),
    "INVALID_FIELD_FOR_INSERT_UPDATE": ("CreatedDate", "2026-11-22T10:00:00Z"),
    "FIELD_INTEGRITY_EXCEPTION": ("ReportsToId", "001000000000001AAA"),
    "INVALID_CROSS_REFERENCE_KEY": ("ReportsToId", "003000000000001AAA"),
    "MALFORMED_ID": ("ReportsToId", "7"),
}
"""A contact's field and what it holds."""


def _contacts(count: int, **fields: Any) -> dict[str, Any]:
    """So many new contacts of one collection, each under a key of its own."""
    given = {"attributes": {"type": "Contact"}, "LastName": "x", **fields}
    return {"allOrNone": False, "records": [{KEY: str(uuid4()), **given} for _ in range(count)]}


CALLS_OF_OURS: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "MALFORMED_QUERY": ("GET", f"{DATA}/query", {"params": {"q": "select from Contact"}}),
    "INVALID_QUERY_FILTER_OPERATOR": ("GET", f"{DATA}/query", {
        "params": {"q": "select Id from Contact where Id = 'seven'"}}),
    "INVALID_QUERY_LOCATOR": ("GET", f"{DATA}/query/01g000-2000", {}),
    "INVALID_TYPE": ("GET", f"{DATA}/query", {"params": {"q": "select Id from Shoe__c"}}),
    "INVALID_INPUT": ("PATCH", f"{COLLECTION}/Contact/{KEY}", {"json": {"records": [
        {"attributes": {"type": "Lead"}, KEY: "1", "LastName": "x"}]}}),
    "MISSING_ARGUMENT": ("DELETE", COLLECTION, {}),
    "EXCEEDED_ID_LIMIT": ("PATCH", f"{COLLECTION}/Contact/{KEY}", {"json": _contacts(201)}),
    "LIMIT_EXCEEDED": ("POST", f"{DATA}/composite", {"json": {"compositeRequest": 26 * [
        {"method": "GET", "url": f"{DATA}/limits", "referenceId": "a"}]}}),
    "METHOD_NOT_ALLOWED": ("PUT", f"{DATA}/sobjects/Contact", {"json": {}}),
    "UNSUPPORTED_MEDIA_TYPE": ("PATCH", f"{COLLECTION}/Contact/{KEY}", {}),
    "NOT_FOUND": ("PATCH", f"{COLLECTION}/Contact/Nobody__c", {"json": _contacts(1)}),
    "HTTP_414": ("GET", f"{DATA}/query", {"params": {"q": 17_000 * "x"}}),
}  # fmt: skip
"""Calls that this version does not make, or not to an org that is as it should be."""


def _value(name: str, value: str) -> Cause:
    async def meet(scene: Scene) -> Met:
        account = await scene.shared(SalesforceAccount)
        if "Badge__c" not in account.org.objects["Contact"].fields:
            account.org.add_field("Contact", "Badge__c")
            account.org.add_field("Contact", "Age__c", type="double")
            account.org.add_field("Contact", "Size__c", type="picklist", options=("S", "M"), restricted=True)
        return await scene.push_value(account, name, value)

    return meet


def _call(method: str, path: str, given: dict[str, Any]) -> Cause:
    async def meet(scene: Scene) -> Met:
        return await scene.call(await scene.shared(SalesforceAccount), method, path, **given)

    return meet


def _state(change: Callable[[Org], object]) -> Cause:
    """A contact is sent to an org in this state."""

    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(SalesforceAccount)
        change(account.org)
        return await scene.push(account)

    return meet


def _standing(state: str) -> Cause:
    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(SalesforceAccount)
        account.org.standing.state = state
        return await (scene.refresh(account) if state in REFRESHES else scene.push(account))

    return meet


def _reference(name: str, spoil: Callable[[Org, str], object], sobject: str = "Contact") -> Cause:
    """A contact refers to a record that was spoilt."""

    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(SalesforceAccount)
        held = account.org.create(sobject, LastName="Byron")
        spoil(account.org, held)
        return await scene.push_value(account, name, held)

    return meet


async def fields_missing(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    account.org.remove_field("Contact", KEY)
    return await scene.push(account)


async def retired_version(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    account.config = account.config.model_copy(update={"api_version": "v30.0"})
    return await scene.push(account)


async def several_of_one_key(scene: Scene) -> Met:
    return await _several(scene, f"{DATA}/sobjects/Contact/Badge__c/7", {"LastName": "x"})


async def several_of_one_key_in_a_collection(scene: Scene) -> Met:
    record = {"attributes": {"type": "Contact"}, "Badge__c": "7", "LastName": "x"}
    return await _several(scene, f"{COLLECTION}/Contact/Badge__c", {"allOrNone": False, "records": [record]})


async def _several(scene: Scene, path: str, body: dict[str, Any]) -> Met:
    account = await scene.fresh(SalesforceAccount)
    account.org.add_field("Contact", "Badge__c", external_id=True)
    for _ in range(2):
        account.org.create("Contact", LastName="Byron", Badge__c="7")
    return await _met_in(scene, account, "PATCH", path, body)


async def _met_in(scene: Scene, account: SalesforceAccount, method: str, path: str, body: dict[str, Any]) -> Met:
    """What the call, or the last part of its answer, is refused with."""
    try:
        answer = await scene.ask(account, method, path, json=body)
    except ProviderError as error:
        return error
    last = answer[-1]["errors"] if isinstance(answer, list) else answer["compositeResponse"][-1]["body"]
    return row_error(last)


async def undone_with_another(scene: Scene) -> Met:
    account = await scene.shared(SalesforceAccount)
    records = [*_contacts(1, Email="ada")["records"], *_contacts(1)["records"]]
    return await _met_in(
        scene, account, "PATCH", f"{COLLECTION}/Contact/{KEY}", {"allOrNone": True, "records": records}
    )


async def not_begun_after_another(scene: Scene) -> Met:
    account = await scene.shared(SalesforceAccount)
    parts = [
        {"method": "POST", "url": f"{DATA}/sobjects/Contact", "referenceId": "first", "body": {}},
        {"method": "GET", "url": f"{DATA}/sobjects/Contact/@{{first.id}}", "referenceId": "second"},
    ]
    return await _met_in(scene, account, "POST", f"{DATA}/composite", {"allOrNone": False, "compositeRequest": parts})


async def required_field(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    account.org.add_field("Contact", "Badge__c", nillable=False)
    return await scene.push(account)


async def badge_of_another(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    account.org.add_field("Contact", "Badge__c", unique=True)
    account.org.create("Contact", LastName="Byron", Badge__c="7")
    return await scene.push_value(account, "Badge__c", "7")


async def duplicate(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    account.org.duplicate_rule("Account")
    account.org.create("Account", Name="Engines")
    body = {"records": [{"attributes": {"type": "Account"}, "Name": "Engines", KEY: "1"}]}
    return await _met_in(scene, account, "PATCH", f"{COLLECTION}/Account/{KEY}", body)


async def converted(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    lead = account.org.create("Lead", LastName="Byron", Company="Estates")
    account.org.convert_lead(lead)
    return await scene.call(account, "PATCH", f"{DATA}/sobjects/Lead/{lead}", json={"LastName": "Noel"})


async def in_approval(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    held = await scene.arrived(account)
    account.org.standing.approvals.add(held)
    return await scene.push(account, scene.contact({"Title": Field(value="Countess")}, external_id=held))


async def deal_of_a_lead(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    return await scene.push(account, scene.deal(account.org.create("Lead", LastName="Byron", Company="Estates")))


async def inactive_owner(scene: Scene) -> Met:
    account = await scene.fresh(SalesforceAccount)
    gone = account.org.add_user("Former Colleague", "former@example.com", is_active=False)
    return await scene.push_value(account, "OwnerId", gone)


def _spend(org: Org) -> None:
    org.window.calls = 0


def _fill(org: Org) -> None:
    org.standing.is_full = True


CAUSES: Mapping[str, Cause] = {
    **TOKENS,
    **{code: _standing(state) for state, code in {**CALLS, **REFRESHES}.items()},
    **{code: _value(*given) for code, given in VALUES.items()},
    **{code: _call(*given) for code, given in CALLS_OF_OURS.items()},
    "FIELDS_MISSING": fields_missing,
    "GONE": retired_version,
    "REQUEST_LIMIT_EXCEEDED": _state(_spend),
    "STORAGE_LIMIT_EXCEEDED": _state(_fill),
    "HTTP_300": several_of_one_key,
    "DUPLICATE_EXTERNAL_ID": several_of_one_key_in_a_collection,
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": undone_with_another,
    "PROCESSING_HALTED": not_begun_after_another,
    "REQUIRED_FIELD_MISSING": required_field,
    "DUPLICATE_VALUE": badge_of_another,
    "DUPLICATES_DETECTED": duplicate,
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": _state(
        lambda org: org.validation_rule("Contact", lambda values: not values.get("Phone"), "A contact needs a phone")
    ),
    "FIELD_FILTER_VALIDATION_EXCEPTION": _reference(
        "ReportsToId", lambda org, _: org.standing.filters.update({("Contact", "ReportsToId"): lambda held: True})
    ),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": _state(lambda org: org.limit_automation("Contact", 0)),
    "CANNOT_EXECUTE_FLOW_TRIGGER": _state(
        lambda org: org.standing.flows.update(Contact="We can't save this record because the flow failed.")
    ),
    "INSUFFICIENT_ACCESS_OR_READONLY": _state(lambda org: org.standing.read_only.add("Contact")),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": _reference(
        "ReportsToId", lambda org, held: org.standing.hidden.add(held)
    ),
    "CANNOT_UPDATE_CONVERTED_LEAD": converted,
    "INACTIVE_OWNER_OR_USER": inactive_owner,
    "ENTITY_IS_LOCKED": in_approval,
    "ENTITY_IS_DELETED": _reference("ReportsToId", lambda org, held: org.delete("Contact", held)),
    "UNABLE_TO_LOCK_ROW": _state(lambda org: org.lock_rows("Contact", 9)),
}
