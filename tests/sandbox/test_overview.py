"""The page that shows what the emulated CRMs contain, whatever each of them calls things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from sandbox.app import create_app
from sandbox.crms import NAMES, emulate, locate
from sandbox.faults import Faults
from sandbox.overview import MANY_ACCOUNTS, overview
from sandbox.overview_records import MOST_ROWS, TITLES, figures, tables
from sandbox.server import serve
from tests.sandbox.demo_ledgers import LEDGERS, Ledger

CALLS = {"total": 7, "by_path": {"/things": 7}, "by_status": {"200": 6, "cut": 1}}
EVERY_CRM = pytest.mark.parametrize("crm", LEDGERS)


class Still:
    """A CRM that contains what it is told, and nothing moves."""

    def __init__(
        self, name: str, ledger: Ledger, accounts: int = 1, effects: list[dict[str, Any]] | None = None
    ) -> None:
        self.name = name
        self.app = Starlette()
        self.faults = Faults()
        self._ledger = {**ledger, "calls": CALLS}
        self._accounts = accounts
        self._effects = effects or []

    def open_account(self, document: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError(f"nobody opens {document} here")

    def accounts(self) -> list[dict[str, Any]]:
        return [{"account": number, "name": f"<i>account</i> {number}"} for number in range(self._accounts)]

    def ledger(self, account: int) -> dict[str, Any]:
        return self._ledger

    def effects(self, account: int) -> list[dict[str, Any]]:
        return self._effects

    def calls(self) -> dict[str, dict[str, Any]]:
        return {str(number): CALLS for number in range(self._accounts)}

    def end_tokens(self, account: int, action: str) -> None:
        raise AssertionError(f"no tokens to {action} in {account}")

    def refuse(self, account: int, error: str, *, times: int = 1) -> None:
        raise AssertionError(f"nothing to refuse with {error} in {account}, {times} times")


@EVERY_CRM
def test_every_kind_of_record_is_shown_with_its_values_and_escaped(crm: str) -> None:
    page = overview([Still(crm, LEDGERS[crm]())])
    for text in (
        "ada@example.com",
        "O&#x27;Neil",
        "Acme GmbH",
        "Ada - Email Lead",
        "Reply to Ada",
        "Re: &lt;hello&gt;",
    ):
        assert text in page
    assert "<hello>" not in page
    assert "<i>account" not in page
    assert "6 × 200" in page


@EVERY_CRM
def test_what_refers_to_a_record_shows_its_name(crm: str) -> None:
    shown = {table.kind: table for table in tables(crm, {**LEDGERS[crm](), "calls": CALLS})}
    deals = shown.get("deals") or shown["opportunities"]
    assert "Acme GmbH" in " ".join(deals.rows[0])
    people = shown.get("persons") or shown["contacts"]
    assert "Acme GmbH" in people.rows[0][-1]
    tasks = shown.get("activities") or shown["tasks"]
    assert all("ada@example.com" in " ".join(row) for row in tasks.rows)


@EVERY_CRM
def test_figures_count_every_kind_and_the_calls(crm: str) -> None:
    counts = dict(figures(crm, {**LEDGERS[crm](), "calls": CALLS, "tokens_spent": 40}))
    assert counts["Calls spent"] == 7
    assert counts["Tokens spent"] == 40
    assert counts.get("Deals", counts.get("Opportunities")) == 1
    assert counts.get("Leads", 0) == 0


def test_a_long_list_shows_its_newest_rows_and_how_many_there_are() -> None:
    ledger = LEDGERS["pipedrive"]()
    ledger["organizations"] = [{"id": number, "name": f"Company {number}"} for number in range(MOST_ROWS + 20)]
    page = overview([Still("pipedrive", ledger)])
    assert f"The newest {MOST_ROWS} of {MOST_ROWS + 20}." in page
    assert "Company 119" in page
    assert "Company 7<" not in page


def test_the_accounts_of_each_crm_stand_below_its_name_and_many_of_them_are_folded_up() -> None:
    few = overview([Still(crm, make()) for crm, make in LEDGERS.items()])
    assert [few.index(f'class="crm">{title}') for title in ("HubSpot", "Salesforce", "Pipedrive")] == sorted(
        few.index(f'class="crm">{title}') for title in ("HubSpot", "Salesforce", "Pipedrive")
    )
    assert "<details open>" in few
    many = overview([Still(crm, make(), MANY_ACCOUNTS) for crm, make in LEDGERS.items()])
    assert many.count("<section>") == 3 * MANY_ACCOUNTS
    assert "<details open>" not in many
    assert f"{MANY_ACCOUNTS} accounts" in many


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        ({"object_type": "contacts", "id": "7", "properties": {"phone": ""}}, "contacts 7: phone=cleared"),
        ({"kind": "persons", "id": 7, "by": "api", "values": {"name": "Ada"}}, "persons 7: name=Ada"),
        ({"kind": "deals", "field_code": "a1", "field_name": "App id"}, "deals App id"),
        ({"from_type": "deals", "from_id": "3", "to_type": "contacts", "to_id": "1"}, "deals 3 → contacts 1"),
    ],
)
def test_an_effect_is_told_in_words(effect: dict[str, Any], words: str) -> None:
    told = [{"at": "2026-11-22T09:30:00Z", "effect": "changed", **effect}]
    assert words in overview([Still("pipedrive", LEDGERS["pipedrive"](), effects=told)])


def test_an_empty_sandbox_says_how_an_account_is_opened() -> None:
    assert "No account is open yet" in overview([Still("hubspot", {}, accounts=0)])


def test_the_sandbox_serves_every_crm_and_shows_the_accounts_of_each() -> None:
    with serve(create_app(*map(emulate, NAMES))) as server, httpx.Client(base_url=server.url) as client:
        for crm in NAMES:
            opened = client.post(f"/_sandbox/{crm}/accounts", json={"name": f"acme in {crm}"})
            assert opened.status_code == 201
            assert isinstance(opened.json()["account"], int)
            assert {"access_token", "refresh_token"} <= opened.json().keys()
        page = client.get("/").text
    for crm in NAMES:
        assert f"acme in {crm}" in page
        assert f'class="crm">{TITLES[crm]} <small>1 account</small>' in page


@pytest.mark.parametrize("crm", ["salesforce", "pipedrive"])
def test_tokens_name_the_place_where_the_crm_was_put(crm: str) -> None:
    emulator = emulate(crm)
    locate(emulator, "http://127.0.0.1:8900")
    assert getattr(emulator, "base_url", None) == f"http://127.0.0.1:8900/{crm}"


@pytest.mark.parametrize(
    ("crm", "path"),
    [
        ("hubspot", "/hubspot/contacts/0/record/0-1/1"),
        ("salesforce", "/salesforce/lightning/r/Contact/{id}/view"),
        ("pipedrive", "/pipedrive/person/1"),
    ],
)
def test_a_record_is_shown_where_the_crm_shows_it_and_escaped(crm: str, path: str) -> None:
    ledger = LEDGERS[crm]()
    (contact,) = ledger.get("contacts") or ledger["persons"]
    with serve(create_app(Still(crm, ledger))) as server:
        shown = httpx.get(server.url + path.format(id=contact["id"]))
        assert shown.status_code == 200
        for text in ("ada@example.com", "O&#x27;Neil", "&lt;i&gt;account&lt;/i&gt;"):
            assert text in shown.text
        assert httpx.get(server.url + path.format(id="0").replace("/1", "/0")).status_code == 404
