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

    @property
    def api(self) -> str:
        """HubSpot's API."""
        return f"{self.url}/hubspot"

    def open_portal(self, name: str) -> dict[str, Any]:
        """A new portal: `hub_id`, `access_token`, `refresh_token`, …"""
        portal: dict[str, Any] = self._ask("POST", "accounts", {"name": name})
        return portal

    def add_fault(self, **fault: Any) -> None:
        """Plan a fault; see `sandbox.faults.Fault`."""
        self._ask("POST", "faults", fault)

    def ledger(self, hub_id: int) -> dict[str, Any]:
        """What a portal contains."""
        ledger: dict[str, Any] = self._ask("GET", f"ledger?account={hub_id}")
        return ledger

    def calls(self) -> int:
        """API calls of all portals so far."""
        return sum(portal["total"] for portal in self._ask("GET", "calls").values())

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, document: dict[str, Any] | None = None) -> Any:
        body = None if document is None else json.dumps(document)
        self._connection.request(method, f"/_sandbox/hubspot/{path}", body, {"content-type": "application/json"})
        response = self._connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"the sandbox answered {response.status} to {method} {path}: {content.decode()}")
        return json.loads(content) if content else None
