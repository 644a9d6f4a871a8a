"""A small client for the tests of the Salesforce emulator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from sandbox.salesforce import Org, Salesforce
from sandbox.server import serve

DATA = "/services/data/v68.0"
KEY = "CRM_Sync_Key__c"
REDIRECT = "http://127.0.0.1:9/callback"


class Force:
    """Calls of one org."""

    def __init__(self, client: httpx.Client, salesforce: Salesforce, org: Org) -> None:
        self.client = client
        self.salesforce = salesforce
        self.org = org

    @property
    def ledger(self) -> dict[str, Any]:
        return self.salesforce.ledger(self.org.number)

    @property
    def effects(self) -> list[dict[str, Any]]:
        return self.salesforce.effects(self.org.number)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> httpx.Response:
        """A call below the newest version's path."""
        sent = {"authorization": f"Bearer {token or self.org.access_token}", **(headers or {})}
        return self.client.request(method, f"{DATA}/{path}", json=body, params=params, headers=sent)

    def query(self, text: str, *, every: bool = False) -> httpx.Response:
        return self.call("GET", "queryAll" if every else "query", params={"q": text})

    def found(self, text: str) -> list[dict[str, Any]]:
        """The records of a query, their attributes left out."""
        records = self.query(text).raise_for_status().json()["records"]
        return [{name: value for name, value in each.items() if name != "attributes"} for each in records]

    def upsert(self, sobject: str, *rows: dict[str, Any], all_or_none: bool = False, key: str = KEY) -> httpx.Response:
        records = [{"attributes": {"type": sobject}, **row} for row in rows]
        body = {"allOrNone": all_or_none, "records": records}
        return self.call("PATCH", f"composite/sobjects/{sobject}/{key}", body)

    def insert(self, sobject: str, *rows: dict[str, Any], **more: Any) -> httpx.Response:
        records = [{"attributes": {"type": sobject}, **row} for row in rows]
        return self.call("POST", "composite/sobjects", {"records": records, **more})

    def refused(self, sobject: str, row: dict[str, Any]) -> dict[str, Any]:
        """What is said of a single row that is not taken."""
        (answer,) = self.insert(sobject, row).raise_for_status().json()
        assert answer["success"] is False, answer
        (error,) = answer["errors"]
        return dict(error)


@contextmanager
def force(salesforce: Salesforce, **org: Any) -> Iterator[Force]:
    """The emulator on a port, with one org."""
    with serve(salesforce.app) as server, httpx.Client(base_url=server.url, timeout=10) as client:
        yield Force(client, salesforce, salesforce.open_org(**org))


def error(response: httpx.Response) -> tuple[int, str, str]:
    """Status, code and message of a refused call."""
    (refusal,) = response.json()
    return response.status_code, refusal["errorCode"], refusal["message"]
