"""The burst limits, the day's tokens and Cloudflare's patience."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.pipedrive import Pipedrive
from tests.clock import Clock
from tests.sandbox.pipedrive_client import Acme, error, opened


@pytest.fixture
def acme(clock: Clock) -> Iterator[Acme]:
    with opened(Pipedrive(clock)) as acme:
        yield acme


def midnight(clock: Clock) -> None:
    clock.advance(86_400 - clock() % 86_400)


def test_a_company_of_the_smallest_plan_has_eighty_calls_in_two_seconds(acme: Acme, clock: Clock) -> None:
    first = acme.get("/persons/1")
    assert first.headers["x-ratelimit-limit"] == "80"
    assert first.headers["x-ratelimit-remaining"] == "79"
    assert first.headers["x-ratelimit-reset"] == "2"
    assert [acme.get("/persons/1").status_code for _ in range(79)] == [404] * 79
    clock.advance(1)
    refused = acme.get("/persons/1")
    assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (429, "0")
    assert refused.headers["x-ratelimit-reset"] == "1"
    assert error(refused)
    assert "retry-after" not in refused.headers
    clock.advance(1)
    assert acme.get("/persons/1").status_code == 404


def test_an_api_token_has_a_smaller_window_of_its_own(acme: Acme) -> None:
    assert acme.as_user("/persons/1").headers["x-ratelimit-limit"] == "20"
    assert [acme.as_user("/persons/1").status_code for _ in range(20)] == [404] * 19 + [429]
    assert acme.get("/persons/1").status_code == 404


@pytest.mark.parametrize(("plan", "oauth", "api"), [("growth", 160, 40), ("premium", 400, 100), ("ultimate", 480, 120)])
def test_larger_plans_have_larger_windows(clock: Clock, plan: str, oauth: int, api: int) -> None:
    with opened(Pipedrive(clock), plan=plan) as acme:
        assert acme.get("/persons/1").headers["x-ratelimit-limit"] == str(oauth)
        assert acme.as_user("/persons/1").headers["x-ratelimit-limit"] == str(api)


def test_searches_have_ten_calls_in_two_seconds(acme: Acme, clock: Clock) -> None:
    answers = [acme.get("/persons/search", term="ada") for _ in range(11)]
    assert [each.status_code for each in answers] == [200] * 10 + [429]
    assert answers[0].headers["x-ratelimit-limit"] == "10"
    assert acme.get("/persons/1").status_code == 404
    clock.advance(2)
    assert acme.get("/organizations/search", term="acme").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "cost"),
    [
        ("GET", "/api/v2/persons/1", 1),
        ("GET", "/api/v2/persons", 10),
        ("POST", "/api/v2/deals", 5),
        ("PATCH", "/api/v2/organizations/1", 5),
        ("DELETE", "/api/v2/activities/1", 3),
        ("GET", "/api/v2/persons/search", 20),
        ("GET", "/api/v2/itemSearch", 20),
        ("GET", "/api/v1/notes/1", 2),
        ("GET", "/api/v1/notes", 20),
        ("POST", "/v1/notes", 10),
        ("PUT", "/api/v1/notes/1", 10),
        ("DELETE", "/api/v1/notes/1", 6),
        ("GET", "/api/v1/users/me", 2),
    ],
)
def test_each_call_costs_its_tokens(acme: Acme, method: str, path: str, cost: int) -> None:
    response = acme.client.request(method, path)
    assert response.headers["x-daily-ratelimit-token-remaining"] == str(30_000 - cost)
    assert acme.ledger["tokens_spent"] == cost


def test_the_days_tokens_grow_with_plan_and_seats(clock: Clock) -> None:
    with opened(Pipedrive(clock), plan="premium", seats=3) as acme:
        response = acme.as_user("/persons/1")
        assert response.headers["x-daily-ratelimit-token-remaining"] == str(30_000 * 5 * 3 - 1)
        assert response.headers["x-daily-requests-left"] == str(30_000 * 5 * 3 - 1)


def test_a_company_without_tokens_waits_for_midnight(acme: Acme, clock: Clock) -> None:
    midnight(clock)
    acme.company.tokens.take(clock(), 29_990)
    assert acme.as_user("/persons/search?term=ada").status_code == 200
    refused = acme.as_user("/persons/1")
    assert (refused.status_code, refused.headers["x-daily-ratelimit-token-remaining"]) == (429, "0")
    assert refused.headers["x-ratelimit-remaining"] != "0"
    clock.advance(86_399)
    assert acme.as_user("/persons/1").status_code == 429
    clock.advance(1)
    assert acme.as_user("/persons/1").headers["x-daily-ratelimit-token-remaining"] == "29999"


def test_whoever_goes_on_after_many_refusals_meets_cloudflare(acme: Acme, clock: Clock) -> None:
    assert [acme.as_user("/persons/1").status_code for _ in range(30)] == [404] * 20 + [429] * 10
    blocked = acme.as_user("/persons/1")
    assert blocked.status_code == 403
    assert blocked.headers["content-type"].startswith("text/html")
    assert blocked.headers["server"] == "cloudflare"
    assert acme.get("/persons/1").status_code == 403
    clock.advance(10)
    assert acme.get("/persons/1").status_code == 404


def test_there_can_be_a_penalty_for_filling_a_window(clock: Clock) -> None:
    with opened(Pipedrive(clock, penalty=10.0)) as acme:
        answers = [acme.get("/persons/search", term="ada") for _ in range(11)]
        assert [each.status_code for each in answers] == [200] * 10 + [429]
        assert answers[-1].headers["x-ratelimit-reset"] == answers[-1].headers["retry-after"] == "10"
        clock.advance(9)
        refused = acme.get("/persons/search", term="ada")
        assert (refused.status_code, refused.headers["x-ratelimit-reset"]) == (429, "1")
        clock.advance(1)
        assert acme.get("/persons/search", term="ada").status_code == 200


def test_refusals_cost_no_tokens(acme: Acme) -> None:
    for _ in range(25):
        acme.as_user("/persons/1")
    assert acme.ledger["tokens_spent"] == 20


def test_without_limits_tokens_are_counted_all_the_same(clock: Clock) -> None:
    with opened(Pipedrive(clock, limits=False)) as acme:
        answers = [acme.get("/persons/search", term="ada") for _ in range(12)]
        assert [each.status_code for each in answers] == [200] * 12
        assert "x-ratelimit-limit" not in answers[0].headers
        assert acme.ledger["tokens_spent"] == 240
