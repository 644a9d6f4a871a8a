"""The CRMs of the demo: where their APIs lie in the sandbox, and how what they contain is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.demo.facts import Reading
from sandbox.demo.facts_hubspot import HubSpotReading
from sandbox.demo.facts_pipedrive import PipedriveReading
from sandbox.demo.facts_salesforce import SalesforceReading


@dataclass(frozen=True)
class DemoCrm:
    """One CRM.

    Attributes:
        reading: how its ledger is read.
        urls: the provider's config, by the address of its API in the sandbox.
        places: what a connection's credentials say of where its API lives.
    """

    name: str
    reading: Reading
    urls: Callable[[str], dict[str, Any]]
    places: Callable[[str], Mapping[str, str]] = lambda _api: {}

    @property
    def title(self) -> str:
        return self.reading.title


def _hubspot_urls(api: str) -> dict[str, Any]:
    return {
        "api_base_url": api,
        "auth_url": f"{api}/oauth/authorize",
        "token_url": f"{api}/oauth/2026-03/token",
        "revoke_url": f"{api}/oauth/2026-03/token/revoke",
        # an account says that its pages are at app.hubspot.com; the sandbox shows them itself
        "record_urls": {
            kind: f"{api}/contacts/{{account_id}}/record/{code}/{{id}}"
            for kind, code in (("contact", "0-1"), ("company", "0-2"), ("deal", "0-3"))
        },
    }


def _salesforce_urls(api: str) -> dict[str, Any]:
    return {
        "api_base_url": api,
        "auth_url": f"{api}/services/oauth2/authorize",
        "token_url": f"{api}/services/oauth2/token",
        "revoke_url": f"{api}/services/oauth2/revoke",
    }


def _pipedrive_urls(api: str) -> dict[str, Any]:
    return {
        "api_base_url": api,
        "auth_url": f"{api}/oauth/authorize",
        "token_url": f"{api}/oauth/token",
        "revoke_url": f"{api}/oauth/revoke",
    }


CRMS: dict[str, DemoCrm] = {
    each.name: each
    for each in (
        DemoCrm("hubspot", HubSpotReading(), _hubspot_urls),
        DemoCrm("salesforce", SalesforceReading(), _salesforce_urls, lambda api: {"instance_url": api}),
        DemoCrm("pipedrive", PipedriveReading(), _pipedrive_urls, lambda api: {"api_domain": api}),
    )
}


def connection_of(crm: DemoCrm, api: str, account: Mapping[str, Any], expires_at: int) -> dict[str, Any]:
    """The credentials of a connection to an account that the sandbox opened."""
    return {
        "access_token": account["access_token"],
        "refresh_token": account["refresh_token"],
        "expires_at": expires_at,
        **crm.places(api),
    }
