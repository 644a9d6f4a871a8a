"""A small client for the tests of the Pipedrive emulator."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from sandbox.pipedrive import CLIENT_ID, CLIENT_SECRET, Company, Pipedrive
from sandbox.server import serve


class Acme:
    """Calls of one company."""

    def __init__(self, url: str, pipedrive: Pipedrive, company: Company) -> None:
        self.url = url
        self.pipedrive = pipedrive
        self.company = company
        # Loopback needs no certificates, and to load them takes longer than any test here.
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        token = {"authorization": f"Bearer {company.access_token}"}
        self.client = httpx.Client(base_url=url, headers=token, timeout=10, verify=trust)
        self.stranger = httpx.Client(base_url=url, timeout=10, verify=trust)

    @property
    def ledger(self) -> dict[str, Any]:
        return self.pipedrive.ledger(self.company.number)

    @property
    def effects(self) -> list[dict[str, Any]]:
        return self.pipedrive.effects(self.company.number)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.client.get(_full(path), params=params)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.client.post(_full(path), json=body)

    def patch(self, path: str, **body: Any) -> httpx.Response:
        return self.client.patch(_full(path), json=body)

    def put(self, path: str, **body: Any) -> httpx.Response:
        return self.client.put(_full(path), json=body)

    def delete(self, path: str) -> httpx.Response:
        return self.client.delete(_full(path))

    def as_token(self, token: str, path: str = "/persons/1") -> httpx.Response:
        """A call with another OAuth token."""
        return self.client.get(_full(path), headers={"authorization": f"Bearer {token}"})

    def as_user(self, path: str, api_token: str | None = None) -> httpx.Response:
        """A call with an API token, the user's own by default."""
        headers = {"x-api-token": api_token or self.company.api_token}
        return self.stranger.get(_full(path), headers=headers)

    def oauth(
        self, path: str = "token", auth: tuple[str, str] = (CLIENT_ID, CLIENT_SECRET), **form: str
    ) -> httpx.Response:
        return self.stranger.post(f"/oauth/{path}", data=form, auth=auth)

    def refresh(self, token: str | None = None) -> httpx.Response:
        return self.oauth(grant_type="refresh_token", refresh_token=token or self.company.refresh_token)

    def made(self, path: str, **body: Any) -> dict[str, Any]:
        """A new record."""
        answer: dict[str, Any] = self.post(path, **body).raise_for_status().json()["data"]
        return answer

    def person(self, name: str = "Ada Lovelace", email: str | None = None, **body: Any) -> int:
        """A new person's id."""
        emails = {"emails": [{"value": email, "primary": True, "label": "work"}]} if email else {}
        return int(self.made("/persons", name=name, **emails, **body)["id"])

    def found(self, path: str = "/persons/search", **params: Any) -> list[int]:
        """The ids that a search finds."""
        items = self.get(path, **params).raise_for_status().json()["data"]["items"]
        return [each["item"]["id"] for each in items]


@contextmanager
def opened(pipedrive: Pipedrive, **company: Any) -> Iterator[Acme]:
    """The emulator on a port, with one company."""
    with serve(pipedrive.app) as server:
        acme = Acme(server.url, pipedrive, pipedrive.open_company(**company))
        with acme.client, acme.stranger:
            yield acme


def error(response: httpx.Response) -> str:
    """What Pipedrive says of a refused request, in the envelope that every refusal has."""
    document = response.json()
    assert document["success"] is False
    assert document["data"] is None
    assert "error_info" in document
    return str(document["error"])


def _full(path: str) -> str:
    return path if path.startswith(("/api/", "/v1/")) else f"/api/v2{path}"
