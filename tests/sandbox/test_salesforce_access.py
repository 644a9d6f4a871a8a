"""Tokens, sessions, limits and the OAuth endpoints of the emulated Salesforce."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox.app import create_app
from sandbox.salesforce import CLIENT_ID, CLIENT_SECRET, Salesforce
from sandbox.server import serve
from tests.clock import Clock
from tests.sandbox.salesforce_client import DATA, REDIRECT, Force, error, force

CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": REDIRECT,
    "scope": "api refresh_token",
    "state": "s-1",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
def sf(clock: Clock) -> Iterator[Force]:
    with force(Salesforce(clock)) as opened:
        yield opened


def token(sf: Force, **form: str) -> httpx.Response:
    return sf.client.post("/services/oauth2/token", data={**CLIENT, **form})


def refresh(sf: Force, refresh_token: str) -> httpx.Response:
    return token(sf, grant_type="refresh_token", refresh_token=refresh_token)


def approve(sf: Force, **changes: str) -> dict[str, list[str]]:
    """What the redirect says after a person approved."""
    form = {**ASKED, **changes, "decision": "approve", "org": str(sf.org.number)}
    response = sf.client.post("/services/oauth2/authorize", data=form)
    assert response.status_code == 302
    return parse_qs(urlsplit(response.headers["location"]).query)


def exchange(sf: Force, code: str, **changes: str) -> httpx.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    return token(sf, **{**form, **changes})


def works(sf: Force, access_token: str) -> bool:
    response = sf.call("GET", "limits", token=access_token)
    if response.status_code == 401:
        assert error(response) == (401, "INVALID_SESSION_ID", "Session expired or invalid")
    return response.status_code == 200


def test_a_person_approves_and_the_code_becomes_tokens(sf: Force) -> None:
    page = sf.client.get("/services/oauth2/authorize", params=ASKED)
    assert page.status_code == 200
    hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]+)"', page.text))
    assert hidden == ASKED
    back = approve(sf)
    assert back["state"] == ["s-1"]
    answer = exchange(sf, back["code"][0]).json()
    assert set(answer) == {
        "access_token", "refresh_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at",
    }  # fmt: skip
    assert "expires_in" not in answer
    assert answer["instance_url"] == str(sf.client.base_url).rstrip("/")
    assert answer["id"].startswith(f"{answer['instance_url']}/id/{sf.org.id}/005")
    assert works(sf, answer["access_token"])
    identity = sf.client.get(answer["id"], headers={"authorization": f"Bearer {answer['access_token']}"}).json()
    assert identity["organization_id"] == sf.org.id
    assert exchange(sf, back["code"][0]).json()["error"] == "invalid_grant", "a code is good once"


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1:9/elsewhere"}, "redirect_uri_mismatch"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": "wrong"}, "invalid_client_id"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"code": "nonsense"}, "invalid_grant"),
    ],
)
def test_a_code_is_exchanged_by_its_app_alone(sf: Force, changes: dict[str, str], refusal: str) -> None:
    response = exchange(sf, **{"code": approve(sf)["code"][0], **changes})
    assert (response.status_code, response.json()["error"]) == (400, refusal)
    assert response.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "api everything"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
    ],
)
def test_an_authorization_without_pkce_goes_back_with_an_error(
    sf: Force, changes: dict[str, str], refusal: str
) -> None:
    response = sf.client.get("/services/oauth2/authorize", params={**ASKED, **changes})
    back = parse_qs(urlsplit(response.headers["location"]).query)
    assert (back["error"], back["state"]) == ([refusal], ["s-1"])


@pytest.mark.parametrize("changes", [{"client_id": "wrong"}, {"redirect_uri": "javascript:alert(1)"}])
def test_an_authorization_of_nobodys_leads_nowhere(sf: Force, changes: dict[str, str]) -> None:
    response = sf.client.get("/services/oauth2/authorize", params={**ASKED, **changes})
    assert (response.status_code, "location" in response.headers) == (400, False)


def test_a_person_can_deny(sf: Force) -> None:
    response = sf.client.post("/services/oauth2/authorize", data={**ASKED, "decision": "deny"})
    assert parse_qs(urlsplit(response.headers["location"]).query)["error"] == ["access_denied"]


def test_credentials_may_come_as_basic(sf: Force) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": sf.org.refresh_token}
    good = sf.client.post("/services/oauth2/token", data=form, auth=(CLIENT_ID, CLIENT_SECRET))
    assert works(sf, good.json()["access_token"])
    bad = sf.client.post("/services/oauth2/token", data=form, auth=(CLIENT_ID, "wrong"))
    assert bad.json()["error"] == "invalid_client"


def test_a_session_ends_after_two_hours_and_is_refreshed(sf: Force, clock: Clock) -> None:
    clock.advance(7199)
    assert works(sf, sf.org.access_token)
    clock.advance(1)
    assert not works(sf, sf.org.access_token)
    answer = refresh(sf, sf.org.refresh_token).json()
    assert "refresh_token" not in answer
    assert works(sf, answer["access_token"])
    assert refresh(sf, sf.org.refresh_token).status_code == 200


def test_with_rotation_the_old_refresh_token_dies_at_once(clock: Clock) -> None:
    with force(Salesforce(clock), rotate=True) as sf:
        answer = refresh(sf, sf.org.refresh_token).json()
        assert answer["refresh_token"] != sf.org.refresh_token
        again = refresh(sf, sf.org.refresh_token)
        assert again.json() == {"error": "invalid_grant", "error_description": "expired access/refresh token"}
        assert again.status_code == 400
        assert refresh(sf, answer["refresh_token"]).status_code == 200


def test_the_sixth_approval_ends_the_first(sf: Force) -> None:
    for _ in range(4):
        exchange(sf, approve(sf)["code"][0]).raise_for_status()
    assert refresh(sf, sf.org.refresh_token).status_code == 200
    exchange(sf, approve(sf)["code"][0]).raise_for_status()
    assert refresh(sf, sf.org.refresh_token).json()["error"] == "invalid_grant"
    assert not works(sf, sf.org.access_token)


def test_tokens_can_be_ended_by_the_customer(sf: Force) -> None:
    sf.org.expire_tokens()
    assert not works(sf, sf.org.access_token)
    fresh = refresh(sf, sf.org.refresh_token).json()["access_token"]
    sf.org.revoke()
    assert not works(sf, fresh)
    assert refresh(sf, sf.org.refresh_token).json()["error"] == "invalid_grant"


def test_the_app_revokes_its_approval(sf: Force) -> None:
    response = sf.client.post("/services/oauth2/revoke", data={"token": sf.org.refresh_token})
    assert (response.status_code, response.content) == (200, b"")
    assert not works(sf, sf.org.access_token)
    again = sf.client.post("/services/oauth2/revoke", data={"token": sf.org.refresh_token})
    assert (again.status_code, again.json()["error"]) == (400, "invalid_token")


def test_tokens_are_introspected(sf: Force, clock: Clock) -> None:
    def look(held: str) -> dict[str, Any]:
        return dict(sf.client.post("/services/oauth2/introspect", data={**CLIENT, "token": held}).json())

    described = look(sf.org.access_token)
    assert (described["active"], described["exp"]) == (True, clock.now + 7200)
    assert look(sf.org.refresh_token)["token_type"] == "refresh_token"
    assert look("nonsense") == {"active": False}
    clock.advance(7200)
    assert look(sf.org.access_token) == {"active": False}


def test_a_session_without_the_api_scope_is_not_for_the_api(sf: Force) -> None:
    answer = exchange(sf, approve(sf, scope="id")["code"][0]).json()
    assert "refresh_token" not in answer
    assert error(sf.call("GET", "limits", token=answer["access_token"]))[:2] == (403, "INVALID_SESSION_ID")


def test_each_answer_tells_what_was_used_and_over_the_limit_nothing_is_done(clock: Clock) -> None:
    with force(Salesforce(clock), daily_limit=3) as sf:
        used = [sf.call("GET", "limits").headers["sforce-limit-info"] for _ in range(3)]
        assert used == ["api-usage=1/3", "api-usage=2/3", "api-usage=3/3"]
        refused = sf.call("POST", "sobjects/Contact", {"LastName": "L"})
        assert error(refused) == (403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        assert refused.headers["sforce-limit-info"] == "api-usage=3/3"
        assert "retry-after" not in refused.headers
        assert sf.ledger["contacts"] == []
        clock.advance(86_400)
        renewed = refresh(sf, sf.org.refresh_token).json()["access_token"]
        daily = sf.call("GET", "limits", token=renewed).json()["DailyApiRequests"]
        assert daily == {"Max": 3, "Remaining": 2}


def test_limits_can_be_switched_off(clock: Clock) -> None:
    with force(Salesforce(clock, limits=False), daily_limit=1) as sf:
        assert [sf.call("GET", "limits").status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(
    ("version", "status"), [("68.0", 200), ("31.0", 200), ("30.0", 410), ("69.0", 404), ("x", 404)]
)
def test_versions_are_served_retired_or_unheard_of(sf: Force, version: str, status: int) -> None:
    headers = {"authorization": f"Bearer {sf.org.access_token}"}
    response = sf.client.get(f"/services/data/v{version}/limits", headers=headers)
    assert response.status_code == status
    if status != 200:
        assert error(response)[1] == {410: "GONE", 404: "NOT_FOUND"}[status]


def test_the_versions_need_no_token(sf: Force) -> None:
    listed = sf.client.get("/services/data/").json()
    assert listed[-1] == {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}
    assert listed[0]["version"] == "31.0"


def test_other_processes_open_orgs_and_tokens_lead_back_below_the_mount(clock: Clock) -> None:
    salesforce = Salesforce(clock)
    with serve(create_app(salesforce)) as server, httpx.Client(base_url=server.url) as client:
        opened = client.post("/_sandbox/salesforce/accounts", json={"name": "acme.test", "rotate": True}).json()
        assert opened["instance_path"] == "/salesforce"
        form = {**CLIENT, "grant_type": "refresh_token", "refresh_token": opened["refresh_token"]}
        answer = client.post("/salesforce/services/oauth2/token", data=form).json()
        assert answer["instance_url"] == f"{server.url}/salesforce"
        headers = {"authorization": f"Bearer {answer['access_token']}"}
        url = f"{answer['instance_url']}{DATA}/sobjects/Contact"
        assert client.post(url, json={"LastName": "L"}, headers=headers).status_code == 201
        ledger = client.get("/_sandbox/salesforce/ledger", params={"account": opened["account"]}).json()
        assert ledger["contacts"][0]["fields"]["LastName"] == "L"
        assert ledger["calls"]["by_path"] == {
            "/services/oauth2/token": 1,
            "/services/data/v68.0/sobjects/Contact": 1,
        }
        order = {"account": opened["account"], "action": "expire"}
        assert client.post("/_sandbox/salesforce/tokens", json=order).status_code == 204
        assert client.post(url, json={"LastName": "L"}, headers=headers).status_code == 401
        effects = client.get("/_sandbox/salesforce/effects", params={"account": opened["account"]}).json()
        assert [each["effect"] for each in effects] == ["created"]
        salesforce.base_url = f"{server.url}/salesforce"
        again = client.post("/_sandbox/salesforce/accounts", json={}).json()
        assert again["instance_url"] == salesforce.base_url
        for wrong in ({"colour": "red"}, {"fields": "yes"}, {"edition": "golden"}):
            assert client.post("/_sandbox/salesforce/accounts", json=wrong).status_code == 400
