"""Salesforce's answers, its questions and its values, read and written without any Salesforce."""

from __future__ import annotations

import json
from typing import Any, cast
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
from providers.models import ContactDocument
from providers.report import Report
from providers.salesforce_errors import error_of, is_gone, row_error
from providers.salesforce_rows import Row, Written, is_same, joined, typed
from providers.salesforce_soql import LONGEST_QUERY, Term, encoded, literal, pieces, select
from providers.salesforce_wire import Wire

TYPES = {"Amount": "number", "Seats__c": "number", "Vip__c": "boolean", "CloseDate": "date", "Seen__c": "datetime"}


def row(number: int) -> Row:
    document = ContactDocument(rows=(number,), contact_id=UUID(int=number), email=f"p{number}@example.com", fields={})
    return Row(f"key-{number}", {"LastName": "P"}, (document,))


ROWS = [row(1), row(2), row(3)]


def success(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"00300000000000{number}AAA", "success": True, "errors": [], **more}


def failure(code: str, message: str = "no", *fields: str, **more: Any) -> dict[str, Any]:
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": list(fields), **more}]}


def answer_of(status: int, body: Any, **headers: str) -> ProviderError:
    content = body if isinstance(body, str) else json.dumps(body)
    kind = "text/html" if content.startswith("<") else "application/json"
    return error_of(httpx.Response(status, content=content, headers={"content-type": kind, **headers}))


def refusal(code: str, message: str = "no") -> list[dict[str, Any]]:
    return [{"message": message, "errorCode": code}]


def test_results_are_joined_by_position() -> None:
    answers = [success(1, created=True), failure("STRING_TOO_LONG"), success(3, created=False)]
    answered = {each.key: result for each, result in joined(ROWS, answers)}
    assert answered["key-1"] == Written("003000000000001AAA", is_new=True)
    assert isinstance(answered["key-2"], Rejected)
    assert answered["key-3"] == Written("003000000000003AAA", is_new=False)


def test_an_id_of_a_row_that_failed_is_never_taken() -> None:
    [(_, result)] = joined(ROWS[:1], [{**failure("REQUIRED_FIELD_MISSING"), "id": "003000000000009AAA"}])
    assert isinstance(result, Rejected)


def test_a_row_that_was_written_without_an_id_is_told_apart() -> None:
    [(_, result)] = joined(ROWS[:1], [{"success": True, "errors": []}])
    assert result is None


@pytest.mark.parametrize("answers", [[], [success(1), success(2)], [success(1)] * 4])
def test_an_answer_of_another_length_says_nothing_of_any_row(answers: list[dict[str, Any]]) -> None:
    results = [result for _, result in joined(ROWS, answers)]
    assert len(results) == 3
    assert all(isinstance(result, Unexpected) and result.uncertain for result in results)


@pytest.mark.parametrize("answer", [None, {}, {"results": []}, "ok", [1, 2, 3]])
def test_an_answer_of_another_shape_is_uncertain(answer: Any) -> None:
    with pytest.raises(Unexpected) as caught:
        list(joined(ROWS, answer))
    assert caught.value.uncertain


def test_a_row_that_neither_worked_nor_failed_is_uncertain() -> None:
    [(_, result)] = joined(ROWS[:1], [{"id": "003000000000001AAA"}])
    assert isinstance(result, Unexpected)
    assert result.uncertain


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNABLE_TO_LOCK_ROW", Contended),
        ("ALL_OR_NONE_OPERATION_ROLLED_BACK", Contended),
        ("REQUEST_LIMIT_EXCEEDED", RateLimited),
        ("SERVER_UNAVAILABLE", Unavailable),
        ("QUERY_TIMEOUT", Unavailable),
        ("ORG_IN_MAINTENANCE", Unavailable),
        ("UNKNOWN_EXCEPTION", Unexpected),
        ("REQUIRED_FIELD_MISSING", Rejected),
        ("INVALID_EMAIL_ADDRESS", Rejected),
        ("STRING_TOO_LONG", Rejected),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", Rejected),
        ("INSUFFICIENT_ACCESS_OR_READONLY", Rejected),
        ("ENTITY_IS_DELETED", Rejected),
        ("SOMETHING_NEW", Rejected),
    ],
)
def test_a_rows_code_has_one_meaning(code: str, kind: type[ProviderError]) -> None:
    error = row_error(failure(code, "as Salesforce says it", "Email")["errors"])
    assert type(error) is kind
    assert (error.code, error.field, error.message) == (code, "Email", "as Salesforce says it")


def test_a_locked_row_waits_a_little() -> None:
    assert (row_error(failure("UNABLE_TO_LOCK_ROW")["errors"]).retry_after or 0) >= 2


