"""A person at work in a HubSpot portal, through the plain API, next to the client under test."""

from __future__ import annotations

from typing import Any

import httpx

from tests.providers.samples_hubspot import VERSION, HubSpotAccount


class Person:
    def __init__(self, account: HubSpotAccount) -> None:
        self._http = httpx.Client(
            base_url=account.config.api_base_url,
            headers={"authorization": f"Bearer {account.portal.static_token}"},
        )

    def create(self, kind: str, **properties: str) -> str:
        answer = self._call("POST", f"/crm/objects/{VERSION}/{kind}", {"properties": properties, "associations": []})
        return str(answer["id"])

    def change(self, kind: str, record_id: str, **properties: str) -> None:
        self._call("PATCH", f"/crm/objects/{VERSION}/{kind}/{record_id}", {"properties": properties})

    def read(self, kind: str, record_id: str, *names: str) -> dict[str, str]:
        answer = self._call("GET", f"/crm/objects/{VERSION}/{kind}/{record_id}?properties={','.join(names)}")
        return {name: value for name, value in answer["properties"].items() if name in names}

    def delete(self, kind: str, record_id: str) -> None:
        self._call("DELETE", f"/crm/objects/{VERSION}/{kind}/{record_id}")

    def define(self, kind: str, **definition: Any) -> None:
        self._call("POST", f"/crm/properties/{VERSION}/{kind}", definition)

    def close(self) -> None:
        self._http.close()

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None
