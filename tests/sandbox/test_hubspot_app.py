"""The whole sandbox: its control API, its page, and `python -m sandbox`."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.app import create_app
from sandbox.faults import Fault
from sandbox.hubspot import HubSpot
from sandbox.server import serve

CONTACTS = "/hubspot/crm/objects/2026-03/contacts"


@pytest.fixture
def sandbox() -> Iterator[httpx.Client]:
    with serve(create_app(HubSpot())) as server, httpx.Client(base_url=server.url, timeout=10) as client:
        yield client


def portal(client: httpx.Client, **document: Any) -> dict[str, Any]:
    response = client.post("/_sandbox/hubspot/accounts", json=document)
    assert response.status_code == 201
    opened: dict[str, Any] = response.json()
    return opened


def test_another_process_opens_a_portal_uses_it_and_reads_its_ledger(sandbox: httpx.Client) -> None:
    opened = portal(sandbox, hub_id=7, name="acme.test")
    headers = {"authorization": f"Bearer {opened['access_token']}"}
    body = {"properties": {"email": "ada@example.com"}}
    assert sandbox.post(CONTACTS, json=body, headers=headers).status_code == 201
    ledger = sandbox.get("/_sandbox/hubspot/ledger", params={"account": 7}).json()
    assert ledger["contacts"][0]["properties"]["email"] == "ada@example.com"
    assert ledger["calls"]["by_path"] == {"/crm/objects/2026-03/contacts": 1}
    assert sandbox.get("/_sandbox/hubspot/calls").json()["7"]["total"] == 1
    effects = sandbox.get("/_sandbox/hubspot/effects", params={"account": 7}).json()
    assert [each["effect"] for each in effects] == ["created"]


def test_another_process_plans_and_clears_faults(sandbox: httpx.Client) -> None:
    opened = portal(sandbox)
    headers = {"authorization": f"Bearer {opened['static_token']}"}
    fault = {"status": 503, "path": "^/crm/", "times": 5, "account": opened["hub_id"]}
    assert sandbox.post("/_sandbox/hubspot/faults", json=fault).status_code == 204
    assert sandbox.get(CONTACTS, headers=headers).status_code == 503
    assert sandbox.delete("/_sandbox/hubspot/faults").status_code == 204
    assert sandbox.get(CONTACTS, headers=headers).status_code == 200


def test_another_process_has_a_portal_refuse_by_a_documented_error(sandbox: httpx.Client) -> None:
    opened = portal(sandbox, hub_id=11, name="refusing.test")
    order = {"account": 11, "error": "DAILY", "times": 1}
    assert sandbox.post("/_sandbox/hubspot/errors", json=order).status_code == 204
    row = {"id": "ada@example.com", "idProperty": "email", "properties": {}, "objectWriteTraceId": "row-1"}
    write = "/hubspot/crm/objects/2026-03/contacts/batch/upsert"
    headers = {"authorization": f"Bearer {opened['access_token']}"}
    refused = sandbox.post(write, json={"inputs": [row]}, headers=headers)
    assert (refused.status_code, refused.json()["policyName"]) == (429, "DAILY")
    assert sandbox.post("/_sandbox/hubspot/errors", json={**order, "error": "INVALID_EMAIL"}).status_code == 204
    refused = sandbox.post(write, json={"inputs": [row]}, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["errors"][0]["code"]) == (207, "INVALID_EMAIL")
    assert refused.json()["errors"][0]["context"]["objectWriteTraceId"] == ["row-1"]
    assert sandbox.post(write, json={"inputs": [row]}, headers=headers).status_code == 200
    unknown = sandbox.post("/_sandbox/hubspot/errors", json={**order, "error": "NO_SUCH"})
    assert (unknown.status_code, "there is no error NO_SUCH" in unknown.json()["error"]) == (400, True)
    assert sandbox.post("/_sandbox/hubspot/errors", json={**order, "account": 99}).status_code == 404


def test_another_process_expires_and_revokes_tokens(sandbox: httpx.Client) -> None:
    opened = portal(sandbox)
    headers = {"authorization": f"Bearer {opened['access_token']}"}
    for action, category in (("expire", "EXPIRED_AUTHENTICATION"), ("revoke", "INVALID_AUTHENTICATION")):
        body = {"account": opened["hub_id"], "action": action}
        assert sandbox.post("/_sandbox/hubspot/tokens", json=body).status_code == 204
        assert sandbox.get(CONTACTS, headers=headers).json()["category"] == category


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "hubspot/accounts", {"hub_id": "7"}, 400),
        ("POST", "hubspot/accounts", {"colour": "red"}, 400),
        ("POST", "hubspot/accounts", [], 400),
        ("POST", "hubspot/accounts", {"tier": "golden"}, 400),
        ("POST", "hubspot/faults", {"nonsense": 1}, 400),
        ("POST", "hubspot/tokens", {"account": 1}, 400),
        ("POST", "hubspot/tokens", {"account": 1, "action": "expire"}, 404),
        ("GET", "hubspot/ledger", None, 400),
        ("GET", "hubspot/ledger?account=1", None, 404),
        ("GET", "unicorn/calls", None, 404),
    ],
)
def test_a_bad_order_to_the_sandbox_is_refused_with_a_reason(
    sandbox: httpx.Client, method: str, path: str, body: Any, status: int
) -> None:
    response = sandbox.request(method, f"/_sandbox/{path}", json=body)
    assert response.status_code == status
    assert response.json()["error"]


def test_the_page_shows_what_the_crm_contains_and_escapes_it() -> None:
    hubspot = HubSpot(limits=False)
    opened = hubspot.open_portal(name="<b>acme</b>")
    with serve(create_app(hubspot)) as server:
        headers = {"authorization": f"Bearer {opened.access_token}"}
        body = {"properties": {"email": "ada@example.com", "firstname": "<script>alert(1)</script>"}}
        httpx.post(f"{server.url}{CONTACTS}", json=body, headers=headers)
        page = httpx.get(server.url)
        script = httpx.get(f"{server.url}/_sandbox/overview.js")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "ada@example.com" in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script>" not in page.text
    assert '<script src="/_sandbox/overview.js" defer></script>' in page.text
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "://" not in page.text, "the page loads nothing from elsewhere"
    assert "<b>acme" not in page.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_its_url_and_ends_at_once_when_told(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            url = process.stdout.readline().split()[-1]
            assert httpx.get(url).status_code == 200
            before = time.monotonic()
            process.send_signal(number)
            assert process.wait(30) == 0
            assert time.monotonic() - before < 8
            assert process.stderr.read() == ""
        finally:
            process.kill()


def test_the_command_says_when_the_port_is_taken(sandbox: httpx.Client) -> None:
    command = [sys.executable, "-m", "sandbox", "--port", str(sandbox.base_url.port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert "cannot listen on 127.0.0.1" in ended.stderr


def test_a_server_that_stops_leaves_no_thread_and_waits_for_nobody(caplog: pytest.LogCaptureFixture) -> None:
    hubspot = HubSpot()
    hubspot.faults.add(Fault(delay=60))
    failures: list[Exception] = []

    def wait_in_vain(url: str) -> None:
        try:
            httpx.get(url, timeout=60)
        except httpx.TransportError as error:
            failures.append(error)

    others = set(threading.enumerate())
    before = time.monotonic()
    with serve(hubspot.app) as server:
        waiting = threading.Thread(target=wait_in_vain, args=(f"{server.url}/slow",))
        waiting.start()
        while len(hubspot.faults):
            assert time.monotonic() < before + 30
            time.sleep(0.005)
    waiting.join(30)
    assert len(failures) == 1
    assert time.monotonic() - before < 50
    assert not [each for each in set(threading.enumerate()) - others if each.name == "sandbox"]
    assert not caplog.records