def test_a_row_refused_for_several_reasons_tells_them_all() -> None:
    first, second = failure("STRING_TOO_LONG", "too long", "Title"), failure("INVALID_EMAIL_ADDRESS", "no address")
    error = row_error([*first["errors"], *second["errors"]])
    assert error.message == "too long; no address"
    assert error.field == "Title"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("API_DISABLED_FOR_ORG", "API Enabled"),
        ("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", "password of this connection's user has expired"),
        ("LOGIN_DURING_RESTRICTED_DOMAIN", "IP ranges"),
        ("STORAGE_LIMIT_EXCEEDED", "storage"),
    ],
)
def test_what_only_people_can_put_right_is_told_with_what_they_have_to_do(code: str, words: str) -> None:
    for error in (answer_of(403, refusal(code, "in Salesforce's words")), row_error(failure(code)["errors"])):
        assert type(error) is Unauthorized
        assert error.code == code
        assert words in error.message
    assert "in Salesforce's words" in answer_of(403, refusal(code, "in Salesforce's words")).message


def test_an_api_that_is_down_for_all_is_told_from_one_that_a_user_may_not_use() -> None:
    words = "API functionality is temporarily unavailable"
    assert type(answer_of(403, refusal("API_CURRENTLY_DISABLED", words))) is Unavailable


def test_a_trigger_that_met_a_lock_is_tried_again() -> None:
    words = "TaskTrigger: execution of AfterInsert caused by: UNABLE_TO_LOCK_ROW, unable to obtain exclusive access"
    error = row_error(failure("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", words)["errors"])
    assert type(error) is Contended


def test_a_refused_question_is_told_without_the_people_it_asked_for() -> None:
    words = "\nIN ('ada@example.com','bob@example.com') AND x\n   ^\nERROR at Row:1:Column:97\nNo such column 'Shoe__c'"
    error = answer_of(400, refusal("INVALID_FIELD", words))
    assert (error.message, error.field) == ("No such column 'Shoe__c'", "Shoe__c")


def test_a_row_refused_without_a_reason_is_tried_again() -> None:
    assert type(row_error([])) is Unexpected


def test_two_writers_of_one_key_meet_and_the_second_tries_again() -> None:
    words = "duplicate value found: CRM_Sync_Key__c duplicates value on record with id: 003000000000001"
    assert type(row_error(failure("DUPLICATE_VALUE", words)["errors"])) is Contended
    assert type(row_error(failure("DUPLICATE_VALUE", "duplicate value found: Tax__c")["errors"])) is Rejected


def test_a_duplicate_needs_a_persons_review() -> None:
    item = failure(
        "DUPLICATES_DETECTED",
        "Use one of these records?",
        duplicateResult={
            "duplicateRule": "Standard_Contact_Duplicate_Rule",
            "matchResults": [{"matchRecords": [{"record": {"Id": "0035g00000AbCdEAAV"}}]}],
        },
    )
    error = row_error(item["errors"])
    assert type(error) is Rejected
    assert "needs review" in error.message
    assert "Standard_Contact_Duplicate_Rule" in error.message
    assert "0035g00000AbCdEAAV" in error.message
    assert "Use one of these records?" in error.message


def test_a_field_of_ours_that_is_not_there_is_for_an_administrator() -> None:
    words = "Provided external ID field does not exist or is not accessible: CRM_Sync_Key__c"
    for error in (
        answer_of(404, refusal("NOT_FOUND", words)),
        answer_of(400, refusal("INVALID_FIELD", "No such column 'CRM_Sync_Key__c' on sobject of type Contact")),
        row_error(failure("INVALID_FIELD", "No such column 'CRM_Sync_Key__c' on entity 'Contact'")["errors"]),
    ):
        assert type(error) is Unauthorized
        assert (error.code, error.field) == ("FIELDS_MISSING", "CRM_Sync_Key__c")
        assert "deploy/salesforce" in error.message
        assert "Setup > Object Manager" in error.message


