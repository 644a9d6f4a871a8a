"""An emulator that is told to refuse says what the CRM would: what we make of it is what the registry says."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from providers import hubspot_errors, oauth, pipedrive_errors, salesforce_errors
from providers.errors import ProviderError
from sandbox import hubspot, pipedrive, salesforce
from sandbox.documented import Documented
from sandbox.faults import Fault
from sandbox.hubspot.documented import ERRORS as OF_HUBSPOT
from sandbox.pipedrive.documented import ERRORS as OF_PIPEDRIVE
from sandbox.salesforce.documented import ERRORS as OF_SALESFORCE
from tests.providers.conftest import Registry


def struck(crm: Any, account: int, method: str, path: str) -> Fault:
    """How the next such call is answered."""
    fault = crm.faults.take(method, path, account)
    assert isinstance(fault, Fault)
    return fault


def answer(fault: Fault, path: str) -> httpx.Response:
    assert fault.status is not None
    text = fault.body if isinstance(fault.body, str) else json.dumps(fault.body)
    kind = "text/html" if fault.html else "application/json"
    return httpx.Response(
        fault.status,
        content=text,
        headers={"content-type": kind, **fault.headers},
        request=httpx.Request("POST", f"https://crm.test{path}"),
    )


def refused(document: Documented, response: httpx.Response, errors: Any, name: str) -> ProviderError:
    """What a whole call, or a refresh, is refused with."""
    if document.at == "token":
        return oauth._error(response, response.json(), name)
    error: ProviderError = errors.error_of(response)
    return error


@pytest.mark.parametrize("code", OF_HUBSPOT)
def test_hubspot_on_demand(code: str, registry: Registry) -> None:
    crm, document = hubspot.HubSpot(), OF_HUBSPOT[code]
    portal = crm.open_portal()
    crm.refuse(portal.hub_id, code)
    if document.at == "row":
        met = hubspot_errors.row_error(portal.refusals.pop().row("7"))
    else:
        path = "/oauth/2026-03/token" if document.at == "token" else "/crm/objects/2026-03/contacts/batch/upsert"
        met = refused(document, answer(struck(crm, portal.hub_id, "POST", path), path), hubspot_errors, "hubspot")
    assert (met.kind.value, met.code) == (registry["hubspot", code][0], code)


@pytest.mark.parametrize("code", ["CONFLICT", "OBJECT_ALREADY_EXISTS", "LOCKED"])
def test_what_others_hold_is_tried_again_also_where_it_is_said_of_one_row(code: str, registry: Registry) -> None:
    met = hubspot_errors.row_error({"category": code, "message": "no"})
    assert (met.kind.value, met.code) == (registry["hubspot", code][0], code)


@pytest.mark.parametrize("code", OF_SALESFORCE)
def test_salesforce_on_demand(code: str, registry: Registry) -> None:
    crm, document = salesforce.Salesforce(), OF_SALESFORCE[code]
    org = crm.open_org()
    crm.refuse(org.number, code)
    if document.at == "row":
        met = salesforce_errors.row_error([org.refusals.pop().row()])
    else:
        path = "/services/oauth2/token" if document.at == "token" else "/composite/sobjects/Contact/X"
        met = refused(document, answer(struck(crm, org.number, "PATCH", path), path), salesforce_errors, "salesforce")
    assert (met.kind.value, met.code) == (registry["salesforce", code][0], code)


@pytest.mark.parametrize("code", OF_PIPEDRIVE)
def test_pipedrive_on_demand(code: str, registry: Registry) -> None:
    crm, document = pipedrive.Pipedrive(), OF_PIPEDRIVE[code]
    company = crm.open_company()
    crm.refuse(company.number, code)
    path = "/oauth/token" if document.at == "token" else "/api/v2/persons"
    met = refused(document, answer(struck(crm, company.number, "POST", path), path), pipedrive_errors, "pipedrive")
    assert (met.kind.value, met.code) == (registry["pipedrive", code][0], code)
