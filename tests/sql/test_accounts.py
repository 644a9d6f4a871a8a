"""The account behind a connection: noted once, compared with each new one, replaced only when a person says so."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, documents, queue, synced

pytestmark = pytest.mark.usefixtures("rolled_back")

ACME = {"id": "123", "name": "Acme", "url": "https://app.hubspot.com"}
GLOBEX = {"id": "456", "name": "Globex", "url": "https://app-eu1.hubspot.com"}
ADOPT = "select crm_sync.adopt_account(%s, %s)"
NOTE = "select crm_sync.note_account(%s, %s)"
STATE = "select status, account_id, account_name, account_url from public.user_integrations"
LANE = "select other_account, parked_kind, parked_until = 'infinity' from crm_sync.lanes"


def note(house: House, integration: int, account: dict[str, Any], *version: int) -> bool | None:
    query = NOTE if not version else NOTE.replace("%s)", "%s, %s)")
    answer: bool | None = Daemon(house).call(query, integration, json.dumps(account), *version)
    return answer


def connect_to(house: House, integration: int, token: str = "new") -> None:
    house.connection.execute(
        "update public.user_integrations set credentials = %s, status = 'connected' where id = %s",
        [json.dumps({"access_token": token}), integration],
    )


def test_the_first_account_is_noted_and_its_name_follows_the_crm(house: House, integration: int) -> None:
    assert note(house, integration, ACME)
    assert note(house, integration, {"id": "123"}), "a name that is not told stays"
    assert house.rows(STATE) == [("connected", "123", "Acme", "https://app.hubspot.com")]
    assert note(house, integration, {**ACME, "name": "Acme Ltd"})
    assert house.rows(STATE) == [("connected", "123", "Acme Ltd", "https://app.hubspot.com")]
    assert house.rows(LANE) == [(None, None, None)]


def test_another_account_stops_the_connection_in_plain_words(house: House, integration: int, row: UUID) -> None:
    note(house, integration, ACME)
    assert note(house, integration, GLOBEX) is False
    assert house.rows(STATE) == [("error", "123", "Acme", "https://app.hubspot.com")]
    assert house.rows(LANE) == [(GLOBEX, "other_account", True)]
    words = house.value("select last_error from public.user_integrations")
    assert "these credentials are for Globex (456); the ids that we hold are of Acme (123)" in words
    assert house.rows("select title, status from public.sync_activity_logs order by id desc limit 1") == [
        ("Another account", "warning")
    ]
    assert Daemon(house).try_claim() is None
    assert queue(house) == [("pending", 0)]


def test_the_old_account_again_goes_on_and_another_one_again_does_not(
    house: House, integration: int, row: UUID
) -> None:
    note(house, integration, ACME)
    note(house, integration, GLOBEX)
    for account, goes_on in ((GLOBEX, False), (ACME, True)):
        connect_to(house, integration)
        batch = Daemon(house).claim()
        assert batch["schema_ready"] is False, "a daemon asks before it sends"
        Daemon(house).call("select crm_sync.release_batch(%s)", batch["id"])
        assert note(house, integration, account, batch["connected_version"]) is goes_on
        assert (Daemon(house).try_claim() is not None) is goes_on
    assert house.rows(LANE) == [(None, None, None)]


def test_what_was_found_out_with_credentials_that_are_gone_is_void(house: House, integration: int) -> None:
    note(house, integration, ACME)
    connect_to(house, integration)
    version = house.value("select connected_version from crm_sync.lanes")
    assert version == house.value("select credentials_version from public.user_integrations")
    assert note(house, integration, GLOBEX, version - 1) is None
    ready = "select crm_sync.mark_schema_ready(%s, true, '{}', %s)"
    Daemon(house).call(ready, integration, version - 1)
    assert house.value("select schema_ready_at from crm_sync.lanes") is None
    assert note(house, integration, ACME, version)
    Daemon(house).call(ready, integration, version)
    assert house.value("select schema_ready_at from crm_sync.lanes") is not None


def test_a_refresh_changes_no_account_and_a_connection_during_one_does(house: House, integration: int) -> None:
    daemon = Daemon(house)
    daemon.call("select crm_sync.mark_schema_ready(%s)", integration)
    assert daemon.call("select crm_sync.begin_refresh(%s, 1)", integration) == "yours"
    assert daemon.call('select crm_sync.store_credentials(%s, 1, \'{"access_token": "b"}\')', integration) == 2
    look = "select schema_ready_at is not null, connected_version from crm_sync.lanes"
    assert house.rows(look) == [(True, 0)]
    assert daemon.call("select crm_sync.begin_refresh(%s, 2)", integration) == "yours"
    connect_to(house, integration)
    assert house.rows(look) == [(False, 3)]


def test_a_crm_that_names_no_account_may_go_on_only_where_none_is_known(house: House, integration: int) -> None:
    assert note(house, integration, {}) is True
    note(house, integration, ACME)
    assert note(house, integration, {}) is False
    assert house.rows(STATE)[0][0] == "connected"


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("123", "123", True),
        ("123", "124", False),
        ("00D5g000004abcD", "00D5g000004abcDEAQ", True),
        ("00D5g000004abcDEAQ", "00D5g000004abcD", True),
        ("00D5g000004abcd", "00D5g000004abcD", False),
        ("00D5g000004abcDEAQ", "00D5g000004abcDEAR", True),
        ("123456789012345", "123456789012345678", False),
    ],
)
def test_salesforce_writes_an_id_with_15_or_18_characters(house: House, one: str, other: str, is_same: bool) -> None:
    assert house.value("select crm_sync.same_account(%s, %s)", one, other) is is_same


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://user@evil.example",
        "http://evil.example",
        'https://x.example/"onclick="',
        "https://x.example/\njavascript:1",
        "https://x.example/ y",
        "//evil.example",
        "https://",
        "",
    ],
)
def test_an_address_that_could_harm_is_not_noted(house: House, integration: int, url: str) -> None:
    assert house.value("select crm_sync.is_web_url(%s)", url) is False
    note(house, integration, {**ACME, "url": url, "name": "x" * 5000})
    assert house.value("select account_url from public.user_integrations") is None
    assert house.value("select length(account_name) from public.user_integrations") == 200


def test_without_another_account_there_is_nothing_to_adopt(house: House, integration: int) -> None:
    note(house, integration, ACME)
    for keeps in (True, False, None):
        with pytest.raises(psycopg.Error) as error, house.connection.transaction():
            house.value(ADOPT, integration, keeps)
        assert error.value.sqlstate == "CS020"


def synced_contact(house: House, organization: UUID, integration: int) -> UUID:
    """A contact with a deal and a note, all in the CRM."""
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    Daemon(house).work()
    assert house.value("select external_contact_id from public.contact_sync_mappings") is not None
    return contact


def test_ids_that_are_kept_are_used_in_the_other_account(house: House, organization: UUID, integration: int) -> None:
    note(house, integration, ACME)
    synced_contact(house, organization, integration)
    before = house.rows("select external_contact_id, external_deal_id, sync_data from public.contact_sync_mappings")
    effects = house.value("select count(*) from crm_sync.effects where external_id is not null")
    note(house, integration, GLOBEX)
    words = house.value(ADOPT, integration, True)
    assert words == "It goes on with Globex (456) instead of Acme (123); the ids are kept"
    assert house.rows(STATE) == [("connected", "456", "Globex", "https://app-eu1.hubspot.com")]
    assert house.rows(LANE) == [(None, None, None)]
    assert house.rows("select external_contact_id, external_deal_id, sync_data from public.contact_sync_mappings") == (
        before
    )
    assert house.value("select count(*) from crm_sync.effects where external_id is not null") == effects
    assert house.value("select description from public.sync_activity_logs where title = 'Account replaced'").startswith(
        words
    )


def test_ids_that_are_forgotten_are_looked_up_anew(house: House, organization: UUID, integration: int) -> None:
    note(house, integration, ACME)
    contact = synced_contact(house, organization, integration)
    note(house, integration, GLOBEX)
    assert "the ids of 1 contact are forgotten" in house.value(ADOPT, integration, False)
    house.reply(organization, contact, "interested")
    batch = Daemon(house).claim()
    document = documents(batch)[0]
    assert (batch["schema_ready"], batch["account"]) == (False, {})
    assert "external_id" not in document
    assert document.get("unchanged") in (None, False)
    Daemon(house).finish(batch, [synced(document, "new-id")])
    kinds = {"deals": 0, "activities": 0}
    for each in Daemon(house).work():
        for kind in kinds:
            kinds[kind] += len(each[kind])
            assert all(d["contact_external_id"] == "new-id" for d in each[kind])
    assert kinds == {"deals": 1, "activities": 1}, "the deal is made in the other account as well"
    assert_books_balance(house)


def test_what_was_waiting_for_a_contact_of_the_old_account_is_done_in_the_other(
    house: House, organization: UUID, integration: int
) -> None:
    note(house, integration, ACME)
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    Daemon(house).confirm(Daemon(house).claim())
    assert queue(house, "queue_type, status", "completed_at is null") == [
        ("deal_sync", "pending"),
        ("activity_sync", "pending"),
    ]
    late = Daemon(house).claim()
    note(house, integration, GLOBEX)
    house.value(ADOPT, integration, False)
    assert Daemon(house).confirm(late) == 0, "what a daemon says of the old account is void"
    assert queue(house, "queue_type, status", "completed_at is null") == [("contact_sync", "pending")]
    done = [document for batch in Daemon(house).work() for document in documents(batch)]
    assert sorted(document.get("key", "contact").split(":")[0] for document in done) == ["contact", "deal", "message"]
    assert queue(house, "status", "completed_at is null") == []
    assert_books_balance(house)


def test_rows_that_had_failed_stay_failed_and_may_be_retried(
    house: House, organization: UUID, integration: int
) -> None:
    note(house, integration, ACME)
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    daemon = Daemon(house)
    daemon.confirm(daemon.claim())
    daemon.fail(daemon.claim(), "rejected")
    note(house, integration, GLOBEX)
    house.value(ADOPT, integration, False)
    assert queue(house, "status", "status = 'failed'") == [("failed",), ("failed",)]
    house.reply(organization, contact, "question")
    daemon.work()
    assert house.value("select crm_sync.retry_failed(%s)", integration) == 2
    daemon.work()
    assert queue(house, "status", "completed_at is null") == []
    assert house.value("select count(*) from crm_sync.effects where external_id is null") == 0
    assert_books_balance(house)


def test_a_member_decides_for_his_own_organization_only(house: House, organization: UUID, integration: int) -> None:
    note(house, integration, ACME)
    note(house, integration, GLOBEX)
    stranger = house.user(house.organization("Other"))
    with (
        house.as_role("authenticated", stranger),
        pytest.raises(psycopg.Error) as error,
        house.connection.transaction(),
    ):
        house.value(ADOPT, integration, False)
    assert error.value.sqlstate == "CS021"
    with house.as_role("authenticated", house.user(organization)):
        assert house.value(ADOPT, integration, True)


@pytest.mark.parametrize(
    ("provider", "account", "object_", "id_", "url"),
    [
        ("hubspot", ACME, "contact", "7", "https://app.hubspot.com/contacts/123/record/0-1/7"),
        ("hubspot", ACME, "company", "7", "https://app.hubspot.com/contacts/123/record/0-2/7"),
        ("hubspot", ACME, "deal", "7", "https://app.hubspot.com/contacts/123/record/0-3/7"),
        ("hubspot", ACME, "lead", "7", None),
        ("hubspot", {"id": "123"}, "contact", "7", None),
        ("hubspot", ACME, "contact", "7/../../x", None),
        ("hubspot", ACME, "contact", "{account_url}", None),
        ("hubspot", ACME, "contact", None, None),
        (
            "salesforce",
            {"id": "00D", "url": "https://acme.my.salesforce.com"},
            "contact",
            "003x",
            "https://acme.my.salesforce.com/lightning/r/Contact/003x/view",
        ),
        (
            "salesforce",
            {"id": "00D", "url": "https://acme.my.salesforce.com"},
            "contact",
            "00Qx",
            "https://acme.my.salesforce.com/lightning/r/Lead/00Qx/view",
        ),
        (
            "pipedrive",
            {"id": "1", "url": "https://acme.pipedrive.com"},
            "deal",
            "9",
            "https://acme.pipedrive.com/deal/9",
        ),
    ],
)
def test_a_record_has_a_link_where_all_of_it_is_known(
    house: House, organization: UUID, provider: str, account: dict[str, str], object_: str, id_: str, url: str | None
) -> None:
    integration = house.integration(organization, provider)
    note(house, integration, account)
    with house.as_role("authenticated", house.user(organization)):
        assert house.value("select crm_sync.record_url(%s, %s, %s)", integration, object_, id_) == url
    stranger = house.user(house.organization("Other"))
    with house.as_role("authenticated", stranger):
        assert house.value("select crm_sync.record_url(%s, %s, %s)", integration, object_, id_) is None
    with house.as_role("crm_sync_reader"):
        assert house.value("select crm_sync.record_url(%s, %s, %s)", integration, object_, id_) == url
