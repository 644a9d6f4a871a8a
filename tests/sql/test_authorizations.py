"""A state serves once, for ten minutes, in the browser that left, for the CRM and the user it was made for."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House

MANY = 1000
MOST_UNDER_WAY = 20
SOME = 200
"""Of each kind; a thousand of each come back in tests/console/test_connecting.py."""
"""Of one user; with the next one, the oldest is void."""
BACK = "https://app.example.com/api/integrations/hubspot/callback"
BEGIN = "select crm_sync.begin_authorization(%s, %s, %s, %s, %s, %s, %s, %s)"
TAKE = "select * from crm_sync.take_authorization(%s, %s, %s)"
CONNECT = "select * from crm_sync.connect_integration(%s, %s, %s, %s, %s)"
TOKEN = json.dumps({"access_token": "a", "refresh_token": "r"})
pytestmark = pytest.mark.usefixtures("rolled_back")


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


@dataclass(frozen=True)
class Departed:
    state: str
    session: str
    verifier: str
    provider: str = "hubspot"


class Browser:
    """A member's, as the console serves it."""

    def __init__(self, house: House, organization: UUID, user: UUID | None = None) -> None:
        self.house = house
        self.organization = organization
        self.user = user or house.user(organization, f"{secrets.token_hex(4)}@example.com")

    def elsewhere(self, house: House) -> Browser:
        """The same, in another session of the database."""
        return Browser(house, self.organization, self.user)

    def ask(self, query: str, *arguments: Any) -> tuple[Any, ...]:
        with self.house.as_role("crm_sync_console", self.user) as connection, connection.transaction():
            row = connection.execute(query.encode(), arguments).fetchone()
        assert row is not None
        return row

    def ask_each(self, query: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """All in one statement: a thousand statements would take half a minute."""
        with self.house.as_role("crm_sync_console", self.user) as connection, connection.transaction():
            return connection.execute(query.encode(), arguments).fetchall()

    def leave(self, provider: str = "hubspot", name: str = "default", organization: UUID | None = None) -> Departed:
        left = Departed(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), provider)
        where = organization or self.organization
        hashes = digest(left.state), digest(left.session)
        self.ask(BEGIN, where, provider, name, *hashes, left.verifier, BACK, None)
        return left

    def leave_often(self, provider: str, times: int) -> list[Departed]:
        made = [
            Departed(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), provider)
            for _ in range(times)
        ]
        states, sessions = [digest(each.state) for each in made], [digest(each.session) for each in made]
        self.ask_each(
            "select crm_sync.begin_authorization(%s, %s, 'default', l.state, l.session, l.verifier, %s) "
            "from unnest(%s::bytea[], %s::bytea[], %s::text[]) as l (state, session, verifier)",
            *(self.organization, provider, BACK, states, sessions, [each.verifier for each in made]),
        )
        return made

    def come_back_often(
        self, left: list[Departed], *, session: str | None = None, provider: str | None = None
    ) -> list[tuple[Any, ...]]:
        states, sessions = [digest(each.state) for each in left], [digest(session or each.session) for each in left]
        return self.ask_each(
            "select t.* from unnest(%s::bytea[], %s::bytea[], %s::text[]) as l (state, session, provider) "
            "cross join lateral crm_sync.take_authorization(l.state, l.session, l.provider) as t",
            *(states, sessions, [provider or each.provider for each in left]),
        )

    def come_back(
        self, left: Departed, *, state: str | None = None, session: str | None = None, provider: str | None = None
    ) -> tuple[Any, ...]:
        given = digest(state or left.state), digest(session or left.session)
        return self.ask(TAKE, *given, provider or left.provider)


@pytest.fixture
def browser(house: House, organization: UUID) -> Browser:
    return Browser(house, organization)


def assert_nothing_is_left(house: House) -> None:
    assert house.value("select count(*) from public.user_integrations") == 0
    assert house.value("select count(*) from public.sync_activity_logs") == 0


def refused(row: tuple[Any, ...], outcome: str) -> bool:
    return row == (outcome, None, None, None, None, None, None)


def test_who_comes_back_gets_what_was_asked_for(house: House, browser: Browser) -> None:
    left = browser.leave(name="Sales")
    user = str(browser.user)
    assert browser.come_back(left) == ("ok", browser.organization, user, "Sales", left.verifier, BACK, None)


