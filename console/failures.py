"""What a person or a program is told when something did not work."""

from __future__ import annotations

from urllib.parse import urlencode

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from console.context import console_of
from console.identity import NotSignedInError
from listener.errors import DatabaseTrouble, NotYours, Refusal
from listener.logs import places

log = structlog.get_logger()


def wants_json(request: Request) -> bool:
    """Programs get JSON: those that ask below /api, and those that say so."""
    path = request.scope["path"].removeprefix(console_of(request).settings.base_path)
    return path.startswith("/api/") or "application/json" in request.headers.get("accept", "")


def show(request: Request, status: int, code: str, words: str) -> Response:
    """The same words for people and programs."""
    if wants_json(request):
        return JSONResponse({"error": code, "message": words}, status)
    template = "message_part.html" if request.headers.get("hx-request") else "message.html"
    return console_of(request).render(request, template, status=status, title=_title(status), words=words)


def _title(status: int) -> str:
    return {404: "Not here", 422: "Not saved", 503: "Just a moment"}.get(status, "That did not work")


class TooOftenError(Exception):
    """A user has asked for the same too often.

    Attributes:
        seconds: how long to wait.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"That was too often: try again in {seconds:.0f} s.")
        self.seconds = seconds


async def _too_often(request: Request, error: Exception) -> Response:
    assert isinstance(error, TooOftenError)
    response = show(request, 429, "too_many_requests", str(error))
    response.headers["retry-after"] = f"{error.seconds:.0f}"
    return response


async def _not_signed_in(request: Request, error: Exception) -> Response:
    console = console_of(request)
    assert isinstance(error, NotSignedInError)
    if error.reason != "absent":
        request.app.state.metrics.refused_sign_ins.labels(error.reason).inc()
    if wants_json(request):
        return JSONResponse({"error": "not_signed_in", "message": str(error)}, 401)
    there = console.settings.sign_in_url or console.url("/sign-in")
    if request.headers.get("hx-request"):
        return Response(None, 401, {"hx-redirect": there})
    if console.settings.sign_in_url is None and request.method == "GET":
        query = request.scope["query_string"].decode("latin-1")
        query = f"?{query}" if query else ""
        there += "?" + urlencode({"next": request.scope["path"].removeprefix(console.settings.base_path) + query})
    return RedirectResponse(there, 303)


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, NotYours):
        return show(request, 404, "not_found", str(error))
    return show(request, 422, "refused", str(error))


async def _database_trouble(request: Request, error: Exception) -> Response:
    log.warning("database_trouble", error=str(error))
    return show(request, 503, "database", "The database does not answer just now. Nothing was lost; try again.")


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = error.detail if isinstance(error, HTTPException) else ""
    return show(request, status, "http", "There is no such page." if status == 404 else words)


class Catch:
    """ASGI middleware inside the guard: what nobody expected is answered, with the guard's headers, and logged without
    the words of the error, which may be a person's."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except Exception as error:  # noqa: BLE001 - the last one that can answer
            if scope["type"] == "lifespan" and isinstance(error, Refusal):
                return  # said by `serve`, with what to do
            if scope["type"] != "http" or has_begun:
                log.error("request_failed", error=type(error).__name__, places=places(error))
                return
            response = await _unexpected(Request(scope, receive), error)
            await response(scope, receive, send)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("request_failed", error=type(error).__name__, places=places(error))
    return show(request, 500, "fault", "A fault of ours; the console's log says where. Nothing was changed.")


HANDLERS: dict[int | type[Exception], ExceptionHandler] = {
    NotSignedInError: _not_signed_in,
    TooOftenError: _too_often,
    Refusal: _refused,
    DatabaseTrouble: _database_trouble,
    HTTPException: _http,
}
