"""Pipedrive's refusals, named in our terms."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from providers.answers import json_object
from providers.codes import PAGES_OF_OTHERS, OwnCode
from providers.errors import (
    Contended,
    ProviderError,
    RateLimited,
    Rejected,
    Unauthorized,
    Unavailable,
    Unexpected,
)
from providers.ratelimit import LONGEST_WAIT, policy_wait, retry_after

NAME = "pipedrive"
LONGEST_MESSAGE = 2_000
LOCK_SECONDS = 2.0
BURST_SECONDS = 2.0
"""The window of the burst limit, for an answer that does not say when it has room again."""
BLOCKED_SECONDS = 60.0
"""After the page that a client gets who went on in spite of 429."""
GONE = frozenset({404, 410})

SCOPES = (
    ("/personFields", "contact-fields:full"),
    ("/organizationFields", "contact-fields:full"),
    ("/dealFields", "deal-fields:full"),
    ("/deals", "deals:full"),
    ("/pipelines", "deals:full"),
    ("/stages", "deals:full"),
    ("/activities", "activities:full"),
    ("/persons", "contacts:full"),
    ("/organizations", "contacts:full"),
    ("/notes", "contacts:full"),
)
MAPPED_NAMES = {"emails": "email", "phones": "phone"}
COMPOSED_NAME = re.compile(
    r"\b(?:[0-9a-f]{40}|(?:person|org|owner|pipeline|stage|deal|label|lead)_ids?|visible_to|expected_close_date"
    r"|lost_reason|custom_fields|due_date|marketing_status|job_title)\b"
)
PLAIN_NAME = re.compile(
    r"(?:[\"'`\[.](?P<quoted>[a-z_]+)[\"'`\]]|\b(?P<spoken>[a-z_]+)(?::| must\b| is (?:not|in|re)| should\b))"
)
PLAIN_NAMES = frozenset(
    {
        "name", "emails", "email", "phones", "phone", "title", "value", "currency", "status", "probability", "subject",
        "type", "note", "content", "participants", "term", "address", "website", "industry",
    }
)  # fmt: skip
ABOUT = {
    "person_id": re.compile(r"\bperson(?:_id)?s?\b|\bparticipants?\b", re.IGNORECASE),
    "org_id": re.compile(r"\borg(?:_id|anization)?s?\b", re.IGNORECASE),
}


def error_of(response: httpx.Response) -> ProviderError:
    """What an answer outside 2xx means."""
    status = response.status_code
    body = json_object(response)
    facts = _facts(body or {}, status)
    if body is None:
        kind = response.headers.get("content-type", "no content type").partition(";")[0]
        facts["message"] = f"something before Pipedrive answered HTTP {status} ({kind}) instead of its API"
    wait = retry_after(response.headers)
    named: type[ProviderError] = Unexpected
    match status:
        case 401:
            named = Unauthorized
            facts["message"] = f"Pipedrive does not accept this connection's token: {facts['message']}"
        case 402:
            named = Unauthorized
            facts["message"] = f"the Pipedrive account behind this connection is not paid for: {facts['message']}"
        case 403 if body is not None:
            named = Unauthorized
            if "scope and url mismatch" in facts["message"].lower():
                facts["code"] = OwnCode.SCOPE_MISMATCH
            facts["message"] = _missing_scope(response, facts["message"])
        # A page instead of JSON: the firewall's answer to a client that did not slow down.
        case 403:
            named, wait = RateLimited, BLOCKED_SECONDS if wait is None else wait
            facts["code"] = OwnCode.CLOUDFLARE_403
        case 409 | 423:
            named, wait = Contended, max(LOCK_SECONDS, wait or 0.0)
        case 429:
            is_spent = _is_day_spent(response, body or {})
            named, wait = RateLimited, _limit_wait(response, wait, is_spent=is_spent)
            facts["code"] = OwnCode.DAILY_BUDGET if is_spent else OwnCode.BURST_LIMIT
        case _ if status == 408 or status >= 500:
            named = Unavailable
            facts["uncertain"] = True
        # A 404 that does not speak of an object speaks of the path: no row is guilty of that.
        case _ if status == 413 or (body and (status in (400, 410, 422) or (status == 404 and _names_object(body)))):
            named = Rejected
        case 404 if body:
            facts["code"] = OwnCode.NO_SUCH_PATH
        case _ if body is None and status in PAGES_OF_OTHERS:
            facts["code"] = OwnCode.NOT_THE_API
    return named(**facts, retry_after=wait)


def is_gone(error: ProviderError) -> bool:
    """Whether the record that was spoken of no longer exists."""
    return isinstance(error, Rejected) and error.status in GONE


def is_about(error: ProviderError, field: str) -> bool:
    """Whether a refusal is about the record that `person_id` or `org_id` of what was sent leads to."""
    if not isinstance(error, Rejected):
        return False
    named = "person_id" if error.field == "participants" else error.field
    return named == field if named in ABOUT else ABOUT[field].search(error.message) is not None


def _names_object(body: Mapping[str, Any]) -> bool:
    return not any(words in " ".join(_words(body)).lower() for words in ("unknown method", "route not found"))


def _facts(body: Mapping[str, Any], status: int) -> dict[str, Any]:
    """The arguments that all errors share, `message` among them."""
    words = ": ".join(dict.fromkeys(_words(body)))
    code = body.get("code") or body.get("errorCode")
    return {
        "message": (words or "Pipedrive gave no reason")[:LONGEST_MESSAGE],
        "provider": NAME,
        "status": status,
        "code": None if code in (None, status, str(status)) else str(code),
        "field": _field(body, words),
    }


def _words(body: Mapping[str, Any]) -> Iterator[str]:
    for name in ("error", "message", "error_info"):
        value = body.get(name)
        if isinstance(value, Mapping):
            value = value.get("message")
        # "error_info" is often nothing but a hint to the documentation
        if isinstance(value, str) and value.strip() and "developers.pipedrive.com" not in value:
            yield value.strip()


def _field(body: Mapping[str, Any], words: str) -> str | None:
    """The field that a refusal names: in a place of its own, else within its words."""
    for holder in (body, body.get("data"), body.get("additional_data")):
        if isinstance(holder, Mapping) and isinstance(field := holder.get("field"), str):
            return MAPPED_NAMES.get(field, field)
    composed = [found for found in COMPOSED_NAME.findall(words) if found != "custom_fields"]
    if composed:
        return str(composed[0])
    for match in PLAIN_NAME.finditer(words):
        name = match.group("quoted") or match.group("spoken")
        if name in PLAIN_NAMES:
            return MAPPED_NAMES.get(name, name)
    return None


def _missing_scope(response: httpx.Response, words: str) -> str:
    path = response.request.url.path
    scope = next((scope for part, scope in SCOPES if part in path), None)
    if scope is None:
        return f"Pipedrive does not allow this connection to do that: {words}"
    return (
        f"Pipedrive does not allow this connection to do that; it may lack the scope {scope}: grant the app that scope "
        f"and connect it again, or ask an administrator for the permission ({words})"
    )


def _is_day_spent(response: httpx.Response, body: Mapping[str, Any]) -> bool:
    """Whether it is the day's budget that has no room, and not the burst's."""
    headers = response.headers
    left = (headers.get("x-daily-ratelimit-token-remaining"), headers.get("x-daily-requests-left"))
    words = " ".join(_words(body)).lower()
    is_zero = any(value is not None and re.fullmatch(r"\s*(?:0(?:\.0*)?|-\d+)\s*", value) for value in left)
    return is_zero or "daily" in words or "token budget" in words


def _limit_wait(response: httpx.Response, named: float | None, *, is_spent: bool) -> float:
    """Seconds until the limit that was met has room: midnight UTC for the day's budget, a moment for the burst's."""
    if is_spent:
        return max(policy_wait("DAILY"), named or 0.0)
    if named is not None:
        return named
    reset = response.headers.get("x-ratelimit-reset", "").strip()
    if reset.isascii() and reset.replace(".", "", 1).isdigit():
        return min(max(float(reset), 1.0), LONGEST_WAIT)
    return BURST_SECONDS
