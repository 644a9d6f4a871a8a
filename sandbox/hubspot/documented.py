"""The errors that HubSpot documents, by the code that tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox.documented import PAGE, Documented, find, pages
from sandbox.faults import Fault
from sandbox.hubspot.errors import ApiError, InvalidValueError, invalid_values
from sandbox.hubspot.grants import refused

if TYPE_CHECKING:
    from sandbox.hubspot.emulator import HubSpot

WRITES = r"/contacts/batch/(upsert|update|create)$"
TOKENS = r"/oauth/[^/]+/token$"


def _token(words: str, error: str = "invalid_grant") -> Documented:
    return Documented(400, words, "token", more={"error": error})


def _value(words: str) -> Documented:
    """Refused for one value; the code is that of the value."""
    return Documented(400, words, "row", more={"property": "firstname"})


def _limit(words: str, **more: Any) -> Documented:
    return Documented(429, words, more={"category": None, **more})


ERRORS: Mapping[str, Documented] = {
    "BAD_AUTH_CODE": _token("missing or unknown auth code"),
    "BAD_REFRESH_TOKEN": _token("missing or invalid refresh token"),
    "invalid_grant": Documented(
        400, "refresh token is invalid", "token", more={"status": None, "error": "invalid_grant"}
    ),
    "BAD_CLIENT_ID": _token("missing or unknown client id", "invalid_client"),
    "BAD_CLIENT_SECRET": _token("missing or invalid client secret", "invalid_client"),
    "BAD_GRANT_TYPE": _token("missing or unknown grant type", "unsupported_grant_type"),
    "BAD_CODE_VERIFIER": _token("missing or invalid code verifier"),
    "MISMATCH_REDIRECT_URI_AUTH_CODE": _token("redirect URI does not match initial auth code URI"),
    "EXPIRED_AUTHENTICATION": Documented(
        401,
        "The OAuth token used to make this call expired 0 second(s) ago.",
        more={"context": {"expire time": ["2026-03-10T23:04:41.164Z"]}},
    ),
    "INVALID_AUTHENTICATION": Documented(401, "Authentication credentials not found."),
    "MISSING_SCOPES": Documented(
        403,
        "This app hasn't been granted all required scopes to make this call.",
        more={
            "errors": [
                {
                    "message": "One or more of the following scopes are required.",
                    "context": {"requiredGranularScopes": ["crm.objects.contacts.write"]},
                }
            ]
        },
    ),
    "CRM_PERMISSIONS_ENFORCEMENT": Documented(403, "User level OAuth token is not allowed to write this object."),
    "FIREWALL_403": Documented(403, page=True),
    "VALIDATION_ERROR": Documented(400, "Invalid input", "row"),
    "INVALID_OPTION": _value("QUALIFIED was not one of the allowed options: [NEW, OPEN]"),
    "PROPERTY_DOESNT_EXIST": _value('Property "firstname" does not exist'),
    "READ_ONLY_VALUE": _value("firstname is a read only property; its value cannot be set"),
    "REQUIRED_PROPERTY_MISSING": _value("Error creating CONTACT. Some required properties were not set."),
    "MISSING_REQUIRED_PROPERTY": _value("Some required properties were not set."),
    "INVALID_EMAIL": _value("Email address ada is invalid"),
    "INVALID_NUMBER": _value("seven was not a valid number."),
    "INVALID_INTEGER": _value("7.5 was not a valid integer."),
    "INVALID_LONG": _value("soon was not a valid long."),
    "INVALID_DATE": _value("1700000000001 is at 22:13:20.001 UTC, not midnight!"),
    "INVALID_BOOLEAN": _value("perhaps was not a valid boolean."),
    "PROPERTY_TOO_LONG": _value("The value is longer than 65536 characters"),
    "DUPLICATE_IDS": Documented(
        400,
        "Duplicate IDs found in batch input: [ada@example.com]. IDs must be unique",
        more={"category": "VALIDATION_ERROR"},
    ),
    "NON_UNIQUE_KEY": Documented(
        400,
        "Unable to perform update/upsert by non-unique 0-1 property crm_sync_key",
        more={"category": "VALIDATION_ERROR"},
    ),
    "TOO_MANY_INPUTS": Documented(
        400,
        "The maximum number of inputs supported in a batch request is 100.",
        more={"category": "VALIDATION_ERROR"},
    ),
    "OBJECT_NOT_FOUND": Documented(404, "Object not found. objectId are usually numeric.", "row"),
    "NOT_FOUND": Documented(404, "The contact was not found.", "row"),
    "RESOURCE_NOT_FOUND": Documented(404, "The contact was not found.", "row"),
    "CONFLICT": Documented(409, "Another request changes this object."),
    "OBJECT_ALREADY_EXISTS": Documented(409, "The object exists already."),
    "PROPERTY_EXISTS": Documented(409, "A property named 'crm_sync_key' already exists."),
    "HTTP_414": Documented(414, "URI Too Long", more={"category": None}),
    "LOCKED": Documented(423, "The resource is locked."),
    "HTTP_423": Documented(423, "The resource is locked.", more={"category": None}),
    "TEN_SECONDLY_ROLLING": _limit(
        "You have reached your ten_secondly_rolling limit.", errorType="RATE_LIMIT", policyName="TEN_SECONDLY_ROLLING"
    ),
    "SECONDLY": _limit("You have reached your secondly limit.", errorType="RATE_LIMIT", policyName="SECONDLY"),
    "DAILY": _limit("You have reached your daily limit.", errorType="RATE_LIMIT", policyName="DAILY"),
    "RATE_LIMIT": _limit("You have reached a limit.", errorType="RATE_LIMIT"),
    "RATE_LIMITS": Documented(429, "You have reached a limit.", "row"),
    "HTTP_477": Documented(
        477, "A migration is in progress for this account", headers={"Retry-After": "3600"}, more={"category": None}
    ),
    "INTERNAL_ERROR": Documented(500, "internal error"),
    "TRANSIENT": Documented(500, "Try again.", "row"),
    "HTTP_500": Documented(500, "internal error", more={"category": None}),
    **pages(502, 503, 504, 521, 522, 523, 524),
}


def plan(hubspot: HubSpot, account: int, error: str, times: int) -> None:
    """Let the next writes of contacts, or refreshes, of a portal meet this error."""
    document, portal = find(ERRORS, error), hubspot.portals[account]
    if document.at == "row":
        portal.refusals += [_refusal(error, document, account) for _ in range(times)]
        return
    fault: dict[str, Any] = {"path": WRITES, "account": account, "times": times, "status": document.status}
    if document.page:
        fault |= {"html": True, "body": PAGE}
    elif document.at == "token":
        status = document.more.get("status", error)
        body = refused(status, document.words, document.more["error"]).envelope()
        fault |= {"path": TOKENS, "account": None, "body": body if status else {**body, "status": "error"}}
    else:
        fault |= {"body": _refusal(error, document, account).envelope(), "headers": document.headers}
    hubspot.faults.add(Fault(**fault))


def _refusal(error: str, document: Documented, account: int) -> ApiError:
    more = dict(document.more)
    if "property" in more:
        return invalid_values([InvalidValueError(more["property"], error, document.words)], account)
    known = {name: more.pop(name) for name in ("errors", "context") if name in more}
    return ApiError(document.status, document.words, more.pop("category", error), **known, top=more)
