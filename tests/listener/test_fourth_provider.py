"""A CRM that the house has never heard of needs one module and one statement."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import providers
from sandbox.server import serve
from tests import toy
from tests.house import House, eventually
from tests.listener.daemons import ROOT, daemon
from tests.toy.app import ToyCrm

FOLDER = Path(toy.__file__).parent
HOUSE = ("providers", "listener", "sql", "sandbox")
CONFIG = {
    "limits": {"core": {"calls": 100, "seconds": 1}},
    "status_values": {"new": "cold", "contacted": "warm", "qualified": "hot"},
    "status_ranks": [["cold"], ["warm"], ["hot"]],
    "field_mappings": {
        "company": [{"from": "company", "to": "name"}],
        "contact": [
            {"from": "email", "to": "mail", "policy": "if_blank"},
            {"from": "first_name", "to": "given_name", "policy": "when_changed"},
            {"from": "status", "to": "mood", "policy": "forward_only"},
        ],
        "deal": [{"from": "name", "to": "title"}, {"from": "amount", "to": "worth"}],
    },
}


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one module, where the daemon looks for modules."""
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(FOLDER)])
    yield
    sys.modules.pop("providers.toy", None)


@pytest.mark.usefixtures("module")
def test_a_fourth_crm_is_one_module_and_one_statement(house: House, database: str) -> None:
    crm = ToyCrm()
    account = crm.open_account()
    with serve(crm.app) as server:
        config = {**CONFIG, "api_base_url": server.url, "api_version": "1", "auth_url": "", "token_url": server.url}
        house.connection.execute(
            "select crm_sync.register_provider('toy', 'Toy', 'A CRM for tests.', '', 'api_key', %s)",
            [json.dumps(config)],
        )
        organization = house.organization()
        integration = house.integration(organization, "toy", credentials={"access_token": account.access_token})
        contact = house.contact(organization, "Ada@Example.com", first_name="Ada", company="Engines")
        with daemon(database):
            house.reply(organization, contact, "interested", attention=True)
            eventually(
                lambda: house.rows("select status, count(*) from sync_queue group by status") == [("completed", 4)],
                "the end of all work",
            )
    (person,), (firm,), (chance,), (entry,), (todo,) = (
        list(account.rows[kind].values()) for kind in ("people", "firms", "chances", "entries", "todos")
    )
    assert person["values"] == {"mail": "ada@example.com", "given_name": "Ada", "mood": "hot"}
    assert (firm["values"], person["links"]) == ({"name": "Engines"}, {"firms": firm["id"]})
    assert chance["values"]["title"] == "Ada - Email Lead"
    assert "Intent: interested" in entry["values"]["text"]
    assert {each["links"]["people"] for each in (chance, entry, todo)} == {person["id"]}
    mapped = house.rows("select external_contact_id, external_company_id, external_deal_id from contact_sync_mappings")
    assert mapped == [(person["id"], firm["id"], chance["id"])]
    described = house.rows(
        "select name from crm_sync.crm_fields where integration_id = %s and object = 'contact' order by name",
        integration,
    )
    assert [name for (name,) in described] == ["family_name", "given_name", "mail", "mood"]


def test_nothing_in_the_house_knows_of_the_fourth_crm() -> None:
    naming = [
        path.relative_to(ROOT).as_posix()
        for folder in HOUSE
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".sql", ".html", ".json"} and re.search(r"\btoy\b", path.read_text(), re.IGNORECASE)
    ]
    assert naming == []
    assert importlib.util.find_spec("providers.toy") is None
    words = [
        word for path in (FOLDER / "toy.py",) for word in re.findall(r"^(?:from|import) (\w+)", path.read_text(), re.M)
    ]
    assert set(words) <= {"__future__", "collections", "typing", "httpx", "providers"}
