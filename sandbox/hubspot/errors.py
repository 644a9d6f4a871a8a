"""HubSpot's refusals and their envelopes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

SCOPES_PAGE = "https://developers.hubspot.com/scopes"


class ApiError(Exception):
    """A refusal: of a whole request, or of one row of a batch.

    Attributes:
        status: the HTTP status it has when it concerns the whole request.
        top: further members of the envelope.
        missing_id: the record id that could not be found; HubSpot reports these apart from other bad rows.
    """

    def __init__(
        self,
        status: int,
        message: str,
        category: str | None = "VALIDATION_ERROR",
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        context: Mapping[str, list[str]] | None = None,
        links: Mapping[str, str] | None = None,
        sub_category: str | None = None,
        top: Mapping[str, Any] | None = None,
        missing_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.category = category
        self.errors = list(errors)
        self.context = dict(context or {})
        self.links = dict(links or {})
        self.sub_category = sub_category
        self.top = dict(top or {})
        self.missing_id = missing_id

    def envelope(self) -> dict[str, Any]:
        """The body of a refused request; members without content are left out, as HubSpot does."""
        body: dict[str, Any] = {"status": "error", "message": self.message, "correlationId": str(uuid.uuid4())}
        for name, value in (
            ("errors", self.errors),
            ("context", self.context),
            ("links", self.links),
            ("category", self.category),
            ("subCategory", self.sub_category),
        ):
            if value:
                body[name] = value
        return {**body, **self.top}

    def row(self, trace_id: str | None = None) -> dict[str, Any]:
        """One member of a batch answer's `errors`, tied to its input by the input's trace id."""
        context = {**self.context, **({"objectWriteTraceId": [trace_id]} if trace_id else {})}
        return {
            "status": "error",
            "category": self.category or "VALIDATION_ERROR",
            "subCategory": self.sub_category or {},
            "message": self.message,
            "context": context,
            "errors": self.errors,
            "links": self.links,
        }


class InvalidValueError(Exception):
    """One property value that HubSpot refuses; `code` is HubSpot's."""

    def __init__(self, name: str, code: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.code = code
        self.message = message

    def detail(self) -> dict[str, Any]:
        """The problem as a member of an envelope's `errors`."""
        return {
            "message": self.message,
            "code": self.code,
            "in": self.name,
            "context": {"propertyName": [self.name]},
        }


def invalid_values(problems: Sequence[InvalidValueError], portal_id: int) -> ApiError:
    """The refusal of a record for its values; its message repeats them as JSON text, as HubSpot's does."""
    listed = [
        {
            "isValid": False,
            "message": problem.message,
            "error": problem.code,
            "name": problem.name,
            "localizedErrorMessage": problem.message,
            "portalId": portal_id,
        }
        for problem in problems
    ]
    return ApiError(
        400,
        f"Property values were not valid: {json.dumps(listed, separators=(',', ':'))}",
        errors=[problem.detail() for problem in problems],
    )


def unauthenticated() -> ApiError:
    """No token, a token nobody gave out, or a revoked one."""
    return ApiError(
        401,
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more "
        "details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
        "INVALID_AUTHENTICATION",
    )


def missing_scopes(any_of: Sequence[str]) -> ApiError:
    """The token is good but may not do this."""
    return ApiError(
        403,
        "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: "
        f"{SCOPES_PAGE}.",
        "MISSING_SCOPES",
        errors=[
            {
                "message": "One or more of the following scopes are required.",
                "context": {"requiredGranularScopes": list(any_of)},
            }
        ],
        links={"scopes": SCOPES_PAGE},
    )


def rate_limited(policy: str, name: str) -> ApiError:
    """Over a limit; `policy` is HubSpot's policyName, `name` the limit in its message."""
    return ApiError(
        429,
        f"You have reached your {name} limit.",
        None,
        top={"errorType": "RATE_LIMIT", "policyName": policy, "requestId": uuid.uuid4().hex},
    )


def not_found(message: str = "resource not found") -> ApiError:
    return ApiError(404, message, "OBJECT_NOT_FOUND")


def missing_record(type_name: str, record_id: str) -> ApiError:
    """A record that does not exist, or no longer; in batches HubSpot names it without refusing the rest."""
    return ApiError(
        404,
        f"Could not get some {type_name} objects, they may be deleted or not exist. Check that ids are valid.",
        "OBJECT_NOT_FOUND",
        context={"ids": [record_id]},
        missing_id=record_id,
    )


def conflict(message: str) -> ApiError:
    return ApiError(409, message, "CONFLICT")
