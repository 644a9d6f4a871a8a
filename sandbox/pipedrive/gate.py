"""What every API call passes before it is handled: token, limits, scopes; and how answers leave."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sandbox.pipedrive.company import Company
from sandbox.pipedrive.errors import (
    ApiError,
    missing_scope,
    not_found,
    rate_limited,
    throttled_by_cloudflare,
    unauthorized,
    unpaid,
)
from sandbox.pipedrive.query import Query
from sandbox.pipedrive.quotas import Burst
from sandbox.pipedrive.schemas import SCHEMAS
from sandbox.pipedrive.wire import json_object, respond
from sandbox.pipedrive.writes import RefusedError, Writer, refusal

if TYPE_CHECKING:
    from sandbox.pipedrive.emulator import Pipedrive

Answer = tuple[int, dict[str, Any]]
BLOCKED = (
    "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>"
    "<body><h1>Sorry, you have been blocked</h1><p>You are unable to access pipedrive.com</p></body></html>"
)


@dataclass(frozen=True)
class Call:
    """One admitted call; `kind` is that of the records it is about."""

    pipedrive: Pipedrive
    company: Company
    kind: str
    params: Mapping[str, Any]
    given: QueryParams
    raw: bytes
    content_type: str
    now: float

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; raises ApiError (415, 400)."""
        return json_object(self.raw, self.content_type)

    def query(self, allowed: Collection[str] = ()) -> Query:
        """The query parameters, of which no other is allowed; raises ApiError (400)."""
        return Query(self.given, allowed)

    def writer(self) -> Writer:
        return Writer(self.company, self.kind)

    def record_id(self) -> int:
        """The id in the path; raises ApiError (400) for what is none."""
        given = self.params["id"]
        if not given.isdecimal():
            raise ApiError(400, f"Validation failed: id: {given!r} is not an integer", "ERR_SCHEMA_VALIDATION_FAILED")
        return int(given)

    def missing(self) -> ApiError:
        return not_found(SCHEMAS[self.kind].title)


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Endpoint:
    """One method on one path; a token needs one of `scopes`, and the day's budget pays `cost`."""

    method: str
    path: str
    handler: Handler
    scopes: tuple[str, ...]
    cost: int
    kind: str = ""
    is_search: bool = False


def bearer(headers: Headers) -> str:
    """The bearer token of a request, or an empty string."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def admit(pipedrive: Pipedrive, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint as Starlette calls it."""

    async def call(request: Request) -> Response:
        raw = await request.body()
        request.scope.get("sandbox", {})["path"] = endpoint.path
        with pipedrive.lock:
            return _answer(pipedrive, endpoint, request, raw)

    return call


def _answer(pipedrive: Pipedrive, endpoint: Endpoint, request: Request, raw: bytes) -> Response:
    headers: dict[str, str] = {}
    try:
        company, is_oauth = _authenticate(pipedrive, request.headers)
        if not company.is_paid:
            raise unpaid()
        _spend(pipedrive, endpoint, company, is_oauth, headers)
        if is_oauth and endpoint.scopes and not set(endpoint.scopes) & set(company.scopes):
            raise missing_scope()
        call = Call(
            pipedrive=pipedrive,
            company=company,
            kind=endpoint.kind,
            params=request.path_params,
            given=request.query_params,
            raw=raw,
            content_type=request.headers.get("content-type", ""),
            now=pipedrive.clock(),
        )
        status, document = _handled(endpoint, call)
    except ApiError as error:
        if error.html:
            return HTMLResponse(BLOCKED, error.status, {"server": "cloudflare"})
        status, document = error.status, error.envelope()
    return respond(status, document, headers)


def _handled(endpoint: Endpoint, call: Call) -> Answer:
    try:
        return endpoint.handler(call)
    except RefusedError as error:
        raise refusal(error, call.pipedrive.missing_reference_status) from None


def _authenticate(pipedrive: Pipedrive, headers: Headers) -> tuple[Company, bool]:
    """The company of the call, and whether it came by OAuth; raises ApiError (401)."""
    if api_token := headers.get("x-api-token"):
        company = pipedrive.grants.company_of_api_token(api_token)
        if company is None:
            raise unauthorized()
        return company, False
    return pipedrive.grants.authenticate(bearer(headers)), True


def _spend(pipedrive: Pipedrive, endpoint: Endpoint, company: Company, is_oauth: bool, headers: dict[str, str]) -> None:
    """Take the call from the company's limits and tell what is left; raises ApiError (429, 403)."""
    now = pipedrive.clock()
    if not pipedrive.limits:
        company.tokens.take(now, endpoint.cost)
        return
    if company.cloudflare.blocks(now):
        raise throttled_by_cloudflare()
    bursts = [company.oauth_burst if is_oauth else company.token_burst]
    if endpoint.is_search:
        bursts.insert(0, company.search_burst)
    # The tightest is told and counted only when all have room.
    is_admitted = all(each.remaining(now) for each in bursts)
    if is_admitted and company.tokens.take(now, endpoint.cost):
        for each in bursts:
            each.take(now)
    else:
        is_admitted = False
        for each in bursts:
            if not each.remaining(now):
                each.refuse(now)
    _tell(min(bursts, key=lambda each: each.remaining(now)), company, now, headers, is_oauth)
    if not is_admitted:
        if pipedrive.penalty:
            headers["retry-after"] = headers["x-ratelimit-reset"]
        raise throttled_by_cloudflare() if company.cloudflare.refuse(now) else rate_limited()


def _tell(burst: Burst, company: Company, now: float, headers: dict[str, str], is_oauth: bool) -> None:
    headers["x-ratelimit-limit"] = str(burst.calls)
    headers["x-ratelimit-remaining"] = str(burst.remaining(now))
    headers["x-ratelimit-reset"] = str(burst.reset(now))
    headers["x-daily-ratelimit-token-remaining"] = str(company.tokens.remaining(now))
    if not is_oauth:
        headers["x-daily-requests-left"] = str(company.tokens.remaining(now))
