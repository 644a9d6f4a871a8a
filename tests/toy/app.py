"""The toy CRM itself: rows of five kinds, each under a key its clients choose."""

from __future__ import annotations

import itertools
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.faults import Faults
from sandbox.front import Calls, Front

KINDS = ("people", "firms", "chances", "entries", "todos")
MOODS = ("cold", "warm", "hot")
FIELDS = (
    ("people", "mail", ()),
    ("people", "given_name", ()),
    ("people", "family_name", ()),
    ("people", "mood", MOODS),
    ("firms", "name", ()),
    ("chances", "title", ()),
    ("chances", "worth", ()),
)

Rows = dict[str, dict[str, Any]]


class ToyAccount:
    """One account: its rows by kind and key, and how often anything changed."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.rows: dict[str, Rows] = {kind: {} for kind in KINDS}
        self.changes = 0
        self.calls = Calls()
        self.access_token = f"toy-access-{number}-1"
        self.refresh_token: str | None = f"toy-refresh-{number}"
        self.is_expired = False
        self._ids = itertools.count(1)

    def renew(self) -> str | None:
        """A new access token; None once the connection is dead."""
        if self.refresh_token is None:
            return None
        self.access_token, self.is_expired = f"{self.access_token}1", False
        return self.access_token

    def kill(self) -> None:
        self.refresh_token, self.is_expired = None, True

    def put(self, kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """`values` replace, `begin` is for a new row only."""
        links = given.get("links", {})
        if any(all(row["id"] != target for row in self.rows[end].values()) for end, target in links.items()):
            return {"key": given["key"], "error": {"code": "NOBODY", "message": f"{links} leads to nobody"}}
        held = self.rows[kind].get(given["key"])
        values = given.get("values", {} if held else given.get("begin", {}))
        mood = values.get("mood", MOODS[0])
        if mood not in MOODS:
            message = f"{mood} is no mood: {', '.join(MOODS)}"
            return {"key": given["key"], "error": {"code": "OPTION", "message": message, "field": "mood"}}
        made = {"owner": given.get("owner"), "made_at": datetime.now(UTC).isoformat()}
        row = held or {"id": f"{kind}-{next(self._ids)}", "values": {}, "links": {}, **made}
        after = {**row, "values": {**row["values"], **values}, "links": {**row["links"], **links}}
        self.changes += after != held
        self.rows[kind][given["key"]] = after
        return {"key": given["key"], "id": row["id"], "created": held is None}


class ToyCrm:
    """All accounts, and the app that serves them."""

    def __init__(self) -> None:
        self.accounts: dict[int, ToyAccount] = {}
        self.faults = Faults()
        self._numbers = itertools.count(1)
        self.app = Starlette(
            routes=[
                Route("/v1/me", self._for(self._me), methods=["GET"]),
                Route("/v1/fields", self._for(self._fields), methods=["GET"]),
                Route("/v1/{kind}/read", self._for(self._read), methods=["POST"]),
                Route("/v1/{kind}/put", self._for(self._put), methods=["POST"]),
            ],
            middleware=[Middleware(Front, faults=self.faults, account_of=self._number_of, count=self._count)],
        )

    def open_account(self) -> ToyAccount:
        account = ToyAccount(next(self._numbers))
        self.accounts[account.number] = account
        return account

    def _for(
        self, answer: Callable[[ToyAccount, str, dict[str, Any]], dict[str, Any]]
    ) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def handle(request: Request) -> JSONResponse:
            account = self.accounts.get(self._number_of(request.headers) or 0)
            if account is None or account.is_expired:
                return JSONResponse({"message": "whose token is that?"}, 401)
            body = json.loads(await request.body() or b"{}")
            return JSONResponse(answer(account, request.path_params.get("kind", ""), body))

        return handle

    def _me(self, account: ToyAccount, _kind: str, _body: dict[str, Any]) -> dict[str, Any]:
        return {"id": account.number, "name": f"toy account {account.number}"}

    def _fields(self, _account: ToyAccount, _kind: str, _body: dict[str, Any]) -> dict[str, Any]:
        rows = [{"kind": kind, "name": name, "label": name, "options": options} for kind, name, options in FIELDS]
        return {"rows": rows}

    def _read(self, account: ToyAccount, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        held = account.rows[kind]
        return {"rows": [{"key": key, **held[key]} for key in body["keys"] if key in held]}

    def _put(self, account: ToyAccount, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        return {"rows": [account.put(kind, row) for row in body["rows"]]}

    def _number_of(self, headers: Headers) -> int | None:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        return next((each.number for each in self.accounts.values() if each.access_token == token), None)

    def _count(self, number: int | None, path: str, status: str) -> None:
        if number is not None:
            self.accounts[number].calls.count(path, status)