def test_an_account_that_is_not_found_by_our_key_is_gone() -> None:
    words = "Foreign key external ID: acc-9 not found for field CRM_Sync_Key__c in entity Account"
    error = row_error(failure("INVALID_FIELD", words)["errors"])
    assert type(error) is Rejected
    assert is_gone(error)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (300, ["/services/data/v68.0/sobjects/Contact/003"], Unexpected),
        (400, refusal("JSON_PARSER_ERROR"), Rejected),
        (400, refusal("QUERY_TIMEOUT"), Unavailable),
        (400, {"error": "invalid_grant", "error_description": "expired access/refresh token"}, Rejected),
        (401, refusal("INVALID_SESSION_ID", "Session expired or invalid"), Unauthorized),
        (403, refusal("API_DISABLED_FOR_ORG"), Unauthorized),
        (400, refusal("ORG_LOCKED"), Unauthorized),
        (403, refusal("API_CURRENTLY_DISABLED", "API is disabled for this User"), Unauthorized),
        (403, refusal("INVALID_SESSION_ID", "This session is not valid for use with the REST API"), Unauthorized),
        (403, refusal("LOGIN_DURING_RESTRICTED_DOMAIN"), Unauthorized),
        (403, refusal("TRIAL_EXPIRED"), Unauthorized),
        (
            400,
            refusal("INVALID_LOGIN", "Invalid username, password, security token; or user locked out."),
            Unauthorized,
        ),
        (403, refusal("INVALID_OPERATION_WITH_EXPIRED_PASSWORD"), Unauthorized),
        (400, refusal("ORG_IN_MAINTENANCE"), Unavailable),
        (302, "<h1>Moved</h1>", Unauthorized),
        (403, "<h1>Forbidden</h1>", Unavailable),
        (404, refusal("NOT_FOUND", "The requested resource does not exist"), Unexpected),
        (404, refusal("NOT_FOUND", "entity is not there"), Rejected),
        (404, "<h1>Not found</h1>", Unexpected),
        (405, refusal("METHOD_NOT_ALLOWED"), Unexpected),
        (409, refusal("CONFLICT"), Contended),
        (410, refusal("UNSUPPORTED_API_VERSION", "v20.0 is retired"), Unauthorized),
        (414, "<h1>URI Too Long</h1>", Rejected),
        (420, "", Unavailable),
        (423, refusal("LOCKED"), Contended),
        (429, refusal("TOO_MANY"), RateLimited),
        (500, refusal("UNKNOWN_EXCEPTION"), Unavailable),
        (502, "<h1>Bad gateway</h1>", Unavailable),
        (503, refusal("SERVER_UNAVAILABLE"), Unavailable),
    ],
)
def test_a_refused_call_has_one_meaning(status: int, body: Any, kind: type[ProviderError]) -> None:
    error = answer_of(status, body, **{"Sfdc-Request-Id": "req-1"})
    assert type(error) is kind
    assert (error.status, error.correlation_id) == (status, "req-1")
    assert error.uncertain is (kind is Unavailable and status != 403)


@pytest.mark.parametrize(
    ("message", "seconds"),
    [("TotalRequests Limit exceeded.", 900), ("ConcurrentRequests (Concurrent API Requests) Limit exceeded.", 10)],
)
def test_the_days_limit_is_told_from_the_limit_at_once(message: str, seconds: float) -> None:
    error = answer_of(403, refusal("REQUEST_LIMIT_EXCEEDED", message))
    assert type(error) is RateLimited
    assert error.retry_after == seconds
    assert message in error.message


def test_an_api_version_that_is_retired_is_named_as_the_reason() -> None:
    assert "api_version" in answer_of(410, refusal("UNSUPPORTED_API_VERSION", "gone")).message


def test_a_field_is_named_even_where_only_the_message_does() -> None:
    error = answer_of(400, refusal("INVALID_FIELD", "No such column 'Shoe__c' on sobject of type Contact"))
    assert (type(error), error.field) == (Rejected, "Shoe__c")


@pytest.mark.parametrize(
    ("text", "soql"),
    [
        ("d'arcy@example.ie", r"'d\'arcy@example.ie'"),
        ("back\\slash", r"'back\\slash'"),
        ("\\' OR Name != '", r"'\\\' OR Name != \''"),
        ("two\nlines", r"'two\nlines'"),
        ("晨", "'晨'"),
    ],
)
def test_no_value_can_end_its_literal(text: str, soql: str) -> None:
    assert literal(text) == soql


def test_a_question_names_each_value_once() -> None:
    terms: list[Term] = [{"Email": "a@x.com", "K__c": "1"}, {"Email": "a@x.com", "K__c": "2"}]
    found = select("Contact", ["Id"], terms)
    assert found == "SELECT Id FROM Contact WHERE Email IN ('a@x.com') OR K__c IN ('1','2')"
    assert select("Task", ["Id"], terms[:1], also="AND X > 1").endswith(
        "WHERE (Email IN ('a@x.com') OR K__c IN ('1')) AND X > 1"
    )


