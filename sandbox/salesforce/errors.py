"""Salesforce's refusals: an array of errors for a whole request, a row's errors, an object for OAuth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class ApiError(Exception):
    """A refusal of one row or, with its `status`, of a whole request.

    Attributes:
        code: Salesforce's code.
        fields: names of the fields that are to blame; None leaves the member out of a whole request's refusal.
        extra: further members of a whole request's refusal.
    """

    def __init__(
        self,
        code: str,
        message: str,
        fields: Sequence[str] | None = None,
        *,
        status: int = 400,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields
        self.extra = extra or {}

    def document(self) -> list[dict[str, Any]]:
        """The body of a refused request."""
        error: dict[str, Any] = {**self.extra, "message": self.message, "errorCode": self.code}
        return [error if self.fields is None else {**error, "fields": list(self.fields)}]

    def row(self) -> dict[str, Any]:
        """One member of a row's `errors`."""
        return {"statusCode": self.code, "message": self.message, "fields": list(self.fields or ())}


class ParseError(ApiError):
    """A value or a name that the JSON binding cannot take; Salesforce may refuse the whole request for it."""


class OAuthError(Exception):
    """A refusal of the OAuth endpoints."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.description = description

    def document(self) -> dict[str, Any]:
        return {"error": self.error, "error_description": self.description}


def not_found(message: str = "The requested resource does not exist") -> ApiError:
    return ApiError("NOT_FOUND", message, status=404)


def missing_record(named: str) -> ApiError:
    """What was named by an id or an external id is not there, or the external id field is not."""
    return not_found(f"Provided external ID field does not exist or is not accessible: {named}")


def deleted(status: int = 400) -> ApiError:
    return ApiError("ENTITY_IS_DELETED", "entity is deleted", [], status=status)


def invalid_session(message: str = "Session expired or invalid", status: int = 401) -> ApiError:
    return ApiError("INVALID_SESSION_ID", message, status=status)


def too_many(most: int) -> ApiError:
    """More records than one call may carry."""
    return ApiError("EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {most} records into this call")


def unknown_field(name: str, sobject: str) -> ParseError:
    return ParseError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}")
