"""What stands before every emulated CRM: it counts the calls of each account and commits the planned faults."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.faults import Fault, Faults
from sandbox.server import cut

MAINTENANCE = "<!doctype html><title>Be right back</title><h1>We are down for maintenance</h1>"


class Calls:
    """How many calls an account made, by path and by status.

    A connection cut on purpose counts as `cut`; one that a defect of the emulator left without answer as `unanswered`.
    """

    def __init__(self) -> None:
        self.total = 0
        self.by_path: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()

    def count(self, path: str, status: str) -> None:
        self.total += 1
        self.by_path[path] += 1
        self.by_status[status] += 1

    def document(self) -> dict[str, Any]:
        """`{"total": n, "by_path": {…}, "by_status": {…}}`."""
        return {"total": self.total, "by_path": dict(self.by_path), "by_status": dict(self.by_status)}


class Front:
    """ASGI middleware of one CRM.

    `account_of` names the account of a request by its headers (None: not known); `count` receives account, path and
    status of each call. The CRM may say more precisely whose call it was, and name the path without record ids, by
    writing `account` and `path` into the scope's `sandbox` dictionary.
    """

    def __init__(
        self,
        app: ASGIApp,
        faults: Faults,
        account_of: Callable[[Headers], int | None],
        count: Callable[[int | None, str, str], None],
    ) -> None:
        self._app = app
        self._faults = faults
        self._account_of = account_of
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        call = scope["sandbox"] = {"account": self._account_of(Headers(scope=scope)), "path": path}
        fault = None
        if self._faults:
            # Only a request that has arrived whole is struck: a client that gives up while we wait has sent it all the
            # same, and one that dies in the middle of its sentence has said nothing.
            receive, is_whole = await _read_ahead(receive)
            if is_whole:
                fault = self._faults.take(scope["method"], path, cast("int | None", call["account"]))
        is_counted = False

        def count(status: str) -> None:
            nonlocal is_counted
            if not is_counted:
                is_counted = True
                self._count(cast("int | None", call["account"]), cast("str", call["path"]), status)

        async def watch(message: Message) -> None:
            # Counted before it leaves: whoever has the answer finds the call in the ledger.
            if message["type"] == "http.response.start":
                count(str(message["status"]))
            await send(message)

        try:
            if fault is None:
                await self._app(scope, receive, watch)
            else:
                await self._strike(fault, scope, receive, watch, count)
        finally:
            count("unanswered")

    async def _strike(
        self, fault: Fault, scope: Scope, receive: Receive, send: Send, count: Callable[[str], None]
    ) -> None:
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.cut:
            count("cut")
            cut(scope)
        elif fault.html or fault.status is not None:
            await _planned_answer(fault)(scope, receive, send)
        elif fault.drop_answer or fault.cut_body:
            answer: list[Message] = []
            await self._app(scope, receive, _collect_into(answer))
            if fault.cut_body:
                await _send_half(answer, send)
            count("cut")
            cut(scope)
        else:
            await self._app(scope, receive, send)


async def _read_ahead(receive: Receive) -> tuple[Receive, bool]:
    """The rest of the request, read now, to be received later; and whether it came to its end."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    is_whole = messages[-1]["type"] == "http.request"

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return replay, is_whole


def _planned_answer(fault: Fault) -> Response:
    headers = dict(fault.headers)
    status = fault.status or 200
    if fault.html:
        return HTMLResponse(fault.body if isinstance(fault.body, str) else MAINTENANCE, status, headers)
    if isinstance(fault.body, dict):
        return JSONResponse(fault.body, status, headers)
    if fault.body is None:
        return Response(None, status, headers)
    try:
        json.loads(fault.body)
    except ValueError:
        return PlainTextResponse(fault.body, status, headers)
    return Response(fault.body, status, headers, media_type="application/json")


def _collect_into(answer: list[Message]) -> Send:
    async def collect(message: Message) -> None:
        answer.append(message)

    return collect


async def _send_half(answer: list[Message], send: Send) -> None:
    body = b"".join(message.get("body", b"") for message in answer[1:])
    await send(answer[0])
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
