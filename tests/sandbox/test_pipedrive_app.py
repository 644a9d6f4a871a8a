"""The emulated Pipedrive in the sandbox: its accounts, its ledger, its faults, and people who work in it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from sandbox.app import create_app
from sandbox.faults import Fault
from sandbox.pipedrive import Pipedrive
from sandbox.server import serve
from tests.clock import Clock
from tests.sandbox.pipedrive_client import Acme, error, opened


@pytest.fixture
def acme(clock: Clock) -> Iterator[Acme]:
    with opened(Pipedrive(clock, limits=False)) as acme:
        yield acme


def test_another_process_opens_a_company_uses_it_and_reads_its_ledger(clock: Clock) -> None:
    with serve(create_app(Pipedrive(clock))) as server, httpx.Client(base_url=server.url) as client:
        account = {"name": "Acme", "plan": "growth", "seats": 2}
        company = client.post("/_sandbox/pipedrive/accounts", json=account).json()
        assert set(company) == {"account", "name", "access_token", "refresh_token", "api_token"}
        headers = {"authorization": f"Bearer {company['access_token']}"}
        answer = client.post("/pipedrive/api/v2/persons", json={"name": "Ada"}, headers=headers)
        assert answer.status_code == 201
        assert answer.headers["x-daily-ratelimit-token-remaining"] == str(30_000 * 2 * 2 - 5)
        number = {"account": company["account"]}
        ledger = client.get("/_sandbox/pipedrive/ledger", params=number).json()
        assert [each["name"] for each in ledger["persons"]] == ["Ada"]
        assert (ledger["tokens_spent"], ledger["calls"]["by_path"]) == (5, {"/api/v2/persons": 1})
        effects = client.get("/_sandbox/pipedrive/effects", params=number).json()
        assert [(each["effect"], each["kind"], each["by"]) for each in effects] == [("created", "persons", "api")]
        assert client.get("/_sandbox/pipedrive/calls").json()[str(company["account"])]["total"] == 1
        assert client.get("/_sandbox/pipedrive/accounts").json() == [{**number, "name": "Acme"}]
        ended = client.post("/_sandbox/pipedrive/tokens", json={**number, "action": "expire"})
        assert ended.status_code == 204
        assert client.get("/pipedrive/api/v2/persons", headers=headers).status_code == 401


@pytest.mark.parametrize("document", [{"plan": "free"}, {"seats": 0}, {"seats": "1"}, {"seats": True}, {"hub_id": 1}])
def test_a_company_that_cannot_be_is_refused(clock: Clock, document: dict[str, object]) -> None:
    pipedrive = Pipedrive(clock)
    with pytest.raises(ValueError, match="company"):
        pipedrive.open_account(document)
    assert pipedrive.accounts() == []


def test_what_one_company_has_no_other_sees(acme: Acme) -> None:
    person = acme.person("Ada", "ada@example.com")
    other = acme.pipedrive.open_company()
    assert acme.as_token(other.access_token, f"/persons/{person}").status_code == 404
    assert acme.as_token(other.access_token, "/persons").json()["data"] == []


def test_calls_are_counted_without_record_ids(acme: Acme) -> None:
    person = acme.person()
    acme.get(f"/persons/{person}")
    acme.get("/persons/1")
    acme.get("/nothing")
    assert acme.ledger["calls"] == {
        "total": 4,
        "by_path": {"/api/v2/persons": 1, "/api/v2/persons/{id}": 2, "/api/v2/nothing": 1},
        "by_status": {"201": 1, "200": 1, "404": 2},
    }


def test_a_lost_answer_leaves_the_record(acme: Acme) -> None:
    acme.pipedrive.faults.add(Fault(path="/persons$", method="POST", drop_answer=True))
    with pytest.raises(httpx.RemoteProtocolError):
        acme.post("/persons", name="Ada")
    assert [each["name"] for each in acme.ledger["persons"]] == ["Ada"]
    assert acme.ledger["calls"]["by_status"] == {"cut": 1}


def test_a_fault_strikes_the_calls_of_an_api_token_too(acme: Acme) -> None:
    acme.pipedrive.faults.add(Fault(account=acme.company.number, status=503, html=True))
    assert acme.as_user("/persons").status_code == 503
    assert acme.as_user("/persons").status_code == 200


def test_an_unknown_path_is_answered_in_the_envelope(acme: Acme) -> None:
    response = acme.get("/contacts")
    assert response.status_code == 404
    assert error(response)


def test_people_work_in_the_company_too(acme: Acme, clock: Clock) -> None:
    company = acme.company
    ada = company.create("persons", name="Ada", emails=[{"value": "ada@example.com"}])
    clock.advance(5)
    company.update("persons", ada, name="Ada L")
    assert company.read("persons", ada)["name"] == acme.get(f"/persons/{ada}").json()["data"]["name"] == "Ada L"
    assert acme.found(term="ada@example.com", fields="email", exact_match="true") == [ada]
    note = company.create("notes", content="Hello", person_id=ada)
    company.delete("persons", ada)
    assert company.read("persons", ada)["is_deleted"] is True
    assert acme.get(f"/persons/{ada}").status_code == 404
    assert company.read("notes", note)["person_id"] == ada
    assert [(each["effect"], each["by"]) for each in acme.effects] == [
        ("created", "person"),
        ("updated", "person"),
        ("created", "person"),
        ("deleted", "person"),
    ]
    assert acme.effects[1]["values"] == {"name": "Ada L", "last_name": "L"}


def test_people_are_held_to_the_same_rules(acme: Acme) -> None:
    company = acme.company
    with pytest.raises(ValueError, match="org_id"):
        company.create("persons", name="Ada", org_id=5)
    with pytest.raises(ValueError, match="job_title"):
        company.create("persons", name="Ada", job_title="Countess")
    for attempt in (company.read, company.update, company.delete):
        with pytest.raises(KeyError):
            attempt("persons", 5)


def test_the_ledger_is_json_and_holds_what_lives(acme: Acme) -> None:
    code = acme.company.add_field("deals", "Our key")
    kept, gone = acme.person("Ada"), acme.person("Eve")
    acme.delete(f"/persons/{gone}")
    acme.made("/deals", title="Deal", custom_fields={code: "d-1"})
    acme.made("/activities", participants=[{"person_id": kept}])
    acme.made("/organizations", name="Acme")
    acme.made("/api/v1/notes", content="Hello", person_id=kept)
    ledger = json.loads(json.dumps(acme.ledger))
    assert [each["id"] for each in ledger["persons"]] == [kept]
    assert ledger["deals"][0]["custom_fields"] == {code: "d-1"}
    assert [each["field_code"] for each in ledger["fields"]["deals"]] == [code]
    assert ledger["fields"]["persons"] == []
    assert [len(ledger[kind]) for kind in ("organizations", "activities", "notes")] == [1, 1, 1]
    assert ledger["tokens_spent"] == 10 + 3 + 5 + 5 + 5 + 10
