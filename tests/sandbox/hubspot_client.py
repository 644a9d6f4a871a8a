"""A small client for the tests of the HubSpot emulator."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from sandbox.hubspot import HubSpot, Portal


class Hub:
    """Calls of one portal."""

    def __init__(self, url: str, hubspot: HubSpot, portal: Portal, token: str | None = None) -> None:
        self.hubspot = hubspot
        self.portal = portal
        self.client = httpx.Client(
            base_url=url, headers={"authorization": f"Bearer {token or portal.access_token}"}, timeout=10
        )

    def __enter__(self) -> Hub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    @property
    def ledger(self) -> dict[str, Any]:
        return self.hubspot.ledger(self.portal.hub_id)

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return self.client.request(method, path, json=body)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.client.post(path, json=body)

    def objects(self, path: str, body: Any) -> httpx.Response:
        return self.post(f"/crm/objects/2026-03/{path}", body)

    def upsert(self, object_type: str, *rows: Any) -> httpx.Response:
        return self.objects(f"{object_type}/batch/upsert", {"inputs": list(rows)})

    def create(self, object_type: str, **properties: str) -> str:
        """A new record's id."""
        return str(self.objects(object_type, {"properties": properties}).raise_for_status().json()["id"])

    def contact(self, email: str, **properties: str) -> str:
        return self.create("contacts", email=email, **properties)

    def unique_property(self, object_type: str, name: str) -> httpx.Response:
        group = {"contacts": "contactinformation", "companies": "companyinformation", "deals": "dealinformation"}
        body = {
            "name": name,
            "label": name,
            "type": "string",
            "fieldType": "text",
            "groupName": group[object_type],
            "hasUniqueValue": True,
        }
        return self.post(f"/crm/properties/2026-03/{object_type}", body)


def by_email(email: str, trace: str | None = None, **properties: Any) -> dict[str, Any]:
    """An input of an upsert keyed by address."""
    row = {"id": email, "idProperty": "email", "properties": properties}
    return {**row, "objectWriteTraceId": trace} if trace else row


def code(response: httpx.Response) -> str:
    """HubSpot's code of the first thing it refused."""
    return str(response.json()["errors"][0]["code"])
