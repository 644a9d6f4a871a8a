"""HubSpot's refusals, named in our terms: of a whole call (`error_of`) and of one row of a batch (`row_error`)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from providers.answers import entries_of, json_object
from providers.codes import PAGES_OF_OTHERS, OwnCode
from providers.errors import (
    CONTACT_GONE,
    Contended,
    ProviderError,
    RateLimited,
    Rejected,
    Unauthorized,
    Unavailable,
    Unexpected,
)
from providers.ratelimit import policy_wait, retry_after

NAME = "hubspot"
LONGEST_MESSAGE = 2_000
LOCK_SECONDS = 2.0
MIGRATION_SECONDS = 600.0
"""477 comes with a Retry-After; this is for an answer that lost it."""

# Inside "Property values were not valid: [{…}]", where the structured `errors` are missing.
EMBEDDED_CODE = re.compile(r'"error"\s*:\s*"([A-Z][A-Z0-9_]*)"')
EMBEDDED_FIELD = re.compile(r'"name"\s*:\s*"([A-Za-z0-9_]+)"')
EXISTING_ID = re.compile(r"Existing ID:\s*(\d+)")
# An older form of "was not one of the allowed options: [A, B]" describes each option in several lines.
LONG_OPTION = re.compile(r'label:\s*"(?P<label>(?:[^"\\]|\\.)*)"\s*value:\s*"(?P<value>(?:[^"\\]|\\.)*)"')
LONG_OPTIONS = re.compile(r"\[label:.*?\n\]", re.DOTALL)
# Refusals that share the code VALIDATION_ERROR, by their words.
NAMED_BY_WORDS = (
    (re.compile(r"^Duplicate IDs found in batch input"), OwnCode.DUPLICATE_IDS),
    (re.compile(r"^Unable to perform [a-z/]+ by non-unique "), OwnCode.NON_UNIQUE_KEY),
    (re.compile(r"^The maximum number of inputs supported"), OwnCode.TOO_MANY_INPUTS),
)
GONE = frozenset({"OBJECT_NOT_FOUND", "NOT_FOUND", "RESOURCE_NOT_FOUND"})


def error_of(response: httpx.Response) -> ProviderError:
    """What an answer outside 2xx means."""
    status = response.status_code
    body = json_object(response)
    facts = _facts(body or {}, status)
    if body is None:
        kind = response.headers.get("content-type", "no content type").partition(";")[0]
        facts["message"] = f"something before HubSpot answered HTTP {status} ({kind}) instead of its API"
    wait = retry_after(response.headers)
    named: type[ProviderError] = Unexpected
    match status:
        case 401:
            named = Unauthorized
            facts["message"] = f"HubSpot does not accept this connection's token: {facts['message']}"
        case 403 if body is not None:
            named = Unauthorized
            facts["message"] = _missing_scopes(body, facts["message"])
        case 409:
            named = Contended
        case 423:
            named, wait = Contended, max(LOCK_SECONDS, wait or 0.0)
        case 429:
            named, wait = RateLimited, policy_wait((body or {}).get("policyName")) if wait is None else wait
        case 477:
            named, wait = RateLimited, MIGRATION_SECONDS if wait is None else wait
        # A firewall's 403 page is about our address or our pace, not about this connection's rights.
        case _ if status in (403, 408) or status >= 500:
            named = Unavailable
            facts["uncertain"] = status != 403
            if status == 403:
                facts["code"] = OwnCode.FIREWALL_403
        # A 404 that does not speak of an object speaks of the path: no row is guilty of that.
        case _ if status == 413 or (body and (status in (400, 422) or (status == 404 and _names_object(body)))):
            named = Rejected
        case 404 if body:
            facts["code"] = OwnCode.NO_SUCH_PATH
        case _ if body is None and status in PAGES_OF_OTHERS:
            facts["code"] = OwnCode.NOT_THE_API
    return named(**facts, retry_after=wait)


def row_error(item: Mapping[str, Any]) -> ProviderError:
    """One entry of a batch answer's `errors`: what was refused of one row, or of the rows it names."""
    facts = _facts(item, None)
    words = facts.pop("message")
    match item.get("category"):
        case "CONFLICT" | "OBJECT_ALREADY_EXISTS" | "LOCKED":
            return Contended(words, **facts)
        case "RATE_LIMITS":
            return RateLimited(words, retry_after=policy_wait(None), **facts)
        case "MISSING_SCOPES":
            return Unauthorized(_missing_scopes(item, words), **facts)
        case "INTERNAL_ERROR" | "TRANSIENT" | "TIMEOUT":
            return Unavailable(words, uncertain=True, **facts)
        case _:
            return Rejected(words, **facts)


