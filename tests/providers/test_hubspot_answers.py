"""HubSpot's answers, read whatever their order, status and gaps."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from providers.errors import (
    Contended,
    ProviderError,
    RateLimited,
    Rejected,
    Unauthorized,
    Unavailable,
    Unexpected,
)
from providers.hubspot_errors import error_of
from providers.hubspot_rows import Record, Row, joined
from providers.models import ContactDocument


def row(number: int) -> Row:
    email = f"p{number}@example.com"
    document = ContactDocument(rows=(number,), contact_id=UUID(int=number), email=email, fields={})
    return Row(email, {"firstname": "P"}, (document,))


ROWS = [row(1), row(2), row(3)]


def join(results: list[dict[str, Any]], errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    answer = {"status": "COMPLETE", "results": results, "errors": errors or []}
    return {each.key: answered for each, answered in joined(ROWS, answer, "email")}


def result(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"50{number}", "properties": {"email": f"p{number}@example.com"}, **more}


def test_results_are_joined_by_trace_id_in_any_order() -> None:
    answered = join([{"id": f"50{number}", "objectWriteTraceId": f"row-{number}"} for number in (3, 1, 2)])
    assert [answered[each.key].id for each in ROWS] == ["501", "502", "503"]


def test_results_without_trace_ids_are_joined_by_their_lower_cased_address() -> None:
    mixed = Row("P1@Example.com", {}, ROWS[0].documents)
    results = {"results": [result(2), result(1)]}
    answered = {each.key: answer for each, answer in joined([mixed, ROWS[1]], results, "email")}
    assert answered[mixed.key] == Record("501", {"email": "p1@example.com"})


def test_a_row_without_an_answer_is_uncertain_and_never_taken_for_its_neighbour() -> None:
    answered = join([{"id": "501"}, result(3), {"id": "502", "properties": {"email": "other@example.com"}}])
    assert isinstance(answered["p3@example.com"], Record)
    for email in ("p1@example.com", "p2@example.com"):
        assert isinstance(answered[email], Unexpected)
        assert answered[email].uncertain


def test_an_error_that_names_no_row_belongs_to_the_only_row_without_an_answer() -> None:
    answered = join([result(1), result(2)], [{"category": "VALIDATION_ERROR", "message": "no"}])
    assert isinstance(answered["p3@example.com"], Rejected)


def test_an_error_that_names_no_row_is_nobodys_among_several() -> None:
    answered = join([result(1)], [{"category": "VALIDATION_ERROR", "message": "no"}])
    assert {type(answered[f"p{number}@example.com"]) for number in (2, 3)} == {Unexpected}


def test_errors_are_found_in_the_body_whatever_the_status() -> None:
    error = {
        "category": "VALIDATION_ERROR",
        "message": "Property values were not valid",
        "context": {"objectWriteTraceId": ["row-2"]},
        "errors": [
            {"message": "QUALIFIED was not one of the options", "code": "INVALID_OPTION", "in": "hs_lead_status"}
        ],
    }
    answered = join([result(1), result(3)], [error])
    refused = answered["p2@example.com"]
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.field) == ("INVALID_OPTION", "hs_lead_status")
    assert "QUALIFIED was not one of the options" in refused.message


@pytest.mark.parametrize("answer", [None, [], "text", {}, {"results": None}, {"results": ["x"]}, {"results": [{}]}])
def test_what_is_no_batch_answer_is_uncertain(answer: Any) -> None:
    with pytest.raises(Unexpected) as caught:
        list(joined(ROWS, answer, "email"))
    assert caught.value.uncertain


def error(status: int, body: Any, **headers: str) -> ProviderError:
    if isinstance(body, str):
        return error_of(httpx.Response(status, text=body, headers={"content-type": "text/html", **headers}))
    return error_of(httpx.Response(status, json=body, headers=headers))


WORDS = {"status": "error", "message": "words", "correlationId": "c-1"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, Unexpected),
        (400, Rejected),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, Unexpected),
        (405, Unexpected),
        (408, Unavailable),
        (409, Contended),
        (413, Rejected),
        (418, Unexpected),
        (422, Rejected),
        (423, Contended),
        (429, RateLimited),
        (477, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (521, Unavailable),
        (524, Unavailable),
    ],
)
def test_each_status_has_a_kind_and_keeps_hubspots_words(status: int, kind: type[ProviderError]) -> None:
    named = error(status, WORDS)
    assert type(named) is kind
    assert (named.status, named.correlation_id, named.provider) == (status, "c-1", "hubspot")
    assert "words" in named.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Unexpected),
        (401, Unauthorized),
        (403, Unavailable),
        (404, Unexpected),
        (413, Rejected),
        (429, RateLimited),
        (503, Unavailable),
    ],
)
@pytest.mark.parametrize("page", ["<html>secret page</html>", "", "[1, 2]", "[" * 100_000])
def test_a_page_instead_of_the_api_blames_no_row(status: int, kind: type[ProviderError], page: str) -> None:
    named = error(status, page)
    assert type(named) is kind
    assert "secret page" not in named.message


def test_an_object_that_is_gone_is_told_from_a_path_that_never_was() -> None:
    assert isinstance(error(404, {**WORDS, "category": "OBJECT_NOT_FOUND"}), Rejected)
    assert isinstance(error(404, {"message": "resource not found", "category": "OBJECT_NOT_FOUND"}), Unexpected)


def test_only_an_answer_that_may_hide_an_effect_is_uncertain() -> None:
    assert {
        status for status in (400, 401, 403, 404, 408, 409, 423, 429, 477, 500, 503) if error(status, WORDS).uncertain
    } == {
        408,
        500,
        503,
    }


@pytest.mark.parametrize(
    ("policy", "seconds"), [("TEN_SECONDLY_ROLLING", 10), ("SECONDLY", 1), ("NEW_ONE", 10), (None, 10)]
)
def test_a_limit_waits_by_its_policy(policy: str | None, seconds: float) -> None:
    assert error(429, {**WORDS, "policyName": policy}).retry_after == seconds


def test_a_daily_limit_waits_until_midnight() -> None:
    now = datetime.now(UTC)
    left = 86_400 - (now.hour * 3600 + now.minute * 60 + now.second)
    assert error(429, {**WORDS, "policyName": "DAILY"}).retry_after == pytest.approx(left, abs=5)


def test_a_retry_after_is_honoured_before_the_policy() -> None:
    assert error(429, {**WORDS, "policyName": "DAILY"}, **{"retry-after": "3"}).retry_after == 3
    assert error(477, WORDS, **{"retry-after": "30"}).retry_after == 30
    assert error(423, WORDS, **{"retry-after": "1"}).retry_after == 2


def test_a_missing_scope_is_named_in_plain_words() -> None:
    body = {
        **WORDS,
        "category": "MISSING_SCOPES",
        "errors": [{"message": "…", "context": {"requiredGranularScopes": ["crm.objects.deals.write"]}}],
    }
    named = error(403, body)
    assert named.code == "MISSING_SCOPES"
    assert "lacks the scope crm.objects.deals.write; connect it again" in named.message


def test_a_code_and_a_field_are_found_inside_hubspots_message() -> None:
    listed = (
        '[{"isValid":false,"message":"Property \\"foo\\" does not exist","error":"PROPERTY_DOESNT_EXIST","name":"foo"}]'
    )
    named = error(
        400, {**WORDS, "category": "VALIDATION_ERROR", "message": f"Property values were not valid: {listed}"}
    )
    assert (named.code, named.field) == ("PROPERTY_DOESNT_EXIST", "foo")


def test_options_that_hubspot_describes_at_length_are_listed_in_few_words() -> None:
    options = [("New", "NEW"), ('In "work"', "WORK"), ("OPEN", "OPEN")]
    listed = ", ".join(
        f"label: {json.dumps(label)}\nvalue: {json.dumps(value)}\ndisplay_order: 1\nhidden: false\nread_only: false\n"
        for label, value in options
    )
    problems = [
        {"name": name, "error": "INVALID_OPTION", "message": f"X was not one of the allowed options: [{listed}]"}
        for name in ("one", "two")
    ]
    named = error(400, {**WORDS, "message": f"Property values were not valid: {json.dumps(problems)}"})
    words = 'X was not one of the allowed options: [NEW (New), WORK (In \\"work\\"), OPEN]'
    assert named.message == f"Property values were not valid: one: {words}; two: {words}"


def test_a_message_is_bounded() -> None:
    assert len(error(400, {**WORDS, "message": "x" * 1_000_000}).message) <= 2_000
