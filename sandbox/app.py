"""The whole sandbox as one app: every CRM under its name, a control API for other processes, and a page for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route

from sandbox import record_pages
from sandbox.faults import Fault, Faults
from sandbox.overview import SCRIPT, overview

T = TypeVar("T")


class Crm(Protocol):
    """What an emulated CRM offers beside its own API; an account is named by a number."""

    name: str
    app: Starlette
    faults: Faults

    def open_account(self, document: Mapping[str, Any]) -> dict[str, Any]: ...
    def accounts(self) -> list[dict[str, Any]]: ...
    def ledger(self, account: int) -> dict[str, Any]: ...
    def effects(self, account: int) -> list[dict[str, Any]]: ...
    def calls(self) -> dict[str, dict[str, Any]]: ...
    def end_tokens(self, account: int, action: str) -> None: ...
    def refuse(self, account: int, error: str, *, times: int = 1) -> None: ...


def create_app(*crms: Crm) -> Starlette:
    """Each CRM's API below `/{name}`, the control API below `/_sandbox/{name}`, the page at `/`."""
    by_name = {crm.name: crm for crm in crms}
    control = Control(by_name)

    async def page(_request: Request) -> Response:
        # No cache: the page shows the state of this moment.
        return HTMLResponse(overview(by_name.values()), headers={"cache-control": "no-store"})

    async def script(_request: Request) -> Response:
        return Response(SCRIPT, media_type="text/javascript")

    return Starlette(
        routes=[
            Route("/", page, methods=["GET"]),
            Route("/_sandbox/overview.js", script, methods=["GET"]),
            Route("/_sandbox/{crm}/accounts", control.accounts, methods=["GET", "POST"]),
            Route("/_sandbox/{crm}/faults", control.faults, methods=["POST", "DELETE"]),
            Route("/_sandbox/{crm}/tokens", control.tokens, methods=["POST"]),
            Route("/_sandbox/{crm}/errors", control.errors, methods=["POST"]),
            Route("/_sandbox/{crm}/ledger", control.ledger, methods=["GET"]),
            Route("/_sandbox/{crm}/effects", control.effects, methods=["GET"]),
            Route("/_sandbox/{crm}/calls", control.calls, methods=["GET"]),
            *(route for crm in crms for route in record_pages.routes(crm)),
            *(Mount(f"/{crm.name}", app=crm.app) for crm in crms),
        ],
        exception_handlers={HTTPException: _refuse, ValueError: _refuse_value},
    )


class Control:
    """The control API: JSON in, JSON out; bad input gets 400 `{"error": …}`, an unknown CRM or account 404."""

    def __init__(self, crms: Mapping[str, Crm]) -> None:
        self._crms = crms

    async def accounts(self, request: Request) -> Response:
        """POST opens an account and answers its tokens; GET lists the accounts."""
        crm = self._crm(request)
        if request.method == "GET":
            return JSONResponse(crm.accounts())
        return JSONResponse(crm.open_account(await _document(request)), 201)

    async def faults(self, request: Request) -> Response:
        """POST plans a fault; DELETE forgets all."""
        crm = self._crm(request)
        if request.method == "DELETE":
            crm.faults.clear()
        else:
            crm.faults.add(Fault.parse(await _document(request)))
        return Response(None, 204)

    async def tokens(self, request: Request) -> Response:
        """POST `{"account", "action": "expire" | "revoke"}` ends an account's OAuth tokens."""
        crm, document = self._crm(request), await _document(request)
        account, action = document.get("account"), document.get("action")
        if not isinstance(account, int) or action not in ("expire", "revoke"):
            raise ValueError('give {"account": number, "action": "expire" or "revoke"}')
        _known(lambda: crm.end_tokens(account, action))
        return Response(None, 204)

    async def errors(self, request: Request) -> Response:
        """POST `{"account", "error", "times": 1}` meets the account's next writes with a documented error."""
        crm, document = self._crm(request), await _document(request)
        account, error, times = document.get("account"), document.get("error"), document.get("times", 1)
        if not (isinstance(account, int) and isinstance(error, str) and isinstance(times, int) and times > 0):
            raise ValueError('give {"account": number, "error": a documented code, "times": 1}')
        try:
            _known(lambda: crm.refuse(account, error, times=times))
        except LookupError as unknown:
            raise ValueError(str(unknown)) from None
        return Response(None, 204)

    async def ledger(self, request: Request) -> Response:
        """`?account=`: what the account contains now."""
        crm, account = self._crm(request), _account(request)
        return JSONResponse(_known(lambda: crm.ledger(account)))

    async def effects(self, request: Request) -> Response:
        """`?account=`: everything that ever changed in the account."""
        crm, account = self._crm(request), _account(request)
        return JSONResponse(_known(lambda: crm.effects(account)))

    async def calls(self, request: Request) -> Response:
        """Calls by account."""
        return JSONResponse(self._crm(request).calls())

    def _crm(self, request: Request) -> Crm:
        crm = self._crms.get(request.path_params["crm"])
        if crm is None:
            raise HTTPException(404, f"there is no {request.path_params['crm']} here, only {', '.join(self._crms)}")
        return crm


def _known(look_up: Callable[[], T]) -> T:
    try:
        return look_up()
    except KeyError as error:
        raise HTTPException(404, f"there is no account {error}") from None


def _account(request: Request) -> int:
    given = request.query_params.get("account", "")
    if not given.isdecimal():
        raise ValueError("give ?account=, a number")
    return int(given)


async def _document(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        document = json.loads(raw or b"{}")
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None
    if not isinstance(document, dict):
        raise ValueError("send a JSON object")  # noqa: TRY004 - callers know one error for bad input
    return document


async def _refuse(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse({"error": error.detail}, error.status_code, error.headers)
    raise error


async def _refuse_value(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)
