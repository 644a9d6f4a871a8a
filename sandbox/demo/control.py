"""The sandbox's control API, for a process that is not the sandbox."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


class Control:
    """Speaks to a sandbox at `url`; one connection, for one thread. Raises OSError when it is not there."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)

    def api(self, crm: str) -> str:
        """Where this CRM's API lives."""
        return f"{self.url}/{crm}"

    def open_account(self, crm: str, name: str, **further: Any) -> dict[str, Any]:
        """A new account: `account` (its number), `access_token`, `refresh_token`, …"""
        account: dict[str, Any] = self._ask("POST", f"{crm}/accounts", {"name": name, **further})
        return account

    def add_fault(self, crm: str, **fault: Any) -> None:
        """Plan a fault; see `sandbox.faults.Fault`."""
        self._ask("POST", f"{crm}/faults", fault)

    def ledger(self, crm: str, account: int) -> dict[str, Any]:
        """What an account contains."""
        ledger: dict[str, Any] = self._ask("GET", f"{crm}/ledger?account={account}")
        return ledger

    def calls(self, crm: str) -> dict[str, dict[str, Any]]:
        """Calls so far by account (an empty name: nobody's): `total`, `by_path`, `by_status`."""
        calls: dict[str, dict[str, Any]] = self._ask("GET", f"{crm}/calls")
        return calls

    def total_calls(self, crm: str) -> int:
        """API calls of all of a CRM's accounts so far."""
        return sum(account["total"] for account in self.calls(crm).values())

    def call(self, crm: str, path: str, token: str, document: dict[str, Any]) -> Any:
        """POST to the CRM's own API, as a person of that account would change something there."""
        return self._ask("POST", f"/{crm}{path}", document, token)

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, document: dict[str, Any] | None = None, token: str = "") -> Any:
        path = path if path.startswith("/") else f"/_sandbox/{path}"
        body = None if document is None else json.dumps(document)
        headers = {"content-type": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
        try:
            response, content = self._exchange(method, path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            # the server has closed a connection that was idle for long: this was never read
            self._connection.close()
            response, content = self._exchange(method, path, body, headers)
        if response.status >= 300:
            raise RuntimeError(f"the sandbox answered {response.status} to {method} {path}: {content.decode()}")
        return json.loads(content) if content else None

    def _exchange(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return response, response.read()
