"""The errors that Pipedrive documents, by the code or the words that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.documented import PAGE, Documented, find, pages
from sandbox.faults import Fault
from sandbox.pipedrive.errors import ApiError, OAuthError

if TYPE_CHECKING:
    from sandbox.pipedrive.emulator import Pipedrive

WRITES = r"/api/v2/persons$"
TOKENS = r"/oauth/token$"


def _token(words: str, error: str) -> Documented:
    return Documented(400, words, "token", more={"error": error})


def _limit(left: int) -> Documented:
    headers = {
        "x-ratelimit-limit": "80",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "2",
        "x-daily-ratelimit-token-remaining": str(left),
    }
    return Documented(429, "request over limit", headers=headers)


ERRORS: Mapping[str, Documented] = {
    "invalid_grant": _token("Invalid grant: refresh_token is invalid", "invalid_grant"),
    "ALREADY_EXCHANGED": _token(
        "Invalid grant: refresh_token is invalid, or it was already exchanged", "invalid_grant"
    ),
    "CODE_EXPIRED": _token("Invalid grant: authorization_code has expired", "invalid_grant"),
    "invalid_client": _token("Invalid client: client is invalid", "invalid_client"),
    "invalid_request": _token("Missing parameter: grant_type", "invalid_request"),
    "unsupported_grant_type": _token("Unsupported grant type: grant_type is invalid", "unsupported_grant_type"),
    "HTTP_401": Documented(401, "unauthorized access"),
    "HTTP_402": Documented(
        402, "Company account is not open (possible reason: trial expired, payment details not entered)"
    ),
    "SCOPE_MISMATCH": Documented(403, "Scope and URL mismatch"),
    "HTTP_403": Documented(403, "You do not have permission to do this"),
    "ERR_FORBIDDEN": Documented(403, "birthday: only available with contact sync or Campaigns"),
    "CLOUDFLARE_403": Documented(403, page=True, headers={"server": "cloudflare"}),
    "BURST_LIMIT": _limit(29_000),
    "DAILY_BUDGET": _limit(0),
    "ERR_SCHEMA_VALIDATION_FAILED": Documented(400, "Validation failed: name: must be a string"),
    "ERR_BAD_REQUEST": Documented(400, "Bad request: the body is not valid JSON"),
    "ERR_NOT_FOUND": Documented(404, "Person not found"),
    "ERR_UNSUPPORTED_MEDIA_TYPE": Documented(415, "Unsupported media type"),
    "HTTP_400": Documented(400, "Bad request"),
    "HTTP_404": Documented(404, "Resource not found"),
    "HTTP_405": Documented(405, "Method not allowed"),
    "HTTP_408": Documented(408, "Request timeout"),
    "HTTP_410": Documented(410, "Gone: the resource is no longer available"),
    "HTTP_413": Documented(413, "Request entity too large"),
    "HTTP_422": Documented(422, "Unprocessable entity"),
    "HTTP_500": Documented(500, "internal server error"),
    "HTTP_501": Documented(501, "Not implemented"),
    **pages(502, 503, 504),
}


def plan(pipedrive: Pipedrive, account: int, error: str, times: int) -> None:
    """Let the next new persons, or refreshes, of a company meet this error."""
    document = find(ERRORS, error)
    number = pipedrive.companies[account].number
    fault: dict[str, Any] = {"path": WRITES, "method": "POST", "account": number, "times": times}
    fault |= {"status": document.status, "headers": document.headers}
    if document.page:
        fault |= {"html": True, "body": PAGE}
    elif document.at == "token":
        body = OAuthError(document.more["error"], document.words).envelope()
        fault |= {"path": TOKENS, "account": None, "body": body}
    else:
        body = ApiError(document.status, document.words, error if error.startswith("ERR_") else None).envelope()
        fault |= {"body": body}
    pipedrive.faults.add(Fault(**fault))
