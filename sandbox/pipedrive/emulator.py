"""The emulator: its companies, its tokens, its clock, and the Starlette app that speaks Pipedrive's API."""

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
from sandbox.pipedrive import documented
from sandbox.pipedrive.company import Company
from sandbox.pipedrive.errors import ApiError, removed
from sandbox.pipedrive.gate import admit, bearer
from sandbox.pipedrive.grants import Grants
from sandbox.pipedrive.oauth import OAuth
from sandbox.pipedrive.quotas import PLANS
from sandbox.pipedrive.routes import ENDPOINTS, REMOVED
from sandbox.pipedrive.wire import respond

CLIENT_ID = "sandbox-client-id"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - the emulator's own, known to everybody
ALL_SCOPES = (
    "base",
    "contacts:full",
    "deals:full",
    "activities:full",
    "search:read",
    "contact-fields:full",
    "deal-fields:full",
    "users:read",
)


class Pipedrive:
    """Pipedrive, as strict as the real one, in memory.

    Args:
        clock: Unix time; an accelerated clock makes limits, lags and expiries pass faster.
        limits: enforce the burst limits and the day's tokens (which are counted either way).
        search_lag: seconds until the search index knows of a write.
        rotate_refresh_tokens: each refresh gives a new refresh token and ends the old one; sources differ.
        redirect_uri: the one registered callback; None is anywhere.
        missing_reference_status: the answer to a body that links to a record which is gone (400, or 404).
        deleted_readable: GET by id still answers deleted records, with `is_deleted`, instead of 404.
        penalty: seconds without any call for whoever fills a burst window, announced by `retry-after` too.

    Attributes:
        base_url: what token answers name as `api_domain`; None is where the request reached the emulator.
    """

    name = "pipedrive"

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        limits: bool = True,
        search_lag: float = 0.0,
        *,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        rotate_refresh_tokens: bool = False,
        redirect_uri: str | None = None,
        app_scopes: Collection[str] = ALL_SCOPES,
        missing_reference_status: int = 400,
        deleted_readable: bool = False,
        penalty: float = 0.0,
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.search_lag = search_lag
        self.client_id = client_id
        self.client_secret = client_secret
        self.redirect_uri = redirect_uri
        self.app_scopes = tuple(app_scopes)
        self.missing_reference_status = missing_reference_status
        self.deleted_readable = deleted_readable
        self.penalty = penalty
        self.base_url: str | None = None
        self.lock = threading.RLock()
        self.companies: dict[int, Company] = {}
        self.grants = Grants(clock, rotate=rotate_refresh_tokens)
        self.faults = Faults()
        self._numbers = itertools.count(7_000_001)
        self._nobodys_calls = Calls()
        self.app = self._build_app()

    def open_company(
        self, name: str | None = None, *, plan: str = "lite", seats: int = 1, scopes: Collection[str] = ALL_SCOPES
    ) -> Company:
        """A fresh company whose user granted the app `scopes`; plan and seats make its limits; raises ValueError."""
        if plan not in PLANS:
            raise ValueError(f"a company's plan is one of {', '.join(PLANS)}, not {plan}")
        if seats < 1:
            raise ValueError("a company has at least one seat")
        with self.lock:
            number = next(self._numbers)
            company = Company(
                number,
                name or f"Company {number}",
                scopes,
                clock=self.clock,
                lock=self.lock,
                lag=self.search_lag,
                penalty=self.penalty,
                plan=plan,
                seats=seats,
            )
            self.companies[number] = company
            self.grants.install(company)
            return company

    def ledger(self, number: int) -> dict[str, Any]:
        """What a company contains now (JSON-able): records by kind, custom `fields`, `calls`, `tokens_spent`."""
        with self.lock:
            return self.companies[number].ledger()

    def effects(self, number: int) -> list[dict[str, Any]]:
        """Everything that ever changed in a company, oldest first."""
        with self.lock:
            return list(self.companies[number].effects)

    def calls(self) -> dict[str, dict[str, Any]]:
        """Calls by company number; those that belong to no company are under an empty one."""
        with self.lock:
            everybody = {str(number): company.calls.document() for number, company in self.companies.items()}
            return {**everybody, "": self._nobodys_calls.document()}

    def open_account(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """`open_company` for other processes; takes `name`, `plan`, `seats`; raises ValueError."""
        known = {"name": str, "plan": str, "seats": int}
        for name, value in document.items():
            if name not in known or not isinstance(value, known[name]) or isinstance(value, bool):
                raise ValueError(f"a company has a name, a plan and seats (number), not {name}={value!r}")
        company = self.open_company(**document)
        return {
            "account": company.number,
            "name": company.name,
            "access_token": company.access_token,
            "refresh_token": company.refresh_token,
            "api_token": company.api_token,
        }

    def accounts(self) -> list[dict[str, Any]]:
        """The open companies: `account` (the number) and `name`."""
        with self.lock:
            return [{"account": company.number, "name": company.name} for company in self.companies.values()]

    def end_tokens(self, number: int, action: str) -> None:
        """`expire` a company's access tokens, or `revoke` its whole grant."""
        with self.lock:
            company = self.companies[number]
            company.expire_tokens() if action == "expire" else company.revoke()

    def refuse(self, account: int, error: str, *, times: int = 1) -> None:
        """Meet the account's next writes, or refreshes, with a documented error; raises LookupError for another."""
        with self.lock:
            documented.plan(self, account, error, times)

    def _account_of(self, headers: Headers) -> int | None:
        company = self.grants.company_of_api_token(headers.get("x-api-token", ""))
        company = company or self.grants.company_of(bearer(headers))
        return company.number if company else None

    def _count(self, account: int | None, path: str, status: str) -> None:
        with self.lock:
            company = self.companies.get(account) if account is not None else None
            (company.calls if company else self._nobodys_calls).count(path, status)

    def _build_app(self) -> Starlette:
        oauth = OAuth(self)
        gone = [
            f"{prefix}/{name}{rest}" for prefix in ("/api/v1", "/v1") for name in REMOVED for rest in ("", "/{id:path}")
        ]
        return Starlette(
            routes=[
                *(Route(each.path, admit(self, each), methods=[each.method]) for each in ENDPOINTS),
                Route("/oauth/authorize", oauth.ask, methods=["GET"]),
                Route("/oauth/authorize", oauth.decide, methods=["POST"]),
                Route("/oauth/token", oauth.token, methods=["POST"]),
                Route("/oauth/revoke", oauth.revoke, methods=["POST"]),
                *(Route(path, _refuse_removed, methods=_METHODS) for path in gone),
            ],
            middleware=[Middleware(Front, faults=self.faults, account_of=self._account_of, count=self._count)],
            exception_handlers={HTTPException: _refuse_route},
        )


_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


async def _refuse_removed(_request: Request) -> Response:
    error = removed()
    return respond(error.status, error.envelope())


async def _refuse_route(_request: Request, error: Exception) -> Response:
    """Unknown paths and methods, in Pipedrive's envelope."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    refusal = ApiError(status, "Unknown method ." if status == 404 else "Method not allowed")
    return respond(status, refusal.envelope(), error.headers if isinstance(error, HTTPException) else None)
