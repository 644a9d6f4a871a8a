"""What any CRM, or the way to it, may answer, and what our clients find by themselves: by the code in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from providers.models import ErasureDocument
from sandbox.faults import Fault
from sandbox.hubspot.errors import ApiError as HubSpotError
from sandbox.salesforce.errors import ApiError as SalesforceError
from tests.providers.causes import hubspot, salesforce
from tests.providers.causes.scene import Cause, Met, Scene
from tests.providers.samples_hubspot import HubSpotAccount
from tests.providers.samples_salesforce import SalesforceAccount

# Too often for a client that tries again: after a refresh, with its own fields made, as a new record.
OFTEN = 8
WRITES = "batch/upsert$"
TOKENS = "/token$"
LARGE = '{"results": [], "more": "' + 17 * 1024 * 1024 * "x" + '"}'
UNKNOWN = "NEVER_SEEN"


@dataclass(frozen=True)
class Somewhere:
    """A cause at one CRM.

    Attributes:
        said: the code that is met, where the row of the registry stands for a family of codes, or for a kind.
    """

    crm: str
    meet: Cause
    said: str | None = None


def _strike(fault: Fault, timeout: float | None = None) -> Cause:
    """The way to the API, or what stands before it, does this to a new contact."""

    async def meet(scene: Scene) -> Met:
        account = await scene.shared(HubSpotAccount)
        config = account.config
        if timeout is not None:
            account.config = config.model_copy(update={"timeout_seconds": timeout})
        account.hubspot.faults.add(fault)
        try:
            return await (scene.refresh(account) if fault.path == TOKENS else scene.push(account))
        finally:
            account.config = config
            account.calm()

    return meet


def _answer(status: int, **more: Any) -> Cause:
    """A refusal of the whole call, with this in its envelope."""
    body = {"status": "error", "message": "no", "correlationId": "c-1", **more}
    return _strike(Fault(path=WRITES, times=OFTEN, status=status, body=body))


def _harm(path: str = WRITES, times: int = OFTEN, **harm: Any) -> Cause:
    return _strike(Fault(path=path, times=times, **harm))


def _at(address: str) -> Cause:
    """A new contact is sent to this address."""

    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(HubSpotAccount)
        url = httpx.URL(account.config.api_base_url)
        changed = address or str(url.copy_with(scheme="https"))
        account.config = account.config.model_copy(update={"api_base_url": changed})
        return await scene.push(account)

    return meet


def _hubspot_row(code: str) -> Cause:
    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(HubSpotAccount)
        account.portal.refusals.append(HubSpotError(400, "no", code))
        return await scene.push(account)

    return meet


def _salesforce_row(code: str) -> Cause:
    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(SalesforceAccount)
        account.org.refusals.append(SalesforceError(code, "no"))
        return await scene.push(account)

    return meet


async def unknown_version(scene: Scene) -> Met:
    account = await scene.fresh(HubSpotAccount)
    account.config = account.config.model_copy(update={"api_version": "2020-01"})
    return await scene.push(account)


async def erasure_forbidden(scene: Scene) -> Met:
    """A person was erased here, and the connection may not delete the record there."""
    account = await scene.fresh(HubSpotAccount)
    contact = scene.contact()
    held = await scene.arrived(account, contact)
    account.disturb_path("/gdpr-delete$", status=403)
    erased = ErasureDocument(rows=(contact.rows[0] + 1,), contact_id=contact.contact_id, contacts=(held,))
    return await scene.push(account, erased)


async def foreign_host(scene: Scene) -> Met:
    """A connection that was stored with a host that is none of Salesforce's."""
    account = await scene.fresh(SalesforceAccount)
    held = account.credentials().model_copy(update={"instance_url": "https://evil.example"})
    account.credentials = lambda: held  # type: ignore[method-assign]
    return await scene.push(account)