def is_gone(error: ProviderError) -> bool:
    """Whether the object that was spoken of no longer exists (archived or deleted in the CRM)."""
    return error.code in GONE or error.status == 404


def contact_gone(error: ProviderError) -> Rejected:
    """The same refusal, once it is known that the contact it is about does not exist."""
    return Rejected(
        error.message,
        provider=NAME,
        status=error.status,
        code=CONTACT_GONE,
        correlation_id=error.correlation_id,
        field=error.field,
    )


def existing_id(error: ProviderError) -> str | None:
    """The record that holds the e-mail address already, where a conflict names it."""
    found = EXISTING_ID.search(error.message)
    return found.group(1) if found else None


def context_values(item: Mapping[str, Any], *names: str) -> Iterator[str]:
    """The values under these names in an error's context (all of them, when none is named), as text."""
    context = item.get("context")
    for name, values in context.items() if isinstance(context, Mapping) else ():
        if not names or name in names:
            yield from (str(value) for value in (values if isinstance(values, list) else [values]))


def _names_object(body: Mapping[str, Any]) -> bool:
    return _text(body.get("category")) in GONE and str(body.get("message")).lower() != "resource not found"


def _facts(body: Mapping[str, Any], status: int | None) -> dict[str, Any]:
    """The arguments that all errors share, `message` among them."""
    message = _text(body.get("message")) or "HubSpot gave no reason"
    details = [detail for detail in entries_of(body.get("errors")) if isinstance(detail, Mapping)]
    first = details[0] if details else {}
    embedded_code = EMBEDDED_CODE.search(message)
    embedded_field = EMBEDDED_FIELD.search(message)
    detail_words = _text(first.get("message"))
    if (plain := _plain_words(message)) is not None:
        message = plain
    elif detail_words and detail_words not in message:
        message = f"{message} ({detail_words})"
    code = (
        (category if (category := _text(body.get("category"))) in GONE else None)
        or _text(first.get("code"))
        or (embedded_code.group(1) if embedded_code else None)
        or _text(body.get("policyName"))
        or _text(body.get("category"))
        or _text(body.get("errorType"))
    )
    if code in (None, "VALIDATION_ERROR"):
        code = next((own for words, own in NAMED_BY_WORDS if words.search(message)), code)
    field = next(context_values(first, "propertyName"), None) or next(context_values(body, "propertyName"), None)
    if field is None:
        field = _text(first.get("in")) or (embedded_field.group(1) if embedded_field else None)
    return {
        "message": LONG_OPTIONS.sub(_listed_options, message)[:LONGEST_MESSAGE],
        "provider": NAME,
        "status": status,
        "code": code,
        "field": field,
        "correlation_id": _text(body.get("correlationId")) or _text(body.get("id")),
    }


def _plain_words(message: str) -> str | None:
    """ "Property values were not valid: [{JSON}]" as a sentence for each value; None for other messages."""
    head, bracket, tail = message.partition("[{")
    try:
        values = json.loads(bracket + tail)
    except (ValueError, RecursionError):
        return None
    words = [
        f"{value['name']}: {value['message']}"
        for value in values
        if isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("message"), str)
    ]
    return f"{head.rstrip(': ')}: {'; '.join(words)}" if words else None


def _listed_options(found: re.Match[str]) -> str:
    """The allowed values in few words: all of them, with their labels where these differ."""
    pairs = [(each["value"], each["label"]) for each in LONG_OPTION.finditer(found[0])]
    return f"[{', '.join(value if value == label else f'{value} ({label})' for value, label in pairs)}]"


def _missing_scopes(body: Mapping[str, Any], words: str) -> str:
    """The refusal, with the scopes that would lift it where HubSpot names them."""
    names: list[str] = []
    for item in (body, *(detail for detail in entries_of(body.get("errors")) if isinstance(detail, Mapping))):
        names += context_values(item, "requiredScopes", "requiredGranularScopes", "scopes", "missingScopes")
    if not names:
        return f"HubSpot does not allow this connection to do that: {words}"
    listed = ", ".join(dict.fromkeys(names))
    return f"this HubSpot connection lacks the scope {listed}; connect it again with that scope granted: {words}"


def _text(value: object) -> str | None:
    """As text; None for nothing, for "" and for the empty object that HubSpot sends instead of it."""
    if not value:
        return None
    return value if isinstance(value, str) else json.dumps(value)
