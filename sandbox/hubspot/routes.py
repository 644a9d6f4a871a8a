"""Every API endpoint, with the scopes of which a token needs one."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.hubspot import associations, batches, definitions, search, singles
from sandbox.hubspot.gate import Endpoint, Scopes
from sandbox.hubspot.schema import object_type_of

Params = Mapping[str, str]


def _objects(action: str) -> Scopes:
    def scopes(params: Params) -> tuple[str, ...]:
        return (f"crm.objects.{object_type_of(params['object_type']).scope}.{action}",)

    return scopes


def _both(action: str) -> Scopes:
    def scopes(params: Params) -> tuple[str, ...]:
        ends = (params.get("from_type") or params["object_type"], params["to_type"])
        return tuple(f"crm.objects.{object_type_of(end).scope}.{action}" for end in ends)

    return scopes


def _schema_read(params: Params) -> tuple[str, ...]:
    scope = object_type_of(params["object_type"]).scope
    return (f"crm.objects.{scope}.read", f"crm.schemas.{scope}.read", f"crm.schemas.{scope}.write")


def _schema_write(params: Params) -> tuple[str, ...]:
    return (f"crm.schemas.{object_type_of(params['object_type']).scope}.write",)


def _anybody(_params: Params) -> tuple[str, ...]:
    return ()


_OBJECTS = "/crm/objects/{version}/{object_type}"
_LINKS = "/crm/associations/{version}/{from_type}/{to_type}/batch"
_READ, _WRITE = _objects("read"), _objects("write")
_LINKS_READ, _LINKS_WRITE = _both("read"), _both("write")

ENDPOINTS = (
    Endpoint("POST", f"{_OBJECTS}/batch/create", batches.create, _WRITE),
    Endpoint("POST", f"{_OBJECTS}/batch/update", batches.update, _WRITE),
    Endpoint("POST", f"{_OBJECTS}/batch/upsert", batches.upsert, _WRITE),
    Endpoint("POST", f"{_OBJECTS}/batch/read", batches.read, _READ),
    Endpoint("POST", f"{_OBJECTS}/batch/archive", batches.archive, _WRITE),
    Endpoint("POST", f"{_OBJECTS}/gdpr-delete", singles.purge, _WRITE),
    Endpoint("POST", f"{_OBJECTS}/search", search.search, _READ, limit="search"),
    Endpoint("GET", _OBJECTS, singles.page, _READ),
    Endpoint("POST", _OBJECTS, singles.create, _WRITE),
    Endpoint("GET", f"{_OBJECTS}/{{record_id}}", singles.read, _READ),
    Endpoint("PATCH", f"{_OBJECTS}/{{record_id}}", singles.update, _WRITE),
    Endpoint("DELETE", f"{_OBJECTS}/{{record_id}}", singles.archive, _WRITE),
    Endpoint(
        "PUT",
        f"{_OBJECTS}/{{record_id}}/associations/default/{{to_type}}/{{to_id}}",
        associations.put_default,
        _LINKS_WRITE,
    ),
    Endpoint("GET", f"{_OBJECTS}/{{record_id}}/associations/{{to_type}}", associations.read_one, _LINKS_READ),
    Endpoint(
        "PUT", f"{_OBJECTS}/{{record_id}}/associations/{{to_type}}/{{to_id}}", associations.put_labelled, _LINKS_WRITE
    ),
    Endpoint(
        "DELETE", f"{_OBJECTS}/{{record_id}}/associations/{{to_type}}/{{to_id}}", associations.delete, _LINKS_WRITE
    ),
    Endpoint("POST", f"{_LINKS}/associate/default", associations.associate_default, _LINKS_WRITE),
    Endpoint("POST", f"{_LINKS}/create", associations.create, _LINKS_WRITE),
    Endpoint("POST", f"{_LINKS}/read", associations.read, _LINKS_READ),
    Endpoint("POST", f"{_LINKS}/archive", associations.archive, _LINKS_WRITE),
    Endpoint("GET", "/crm/properties/{version}/{object_type}", definitions.list_properties, _schema_read),
    Endpoint("POST", "/crm/properties/{version}/{object_type}", definitions.create_property, _schema_write),
    Endpoint("GET", "/crm/properties/{version}/{object_type}/{property_name}", definitions.read_property, _schema_read),
    Endpoint("GET", "/crm/pipelines/{version}/{object_type}", definitions.list_pipelines, _schema_read),
    Endpoint("GET", "/account-info/{version}/details", definitions.account_details, _anybody),
)
