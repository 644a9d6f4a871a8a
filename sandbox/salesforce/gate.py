"""What every API call passes before it is handled: version, size, session, limits; and how answers leave."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sandbox.salesforce.errors import ApiError, invalid_session, not_found
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.writes import Writer

if TYPE_CHECKING:
    from sandbox.salesforce.emulator import Salesforce

OLDEST, NEWEST, RETIRED = 31, 68, 20
LONGEST_HEAD = 16_384
_VERSION = re.compile(r"(\d{1,3})\.0")

Answer = tuple[int, Any]


@dataclass(frozen=True)
class Call:
    """One admitted call; `raw` is the body as it came, `base_url` where the emulator was reached."""

    salesforce: Salesforce
    org: Org
    version: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    base_url: str

    def body(self) -> dict[str, Any]:
        """The JSON object that was sent; raises ApiError (415, 400)."""
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/json":
            raise ApiError(
                "UNSUPPORTED_MEDIA_TYPE", f"Content type {kind or 'none'} is not supported: send JSON", status=415
            )
        try:
            document = json.loads(self.raw)
        except RecursionError:
            raise ApiError("JSON_PARSER_ERROR", "Document nesting too deep") from None
        except ValueError as error:
            where = (
                f" at [line:{error.lineno}, column:{error.colno}]" if isinstance(error, json.JSONDecodeError) else ""
            )
            raise ApiError("JSON_PARSER_ERROR", f"Unexpected character or end of the document{where}") from None
        if not isinstance(document, dict):
            raise ApiError("JSON_PARSER_ERROR", "Expected a JSON object at [line:1, column:1]")
        return document

    def sobject(self) -> SObject:
        """The object that the path names, in any case; raises ApiError (404)."""
        named = self.params["sobject"].lower()
        found = next((each for name, each in self.org.objects.items() if name.lower() == named), None)
        if found is None:
            raise not_found()
        return found

    def writer(self, records: int = 1) -> Writer:
        """The one who writes so many records in this call, with what its headers allow."""
        asked = self.headers.get("sforce-duplicate-rule-header", "").replace(" ", "").lower()
        return Writer(self.org, may_duplicate="allowsave=true" in asked, records=records)

    def url_of(self, sobject: str, record_id: str) -> str:
        return f"/services/data/v{self.version}/sobjects/{sobject}/{record_id}"


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Endpoint:
    """One method on one path below `/services/data/v{version}`."""

    method: str
    path: str
    handler: Handler


def bearer(headers: Headers) -> str:
    """The bearer token of a request, or an empty string."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() in ("bearer", "oauth") else ""


def base_url_of(request: Request) -> str:
    """Where the emulator was reached, the path that it is mounted at included, without a slash at the end."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def admit(salesforce: Salesforce, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint as Starlette calls it."""

    async def call(request: Request) -> Response:
        raw = await request.body()
        request.scope.get("sandbox", {})["path"] = f"/services/data/v{{version}}{endpoint.path}".format_map(
            _Kept(request.path_params)
        )
        target = len(request.scope["raw_path"]) + len(request.scope["query_string"]) + 1
        if target > LONGEST_HEAD:
            return HTMLResponse("<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>", 414)
        if target + _headers(request) > LONGEST_HEAD:
            return HTMLResponse("<h1>Bad Message 431</h1><pre>reason: Request Header Fields Too Large</pre>", 431)
        with salesforce.lock:
            return _answer(salesforce, endpoint, request, raw)

    return call


def respond(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer, or one without a body."""
    if document is None:
        return Response(None, status, headers)
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, headers, media_type="application/json;charset=UTF-8")


def check_version(version: str) -> str:
    """The version if it is served; raises ApiError (410 for one that was retired, 404 for one that never was)."""
    number = _VERSION.fullmatch(version)
    if not number or not RETIRED <= int(number[1]) <= NEWEST:
        raise not_found()
    if int(number[1]) < OLDEST:
        raise ApiError("GONE", f"API version v{version} is retired and no longer available", status=410)
    return version


def _answer(salesforce: Salesforce, endpoint: Endpoint, request: Request, raw: bytes) -> Response:
    headers: dict[str, str] = {}
    try:
        version = check_version(request.path_params["version"])
        approval = salesforce.grants.authenticate(_session(request))
        if not {"api", "full"} & set(approval.scopes):
            raise invalid_session("This session is not valid for use with the REST API", 403)
        org = approval.org
        if (answer := org.standing.answer()) is not None:
            return answer
        _spend(salesforce, org, headers)
        call = Call(
            salesforce=salesforce,
            org=org,
            version=version,
            params=request.path_params,
            query=dict(parse_qsl(request.url.query, keep_blank_values=True)),
            headers=request.headers,
            raw=raw,
            base_url=base_url_of(request),
        )
        status, document = endpoint.handler(call)
        org.commit()
    except ApiError as error:
        status, document = error.status, error.document()
    return respond(status, document, headers)


def _session(request: Request) -> str:
    """The token; raises ApiError (401) for one that is none of Salesforce's, which all name an org."""
    token = bearer(request.headers)
    if token and "!" not in token:
        raise ApiError("INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE", status=401)
    return token


def _spend(salesforce: Salesforce, org: Org, headers: dict[str, str]) -> None:
    """Take the call from the org's 24 hours and tell what was used; raises ApiError (403)."""
    now = salesforce.clock()
    is_admitted = org.window.take(now)
    used = org.window.calls - org.window.remaining(now)
    headers["Sforce-Limit-Info"] = f"api-usage={used}/{org.window.calls}"
    if salesforce.limits and not is_admitted:
        raise ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)


def _headers(request: Request) -> int:
    """Their bytes."""
    return sum(len(name) + len(value) + 4 for name, value in request.scope["headers"])


class _Kept(dict[str, str]):
    """Path parameters for the calls' journal: version, object and field by name, ids left as placeholders."""

    def __init__(self, params: Mapping[str, str]) -> None:
        super().__init__({name: value for name, value in params.items() if name in ("version", "sobject", "key")})

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"