def test_a_thousand_forged_states_are_refused(house: House, browser: Browser) -> None:
    left = browser.leave()
    altered = [left.state[:-1] + chr(33 + n % 90) + str(n) for n in range(MANY // 2)]
    states = altered + [secrets.token_urlsafe(32) for _ in range(MANY // 2)]
    rows = browser.come_back_often([replace(left, state=state) for state in states])
    assert len(rows) == MANY
    assert all(refused(row, "unknown") for row in rows)
    assert_nothing_is_left(house)
    assert house.value("select count(*) from crm_sync.authorizations") == 1
    assert browser.come_back(left)[0] == "ok", "forgeries harm nobody else's state"


def test_a_thousand_replays_are_refused(house: House, browser: Browser) -> None:
    left = browser.leave()
    assert browser.come_back(left)[0] == "ok"
    rows = browser.come_back_often([left] * MANY)
    assert len(rows) == MANY
    assert all(refused(row, "used") for row in rows)
    assert_nothing_is_left(house)


@pytest.mark.parametrize("kind", ["expired", "other_session", "other_provider", "other_user"])
def test_hundreds_of_states_are_refused_that_are_not_this_ones(house: House, browser: Browser, kind: str) -> None:
    other = Browser(house, browser.organization)
    tried = 0
    for n in range(SOME // MOST_UNDER_WAY):
        left = browser.leave_often("hubspot" if n % 2 else "salesforce", MOST_UNDER_WAY)
        outcome = kind
        if kind == "expired":
            house.connection.execute("update crm_sync.authorizations set expires_at = now() where used_at is null")
            rows = browser.come_back_often(left)
        elif kind == "other_session":
            rows = browser.come_back_often(left, session=secrets.token_urlsafe(32))
        elif kind == "other_provider":
            rows = browser.come_back_often(left, provider="pipedrive" if n % 3 else "no such")
        else:
            rows, outcome = other.come_back_often(left), "other_session"
        again = browser.come_back_often(left)
        assert all(refused(row, outcome) for row in rows), rows
        assert all(refused(row, "used") for row in again), "a state that was seen elsewhere is void"
        assert len(rows) == len(again) == MOST_UNDER_WAY
        tried += len(rows)
    assert tried == SOME
    assert_nothing_is_left(house)
    assert house.value("select count(*) from crm_sync.authorizations where sealed_verifier <> ''") == 0


def test_who_is_no_member_any_more_connects_nothing(house: House, browser: Browser) -> None:
    left = browser.leave()
    house.connection.execute("delete from public.users where id = %s", [browser.user])
    assert refused(browser.come_back(left), "other_session")
    with pytest.raises(psycopg.Error) as error:
        browser.ask(CONNECT, browser.organization, "hubspot", "default", TOKEN, None)
    assert error.value.sqlstate == "CS021"
    assert_nothing_is_left(house)


def test_a_stranger_begins_and_connects_nothing(house: House, browser: Browser) -> None:
    stranger = Browser(house, house.organization("Other"))
    for organization in (browser.organization, uuid4(), None):
        hashes = digest("s"), digest("t")
        for query, arguments in (
            (BEGIN, (organization, "hubspot", "default", *hashes, "v", BACK, None)),
            (CONNECT, (organization, "hubspot", "default", TOKEN, None)),
        ):
            with pytest.raises(psycopg.Error) as error:
                stranger.ask(query, *arguments)
            assert error.value.sqlstate == "CS021"
    assert house.value("select count(*) from crm_sync.authorizations") == 0
    assert_nothing_is_left(house)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"provider": "nobody"}, "no such CRM"),
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"state": b"short"}, "SHA-256"),
        ({"session": None}, "SHA-256"),
        ({"redirect": "http://app.example.com/callback"}, "redirect"),
        ({"redirect": "javascript:alert(1)"}, "redirect"),
        ({"redirect": None}, "redirect"),
        ({"login": "http://169.254.169.254"}, "login"),
        ({"login": "https://evil@example.com"}, "login"),
        ({"login": "javascript:alert(1)"}, "login"),
    ],
)
def test_what_makes_no_sense_is_not_begun(house: House, browser: Browser, changed: dict[str, Any], words: str) -> None:
    given: dict[str, Any] = {
        "organization": browser.organization,
        "provider": "hubspot",
        "name": "default",
        "state": digest("s"),
        "session": digest("t"),
        "verifier": "v",
        "redirect": BACK,
        "login": None,
        **changed,
    }
    with pytest.raises(psycopg.Error, match=words) as error:
        browser.ask(BEGIN, *given.values())
    assert error.value.sqlstate == "CS020"
    assert house.value("select count(*) from crm_sync.authorizations") == 0


def test_neither_state_nor_session_nor_verifier_is_stored_as_it_is(house: House, browser: Browser) -> None:
    left = browser.leave()
    stored = house.value("select a::text || encode(a.sealed_verifier, 'escape') from crm_sync.authorizations as a")
    for secret in (left.state, left.session, left.verifier):
        assert secret not in stored
        assert secret.encode().hex() not in stored


