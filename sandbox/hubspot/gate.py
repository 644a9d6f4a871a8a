"""What every API call passes before it is handled: version, token, limits, scopes; and how answers leave."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response

from sandbox.hubspot.errors import ApiError, missing_scopes, not_found, rate_limited, unauthenticated
from sandbox.hubspot.grants import AccessToken
from sandbox.hubspot.portal import Portal
from sandbox.hubspot.schema import ObjectType, object_type_of
from sandbox.hubspot.wire import Body

if TYPE_CHECKING:
    from sandbox.hubspot.emulator import HubSpot

VERSIONS = ("2026-03", "2026-09")
MOVING_SECONDS = 3600

Answer = tuple[int, dict[str, Any] | None]


@dataclass(frozen=True)
class Call:
    """One admitted call."""

    hubspot: HubSpot
    portal: Portal
    version: str
    params: Mapping[str, str]
    query: QueryParams
    raw: bytes
    content_type: str
    now: float

    @property
    def object_type(self) -> ObjectType:
        return object_type_of(self.params["object_type"])

    def body(self) -> Body:
        """The JSON body; raises ApiError (415, 400)."""
        if self.content_type.split(";")[0].strip().lower() != "application/json":
            raise ApiError(415, "Unsupported Media Type: send application/json", None)
        return Body(self.raw)


Handler = Callable[[Call], Answer]
Scopes = Callable[[Mapping[str, str]], tuple[str, ...]]


@dataclass(frozen=True)
class Endpoint:
    """One method on one path; `scopes` names, from the path's parameters, the scopes of which one is needed."""

    method: str
    path: str
    handler: Handler
    scopes: Scopes
    limit: Literal["standard", "search"] = "standard"


def bearer(headers: Headers) -> str:
    """The bearer token of a request, or an empty string."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def admit(hubspot: HubSpot, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint as Starlette calls it."""

    async def call(request: Request) -> Response:
        raw = await request.body()
        marks = request.scope.get("sandbox", {})
        marks["path"] = endpoint.path.format_map(_Kept(request.path_params))
        with hubspot.lock:
            return _answer(hubspot, endpoint, request, raw)

    return call


def _answer(hubspot: HubSpot, endpoint: Endpoint, request: Request, raw: bytes) -> Response:
    headers: dict[str, str] = {}
    try:
        check_version(request.path_params["version"])
        token = hubspot.grants.authenticate(bearer(request.headers) or _no_token())
        _check_whereabouts(token.portal, headers)
        _spend(hubspot, endpoint, token, headers)
        any_of = endpoint.scopes(request.path_params)
        if any_of and not set(any_of) & set(token.portal.scopes):
            raise missing_scopes(any_of)
        _check_permission(token.portal, request)
        call = Call(
            hubspot=hubspot,
            portal=token.portal,
            version=request.path_params["version"],
            params=request.path_params,
            query=request.query_params,
            raw=raw,
            content_type=request.headers.get("content-type", ""),
            now=hubspot.clock(),
        )
        status, document = endpoint.handler(call)
    except ApiError as error:
        status, document = error.status, error.envelope()
    return respond(status, document, headers)


def respond(status: int, document: Mapping[str, Any] | None, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer, or one without a body."""
    if document is None:
        return Response(None, status, headers)
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, headers, media_type="application/json;charset=utf-8")


def check_version(version: str) -> None:
    """Raises ApiError (404) for a version of the API that does not exist."""
    if version not in VERSIONS:
        raise not_found()


def _check_whereabouts(portal: Portal, headers: dict[str, str]) -> None:
    """Raises ApiError (477) while the account is moved to another data centre."""
    if portal.is_moving:
        headers["Retry-After"] = str(MOVING_SECONDS)
        raise ApiError(477, "A migration is in progress for this account", None)


def _check_permission(portal: Portal, request: Request) -> None:
    """Raises ApiError (403) where HubSpot's own permissions keep whoever connected from such records."""
    named = request.path_params.get("object_type") or request.path_params.get("from_type")
    if named and object_type_of(named).name in portal.closed:
        words = "User level OAuth token is not allowed to work with these objects."
        raise ApiError(403, words, "CRM_PERMISSIONS_ENFORCEMENT")


def _no_token() -> str:
    raise unauthenticated()


def _spend(hubspot: HubSpot, endpoint: Endpoint, token: AccessToken, headers: dict[str, str]) -> None:
    """Take the call from the account's limits and tell what is left; raises ApiError (429)."""
    if not hubspot.limits:
        return
    portal, now = token.portal, hubspot.clock()
    is_static = token.expires is None
    if is_static and not portal.daily.take(now):
        raise rate_limited("DAILY", "daily")
    if endpoint.limit == "search":
        if not portal.search_window.take(now):
            raise rate_limited("SECONDLY", "secondly")
        return
    window = portal.static_window if is_static else portal.app_window
    is_admitted = window.take(now)
    headers["X-HubSpot-RateLimit-Max"] = str(window.calls)
    headers["X-HubSpot-RateLimit-Remaining"] = str(window.remaining(now))
    headers["X-HubSpot-RateLimit-Interval-Milliseconds"] = str(round(window.seconds * 1000))
    if is_static:
        headers["X-HubSpot-RateLimit-Daily"] = str(portal.daily.calls)
        headers["X-HubSpot-RateLimit-Daily-Remaining"] = str(portal.daily.remaining(now))
    if not is_admitted:
        raise rate_limited("TEN_SECONDLY_ROLLING", "ten_secondly_rolling")


class _Kept(dict[str, str]):
    """Path parameters for the calls' journal: types and version by name, record ids left as placeholders."""

    def __init__(self, params: Mapping[str, str]) -> None:
        super().__init__({name: value for name, value in params.items() if not name.endswith(("id", "name"))})

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"
