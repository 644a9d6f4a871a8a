"""The emulator: its portals, its tokens, its clock, and the Starlette app that speaks HubSpot's API."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults import Faults
from sandbox.front import Calls, Front
from sandbox.hubspot import documented
from sandbox.hubspot.errors import ApiError, not_found
from sandbox.hubspot.gate import admit, bearer, respond
from sandbox.hubspot.grants import Grants
from sandbox.hubspot.oauth import OAuth
from sandbox.hubspot.portal import TIERS, Portal
from sandbox.hubspot.routes import ENDPOINTS

CLIENT_ID = "sandbox-client-id"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - the emulator's own, known to everybody
DEFAULT_SCOPES = (
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.schemas.contacts.write",
    "crm.schemas.companies.write",
    "crm.schemas.deals.write",
)


class HubSpot:
    """HubSpot, as strict as the real one, in memory.

    Args:
        clock: Unix time; an accelerated clock makes limits, lags and expiries pass faster.
        limits: enforce the rate limits.
        search_lag: seconds until the search index knows of a write.
        rotate_refresh_tokens: each refresh gives a new refresh token and ends the old one.
        redirect_uris: where authorization may lead; None is anywhere.
        unset_as_null: reads answer properties that were asked for and are not set with null, instead of leaving
            them out; HubSpot's specification and what was seen of it differ here.
        association_page: associated records in one page of an associations read.
    """

    name = "hubspot"

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        *,
        limits: bool = True,
        search_lag: float = 2.0,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        rotate_refresh_tokens: bool = False,
        redirect_uris: Collection[str] | None = None,
        app_scopes: Collection[str] = DEFAULT_SCOPES,
        unset_as_null: bool = False,
        association_page: int = 500,
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.search_lag = search_lag
        self.client_id = client_id
        self.client_secret = client_secret
        self.redirect_uris = redirect_uris
        self.app_scopes = tuple(app_scopes)
        self.unset_as_null = unset_as_null
        self.association_page = association_page
        self.app_id = 1_000_001
        self.lock = threading.RLock()
        self.portals: dict[int, Portal] = {}
        self.grants = Grants(clock, rotate=rotate_refresh_tokens)
        self.faults = Faults()
        self._hub_ids = itertools.count(42_000_001)
        self._nobodys_calls = Calls()
        self.app = self._build_app()

    def open_portal(
        self,
        hub_id: int | None = None,
        scopes: Collection[str] = DEFAULT_SCOPES,
        name: str | None = None,
        *,
        tier: str = "free",
    ) -> Portal:
        """A fresh account that granted the app `scopes`; `tier` (free, professional, enterprise) limits its key."""
        with self.lock:
            if hub_id is None:
                hub_id = next(each for each in self._hub_ids if each not in self.portals)
            if hub_id in self.portals:
                raise ValueError(f"portal {hub_id} is open already")
            if tier not in TIERS:
                raise ValueError(f"a portal's tier is one of {', '.join(TIERS)}, not {tier}")
            portal = Portal(
                hub_id,
                name or f"portal-{hub_id}.test",
                tuple(scopes),
                clock=self.clock,
                lag=self.search_lag,
                tier=tier,
            )
            self.portals[hub_id] = portal
            self.grants.install(portal)
            return portal

    def ledger(self, hub_id: int) -> dict[str, Any]:
        """What a portal contains now (JSON-able): records by type, `associations` in both directions, `calls`."""
        with self.lock:
            return self.portals[hub_id].ledger()

    def effects(self, hub_id: int) -> list[dict[str, Any]]:
        """Everything that ever changed in a portal, oldest first."""
        with self.lock:
            return list(self.portals[hub_id].effects)

    def calls(self) -> dict[str, dict[str, Any]]:
        """Calls by hub id; those that belong to no portal are under an empty id."""
        with self.lock:
            everybody = {str(hub_id): portal.calls.document() for hub_id, portal in self.portals.items()}
            return {**everybody, "": self._nobodys_calls.document()}

    def open_account(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """`open_portal` for other processes; takes `hub_id`, `name`, `scopes`, `tier`; raises ValueError."""
        known = {"hub_id": int, "name": str, "scopes": list, "tier": str}
        for name, value in document.items():
            if name not in known or not isinstance(value, known[name]):
                raise ValueError(f"a portal has hub_id (number), name, scopes (list) and tier, not {name}={value!r}")
        portal = self.open_portal(**document)
        return {
            "account": portal.hub_id,
            "hub_id": portal.hub_id,
            "name": portal.name,
            "access_token": portal.access_token,
            "refresh_token": portal.refresh_token,
            "static_token": portal.static_token,
        }

    def accounts(self) -> list[dict[str, Any]]:
        """The open portals: `account` (the hub id) and `name`."""
        with self.lock:
            return [{"account": portal.hub_id, "name": portal.name} for portal in self.portals.values()]

    def end_tokens(self, hub_id: int, action: str) -> None:
        """`expire` a portal's access tokens, or `revoke` its whole grant."""
        with self.lock:
            portal = self.portals[hub_id]
            portal.expire_tokens() if action == "expire" else portal.revoke()

    def refuse(self, account: int, error: str, *, times: int = 1) -> None:
        """Meet the account's next writes, or refreshes, with a documented error; raises LookupError for another."""
        with self.lock:
            documented.plan(self, account, error, times)

    def _account_of(self, headers: Headers) -> int | None:
        portal = self.grants.portal_of(bearer(headers))
        return portal.hub_id if portal else None

    def _count(self, account: int | None, path: str, status: str) -> None:
        with self.lock:
            portal = self.portals.get(account) if account is not None else None
            (portal.calls if portal else self._nobodys_calls).count(path, status)

    def _build_app(self) -> Starlette:
        oauth = OAuth(self)
        return Starlette(
            routes=[
                *(Route(each.path, admit(self, each), methods=[each.method]) for each in ENDPOINTS),
                Route("/oauth/authorize", oauth.ask, methods=["GET"]),
                Route("/oauth/authorize", oauth.decide, methods=["POST"]),
                Route("/oauth/{version}/token", oauth.token, methods=["POST"]),
                Route("/oauth/{version}/token/introspect", oauth.introspect, methods=["POST"]),
                Route("/oauth/{version}/token/revoke", oauth.revoke, methods=["POST"]),
            ],
            middleware=[Middleware(Front, faults=self.faults, account_of=self._account_of, count=self._count)],
            exception_handlers={HTTPException: _refuse_route},
        )


async def _refuse_route(_request: Request, error: Exception) -> Response:
    """Unknown paths and methods, in HubSpot's envelope."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    refusal = not_found() if status == 404 else ApiError(status, "Method Not Allowed", None)
    headers = error.headers if isinstance(error, HTTPException) else None
    return respond(status, refusal.envelope(), headers)