def test_questions_fit_into_a_url_and_leave_nobody_out() -> None:
    terms = [{"Email": f"perſon.{number}@example.com", "K__c": str(UUID(int=number))} for number in range(1_000)]
    parts = list(pieces("Contact", ["Id", "Email"], terms))
    assert [term for part in parts for term in part] == terms
    lengths = [len(encoded(select("Contact", ["Id", "Email"], part))) for part in parts]
    assert max(lengths) <= LONGEST_QUERY
    assert min(lengths[:-1]) > LONGEST_QUERY * 0.9


def test_two_hundred_people_fit_into_one_question() -> None:
    terms = [{"Email": f"first.last{number}@example.com", "K__c": str(UUID(int=number))} for number in range(200)]
    assert len(list(pieces("Contact", ["Id", "Email", "FirstName", "LastName", "Phone"], terms))) == 1


def test_a_value_longer_than_any_url_stands_alone() -> None:
    terms: list[Term] = [{"Email": "a"}, {"Email": "b" * 20_000}, {"Email": "c"}]
    assert [len(part) for part in pieces("Contact", ["Id"], terms)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("Amount", "1000", 1000),
        ("Amount", "12.50", 12.5),
        ("Amount", "a lot", "a lot"),
        ("Amount", "NaN", "NaN"),
        ("Seats__c", " 7 ", 7),
        ("Vip__c", "true", True),
        ("Vip__c", "No", False),
        ("Vip__c", "maybe", "maybe"),
        ("CloseDate", "2026-12-22T00:00:00Z", "2026-12-22"),
        ("CloseDate", "2026-12-22", "2026-12-22"),
        ("Phone", "0012", "0012"),
        ("NumberOfEmployees", "12", 12),
    ],
)
def test_a_value_is_sent_as_its_field_wants_it(name: str, text: str, value: Any) -> None:
    sent = typed(name, text, TYPES)
    assert (sent, type(sent)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "ours", "held", "same"),
    [
        ("Amount", "1000", 1000.0, True),
        ("Amount", "1000", 1001.0, False),
        ("Vip__c", "yes", True, True),
        ("Vip__c", "yes", False, False),
        ("Email", "ada@example.com", "Ada@Example.com", True),
        ("Phone", "a", "A", False),
        ("CloseDate", "2026-12-22T00:00:00Z", "2026-12-22", True),
        ("Seen__c", "2026-12-22T00:00:00Z", "2026-12-22T00:00:00.000+0000", True),
        ("Seen__c", "2026-12-22T00:00:00Z", "2026-12-23T00:00:00.000+0000", False),
        ("Phone", "1", None, False),
    ],
)
def test_the_same_value_is_known_in_another_spelling(name: str, ours: str, held: Any, same: bool) -> None:
    assert is_same(name, ours, held, TYPES) is same


class Pages:
    """Answers one page for each call."""

    def __init__(self, *pages: Any) -> None:
        self.asked: list[str] = []
        self._pages = list(pages)

    async def __call__(self, method: str, path: str, *, limit: str, json: Any = None) -> Any:
        self.asked.append(path)
        return self._pages.pop(0)


def wire(*pages: Any) -> tuple[Wire, Pages]:
    answers = Pages(*pages)
    return Wire(answers, "v68.0", cast("Report", None)), answers


async def test_a_question_is_read_to_its_last_page() -> None:
    more = "/services/data/v68.0/query/01gxx-2000"
    asking, pages = wire(
        {"done": False, "nextRecordsUrl": more, "records": [{"Id": "1"}]}, {"done": True, "records": [{"Id": "2"}]}
    )
    found = await asking.query("Contact", ["Email"], [{"Email": "a@example.com"}])
    assert [record.id for record in found.records] == ["1", "2"]
    assert pages.asked[1] == more
    assert pages.asked[0].endswith(
        "/query?q=SELECT%20Email,Id%20FROM%20Contact%20WHERE%20Email%20IN%20('a%40example.com')"
    )


@pytest.mark.parametrize(
    "page",
    [
        {"done": False, "nextRecordsUrl": "//evil.example/query", "records": []},
        {"done": False, "nextRecordsUrl": "/elsewhere", "records": []},
        {"done": True},
        {"done": True, "records": [{"Email": "a@example.com"}]},
        [],
        None,
    ],
)
async def test_a_page_that_is_none_is_not_taken_for_an_empty_one(page: Any) -> None:
    asking, _ = wire(page)
    with pytest.raises(Unexpected):
        await asking.query("Contact", ["Email"], [{"Email": "a@example.com"}])


async def test_no_question_is_asked_about_nobody() -> None:
    asking, pages = wire()
    assert (await asking.query("Contact", ["Email"], [])).records == []
    assert (await asking.retrieve("Contact", [], ["Email"])).records == []
    assert pages.asked == []
