"""What stands before every page: headers that forbid what a page of ours never does, a session for each browser, and a
refusal of every change that our own pages did not send."""

from __future__ import annotations

import hashlib
import hmac
import html
import secrets
from collections.abc import Iterable
from urllib.parse import parse_qs

from pydantic import SecretStr
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.identity import bearer_token
from console.ratelimit import Rate, RateLimit, caller_of
from console.settings import ConsoleSettings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LONGEST_BODY = 512 * 1024
SESSION_SECONDS = 30 * 86_400
WITHOUT_SESSION = frozenset({"/healthz", "/readyz", "/metrics"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """ASGI middleware around the whole console.

    Each browser gets a secret of its own in a cookie; the token that a change must carry is made of it, and so is what
    ties a consent at a CRM to the browser that left for it. Changes that come with a bearer token need none: no
    other site can make a browser send that.
    """

    def __init__(self, app: ASGIApp, settings: ConsoleSettings, limited: Iterable[tuple[str, Rate]]) -> None:
        self._app = app
        self._settings = settings
        self._limits = [(prefix, RateLimit(rate)) for prefix, rate in limited]
        self._cookie = session_cookie(settings)
        self._key = csrf_key(settings.common.encryption_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # anybody may write a Host header, and a proxy may replace it: what is made of it is made of our own address
        state = scope.setdefault("state", {})
        state["asked_host"] = Headers(scope=scope).get("host", "")
        scope["scheme"], _, host = self._settings.origin.partition("://")
        scope["headers"] = [each for each in scope["headers"] if each[0] != b"host"] + [(b"host", host.encode())]
        path: str = scope["path"].removeprefix(self._settings.base_path)
        request = Request(scope, receive)
        given = cookie_of(request, self._cookie)
        session = given if len(given) == 43 else secrets.token_urlsafe(32)
        state["session"] = session
        state["csrf_token"] = _token(self._key, session)

        async def decorate(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                is_static = path.startswith("/static/")
                headers.setdefault("cache-control", "no-cache" if is_static else "no-store")
                if self._settings.is_secure:
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                if session != given and not is_static and path not in WITHOUT_SESSION:
                    headers.append("set-cookie", self._set_cookie(session))
            await send(message)

        refusal: Response | None = self._too_many(request, path)
        if refusal is None and request.method not in SAFE_METHODS:
            body = await _read(request)
            refusal = self._refusal(request, body)
            receive = _replay(body or b"", receive)
        await (refusal or self._app)(scope, receive, decorate)

    def _set_cookie(self, session: str) -> str:
        secure = "; Secure" if self._settings.is_secure else ""
        # Lax: a browser that comes back from a CRM brings it along; no other site's form or script does
        return f"{self._cookie}={session}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Lax{secure}"

    def _too_many(self, request: Request, path: str) -> Response | None:
        caller = caller_of(request)
        for prefix, limit in self._limits:
            if path.startswith(prefix) and (wait := limit.wait(caller)) > 0:
                refusal = _refused(request, 429, "too_many_requests", f"That was too often: try again in {wait:.0f} s.")
                refusal.headers["retry-after"] = f"{wait:.0f}"
                return refusal
        return None

    def _refusal(self, request: Request, body: bytes | None) -> Response | None:
        if body is None:
            return _refused(request, 413, "too_large", f"More than {LONGEST_BODY // 1024} KB were sent.")
        if bearer_token(request.headers) is not None:
            return None
        origin = request.headers.get("origin")
        if origin is not None and origin != self._settings.origin:
            return _refused(
                request,
                403,
                "other_site",
                f"This came from another site ({origin[:200]}); this console is {self._settings.public_url}.",
            )
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return _refused(request, 403, "other_site", "This came from another site.")
        if not hmac.compare_digest(_given_token(request, body), request.scope["state"]["csrf_token"]):
            return _refused(
                request, 403, "csrf", "This page was too old, or not one of ours: load it again and repeat."
            )
        return None


def csrf_token(request: Request) -> str:
    """What a form or a request of this browser must carry to change anything."""
    token: str = request.state.csrf_token
    return token


def departure_key(encryption_key: SecretStr) -> bytes:
    """As `csrf_key`, for what a browser keeps while it is at a CRM."""
    return hmac.digest(encryption_key.get_secret_value().encode(), b"crm_sync console departure", hashlib.sha256)


def csrf_key(encryption_key: SecretStr) -> bytes:
    """Of its own for this purpose; all consoles with the same encryption key agree on it."""
    return hmac.digest(encryption_key.get_secret_value().encode(), b"crm_sync console csrf", hashlib.sha256)


def session_cookie(settings: ConsoleSettings) -> str:
    """Its name; by https one that no subdomain can set for us."""
    return "__Host-crm_sync_session" if settings.is_secure else "crm_sync_session"


def cookie_of(request: Request, name: str) -> str:
    """Read as browsers write them, and no more generously: where a blank ends a cookie, or letters around a name are
    dropped, a subdomain can set one that begins with `__Host-`. One that comes twice is none."""
    pairs = [each.strip(" \t").partition("=") for each in request.headers.get("cookie", "").split(";")]
    values = [value for key, _, value in pairs if key == name]
    return values[0] if len(values) == 1 else ""


def _token(key: bytes, session: str) -> str:
    return hmac.digest(key, session.encode(), hashlib.sha256).hex()


def _given_token(request: Request, body: bytes) -> str:
    given = request.headers.get("x-csrf-token")
    if given is None and request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        given = parse_qs(body.decode(errors="replace")).get("csrf_token", [""])[0]
    return (given or "").encode("ascii", "replace").decode()


async def _read(request: Request) -> bytes | None:
    """The whole body; None when it is too long."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            return None
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    is_given = False

    async def again() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _refused(request: Request, status: int, code: str, words: str) -> Response:
    """As JSON, which our script shows as a notice; a browser that has no script gets a page."""
    is_page = "text/html" in request.headers.get("accept", "") and "hx-request" not in request.headers
    if is_page:
        return HTMLResponse(
            f"<!doctype html><html lang=en><title>That did not work</title><main><h1>That did not work</h1>"
            f"<p>{html.escape(words)}</p><p>Go back and load the page again.</p></main>",
            status,
        )
    return JSONResponse({"error": code, "message": words}, status)
