"""Connecting by OAuth through the sandbox's own consent pages, for all three CRMs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from listener.authorize import Connected, Departure, Flow, NotConnected
from listener.db import Database
from providers.account import AccountFacts
from providers.base import Http, open_http
from sandbox.faults import Fault
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


async def test_a_code_for_another_redirect_or_without_its_verifier_connects_nothing(person: Person) -> None:
    account = account_of(person.shop)
    departure = await person.leave()
    somewhere = "http://127.0.0.1:9999/elsewhere"
    _, query = consent(departure.url, person.shop.kit.choice, account.number, redirect_uri=somewhere)
    with pytest.raises(NotConnected) as refused:
        await person.come_back(departure, query)
    assert refused.value.code == "connection_failed"
    if person.provider == "salesforce":  # an attacker's code, with the victim's state: the verifier does not fit
        victim, attacker = await person.leave(), await person.leave()
        query = {**person.consent(victim, account), "code": person.consent(attacker, account)["code"]}
        with pytest.raises(NotConnected) as refused:
            await person.come_back(victim, query)
        assert refused.value.code == "connection_failed"
    assert person.shop.house.value("select count(*) from user_integrations") == 0


async def test_a_code_is_exchanged_once_and_its_words_tell_nothing(
    person: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    account = account_of(person.shop)
    departure = await person.leave()
    query = person.consent(departure, account)
    connected = await person.come_back(departure, query)
    other = await person.leave()
    with pytest.raises(NotConnected) as refused:
        await person.come_back(other, {**query, "state": other.state})
    assert refused.value.code == "connection_failed"
    opened = person.shop.house.value(OPENED, connected.integration_id)
    said = capsys.readouterr()
    told = said.out + said.err + repr((departure, connected, refused.value, refused.value.__cause__))
    secrets = (query["code"], departure.state, departure.session_secret, opened["access_token"])
    assert not [secret for secret in (*secrets, opened["refresh_token"]) if secret in told]


async def test_a_state_serves_its_own_crm_only(person: Person) -> None:
    account = account_of(person.shop)
    departure = await person.leave()
    query = person.consent(departure, account)
    other = next(name for name in APPS if name != person.provider)
    with pytest.raises(NotConnected) as refused:
        await person.come_back(departure, query, provider=other)
    assert refused.value.code == "invalid_state"
    assert account.calls["total"] == 0, "a code is shown to no other CRM"


async def test_connecting_again_keeps_what_the_customer_chose(person: Person) -> None:
    shop, account = person.shop, account_of(person.shop)
    first = await person.connect(account)
    shop.house.connection.execute(
        "update user_integrations set sync_frequency = 'daily', sync_settings = sync_settings || '{\"deal_amount\": 7}'"
    )
    shop.house.value("select crm_sync.disconnect(%s)", first.integration_id)
    again = await person.connect(account)
    assert (again.integration_id, again.is_new, again.is_other_account) == (first.integration_id, False, False)
    assert shop.house.rows("select status, sync_frequency, sync_settings ->> 'deal_amount' from user_integrations") == [
        ("connected", "daily", "7")
    ]


async def test_two_crm_accounts_may_be_connected_under_two_names(shop: Shop, secrets: Database, http: Http) -> None:
    person = person_of(shop, secrets, http)
    first, second = await person.leave(name="Sales"), await person.leave(name="Support")
    accounts = account_of(shop), account_of(shop)
    for departure, account in ((second, accounts[1]), (first, accounts[0])):
        await person.come_back(departure, person.consent(departure, account))
    assert shop.house.rows("select name, account_id from user_integrations order by name") == [
        ("Sales", str(accounts[0].number)),
        ("Support", str(accounts[1].number)),
    ]


async def test_two_tabs_of_one_browser_share_its_session(shop: Shop, secrets: Database, http: Http) -> None:
    person, account = person_of(shop, secrets, http), account_of(shop)
    first = await person.leave(name="a")
    second = await person.leave(name="b", session_secret=first.session_secret)
    assert second.session_secret == first.session_secret
    for departure in (first, second):
        assert (await person.come_back(departure, person.consent(departure, account))).is_new


async def test_what_the_crm_says_instead_of_a_code_is_not_repeated(person: Person) -> None:
    departure = await person.leave()
    with pytest.raises(NotConnected) as refused:
        await person.flow.finish(
            person.provider,
            code=None,
            state=departure.state,
            session_secret=departure.session_secret,
            error="<script>alert(1)</script>",
        )
    assert refused.value.code == "connection_failed"
    assert "script" not in refused.value.words


@pytest.mark.parametrize("harm", [{"status": 500}, {"body": "<html>", "status": 200}, {"drop_answer": True}])
async def test_a_token_endpoint_that_fails_connects_nothing_and_is_asked_once(
    person: Person, harm: dict[str, Any]
) -> None:
    shop, account = person.shop, account_of(person.shop)
    departure = await person.leave()
    query = person.consent(departure, account)
    shop.crm.faults.add(Fault(path=shop.kit.token_path, method="POST", **harm))
    with pytest.raises(NotConnected) as refused:
        await person.come_back(departure, query)
    assert refused.value.code == "connection_failed"
    assert shop.house.value("select count(*) from user_integrations") == 0
    assert (await person.connect(account)).is_new


async def test_without_an_app_or_a_crm_that_is_switched_on_nobody_leaves(
    shop: Shop, secrets: Database, http: Http
) -> None:
    person = person_of(shop, secrets, http)
    shop.house.connection.execute("update integration_providers set is_active = false where name = 'pipedrive'")
    flow = Flow(person.flow._database, {"pipedrive": APPS["pipedrive"]}, http)
    for provider, code in (
        ("hubspot", "not_configured"),
        ("pipedrive", "unknown_provider"),
        ("x", "unknown_provider"),
    ):
        with pytest.raises(NotConnected) as refused:
            await flow.begin(person.organization, provider, redirect_uri=BACK)
        assert refused.value.code == code


HOSTILE = (
    "evil.example",
    "http://test.salesforce.com",
    "https://test.salesforce.com@evil.example/",
    "https://evil.example/.salesforce.com",
    "https://evilsalesforce.com",
    "https://salesforce.com.evil.example",
    "javascript:alert(1)//.salesforce.com",
    "http://127.0.0.1:1/",
    "http://localhost:5432",
    "http://169.254.169.254/latest",
    "https://acme.my.site.force.com",
    "https://[::1]",
    "//",
    "https://\u2024salesforce.com",
)


@pytest.fixture
def salesforce(open_shop: Callable[..., Shop], secrets: Database, http: Http) -> Person:
    return person_of(open_shop("salesforce"), secrets, http)


@pytest.mark.parametrize("login", HOSTILE)
async def test_a_login_host_that_is_not_salesforces_is_refused(salesforce: Person, login: str) -> None:
    with pytest.raises(NotConnected) as refused:
        await salesforce.leave(login_url=login)
    assert refused.value.code == "invalid_request"
    assert salesforce.shop.house.value("select count(*) from crm_sync.authorizations") == 0


@pytest.mark.parametrize(
    ("login", "host"),
    [
        ("test.salesforce.com", "https://test.salesforce.com"),
        ("https://acme--uat.sandbox.my.salesforce.com/", "https://acme--uat.sandbox.my.salesforce.com"),
        ("https://acme.lightning.force.com/lightning/page/home", "https://acme.my.salesforce.com"),
    ],
)
async def test_a_sandbox_or_my_domain_is_where_the_browser_goes(salesforce: Person, login: str, host: str) -> None:
    departure = await salesforce.leave(login_url=login)
    assert departure.url.startswith(f"{host}/services/oauth2/authorize?response_type=code&client_id=")
    assert salesforce.shop.house.value("select login_url from crm_sync.authorizations") == host


async def test_where_somebody_logs_in_is_where_tokens_are_refreshed(salesforce: Person) -> None:
    shop = salesforce.shop
    shop.configure("salesforce", auth_url="https://login.salesforce.com/services/oauth2/authorize")
    shop.configure("salesforce", token_url="https://login.salesforce.com/services/oauth2/token")
    shop.configure("salesforce", api_base_url=shop.url)
    connected = await salesforce.connect(account_of(shop), login_url=shop.url)
    opened = shop.house.value(OPENED, connected.integration_id)
    assert opened["token_url"] == f"{shop.url}/services/oauth2/token"
    assert connected.account is not None
    assert connected.account.id.startswith("00D")


@pytest.mark.parametrize("place", ["http://169.254.169.254", "https://evil.example", "http://127.0.0.1:1@evil.example"])
async def test_a_token_goes_to_no_place_that_a_token_answer_makes_up(salesforce: Person, place: str) -> None:
    shop = salesforce.shop
    departure = await salesforce.leave()
    query = salesforce.consent(departure, account_of(shop))
    answer = {"access_token": "a", "refresh_token": "r", "instance_url": place}
    shop.crm.faults.add(Fault(path=shop.kit.token_path, method="POST", status=200, body=answer))
    with pytest.raises(NotConnected) as refused:
        await salesforce.come_back(departure, query)
    assert refused.value.code == "connection_failed"
    assert shop.house.value("select count(*) from user_integrations") == 0


async def test_a_hostile_name_is_stored_as_one_harmless_line(salesforce: Person) -> None:
    name = "Acme\r\n\x1b[31m<script>\u202egro\0"
    connected = await salesforce.connect(account_of(salesforce.shop, name=name))
    assert connected.account is not None
    assert connected.account.name == "Acme [31m<script> gro"


async def test_who_may_not_be_asked_for_the_account_is_known_by_the_token_answer(
    shop: Shop, secrets: Database, http: Http
) -> None:
    person, account = person_of(shop, secrets, http), account_of(shop)
    shop.crm.faults.add(Fault(path="/account-info/", method="GET", status=503))
    connected = await person.connect(account)
    assert connected.account == AccountFacts(id=str(account.number))


async def test_a_token_that_the_crm_does_not_accept_is_not_stored(person: Person) -> None:
    shop, account = person.shop, account_of(person.shop)
    departure = await person.leave()
    query = person.consent(departure, account)
    for _ in range(2):
        shop.crm.faults.add(Fault(path="/(account-info|users/me|query|services/data)", method="GET", status=401))
    with pytest.raises(NotConnected) as refused:
        await person.come_back(departure, query)
    assert refused.value.code == "connection_failed"
    assert shop.house.value("select count(*) from user_integrations") == 0


async def test_claims_of_one_user_are_not_there_for_the_next(shop: Shop, secrets: Database, http: Http) -> None:
    person = person_of(shop, secrets, http)
    await person.leave()
    with pytest.raises(NotConnected) as refused:
        await Flow(secrets, APPS, http).begin(person.organization, "hubspot", redirect_uri=BACK)
    assert refused.value.code == "not_allowed"


async def test_an_operator_connects_any_organization(shop: Shop, operator: Database, http: Http) -> None:
    person = person_of(shop, operator, http)
    person.flow = Flow(operator, APPS, http)
    await person.connect(account_of(shop))
    assert "crm_sync_daemon" in shop.house.value("select description from sync_activity_logs")
