"""The emulator: its orgs, its tokens, its clock, and the Starlette app that speaks Salesforce's API."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults import Faults
from sandbox.front import Calls, Front
from sandbox.salesforce import documented
from sandbox.salesforce.errors import ApiError, not_found
from sandbox.salesforce.gate import admit, bearer, respond
from sandbox.salesforce.grants import SESSION_SECONDS, Grants
from sandbox.salesforce.meta import versions
from sandbox.salesforce.oauth import OAuth
from sandbox.salesforce.org import EDITIONS, Org
from sandbox.salesforce.routes import ENDPOINTS

CLIENT_ID = "3MVG9sandbox-client-id"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - the emulator's own, known to everybody


class Salesforce:
    """Salesforce, as strict as the real one, in memory.

    Args:
        clock: Unix time; an accelerated clock makes limits and sessions pass faster.
        limits: enforce the orgs' API calls of 24 hours (they are counted in any case).
        redirect_uris: where authorization may lead; None is anywhere.
        session_seconds: how long an access token is good, which is a setting of the org that no answer tells.
        parse_errors: what a collection does about a field that does not exist or a value of the wrong type:
            refuse the `row`, or the whole `call`; what the real one does is not documented.

    Attributes:
        base_url: where other processes reach this emulator, if it is known.
    """

    name = "salesforce"

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        limits: bool = True,
        *,
        client_id: str = CLIENT_ID,
        client_secret: str = CLIENT_SECRET,
        redirect_uris: Collection[str] | None = None,
        session_seconds: float = SESSION_SECONDS,
        parse_errors: Literal["row", "call"] = "row",
    ) -> None:
        self.clock = clock
        self.limits = limits
        self.client_id = client_id
        self.client_secret = client_secret
        self.redirect_uris = redirect_uris
        self.parse_errors = parse_errors
        self.base_url: str | None = None
        self.lock = threading.RLock()
        self.orgs: dict[int, Org] = {}
        self.grants = Grants(clock, client_secret, session_seconds)
        self.faults = Faults()
        self._numbers = itertools.count(1001)
        self._nobodys_calls = Calls()
        self.app = self._build_app()

    def open_org(
        self,
        name: str | None = None,
        *,
        fields: bool = True,
        task_key: bool = True,
        rotate: bool = False,
        edition: str = "enterprise",
        daily_limit: int | None = None,
    ) -> Org:
        """A fresh org whose user approved the app.

        `fields`: our external id fields are deployed (`task_key`: on Task too); `rotate`: refresh tokens rotate;
        `edition` (developer, professional, enterprise, unlimited) or `daily_limit` bound the calls of 24 hours.
        """
        if edition not in EDITIONS:
            raise ValueError(f"an org's edition is one of {', '.join(EDITIONS)}, not {edition}")
        with self.lock:
            number = next(self._numbers)
            org = Org(
                number,
                name or f"org-{number}.test",
                clock=self.clock,
                lock=self.lock,
                rotate=rotate,
                edition=edition,
                daily_limit=daily_limit,
            )
            if fields:
                org.deploy_fields(task_key=task_key)
            self.orgs[number] = org
            self.grants.install(org)
            return org

    def ledger(self, number: int) -> dict[str, Any]:
        """What an org contains now (JSON-able): records by kind with all set fields, and `calls`."""
        with self.lock:
            return self.orgs[number].ledger()

    def effects(self, number: int) -> list[dict[str, Any]]:
        """Everything that ever changed in an org, oldest first: `at`, `effect`, `object_type`, `id`, `by`, `fields`."""
        with self.lock:
            return list(self.orgs[number].journal)

    def calls(self) -> dict[str, dict[str, Any]]:
        """Calls by org number; those that belong to no org are under an empty name."""
        with self.lock:
            everybody = {str(number): org.calls.document() for number, org in self.orgs.items()}
            return {**everybody, "": self._nobodys_calls.document()}

    def open_account(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """`open_org` for other processes; takes its arguments by name; raises ValueError."""
        known: dict[str, type] = {
            "name": str, "fields": bool, "task_key": bool, "rotate": bool, "edition": str, "daily_limit": int,
        }  # fmt: skip
        for name, value in document.items():
            if name not in known or type(value) is not known[name]:
                raise ValueError(
                    "an org has name, edition (texts), fields, task_key, rotate (booleans) and daily_limit (a number), "
                    f"not {name}={value!r}"
                )
        org = self.open_org(**document)
        reached = {"instance_url": self.base_url} if self.base_url else {}
        return {
            "account": org.number,
            "name": org.name,
            "access_token": org.access_token,
            "refresh_token": org.refresh_token,
            "instance_path": f"/{self.name}",
            **reached,
        }

    def accounts(self) -> list[dict[str, Any]]:
        """The open orgs: `account` (a number) and `name`."""
        with self.lock:
            return [{"account": org.number, "name": org.name} for org in self.orgs.values()]

    def end_tokens(self, number: int, action: str) -> None:
        """`expire` an org's sessions, or `revoke` all its approvals."""
        with self.lock:
            org = self.orgs[number]
            org.expire_tokens() if action == "expire" else org.revoke()

    def refuse(self, account: int, error: str, *, times: int = 1) -> None:
        """Meet the account's next writes, or refreshes, with a documented error; raises LookupError for another."""
        with self.lock:
            documented.plan(self, account, error, times)

    def _account_of(self, headers: Headers) -> int | None:
        org = self.grants.org_of(bearer(headers))
        return org.number if org else None

    def _count(self, account: int | None, path: str, status: str) -> None:
        with self.lock:
            org = self.orgs.get(account) if account is not None else None
            (org.calls if org else self._nobodys_calls).count(path, status)

    def _build_app(self) -> Starlette:
        oauth = OAuth(self)
        base = "/services/data/v{version}"
        return Starlette(
            routes=[
                Route("/services/data", _versions, methods=["GET"]),
                Route("/services/data/", _versions, methods=["GET"]),
                *(Route(f"{base}{each.path}", admit(self, each), methods=[each.method]) for each in ENDPOINTS),
                Route("/services/oauth2/authorize", oauth.ask, methods=["GET"]),
                Route("/services/oauth2/authorize", oauth.decide, methods=["POST"]),
                Route("/services/oauth2/token", oauth.token, methods=["POST"]),
                Route("/services/oauth2/introspect", oauth.introspect, methods=["POST"]),
                Route("/services/oauth2/revoke", oauth.revoke, methods=["POST"]),
                Route("/services/oauth2/userinfo", oauth.user_info, methods=["GET", "POST"]),
                Route("/id/{org}/{user}", oauth.user_info, methods=["GET"]),
                Route("/.well-known/openid-configuration", oauth.discover, methods=["GET"]),
            ],
            middleware=[Middleware(Front, faults=self.faults, account_of=self._account_of, count=self._count)],
            exception_handlers={HTTPException: _refuse_route},
        )


async def _versions(_request: Request) -> Response:
    return respond(200, versions())


async def _refuse_route(_request: Request, error: Exception) -> Response:
    """Unknown paths and methods, as an array of errors."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    refusal = not_found() if status == 404 else ApiError("METHOD_NOT_ALLOWED", "HTTP Method not allowed", status=status)
    headers = error.headers if isinstance(error, HTTPException) else None
    return respond(status, refusal.document(), headers)
