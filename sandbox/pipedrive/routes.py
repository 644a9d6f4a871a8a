"""Every API endpoint, with the scopes of which a token needs one and the tokens it costs."""

from __future__ import annotations

from sandbox.pipedrive import definitions, items, notes, search
from sandbox.pipedrive.gate import Endpoint

CONTACTS, DEALS, ACTIVITIES = "contacts", "deals", "activities"
_SCOPE = {"persons": CONTACTS, "organizations": CONTACTS, "deals": DEALS, "activities": ACTIVITIES}
_FIELDS = {"persons": "personFields", "organizations": "organizationFields", "deals": "dealFields"}
_FIELD_SCOPE = {"persons": "contact-fields", "organizations": "contact-fields", "deals": "deal-fields"}
REMOVED = ("persons", "organizations", "deals", "activities", "itemSearch", "pipelines", "stages", "products")
"""Paths of v1 that v2 replaced."""


def _reads(name: str) -> tuple[str, ...]:
    return f"{name}:read", f"{name}:full"


def _of_kind(kind: str) -> list[Endpoint]:
    scope, path = _SCOPE[kind], f"/api/v2/{kind}"
    full, reads = (f"{scope}:full",), _reads(scope)
    found = [
        Endpoint("POST", path, items.create, full, 5, kind),
        Endpoint("GET", path, items.page, reads, 10, kind),
    ]
    if kind != "activities":
        searching = (*reads, "search:read")
        found.append(Endpoint("GET", f"{path}/search", search.search_kind, searching, 20, kind, is_search=True))
    one = f"{path}/{{id}}"
    return [
        *found,
        Endpoint("GET", one, items.read, reads, 1, kind),
        Endpoint("PATCH", one, items.update, full, 5, kind),
        Endpoint("DELETE", one, items.delete, full, 3, kind),
    ]


def _fields_of(kind: str) -> list[Endpoint]:
    path, scope = f"/api/v2/{_FIELDS[kind]}", _FIELD_SCOPE[kind]
    reads, full = (*_reads(_SCOPE[kind]), *_reads(scope)), (f"{scope}:full",)
    one = f"{path}/{{code}}"
    return [
        Endpoint("GET", path, definitions.list_fields, reads, 10, kind),
        Endpoint("POST", path, definitions.create_field, full, 5, kind),
        Endpoint("GET", one, definitions.read_field, reads, 1, kind),
        Endpoint("DELETE", one, definitions.delete_field, full, 3, kind),
    ]


_DEAL_READS = (*_reads(DEALS), "admin")
_NOTE_READS = (*_reads(CONTACTS), *_reads(DEALS))
_NOTE_FULL = ("contacts:full", "deals:full")

# v1 answers below /api/v1 and below /v1.
_V1 = [
    Endpoint("POST", "/notes", notes.create, _NOTE_FULL, 10, "notes"),
    Endpoint("GET", "/notes", notes.page, _NOTE_READS, 20, "notes"),
    Endpoint("GET", "/notes/{id}", notes.read, _NOTE_READS, 2, "notes"),
    Endpoint("PUT", "/notes/{id}", notes.update, _NOTE_FULL, 10, "notes"),
    Endpoint("DELETE", "/notes/{id}", notes.delete, _NOTE_FULL, 6, "notes"),
    Endpoint("GET", "/users/me", definitions.read_me, ("base",), 2),
    Endpoint("GET", "/users", definitions.list_users, ("users:read", "admin"), 20),
    Endpoint("GET", "/activityTypes", definitions.list_activity_types, (*_reads(ACTIVITIES), "admin"), 20),
]

ENDPOINTS = (
    *(endpoint for kind in _SCOPE for endpoint in _of_kind(kind)),
    *(endpoint for kind in _FIELDS for endpoint in _fields_of(kind)),
    Endpoint("GET", "/api/v2/activityFields", definitions.list_fields, _reads(ACTIVITIES), 10, "activities"),
    Endpoint("GET", "/api/v2/pipelines", definitions.list_pipelines, _DEAL_READS, 10),
    Endpoint("GET", "/api/v2/stages", definitions.list_stages, _DEAL_READS, 10),
    Endpoint("GET", "/api/v2/itemSearch/field", search.search_field, ("search:read",), 20, is_search=True),
    Endpoint("GET", "/api/v2/itemSearch", search.search_items, ("search:read",), 20, is_search=True),
    *(
        Endpoint(each.method, f"{prefix}{each.path}", each.handler, each.scopes, each.cost, each.kind)
        for prefix in ("/api/v1", "/v1")
        for each in _V1
    ),
)
