"""Every API endpoint, below `/services/data/v{version}`."""

from __future__ import annotations

from starlette.routing import Match, Route

from sandbox.salesforce import batches, meta, queries, singles
from sandbox.salesforce.composite import composite
from sandbox.salesforce.gate import Endpoint, Handler

_X = "/sobjects/{sobject}"
_COLLECTION = "/composite/sobjects"

_SIMPLE = (
    Endpoint("GET", "/", meta.resources),
    Endpoint("GET", "/limits", meta.limits),
    Endpoint("GET", "/query", queries.query),
    Endpoint("GET", "/queryAll", queries.query_all),
    Endpoint("GET", "/query/{locator}", queries.more),
    Endpoint("GET", "/queryAll/{locator}", queries.more),
    Endpoint("GET", "/sobjects", meta.list_objects),
    Endpoint("GET", _X, meta.basic),
    Endpoint("POST", _X, singles.create),
    Endpoint("GET", f"{_X}/describe", meta.describe),
    Endpoint("GET", f"{_X}/{{record_id}}", singles.read),
    Endpoint("PATCH", f"{_X}/{{record_id}}", singles.update),
    Endpoint("DELETE", f"{_X}/{{record_id}}", singles.delete),
    Endpoint("GET", f"{_X}/{{key}}/{{value}}", singles.read_by_key),
    Endpoint("PATCH", f"{_X}/{{key}}/{{value}}", singles.upsert),
    Endpoint("DELETE", f"{_X}/{{key}}/{{value}}", singles.delete_by_key),
    Endpoint("POST", _COLLECTION, batches.create),
    Endpoint("PATCH", _COLLECTION, batches.update),
    Endpoint("DELETE", _COLLECTION, batches.delete),
    Endpoint("GET", f"{_COLLECTION}/{{sobject}}", batches.read),
    Endpoint("POST", f"{_COLLECTION}/{{sobject}}", batches.read),
    Endpoint("PATCH", f"{_COLLECTION}/{{sobject}}/{{key}}", batches.upsert),
)


async def _unused(_request: object) -> None:
    """Routes of subrequests are matched, never called."""


_ROUTES = [(each, Route(each.path, _unused, methods=[each.method])) for each in _SIMPLE]


def find(method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
    """The handler of a subrequest and its path's parameters; None when there is none."""
    for endpoint, route in _ROUTES:
        match, scope = route.matches({"type": "http", "method": method, "path": path})
        if match is Match.FULL and endpoint.method == method:
            return endpoint.handler, dict(scope["path_params"])
    return None


ENDPOINTS = (*_SIMPLE, Endpoint("POST", "/composite", composite(find)))