def test_whoever_asks_again_and_again_makes_only_his_own_oldest_void(house: House, browser: Browser) -> None:
    other = Browser(house, browser.organization)
    of_other, oldest = other.leave(), browser.leave()
    house.connection.execute("update crm_sync.authorizations set created_at = now() - interval '1 minute'")
    for _ in range(19):
        newest = browser.leave()
    assert house.value("select count(*) from crm_sync.authorizations") == 21
    browser.leave()
    assert house.value("select count(*) from crm_sync.authorizations") == 21
    assert refused(browser.come_back(oldest), "unknown")
    assert browser.come_back(newest)[0] == "ok"
    assert other.come_back(of_other)[0] == "ok"


def test_old_authorizations_are_purged_and_fresh_ones_are_not(house: House, browser: Browser) -> None:
    browser.leave()
    house.connection.execute("update crm_sync.authorizations set expires_at = now() - interval '25 hours'")
    fresh = browser.leave()
    with house.as_role("crm_sync_daemon"):
        assert house.value("select crm_sync.purge_remains()") == 1
    assert browser.come_back(fresh)[0] == "ok"


def test_a_connection_that_is_renewed_keeps_what_the_customer_chose(house: House, browser: Browser) -> None:
    first = browser.ask(CONNECT, browser.organization, "hubspot", "default", TOKEN, json.dumps({"id": "1"}))
    assert first[1:] == (True, False)
    house.connection.execute(
        "update public.user_integrations set sync_settings = sync_settings || '{\"deal_amount\": 7}', "
        'field_mappings = \'{"contact": [{"from": "email", "to": "email"}]}\', sync_frequency = \'daily\', '
        "status = 'disconnected'"
    )
    kept = "select sync_settings, field_mappings, sync_filters, sync_frequency from public.user_integrations"
    before = house.rows(kept)
    assert browser.ask(CONNECT, browser.organization, "hubspot", "default", TOKEN, json.dumps({"id": "1"})) == (
        first[0],
        False,
        False,
    )
    assert house.rows(kept) == before
    assert house.value("select status from public.user_integrations") == "connected"
    titles = house.rows("select title, description from public.sync_activity_logs order by id")
    assert [title for title, _ in titles] == ["Connected", "Connected again"]
    assert all(str(browser.user) in words for _, words in titles)


@pytest.mark.parametrize("credentials", [None, "", "{}", "sealed:1:00000000:AAAA", '"x"', '{"access_token": ""}'])
def test_credentials_that_are_none_are_refused(house: House, browser: Browser, credentials: str | None) -> None:
    with pytest.raises(psycopg.Error) as error:
        browser.ask(CONNECT, browser.organization, "hubspot", "default", credentials, None)
    assert error.value.sqlstate == "CS003"
    assert_nothing_is_left(house)


def test_a_crm_that_is_switched_off_is_not_connected(house: House, browser: Browser) -> None:
    house.connection.execute("update public.integration_providers set is_active = false")
    with pytest.raises(psycopg.Error) as error:
        browser.ask(CONNECT, browser.organization, "hubspot", "default", TOKEN, None)
    assert error.value.sqlstate == "CS020"
    assert browser.ask("select crm_sync.oauth_provider('hubspot')") == (None,)


@pytest.mark.parametrize("role", ["authenticated", "anon", "crm_sync_producer", "crm_sync_reader"])
def test_nobody_else_may_take_or_connect(house: House, browser: Browser, role: str) -> None:
    for query in (
        "select * from crm_sync.take_authorization('', '', '')",
        "select * from crm_sync.connect_integration(null, '', '', '', null)",
        "select crm_sync.begin_authorization(null, '', '', '', '', '', '')",
        "select * from crm_sync.authorizations",
        "select crm_sync.note_account(1, '{}')",
    ):
        with (
            house.as_role(role, browser.user) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            connection.transaction(),
        ):
            connection.execute(query.encode())


def test_the_console_alone_reads_no_credentials_and_no_authorization(house: House, browser: Browser) -> None:
    for query in (
        "select credentials from public.user_integrations",
        "select * from crm_sync.authorizations",
        "select * from crm_sync.revocations",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), house.connection.transaction():
            browser.ask(query)


def test_the_console_opens_no_credentials_but_those_of_its_users_organizations(house: House, browser: Browser) -> None:
    own, others = house.integration(browser.organization), house.integration(house.organization())
    opened = "select count(*) from crm_sync.open_credentials(%s)"
    assert browser.ask(opened, own) == (1,)
    assert browser.ask(opened, others) == (0,)
