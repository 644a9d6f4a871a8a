"""Connecting by OAuth through the sandbox's own consent pages, for all three CRMs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from listener.authorize import Connected, Departure, Flow, NotConnected
from listener.db import Database
from providers.base import Http, open_http
from tests.listener.browser import consent
from tests.listener.crms import Account
from tests.listener.daemons import APPS, settings_for
from tests.listener.shop import Shop

BACK = "http://127.0.0.1:8914/callback"
OPENED = "select credentials from crm_sync.open_credentials(%s)"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with open_http(8) as opened:
        yield opened


@pytest.fixture
async def operator(database: str) -> AsyncIterator[Database]:
    opened = await Database.open(settings_for(database))
    yield opened
    await opened.close()


@pytest.fixture
async def secrets(database: str) -> AsyncIterator[Database]:
    """The console's."""
    opened = await Database.open(settings_for(database), role="crm_sync_console")
    yield opened
    await opened.close()


class Person:
    """A member of an organization who connects a CRM in a browser."""

    def __init__(self, shop: Shop, database: Database, http: Http, organization: UUID, user: UUID) -> None:
        self.shop = shop
        self.organization = organization
        self.provider = shop.crm.name
        self.flow = Flow(database.on_behalf_of(json.dumps({"sub": str(user)})), APPS, http)

    async def leave(self, **options: Any) -> Departure:
        return await self.flow.begin(self.organization, self.provider, redirect_uri=BACK, **options)

    def consent(self, departure: Departure, account: Account, **changed: Any) -> dict[str, str]:
        where, query = consent(departure.url, self.shop.kit.choice, account.number, **changed)
        assert where == BACK
        return query

    async def come_back(self, departure: Departure, query: dict[str, str], **changed: Any) -> Connected:
        given = {"state": query.get("state"), "code": query.get("code"), "error": query.get("error")}
        session = {"session_secret": departure.session_secret}
        provider = changed.pop("provider", self.provider)
        return await self.flow.finish(provider, **{**given, **session, **changed})

    async def connect(self, account: Account, **options: Any) -> Connected:
        departure = await self.leave(**options)
        return await self.come_back(departure, self.consent(departure, account))


def person_of(shop: Shop, database: Database, http: Http) -> Person:
    organization = shop.house.organization()
    return Person(shop, database, http, organization, shop.house.user(organization))


@pytest.fixture
def person(each_shop: Shop, secrets: Database, http: Http) -> Person:
    return person_of(each_shop, secrets, http)


def account_of(shop: Shop, **options: Any) -> Account:
    return shop.kit.account(shop.crm, shop.url, **options)


async def test_a_member_connects_each_crm_and_what_is_found_there_is_noted(person: Person) -> None:
    shop = person.shop
    account = account_of(shop)
    connected = await person.connect(account)
    assert (connected.is_new, connected.is_other_account) == (True, False)
    assert connected.account is not None
    row = shop.house.rows(
        "select organization_id, id, name, status, account_id, account_name, account_url from user_integrations"
    )
    assert row == [
        (
            person.organization,
            connected.integration_id,
            "default",
            "connected",
            connected.account.id,
            connected.account.name,
            connected.account.url,
        )
    ]
    opened = shop.house.value(OPENED, connected.integration_id)
    assert opened["access_token"]
    assert opened["refresh_token"]
    assert "token_url" not in opened
    log = shop.house.rows("select title, description from sync_activity_logs")
    assert log[0][0] == "Connected"
    assert connected.account.words in log[0][1]


async def test_whoever_refuses_connects_nothing_and_begins_anew(person: Person) -> None:
    account = account_of(person.shop)
    departure = await person.leave()
    denied = person.consent(departure, account, decision="deny")
    with pytest.raises(NotConnected) as refused:
        await person.come_back(departure, denied)
    assert refused.value.code == "access_denied"
    with pytest.raises(NotConnected) as again:
        await person.come_back(departure, denied)
    assert again.value.code == "invalid_state"
    assert person.shop.house.value("select count(*) from user_integrations") == 0
    assert (await person.connect(account)).is_new


async def test_a_code_without_its_state_and_a_state_without_its_browser_connect_nothing(person: Person) -> None:
    account = account_of(person.shop)
    departure = await person.leave()
    query = person.consent(departure, account)
    for changed, code in (
        ({"state": None}, "missing_parameters"),
        ({"state": "forged"}, "invalid_state"),
        ({"session_secret": None}, "invalid_state"),
        ({}, "invalid_state"),  # used up by the one before
    ):
        with pytest.raises(NotConnected) as refused:
            await person.come_back(departure, query, **changed)
        assert refused.value.code == code
    assert person.shop.house.value("select count(*) from user_integrations") == 0
    assert account.calls["total"] == 0, "nobody has asked the CRM for tokens"


async def test_another_organizations_member_connects_nothing_here(shop: Shop, secrets: Database, http: Http) -> None:
    person, stranger = person_of(shop, secrets, http), person_of(shop, secrets, http)
    with pytest.raises(NotConnected) as refused:
        await stranger.flow.begin(person.organization, "hubspot", redirect_uri=BACK)
    assert refused.value.code == "not_allowed"
    with pytest.raises(NotConnected) as refused:
        await stranger.flow.begin(uuid4(), "hubspot", redirect_uri=BACK)
    assert refused.value.code == "not_allowed"
