"""Pipedrive's refusals and their envelopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DEVELOPERS = "Please check developers.pipedrive.com for more information about Pipedrive API."


class ApiError(Exception):
    """A refusal of a whole request.

    Attributes:
        code: Pipedrive's text code (v2 names its errors so); None where the status stands as `errorCode`.
        html: Cloudflare's answer instead of Pipedrive's own.
    """

    def __init__(self, status: int, error: str, code: str | None = None, *, html: bool = False) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.code = code
        self.html = html

    def envelope(self) -> dict[str, Any]:
        """`{"success": false, "error", "error_info", "data", "additional_data", "code" or "errorCode"}`."""
        named = {"errorCode": self.status} if self.code is None else {"code": self.code}
        return {
            "success": False,
            "error": self.error,
            "error_info": DEVELOPERS,
            "data": None,
            "additional_data": None,
            **named,
        }


class OAuthError(Exception):
    """A refusal by the OAuth endpoints: `{"success": false, "error", "message"}`."""

    def __init__(self, error: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message

    def envelope(self) -> dict[str, Any]:
        return {"success": False, "error": self.error, "message": self.message}


class InvalidValueError(Exception):
    """One member of a body or one parameter that Pipedrive refuses."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


class MissingReferenceError(InvalidValueError):
    """A member that names a record which does not exist, or no longer."""


def invalid(problems: Sequence[InvalidValueError]) -> ApiError:
    """The refusal of a request for its values: every problem is named."""
    listed = "; ".join(f"{each.name}: {each.message}" for each in problems)
    return ApiError(400, f"Validation failed: {listed}", "ERR_SCHEMA_VALIDATION_FAILED")


def not_allowed(name: str) -> InvalidValueError:
    """A member or parameter that the request does not have."""
    return InvalidValueError(name, f"Parameter '{name}' is not allowed for this request")


def unauthorized() -> ApiError:
    """No token, a token nobody gave out, an expired or a revoked one: Pipedrive does not tell them apart."""
    return ApiError(401, "unauthorized access")


def unpaid() -> ApiError:
    """The company's trial is over, or nobody pays for it."""
    return ApiError(402, "Company account is not open (possible reason: trial expired, payment details not entered)")


def missing_scope() -> ApiError:
    """The token is good but the app was not granted this."""
    return ApiError(403, "Scope and URL mismatch")


def not_found(kind: str) -> ApiError:
    return ApiError(404, f"{kind} not found", "ERR_NOT_FOUND")


def rate_limited() -> ApiError:
    """Over the burst limit, or the day's tokens are spent: only the headers tell which."""
    return ApiError(429, "request over limit")


def throttled_by_cloudflare() -> ApiError:
    """Whoever goes on after many 429 does not reach Pipedrive any more."""
    return ApiError(403, "blocked", html=True)


def removed() -> ApiError:
    """An endpoint of v1 that v2 replaced."""
    return ApiError(410, "This endpoint is no longer supported: use the v2 API")


def problems_of(values: Mapping[str, Any], allowed: Mapping[str, Any]) -> list[InvalidValueError]:
    """The members that are not among the allowed."""
    return [not_allowed(name) for name in values if name not in allowed]
