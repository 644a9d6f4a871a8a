"""Tokens, scopes and the OAuth endpoints of the emulated Pipedrive."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.app import create_app
from sandbox.pipedrive import CLIENT_ID, CLIENT_SECRET, Pipedrive
from sandbox.server import serve
from tests.clock import Clock
from tests.sandbox.pipedrive_client import Acme, error, opened

CALLBACK = "https://app.example.com/callback"
ASKED = {"client_id": CLIENT_ID, "redirect_uri": CALLBACK, "state": "s-1"}


@pytest.fixture
def acme(clock: Clock) -> Iterator[Acme]:
    with opened(Pipedrive(clock, limits=False), name="Acme, Inc.") as acme:
        yield acme


def consent(acme: Acme, **form: str) -> dict[str, list[str]]:
    """Where the consent page leads to."""
    body = {**ASKED, "decision": "approve", "company": str(acme.company.number), **form}
    response = acme.stranger.post("/oauth/authorize", data=body)
    assert response.status_code == 302, response.text
    return parse_qs(urlsplit(response.headers["location"]).query)


def exchange(acme: Acme, code: str, redirect_uri: str = CALLBACK) -> httpx.Response:
    return acme.oauth(grant_type="authorization_code", code=code, redirect_uri=redirect_uri)


def test_a_call_needs_a_token_that_pipedrive_gave_out(acme: Acme) -> None:
    for response in (
        acme.stranger.get("/api/v2/persons"),
        acme.as_token("nobody's"),
        acme.as_user("/persons", "no"),
    ):
        assert response.status_code == 401
        assert error(response) == "unauthorized access"
        assert response.json()["errorCode"] == 401


def test_an_access_token_lives_for_an_hour_and_is_refreshed(acme: Acme, clock: Clock) -> None:
    clock.advance(3598)
    assert acme.get("/persons").status_code == 200
    clock.advance(1)
    assert acme.get("/persons").status_code == 401
    answer = acme.refresh().json()
    assert answer["refresh_token"] == acme.company.refresh_token
    assert (answer["token_type"], answer["expires_in"], answer["api_domain"]) == ("Bearer", 3599, acme.url)
    assert answer["scope"].split(",")[:2] == ["base", "contacts:full"]
    assert acme.as_token(answer["access_token"], "/persons").status_code == 200


def test_an_api_token_never_expires_and_needs_no_scope(acme: Acme, clock: Clock) -> None:
    assert re.fullmatch(r"[0-9a-f]{40}", acme.company.api_token)
    acme.company.scopes = ()
    clock.advance(10 * 365 * 86_400)
    assert acme.as_user("/persons").status_code == 200


def test_a_rotated_refresh_token_is_good_once(clock: Clock) -> None:
    with opened(Pipedrive(clock, rotate_refresh_tokens=True)) as acme:
        following = acme.refresh().json()["refresh_token"]
        assert following != acme.company.refresh_token
        refused = acme.refresh()
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
        assert acme.refresh(following).status_code == 200


def test_a_refresh_token_dies_after_sixty_days_without_use(acme: Acme, clock: Clock) -> None:
    clock.advance(59 * 86_400)
    assert acme.refresh().status_code == 200
    clock.advance(59 * 86_400)
    assert acme.refresh().status_code == 200
    clock.advance(60 * 86_400)
    refused = acme.refresh()
    assert refused.status_code == 400
    assert refused.json()["message"] == "Invalid grant: refresh_token is invalid"
    assert refused.json()["success"] is False


def test_the_app_names_itself_by_basic_authentication_only(acme: Acme) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": acme.company.refresh_token}
    in_body = {**form, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    unnamed = acme.stranger.post("/oauth/token", data=in_body)
    assert (unnamed.status_code, unnamed.json()["error"]) == (401, "invalid_client")
    wrong = acme.oauth(auth=(CLIENT_ID, "wrong"), **form)
    assert (wrong.status_code, wrong.json()["message"]) == (400, "Invalid client: client is invalid")
    garbage = acme.stranger.post("/oauth/token", data=form, headers={"authorization": "Basic ?"})
    assert garbage.status_code == 400


def test_the_token_endpoint_says_what_is_missing(acme: Acme) -> None:
    assert acme.oauth(state="s").json()["message"] == "Missing parameter: grant_type"
    assert acme.oauth(grant_type="refresh_token").json()["message"] == "Missing parameter: refresh_token"
    assert acme.oauth(grant_type="password").json()["error"] == "unsupported_grant_type"
    as_json = acme.stranger.post("/oauth/token", json={}, auth=(CLIENT_ID, CLIENT_SECRET))
    assert (as_json.status_code, as_json.json()["error"]) == (400, "invalid_request")


def test_the_consent_page_leads_back_with_a_code_that_is_good_once(acme: Acme) -> None:
    page = acme.stranger.get("/oauth/authorize", params=ASKED)
    assert page.status_code == 200
    assert "Pipedrive" in page.text
    assert "HubSpot" not in page.text
    assert "Acme, Inc." in page.text
    answered = consent(acme)
    assert answered["state"] == ["s-1"]
    tokens = exchange(acme, answered["code"][0]).json()
    assert acme.as_token(tokens["access_token"], "/persons").status_code == 200
    again = exchange(acme, answered["code"][0])
    assert (again.status_code, again.json()["message"]) == (400, "Invalid grant: authorization_code is invalid")


def test_a_code_lives_for_five_minutes_and_for_its_own_callback(acme: Acme, clock: Clock) -> None:
    late = consent(acme)["code"][0]
    clock.advance(300)
    assert exchange(acme, late).json()["message"] == "Invalid grant: authorization_code has expired"
    stolen = consent(acme)["code"][0]
    assert exchange(acme, stolen, "https://evil.example.com").status_code == 400


def test_a_person_can_deny(acme: Acme) -> None:
    assert consent(acme, decision="deny") == {"error": ["user_denied"], "state": ["s-1"]}


def test_only_the_registered_callback_and_the_known_app_are_served(clock: Clock) -> None:
    with opened(Pipedrive(clock, redirect_uri=CALLBACK)) as acme:
        where = "/oauth/authorize"
        assert acme.stranger.get(where, params=ASKED).status_code == 200
        assert (
            acme.stranger.get(where, params={**ASKED, "redirect_uri": "https://evil.example.com/"}).status_code == 400
        )
        assert acme.stranger.get(where, params={**ASKED, "client_id": "other"}).status_code == 400
        assert acme.stranger.post(where, data={**ASKED, "decision": "approve", "company": "1"}).status_code == 400


def test_revoking_the_refresh_token_uninstalls_the_app(acme: Acme) -> None:
    assert acme.oauth("revoke", token=acme.company.refresh_token, token_type_hint="refresh_token").status_code == 200
    assert acme.get("/persons").status_code == 401
    assert acme.refresh().status_code == 400
    assert acme.as_user("/persons").status_code == 200


def test_revoking_an_access_token_leaves_the_grant(acme: Acme) -> None:
    assert acme.oauth("revoke", token=acme.company.access_token).status_code == 200
    assert acme.get("/persons").status_code == 401
    assert acme.refresh().status_code == 200


def test_a_company_can_expire_and_revoke_its_own_tokens(acme: Acme) -> None:
    acme.company.expire_tokens()
    assert acme.get("/persons").status_code == 401
    fresh = acme.refresh().json()["access_token"]
    assert acme.as_token(fresh, "/persons").status_code == 200
    acme.company.revoke()
    assert acme.as_token(fresh, "/persons").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/v2/persons", "contacts:read"),
        ("POST", "/api/v2/organizations", "contacts:full"),
        ("GET", "/api/v2/persons/search?term=ada", "search:read"),
        ("GET", "/api/v2/deals", "deals:read"),
        ("POST", "/api/v2/activities", "activities:full"),
        ("GET", "/api/v2/itemSearch?term=ada", "search:read"),
        ("POST", "/api/v2/personFields", "contact-fields:full"),
        ("POST", "/api/v2/dealFields", "deal-fields:full"),
        ("GET", "/api/v2/dealFields", "deals:read"),
        ("GET", "/api/v2/stages", "deals:full"),
        ("POST", "/api/v1/notes", "contacts:full"),
        ("GET", "/api/v1/users/me", "base"),
    ],
)
def test_a_call_needs_its_scope(acme: Acme, method: str, path: str, scope: str) -> None:
    body: dict[str, str] | None = {} if method == "POST" else None
    acme.company.scopes = ("leads:full",)
    refused = acme.client.request(method, path, json=body)
    assert (refused.status_code, refused.json()["errorCode"]) == (403, 403)
    assert error(refused) == "Scope and URL mismatch"
    acme.company.scopes = (scope,)
    assert acme.client.request(method, path, json=body).status_code in (200, 201, 400)


def test_reading_scopes_do_not_write(acme: Acme) -> None:
    acme.company.scopes = ("contacts:read",)
    assert acme.post("/persons", name="Ada").status_code == 403


def test_the_api_domain_is_where_the_client_reached_the_emulator(clock: Clock) -> None:
    pipedrive = Pipedrive(clock)
    company = pipedrive.open_company()
    form = {"grant_type": "refresh_token", "refresh_token": company.refresh_token}
    with serve(create_app(pipedrive)) as server:
        mounted = f"{server.url}/pipedrive"
        answer = httpx.post(f"{mounted}/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET)).json()
        assert answer["api_domain"] == mounted
        headers = {"authorization": f"Bearer {answer['access_token']}"}
        assert httpx.get(f"{answer['api_domain']}/api/v2/persons", headers=headers).status_code == 200
        pipedrive.base_url = "https://acme.pipedrive.com"
        answer = httpx.post(f"{mounted}/oauth/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET)).json()
        assert answer["api_domain"] == "https://acme.pipedrive.com"
