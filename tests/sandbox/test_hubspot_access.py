"""Tokens, scopes, rate limits and the OAuth endpoints of the emulated HubSpot."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.hubspot import CLIENT_ID, CLIENT_SECRET, HubSpot
from sandbox.server import serve
from tests.clock import Clock
from tests.sandbox.hubspot_client import Hub

CONTACTS = "/crm/objects/2026-03/contacts"
SEARCH = f"{CONTACTS}/search"
CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
REDIRECT = "http://127.0.0.1:9/callback"


@pytest.fixture
def limited(clock: Clock) -> Iterator[Hub]:
    hubspot = HubSpot(clock)
    with serve(hubspot.app) as server, Hub(server.url, hubspot, hubspot.open_portal()) as hub:
        yield hub


def token(hub: Hub, **form: str) -> httpx.Response:
    return hub.client.post("/oauth/2026-03/token", data={**CLIENT, **form})


def refresh(hub: Hub, refresh_token: str) -> httpx.Response:
    return token(hub, grant_type="refresh_token", refresh_token=refresh_token)


def use(hub: Hub, access_token: str) -> httpx.Response:
    return hub.client.get(CONTACTS, headers={"authorization": f"Bearer {access_token}"})


def test_an_access_token_expires_after_half_an_hour(hub: Hub, clock: Clock) -> None:
    clock.advance(1799)
    assert hub.get(CONTACTS).status_code == 200
    clock.advance(8)
    response = hub.get(CONTACTS)
    assert (response.status_code, response.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    assert response.json()["message"] == "The OAuth token used to make this call expired 7 second(s) ago."
    assert response.json()["context"]["expire time"]


def test_a_static_token_never_expires(hub: Hub, clock: Clock) -> None:
    clock.advance(10 * 365 * 86_400)
    assert use(hub, hub.portal.static_token).status_code == 200


def test_tokens_can_be_expired_at_once_and_refreshed(hub: Hub) -> None:
    hub.portal.expire_tokens()
    assert hub.get(CONTACTS).json()["category"] == "EXPIRED_AUTHENTICATION"
    assert use(hub, refresh(hub, hub.portal.refresh_token).json()["access_token"]).status_code == 200


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer garbage"}, {"authorization": "Basic garbage"}])
def test_a_call_without_a_known_token_is_told_so(hub: Hub, header: dict[str, str]) -> None:
    response = httpx.get(f"{hub.client.base_url}{CONTACTS}", headers=header)
    assert response.status_code == 401
    assert response.json()["message"].startswith("Authentication credentials not found")


def test_a_revoked_grant_ends_every_oauth_token(hub: Hub) -> None:
    hub.portal.revoke()
    assert hub.get(CONTACTS).json()["message"].startswith("Authentication credentials not found")
    response = refresh(hub, hub.portal.refresh_token)
    assert (response.status_code, response.json()["status"], response.json()["error"]) == (
        400,
        "BAD_REFRESH_TOKEN",
        "invalid_grant",
    )


def test_a_refresh_answers_what_hubspot_documents(hub: Hub) -> None:
    answer = refresh(hub, hub.portal.refresh_token).json()
    assert (answer["expires_in"], answer["token_type"], answer["hub_id"]) == (1800, "bearer", hub.portal.hub_id)
    assert answer["refresh_token"] == hub.portal.refresh_token
    assert set(answer["scopes"]) == set(hub.portal.scopes)


def test_with_rotation_the_old_refresh_token_dies(clock: Clock) -> None:
    hubspot = HubSpot(clock, rotate_refresh_tokens=True)
    with serve(hubspot.app) as server, Hub(server.url, hubspot, hubspot.open_portal()) as hub:
        fresh = refresh(hub, hub.portal.refresh_token).json()["refresh_token"]
        assert refresh(hub, hub.portal.refresh_token).json()["status"] == "BAD_REFRESH_TOKEN"
        assert refresh(hub, fresh).status_code == 200


def test_the_token_endpoint_takes_a_form_body_only(hub: Hub) -> None:
    form = {**CLIENT, "grant_type": "refresh_token", "refresh_token": hub.portal.refresh_token}
    assert hub.client.post("/oauth/2026-03/token", params=form).status_code == 400
    assert hub.client.post("/oauth/2026-03/token", params={"grant_type": "refresh_token"}, data=form).status_code == 400
    assert hub.client.post("/oauth/2026-03/token", json=form).status_code == 415
    assert hub.client.post("/oauth/2026-03/token", data=form).status_code == 200


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client_id": "other"}, "BAD_CLIENT_ID"),
        ({"client_secret": "other"}, "BAD_CLIENT_SECRET"),
        ({"grant_type": "password"}, "BAD_GRANT_TYPE"),
        ({"refresh_token": "other"}, "BAD_REFRESH_TOKEN"),
    ],
)
def test_a_bad_token_request_is_named(hub: Hub, change: dict[str, str], status: str) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": hub.portal.refresh_token, **change}
    response = token(hub, **form)
    assert (response.status_code, response.json()["status"]) == (400, status)
    assert response.json()["correlationId"]


def test_revoking_the_refresh_token_ends_the_grant(hub: Hub) -> None:
    form = {**CLIENT, "token": hub.portal.refresh_token, "token_type_hint": "refresh_token"}
    assert hub.client.post("/oauth/2026-03/token/revoke", data=form).status_code == 200
    assert hub.get(CONTACTS).status_code == 401
    assert refresh(hub, hub.portal.refresh_token).status_code == 400


def test_introspection_tells_whose_token_it_is(hub: Hub) -> None:
    def introspect(value: str) -> dict[str, object]:
        answer = hub.client.post("/oauth/2026-03/token/introspect", data={**CLIENT, "token": value}).json()
        assert isinstance(answer, dict)
        return answer

    held = introspect(hub.portal.access_token)
    assert (held["active"], held["hub_id"], held["hub_domain"]) == (True, hub.portal.hub_id, hub.portal.name)
    assert introspect(hub.portal.refresh_token)["token_use"] == "refresh_token"
    hub.portal.expire_tokens()
    assert introspect(hub.portal.access_token) == {"active": False}


def authorize(hub: Hub, decision: str, **changes: str) -> httpx.Response:
    asked = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT, "scope": "oauth", "state": "s&1", **changes}
    page = hub.client.get("/oauth/authorize", params=asked)
    if page.status_code != 200:
        return page
    assert "Approve" in page.text
    form = {**asked, "hub_id": str(hub.portal.hub_id), "decision": decision}
    return hub.client.post("/oauth/authorize", data=form)


def back(response: httpx.Response) -> dict[str, list[str]]:
    assert response.status_code == 302
    assert response.headers["location"].startswith(REDIRECT)
    return parse_qs(urlsplit(response.headers["location"]).query)


def test_an_approved_consent_gives_a_code_that_is_good_once(hub: Hub) -> None:
    verifier = "v" * 43
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    pkce = {"code_challenge": challenge, "code_challenge_method": "S256"}
    parameters = back(authorize(hub, "approve", **pkce))
    assert parameters["state"] == ["s&1"]
    exchange = {"grant_type": "authorization_code", "code": parameters["code"][0], "redirect_uri": REDIRECT}
    answer = token(hub, **exchange, code_verifier=verifier)
    assert (answer.status_code, answer.json()["hub_id"], answer.json()["scopes"]) == (200, hub.portal.hub_id, ["oauth"])
    assert token(hub, **exchange, code_verifier=verifier).json()["status"] == "BAD_AUTH_CODE"


def test_a_wrong_verifier_or_redirect_or_a_late_exchange_is_refused(hub: Hub, clock: Clock) -> None:
    pkce = {"code_challenge": "x", "code_challenge_method": "S256"}
    code = back(authorize(hub, "approve", **pkce))["code"][0]
    grant = {"grant_type": "authorization_code"}
    assert token(hub, **grant, code=code, redirect_uri=REDIRECT, code_verifier="y").json()["error"] == "invalid_grant"
    code = back(authorize(hub, "approve"))["code"][0]
    assert token(hub, **grant, code=code, redirect_uri="http://127.0.0.1:8/").json()["error"] == "invalid_grant"
    code = back(authorize(hub, "approve"))["code"][0]
    clock.advance(61)
    assert token(hub, **grant, code=code, redirect_uri=REDIRECT).json()["status"] == "BAD_AUTH_CODE"


def test_a_denied_consent_goes_back_with_access_denied(hub: Hub) -> None:
    parameters = back(authorize(hub, "deny"))
    assert (parameters["error"], parameters["state"]) == (["access_denied"], ["s&1"])


@pytest.mark.parametrize(
    "change", [{"client_id": "x"}, {"redirect_uri": "javascript:alert(1)"}, {"scope": "content"}, {"scope": ""}]
)
def test_a_bad_authorization_request_gets_a_page_and_no_redirect(hub: Hub, change: dict[str, str]) -> None:
    assert authorize(hub, "approve", **change).status_code == 400


def test_the_consent_page_escapes_what_it_was_given(hub: Hub) -> None:
    asked = {"client_id": CLIENT_ID, "redirect_uri": REDIRECT, "scope": "oauth", "state": '"><script>'}
    assert "<script>" not in hub.client.get("/oauth/authorize", params=asked).text


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", CONTACTS, "crm.objects.contacts.read"),
        ("POST", f"{CONTACTS}/batch/upsert", "crm.objects.contacts.write"),
        ("POST", "/crm/objects/2026-03/notes/batch/create", "crm.objects.contacts.write"),
        ("POST", "/crm/objects/2026-03/companies/batch/read", "crm.objects.companies.read"),
        ("POST", "/crm/properties/2026-03/deals", "crm.schemas.deals.write"),
    ],
)
def test_a_token_without_the_scope_is_refused(hub: Hub, method: str, path: str, scope: str) -> None:
    hub.portal.scopes = tuple(each for each in hub.portal.scopes if each != scope)
    response = hub.request(method, path, {"inputs": []} if method == "POST" else None)
    assert (response.status_code, response.json()["category"]) == (403, "MISSING_SCOPES")
    assert response.json()["errors"][0]["context"]["requiredGranularScopes"] == [scope]


def test_an_app_makes_110_calls_in_ten_seconds_to_one_portal(limited: Hub, clock: Clock) -> None:
    answers = [limited.get(CONTACTS) for _ in range(111)]
    assert [each.status_code for each in answers] == [200] * 110 + [429]
    assert answers[0].headers["x-hubspot-ratelimit-max"] == "110"
    assert answers[0].headers["x-hubspot-ratelimit-remaining"] == "109"
    assert answers[0].headers["x-hubspot-ratelimit-interval-milliseconds"] == "10000"
    assert "x-hubspot-ratelimit-daily" not in answers[0].headers
    refusal = answers[-1].json()
    assert (refusal["policyName"], refusal["errorType"]) == ("TEN_SECONDLY_ROLLING", "RATE_LIMIT")
    assert refusal["message"] == "You have reached your ten_secondly_rolling limit."
    other = limited.hubspot.open_portal()
    assert use(limited, other.access_token).status_code == 200
    clock.advance(10)
    assert limited.get(CONTACTS).status_code == 200


def test_the_limit_slides(limited: Hub, clock: Clock) -> None:
    for _ in range(60):
        limited.get(CONTACTS)
    clock.advance(9)
    for _ in range(50):
        limited.get(CONTACTS)
    clock.advance(1)
    assert [limited.get(CONTACTS).status_code for _ in range(61)] == [200] * 60 + [429]


@pytest.mark.parametrize(("tier", "calls"), [("free", 100), ("professional", 190)])
def test_a_static_token_s_limit_depends_on_the_account(clock: Clock, tier: str, calls: int) -> None:
    hubspot = HubSpot(clock)
    portal = hubspot.open_portal(tier=tier)
    with serve(hubspot.app) as server, Hub(server.url, hubspot, portal, portal.static_token) as hub:
        answers = [hub.get(CONTACTS) for _ in range(calls + 1)]
    assert [each.status_code for each in answers] == [200] * calls + [429]
    assert answers[0].headers["x-hubspot-ratelimit-daily"]


def test_a_spent_day_is_told_apart_and_ends_at_midnight(limited: Hub, clock: Clock) -> None:
    limited.portal.daily.calls = 1
    assert use(limited, limited.portal.static_token).status_code == 200
    response = use(limited, limited.portal.static_token)
    assert (response.status_code, response.json()["policyName"]) == (429, "DAILY")
    assert limited.get(CONTACTS).status_code == 200
    clock.advance(86_400)
    assert use(limited, limited.portal.static_token).status_code == 200


def test_five_searches_a_second_are_allowed_and_carry_no_rate_headers(limited: Hub, clock: Clock) -> None:
    answers = [limited.post(SEARCH, {}) for _ in range(6)]
    assert [each.status_code for each in answers] == [200] * 5 + [429]
    assert answers[-1].json()["policyName"] == "SECONDLY"
    assert not [name for each in answers for name in each.headers if "ratelimit" in name]
    clock.advance(1)
    assert limited.post(SEARCH, {}).status_code == 200


def test_limits_can_be_switched_off(hub: Hub) -> None:
    assert {hub.get(CONTACTS).status_code for _ in range(120)} == {200}


def test_every_call_is_counted_for_its_portal(hub: Hub) -> None:
    hub.get(f"{CONTACTS}/1")
    hub.get(f"{CONTACTS}/2")
    refresh(hub, hub.portal.refresh_token)
    assert hub.ledger["calls"] == {
        "total": 3,
        "by_path": {f"{CONTACTS}/{{record_id}}": 2, "/oauth/2026-03/token": 1},
        "by_status": {"404": 2, "200": 1},
    }
