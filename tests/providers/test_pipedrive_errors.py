"""What Pipedrive's refusals mean."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from providers.errors import FailureKind, ProviderError
from providers.pipedrive_errors import error_of, is_about, is_gone

CHALLENGE = "<!doctype html><title>Access denied</title>"


def refusal(
    status: int, body: Any = None, *, path: str = "/api/v2/persons", headers: dict[str, str] | None = None
) -> ProviderError:
    request = httpx.Request("POST", f"https://acme.pipedrive.com{path}")
    if isinstance(body, str):
        return error_of(httpx.Response(status, text=body, headers=headers, request=request))
    document = {"success": False, "error": "no", "error_info": "see developers.pipedrive.com", **(body or {})}
    return error_of(httpx.Response(status, json=document, headers=headers, request=request))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FailureKind.REJECTED),
        (401, FailureKind.UNAUTHORIZED),
        (402, FailureKind.UNAUTHORIZED),
        (403, FailureKind.UNAUTHORIZED),
        (404, FailureKind.REJECTED),
        (405, FailureKind.BUG),
        (408, FailureKind.UNAVAILABLE),
        (409, FailureKind.CONTENDED),
        (410, FailureKind.REJECTED),
        (413, FailureKind.REJECTED),
        (422, FailureKind.REJECTED),
        (423, FailureKind.CONTENDED),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.UNAVAILABLE),
        (503, FailureKind.UNAVAILABLE),
    ],
)
def test_a_status_has_one_meaning(status: int, kind: FailureKind) -> None:
    error = refusal(status)
    assert (error.kind, error.status) == (kind, status)
    assert error.uncertain is (kind is FailureKind.UNAVAILABLE)
    assert "developers.pipedrive.com" not in error.message


def test_a_page_with_403_asks_for_patience_and_not_for_a_new_connection() -> None:
    error = refusal(403, CHALLENGE)
    assert error.kind is FailureKind.RATE_LIMITED
    assert (error.retry_after or 0) >= 60
    assert refusal(403, CHALLENGE, headers={"retry-after": "90"}).retry_after == 90


def test_a_missing_path_is_nobodys_fault() -> None:
    assert refusal(404, {"error": "Unknown method ."}).kind is FailureKind.BUG
    assert refusal(404, CHALLENGE).kind is FailureKind.BUG


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/api/v2/personFields", "contact-fields:full"),
        ("/api/v2/dealFields", "deal-fields:full"),
        ("/api/v2/deals", "deals:full"),
        ("/api/v2/persons/7", "contacts:full"),
        ("/api/v2/activities", "activities:full"),
        ("/api/v1/notes", "contacts:full"),
    ],
)
def test_a_missing_scope_is_named(path: str, scope: str) -> None:
    assert scope in refusal(403, {"error": "Scope and URL mismatch"}, path=path).message


def test_the_burst_limit_says_when_it_has_room() -> None:
    assert refusal(429).retry_after == 2
    assert refusal(429, headers={"x-ratelimit-reset": "1.4"}).retry_after == 1.4
    assert refusal(429, headers={"x-ratelimit-reset": "0"}).retry_after == 1
    assert refusal(429, headers={"x-ratelimit-reset": "soon"}).retry_after == 2
    assert refusal(429, headers={"x-ratelimit-reset": "1", "retry-after": "9"}).retry_after == 9


@pytest.mark.parametrize(
    "facts",
    [
        {"headers": {"x-daily-ratelimit-token-remaining": "0", "x-ratelimit-reset": "1"}},
        {"headers": {"x-daily-requests-left": "0"}},
        {"body": {"error": "Daily API token budget exceeded"}},
    ],
)
def test_a_spent_day_lasts_until_midnight(facts: dict[str, Any]) -> None:
    wait = refusal(429, facts.get("body"), headers=facts.get("headers")).retry_after
    assert wait is not None
    assert abs((time.time() + wait) % 86_400 - 86_400) < 5 or (time.time() + wait) % 86_400 < 5


def test_a_day_with_tokens_left_is_not_spent() -> None:
    assert refusal(429, headers={"x-daily-ratelimit-token-remaining": "100"}).retry_after == 2


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"error": "Validation failed: owner_id: user 9 not found"}, "owner_id"),
        ({"error": "Bad request", "error_info": "'emails' must be an array"}, "email"),
        ({"error": "Validation failed: name: must not be empty"}, "name"),
        ({"error": f"Validation failed: custom_fields.{'ab' * 20}: wrong"}, "ab" * 20),
        ({"error": "no", "data": {"field": "phones"}}, "phone"),
        ({"error": "Something else entirely"}, None),
    ],
)
def test_the_field_is_found_in_the_words(body: dict[str, Any], field: str | None) -> None:
    assert refusal(400, body).field == field


def test_what_is_gone_is_told_from_what_was_refused() -> None:
    assert is_gone(refusal(404))
    assert is_gone(refusal(410))
    assert not is_gone(refusal(400))


def test_a_refusal_is_about_the_record_that_it_names() -> None:
    person = refusal(400, {"error": "Validation failed: person_id: person 9 not found"})
    organization = refusal(404, {"error": "Organization not found"})
    assert is_about(person, "person_id")
    assert not is_about(person, "org_id")
    assert is_about(organization, "org_id")
    assert not is_about(organization, "person_id")
    assert is_about(refusal(400, {"error": "participants: no such person"}), "person_id")
    assert not is_about(refusal(423, {"error": "person is locked"}), "person_id")