STANDARD = {
    **dict.fromkeys(("invalid_grant", "unauthorized_client", "invalid_request", "unsupported_grant_type"), 400),
    **{"invalid_scope": 400, "invalid_client": 401, "access_denied": 403},
}
STATUSES = (400, 401, 403, 405, 408, 409, 413, 415, 422, 423, 429)
ANYWHERE: Mapping[str, Somewhere] = {
    **{code: Somewhere("hubspot", _harm(TOKENS, 1, status=status, body={"error": code}))
       for code, status in STANDARD.items()},
    **{f"HTTP_{status}": Somewhere("hubspot", _answer(status)) for status in STATUSES},
    "TIMEOUT": Somewhere("hubspot", _strike(Fault(path=WRITES, times=OFTEN, delay=2.0), timeout=0.5)),
    "CUT_OFF": Somewhere("hubspot", _harm(cut_body=True)),
    "NOT_JSON": Somewhere("hubspot", _harm(html=True)),
    "NOT_THE_API": Somewhere("hubspot", _harm(html=True, status=400)),
    "TOO_LARGE": Somewhere("hubspot", _harm(times=1, status=200, body=LARGE)),
    "UNEXPECTED_ANSWER": Somewhere("hubspot", _harm(status=200, body={"result": []})),
    "NO_OUTCOME": Somewhere("hubspot", _harm(status=200, body={"status": "COMPLETE", "results": []})),
    "NO_ACCESS_TOKEN": Somewhere("hubspot", _harm(TOKENS, 1, status=200, body={"token_type": "bearer"})),
    "NO_SUCH_HOST": Somewhere("hubspot", _at("http://crm.invalid")),
    "UNREACHABLE": Somewhere("hubspot", _at("http://127.0.0.1:9")),
    "TLS_FAILED": Somewhere("hubspot", _at("")),
    "NO_SUCH_PATH": Somewhere("hubspot", unknown_version),
    "ERASURE_FORBIDDEN": Somewhere("hubspot", erasure_forbidden),
    "FOREIGN_HOST": Somewhere("salesforce", foreign_host),
    "CONTACT_GONE": Somewhere("hubspot", hubspot.contact_gone),
    "LEAD_TAKES_NO_OPPORTUNITY": Somewhere("salesforce", salesforce.deal_of_a_lead),
}  # fmt: skip
"""By rows that stand for no CRM."""
FAMILIES: Mapping[tuple[str, str], Somewhere] = {
    ("", "HTTP_4*"): Somewhere("hubspot", _answer(418), "HTTP_418"),
    ("", "HTTP_5*"): Somewhere("hubspot", _answer(507), "HTTP_507"),
    ("", "CONFLICTING_*"): Somewhere("hubspot", hubspot.badge_of_another, "CONFLICTING_UNIQUE_VALUE"),
    ("", "UNIQUE_*"): Somewhere("hubspot", _hubspot_row("UNIQUE_SOMETHING"), "UNIQUE_SOMETHING"),
    ("", "VALIDATION_RULE*"): Somewhere("hubspot", _hubspot_row("VALIDATION_RULE_7"), "VALIDATION_RULE_7"),
    ("", "DUPLICATE*"): Somewhere("salesforce", _salesforce_row("DUPLICATE_USERNAME"), "DUPLICATE_USERNAME"),
    ("", "INSUFFICIENT_*"): Somewhere("salesforce", _salesforce_row("INSUFFICIENT_X"), "INSUFFICIENT_X"),
    ("salesforce", "CANNOT_UPDATE_*"): Somewhere("salesforce", _salesforce_row("CANNOT_UPDATE_X"), "CANNOT_UPDATE_X"),
    ("", "REJECTED"): Somewhere("hubspot", _answer(400, category=UNKNOWN), UNKNOWN),
    ("", "CONTENDED"): Somewhere("hubspot", _answer(409, category=UNKNOWN), UNKNOWN),
    ("", "RATE_LIMITED"): Somewhere("hubspot", _answer(429, policyName=UNKNOWN), UNKNOWN),
    ("", "UNAVAILABLE"): Somewhere("hubspot", _answer(503, category=UNKNOWN), UNKNOWN),
    ("", "UNAUTHORIZED"): Somewhere("hubspot", _answer(401, category=UNKNOWN), UNKNOWN),
    ("", "BUG"): Somewhere("hubspot", _answer(418, category=UNKNOWN), UNKNOWN),
}
"""By rows that stand for several codes, or for whatever is of a kind."""
