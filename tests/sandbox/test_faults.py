"""Faults happen for real, on the socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.faults import Fault, Faults
from tests.house import eventually
from tests.sandbox.hubspot_client import Hub

CONTACTS = "/crm/objects/2026-03/contacts"
ADA = {"properties": {"email": "ada@example.com"}}


def test_a_dropped_answer_has_its_effect_all_the_same(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.hubspot.faults.add(Fault(drop_answer=True))
    with pytest.raises(httpx.RemoteProtocolError):
        hub.post(CONTACTS, ADA)
    assert len(hub.ledger["contacts"]) == 1
    assert hub.get(CONTACTS).status_code == 200
    assert not caplog.records


def test_a_cut_connection_has_no_effect(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.hubspot.faults.add(Fault(cut=True))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):  # whichever the kernel says first
        hub.post(CONTACTS, ADA)
    assert hub.ledger["contacts"] == []
    assert hub.ledger["calls"]["by_status"] == {"cut": 1}
    assert not caplog.records


def test_a_cut_body_announces_more_than_it_sends(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub.hubspot.faults.add(Fault(cut_body=True))
    with pytest.raises(httpx.RemoteProtocolError, match="peer closed connection without sending complete"):
        hub.post(CONTACTS, ADA)
    assert len(hub.ledger["contacts"]) == 1
    assert not caplog.records


def test_a_status_is_answered_with_its_body_and_headers_and_without_effect(hub: Hub) -> None:
    body = {"policyName": "DAILY"}
    hub.hubspot.faults.add(Fault(status=429, body=body, headers={"Retry-After": "7"}))
    response = hub.post(CONTACTS, ADA)
    assert (response.status_code, response.json(), response.headers["retry-after"]) == (429, body, "7")
    assert hub.ledger["contacts"] == []
    assert hub.ledger["calls"]["by_status"] == {"429": 1}


@pytest.mark.parametrize(("status", "expected"), [(None, 200), (502, 502)])
def test_an_html_page_comes_instead_of_json(hub: Hub, status: int | None, expected: int) -> None:
    hub.hubspot.faults.add(Fault(html=True, status=status))
    response = hub.post(CONTACTS, ADA)
    assert (response.status_code, response.headers["content-type"]) == (expected, "text/html; charset=utf-8")
    assert hub.ledger["contacts"] == []


def test_a_delayed_request_is_handled_although_its_client_has_gone(hub: Hub) -> None:
    hub.hubspot.faults.add(Fault(delay=0.3))
    with pytest.raises(httpx.ReadTimeout):
        hub.client.post(CONTACTS, json=ADA, timeout=httpx.Timeout(10, read=0.1))
    eventually(lambda: hub.ledger["contacts"], "the record")


def test_a_fault_skips_and_strikes_as_often_as_it_says(hub: Hub) -> None:
    hub.hubspot.faults.add(Fault(status=503, skip=1, times=2))
    assert [hub.get(CONTACTS).status_code for _ in range(4)] == [200, 503, 503, 200]


def test_a_fault_strikes_only_the_requests_it_names(hub: Hub) -> None:
    other = hub.hubspot.open_portal()
    hub.hubspot.faults.add(Fault(path="/contacts/search$", method="post", account=other.hub_id, status=500))
    assert hub.post(f"{CONTACTS}/search", {}).status_code == 200
    headers = {"authorization": f"Bearer {other.access_token}"}
    assert hub.client.get(CONTACTS, headers=headers).status_code == 200
    assert hub.client.post(f"{CONTACTS}/search", json={}, headers=headers).status_code == 500


def test_cleared_faults_do_not_happen(hub: Hub) -> None:
    hub.hubspot.faults.add(Fault(status=500))
    hub.hubspot.faults.clear()
    assert hub.get(CONTACTS).status_code == 200


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"status": 500, "cut": True},
        {"status": 500, "times": 0},
        {"status": 500, "path": "("},
        {"status": 500, "nonsense": 1},
    ],
)
def test_a_meaningless_fault_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="fault"):
        Fault.parse(document)


def test_faults_strike_in_the_order_they_were_planned() -> None:
    faults = Faults()
    faults.add(Fault(status=500))
    faults.add(Fault(status=501))
    struck = [faults.take("GET", "/", None) for _ in range(3)]
    assert [fault.status if fault else None for fault in struck] == [500, 501, None]


def test_a_client_that_goes_away_before_it_has_said_all_is_nobodys_error(
    hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone(Exception):
        pass

    def half() -> Iterator[bytes]:
        yield b'{"properties": '
        raise Gone

    with pytest.raises(Gone):
        hub.client.post(CONTACTS, content=half())
    assert hub.get(CONTACTS).status_code == 200
    assert hub.ledger["contacts"] == []
    assert not caplog.records
