"""The toy CRM in the contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from providers.config import ProviderConfig
from providers.credentials import Credentials
from providers.errors import Unauthorized
from providers.models import Field, Fields, Policy
from sandbox.faults import Fault
from sandbox.server import serve
from tests.providers import contract
from tests.toy.app import ToyCrm

PATHS: dict[contract.Stage, str] = {
    "companies": "/firms/put",
    "contacts": "/people/put",
    "deals": "/chances/put",
    "activities": "/entries/put",
    "tasks": "/todos/put",
}
RANKS = (("cold",), ("warm",), ("hot",))


class ToySampleAccount(contract.Account):
    def __init__(self, crm: ToyCrm, url: str) -> None:
        self._crm = crm
        self._held = crm.open_account()
        self.config = ProviderConfig(api_base_url=url, api_version="1", auth_url=url, token_url=url, timeout_seconds=30)

    def credentials(self) -> Credentials:
        refresh_token = None if self._held.refresh_token is None else SecretStr(self._held.refresh_token)
        return Credentials(access_token=SecretStr(self._held.access_token), refresh_token=refresh_token)

    async def renew(self, http: httpx.AsyncClient) -> Credentials:
        if self._held.renew() is None:
            raise Unauthorized("the connection must be made again", provider="toy")
        return self.credentials()

    def expire(self) -> None:
        self._held.is_expired = True

    def kill(self) -> None:
        self._held.kill()

    def disturb(self, stage: contract.Stage, *, times: int = 1, skip: int = 0, **harm: Any) -> None:
        if harm.get("status") is not None and not harm.get("html"):
            harm.setdefault("body", {"message": "not today"})
        if (wait := harm.pop("retry_after", None)) is not None:
            harm["headers"] = {"Retry-After": str(wait)}
        self._crm.faults.add(Fault(path=PATHS[stage], account=self._held.number, times=times, skip=skip, **harm))

    def calm(self) -> None:
        self._crm.faults.clear()

    def effects(self) -> int:
        return self._held.changes

    def facts(self) -> dict[str, Any]:
        return {
            kind: {key: (row["values"], row["links"]) for key, row in rows.items()}
            for kind, rows in _named(self._held.rows).items()
        }


class ToySample(contract.Sample):
    name = "toy"
    refused_field = "mood"

    def __init__(self, crm: ToyCrm, url: str) -> None:
        self._crm = crm
        self._url = url

    def open_account(self) -> ToySampleAccount:
        return ToySampleAccount(self._crm, self._url)

    def contact_fields(self, email: str, first_name: str, last_name: str) -> Fields:
        return {
            "mail": Field(value=email, policy=Policy.IF_BLANK),
            "given_name": Field(value=first_name, policy=Policy.IF_BLANK),
            "family_name": Field(value=last_name, policy=Policy.IF_BLANK),
            "mood": Field(value="hot", policy=Policy.FORWARD_ONLY, ranks=RANKS),
        }

    def company_fields(self, name: str) -> dict[str, str]:
        return {"name": name}

    def deal_fields(self, name: str) -> Fields:
        return {"title": Field(value=name), "worth": Field(value="1000")}

    def refused_fields(self) -> Fields:
        return {"given_name": Field(value="Eve"), "mood": Field(value="furious")}


@contextmanager
def open_sample() -> Iterator[ToySample]:
    crm = ToyCrm()
    with serve(crm.app) as server:
        yield ToySample(crm, server.url)


def _named(rows: dict[str, dict[str, dict[str, Any]]]) -> dict[str, dict[str, dict[str, Any]]]:
    """The same rows with links to keys instead of ids, which depend on the order of making."""
    keys = {row["id"]: key for held in rows.values() for key, row in held.items()}
    return {
        kind: {
            key: {**row, "links": {end: keys[target] for end, target in row["links"].items()}}
            for key, row in held.items()
        }
        for kind, held in rows.items()
    }
