"""Which setting changed when and by whom: crm_sync.changes and settings_at()."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, people

pytestmark = pytest.mark.usefixtures("rolled_back")

LAST = "select {} from crm_sync.changes order by id desc limit {}"


def last(house: House, columns: str = "what, key, action, difference", count: int = 1) -> list[tuple[Any, ...]]:
    return house.connection.execute(LAST.format(columns, count).encode()).fetchall()


def count(house: House) -> int:
    return int(house.value("select count(*) from crm_sync.changes"))


def change(house: House, integration: int, **columns: Any) -> None:
    for name, value in columns.items():
        house.connection.execute(
            f"update public.user_integrations set {name} = %s where id = %s".encode(),
            [json.dumps(value) if isinstance(value, dict) else value, integration],
        )


def merge(house: House, integration: int, **settings: Any) -> None:
    house.connection.execute(
        "update public.user_integrations set sync_settings = sync_settings || %s where id = %s",
        [json.dumps(settings), integration],
    )


def clock(house: House) -> datetime:
    moment: datetime = house.value("select clock_timestamp()")
    return moment


def in_force(house: House, integration: int, at: datetime | None = None) -> dict[str, Any]:
    rows = house.rows("select setting, value from crm_sync.settings_at(%s, %s)", integration, at or clock(house))
    return dict(rows)


def test_a_changed_setting_is_written_down_with_who_and_from_what_to_what(
    house: House, organization: UUID, integration: int
) -> None:
    ada = house.user(organization, "ada@example.com")
    with house.as_role("authenticated", ada):
        merge(house, integration, deal_amount=2000, deal_close_days=14)
    (entry,) = last(house, "what, key, name, action, difference, changed_by, login, organization_id, integration_id")
    assert entry == (
        "connection", str(integration), "hubspot/default", "update",
        {
            "sync_settings.deal_amount": {"before": 1000, "after": 2000},
            "sync_settings.deal_close_days": {"before": 30, "after": 14},
        },
        str(ada), house.value("select session_user::text"), organization, integration,
    )  # fmt: skip
    old, new = last(house, "old, new")[0]
    assert (old["sync_settings"]["deal_amount"], new["sync_settings"]["deal_amount"]) == (1000, 2000)


def test_a_connections_life_from_the_first_day_to_the_last(house: House, organization: UUID) -> None:
    integration = house.integration(organization, sync_frequency="hourly")
    assert last(house, "action, old, new ->> 'sync_frequency'") == [("insert", None, "hourly")]
    change(house, integration, name="Sales", sync_frequency="daily")
    change(house, integration, sync_filters={"all": [{"field": "intent", "op": "=", "value": "x"}]})
    change(house, integration, field_mappings={"contact": [{"from": "phone", "to": "mobilephone"}]})
    house.value("select crm_sync.disconnect(%s)", integration)
    house.connection.execute("delete from public.user_integrations where id = %s", [integration])
    assert [row[0] for row in reversed(last(house, "difference", 5))] == [
        {"sync_frequency": {"before": "hourly", "after": "daily"}},
        {"sync_filters.all": {"after": [{"field": "intent", "op": "=", "value": "x"}]}},
        {"field_mappings.contact": {"after": [{"from": "phone", "to": "mobilephone"}]}},
        {"status": {"before": "connected", "after": "disconnected"}},
        last(house, "difference")[0][0],
    ]
    assert last(house, "action, new, name") == [("delete", None, "hubspot/Sales")], "the entry outlives the connection"


def test_rules_crms_and_the_whole_systems_settings_are_written_down(house: House, organization: UUID) -> None:
    house.connection.execute("update crm_sync.intent_rules set create_deal = true where intent = 'question'")
    house.connection.execute(
        "insert into crm_sync.intent_rules (organization_id, intent, contact_status) values (%s, 'maybe', 'contacted')",
        [organization],
    )
    house.connection.execute("update crm_sync.intent_rules set intent = 'perhaps' where intent = 'maybe'")
    house.connection.execute("delete from crm_sync.intent_rules where intent = 'perhaps'")
    house.connection.execute(
        "update public.integration_providers set config = jsonb_set(config, '{limits,core,calls}', '7'), "
        "is_active = false where name = 'hubspot'"
    )
    house.connection.execute("update crm_sync.config set give_up_after = '3 days'")
    assert list(reversed(last(house, "what, key, action, organization_id", 7))) == [
        ("intent_rule", "question", "update", None),
        ("intent_rule", "maybe", "insert", organization),
        ("intent_rule", "maybe", "delete", organization),
        ("intent_rule", "perhaps", "insert", organization),
        ("intent_rule", "perhaps", "delete", organization),
        ("provider", "hubspot", "update", None),
        ("config", "config", "update", None),
    ]
    config, provider = (row[0] for row in last(house, "difference", 2))
    assert config == {"give_up_after": {"before": "7 days", "after": "3 days"}}
    assert provider == {
        "config.limits.core.calls": {"before": 110, "after": 7},
        "is_active": {"before": True, "after": False},
    }


def test_what_the_daemon_writes_costs_no_entry_and_no_trigger(
    house: House, organization: UUID, integration: int, daemon: Daemon
) -> None:
    people(house, organization, 3)
    before = count(house)
    daemon.work()
    people(house, organization, 1)
    daemon.fail(daemon.claim(), "unauthorized")
    assert house.value("select status from public.user_integrations") == "error"
    house.connection.execute(  # a token is refreshed
        "update public.user_integrations set credentials = %s, status = 'connected'", ['{"access_token": "new"}']
    )
    house.value("select crm_sync.pause(%s)", integration)
    change(house, integration, name="default", sync_frequency="realtime")
    assert count(house) == before
    # of counting, not even the condition of a trigger is asked
    columns = house.rows(
        "select a.attname from pg_trigger as t cross join unnest(t.tgattr::int2[]) as u (number) "
        "join pg_attribute as a on a.attrelid = t.tgrelid and a.attnum = u.number "
        "where t.tgrelid = 'public.user_integrations'::regclass and t.tgname = 'crm_sync_record_update'"
    )
    counters = {"total_synced_contacts", "total_synced_deals", "last_sync_at", "next_sync_at", "last_error"}
    assert counters.isdisjoint(name for (name,) in columns)
    assert ("sync_settings",) in columns


def test_no_secret_is_written_down(house: House, integration: int) -> None:
    merge(house, integration, crm_token="s3cret", gateway={"url": "https://u:s3cret@host/", "port": 1})
    merge(house, integration, crm_token="s3cret-2")
    assert last(house, "difference, new #>> '{sync_settings,crm_token}'") == [
        ({"sync_settings.crm_token": {"before": "[secret]", "after": "[secret]"}}, "[secret]")
    ]
    house.connection.execute(
        "update public.integration_providers set config = config || "
        """'{"proxy": {"password": "s3cret", "host": "h"}}' where name = 'hubspot'"""
    )
    written = house.value("select string_agg(c::text, ' ') from crm_sync.changes as c")
    assert "s3cret" not in written
    assert "access_token" not in written
    assert "sealed:" not in written


def test_what_was_in_force_at_a_time_and_since_when(house: House, organization: UUID, integration: int) -> None:
    first = clock(house)
    merge(house, integration, deal_amount=2000)
    house.connection.execute(
        "insert into crm_sync.intent_rules (organization_id, intent, contact_status) "
        "values (%s, 'interested', 'contacted')",
        [organization],
    )
    second = clock(house)
    merge(house, integration, deal_amount=None, status_values={"new": "OPEN"})
    house.connection.execute("delete from crm_sync.intent_rules where organization_id = %s", [organization])
    house.connection.execute(
        """update public.integration_providers set config = config || '{"api_base_url": "http://gateway"}'"""
    )
    third = clock(house)
    amounts = [in_force(house, integration, at)["sync_settings.deal_amount"] for at in (first, second, third)]
    assert amounts == [1000, 2000, None]
    rules = [in_force(house, integration, at)["intent_rules.interested"] for at in (first, second, third)]
    common = {"contact_status": "qualified", "create_deal": True}
    assert rules == [common, {"contact_status": "contacted", "create_deal": False}, common]
    urls = [in_force(house, integration, at)["provider.config.api_base_url"] for at in (second, third)]
    assert urls == ["https://api.hubapi.com", "http://gateway"]
    now = in_force(house, integration)
    assert now["sync_settings.status_values"] == {"new": "OPEN"}
    assert now["sync_filters"] == {}
    assert now["name"] == "default"
    assert now["status"] == "connected"
    since = dict(house.rows("select setting, changed_at from crm_sync.settings_at(%s, %s)", integration, clock(house)))
    assert since["sync_settings.deal_close_days"] < first < since["sync_settings.deal_amount"]
    assert second < since["sync_settings.deal_amount"] < third
    assert in_force(house, integration, datetime.fromisoformat("2000-01-01T00:00:00+00:00")) == {}
    house.connection.execute("delete from public.user_integrations where id = %s", [integration])
    assert in_force(house, integration) == {}
    assert in_force(house, integration, third) == now


def test_members_see_their_own_changes_and_the_reader_all(house: House, organization: UUID, integration: int) -> None:
    other = house.organization("Other")
    theirs = house.integration(other)
    ada, olga = house.user(organization, "ada@example.com"), house.user(other, "olga@example.com")
    with house.as_role("authenticated", ada):
        assert house.rows("select distinct organization_id from crm_sync.changes") == [(organization,)]
        assert in_force(house, integration)["sync_settings.deal_amount"] == 1000
        assert in_force(house, theirs) == in_force(house, 10**9) == {}
    with house.as_role("authenticated", olga):
        assert house.rows("select distinct organization_id from crm_sync.changes") == [(other,)]
        assert in_force(house, integration) == {}
    with house.as_role("crm_sync_reader"):
        assert {row[0] for row in house.rows("select distinct organization_id from crm_sync.changes")} == {
            organization, other, None,
        }  # fmt: skip
        assert in_force(house, theirs)


@pytest.mark.parametrize("role", ["authenticated", "crm_sync_reader", "crm_sync_daemon", "crm_sync_console"])
@pytest.mark.parametrize("statement", ["update crm_sync.changes set name = 'x'", "delete from crm_sync.changes"])
def test_nobody_changes_what_was_written_down(house: House, role: str, statement: str) -> None:
    verb = statement.partition(" ")[0]
    assert not house.value("select has_table_privilege(%s, 'crm_sync.changes', %s)", role, verb)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), house.connection.transaction():
        house.connection.execute(f"set local role {role}; {statement}".encode())


FLIPS = """
do $$
begin
  for v_turn in 1..{} loop
    update public.user_integrations set sync_settings = sync_settings || jsonb_build_object('deal_amount', v_turn);
  end loop;
end;
$$
"""


def flip(house: House, times: int) -> None:
    house.connection.execute(FLIPS.format(times).encode())


def test_a_setting_that_is_flipped_again_and_again_fills_nothing_and_the_last_word_is_known(
    house: House, organization: UUID, integration: int
) -> None:
    ada, bob = house.user(organization, "ada@example.com"), house.user(organization, "bob@example.com")
    other = house.integration(house.organization("Other"))
    with house.as_role("authenticated", ada):
        flip(house, 300)
    with house.as_role("authenticated", bob):
        merge(house, integration, deal_amount=7)
    key = str(integration)
    entries = "select count(*), sum(changes) from crm_sync.changes where key = %s"
    assert house.rows(entries, key) == [(200, 302)], "200 in full, those after them in the last of them"
    (entry,) = house.rows(
        "select changed_by, others, action, difference, changes, first_changed_at < changed_at from crm_sync.changes "
        "where key = %s order by id desc limit 1",
        key,
    )
    assert entry == (
        str(bob), [str(ada)], "update", {"sync_settings.deal_amount": {"before": 198, "after": 7}}, 103, True,
    )  # fmt: skip
    assert in_force(house, integration)["sync_settings.deal_amount"] == 7
    merge(house, other, deal_amount=5)
    assert last(house, "key, changes") == [(str(other), 1)], "of others every change is kept"
    house.connection.execute(
        "update crm_sync.changes set changed_at = changed_at - interval '25 hours', "
        "first_changed_at = first_changed_at - interval '25 hours'"
    )
    merge(house, integration, deal_amount=8)
    assert last(house, "difference, changes, others") == [
        ({"sync_settings.deal_amount": {"before": 7, "after": 8}}, 1, None)
    ]


def test_what_is_made_and_deleted_again_and_again_is_one_entry_that_says_how_it_ended(
    house: House, organization: UUID, integration: int
) -> None:
    flip(house, 199)
    make = (
        "insert into crm_sync.intent_rules (organization_id, intent, contact_status) values (%s, 'maybe', 'contacted')"
    )
    columns = "key, action, old ->> 'contact_status', new ->> 'contact_status', changes"

    def entries() -> list[tuple[Any, ...]]:
        return house.rows(f"select {columns} from crm_sync.changes where what = 'intent_rule' and key = 'maybe'")

    house.connection.execute(make.encode(), [organization])
    assert entries() == [("maybe", "insert", None, "contacted", 1)]
    house.connection.execute("update crm_sync.intent_rules set contact_status = 'qualified' where intent = 'maybe'")
    assert entries() == [("maybe", "insert", None, "qualified", 2)]
    house.connection.execute("delete from crm_sync.intent_rules where intent = 'maybe'")
    assert entries() == [("maybe", "delete", None, None, 3)]
    house.connection.execute(make.encode(), [organization])
    assert entries() == [("maybe", "insert", None, "contacted", 4)]
    assert in_force(house, integration)["intent_rules.maybe"]["contact_status"] == "contacted"


def test_of_several_changes_in_one_entry_it_is_known_that_a_secret_was_among_them(
    house: House, organization: UUID, integration: int
) -> None:
    flip(house, 201)
    merge(house, integration, api_token="one-that-nobody-may-read")
    merge(house, integration, deal_amount=1000)
    ((difference, changes),) = last(house, "difference, changes")
    assert changes > 2
    assert difference["sync_settings.api_token"] == {"after": "[secret]"}
    assert "one-that-nobody-may-read" not in str(last(house, "old, new, difference"))


def test_with_an_organization_all_is_erased_that_was_written_of_it(house: House, organization: UUID) -> None:
    house.integration(organization)
    house.connection.execute(
        "insert into crm_sync.intent_rules (organization_id, intent) values (%s, 'maybe')", [organization]
    )
    house.connection.execute("delete from public.organizations where id = %s", [organization])
    assert house.value("select count(*) from crm_sync.changes where organization_id is not null") == 0


def test_old_entries_are_purged_but_for_what_was_in_force_then(
    house: House, organization: UUID, integration: int
) -> None:
    for amount in (1, 2, 3):
        merge(house, integration, deal_amount=amount)
    gone = house.integration(organization, "pipedrive")
    house.connection.execute("delete from public.user_integrations where id = %s", [gone])
    house.connection.execute("update crm_sync.changes set changed_at = changed_at - interval '25 months'")
    merge(house, integration, deal_amount=4)
    house.value("select sum(crm_sync.purge_remains()) from generate_series(1, 100)")  # pages have their turn at random
    entries = "select action, new #>> '{sync_settings,deal_amount}' from crm_sync.changes where key = %s order by id"
    assert house.rows(entries, str(integration)) == [("update", "3"), ("update", "4")]
    assert house.rows(entries, str(gone)) == []
    year_ago = house.value("select now() - interval '1 year'")
    assert in_force(house, integration, year_ago)["sync_settings.deal_amount"] == 3
    assert in_force(house, integration, year_ago)["sync_settings.deal_close_days"] == 30, "since when, nobody knows"
    house.connection.execute("update crm_sync.config set retain_changes = '100 years'")
    assert house.value("select crm_sync.purge_changes()") == 0


def test_what_was_there_before_the_audit_was_found(house: House, organization: UUID, integration: int) -> None:
    house.connection.execute("delete from crm_sync.changes")
    assert house.value("select crm_sync.record_found()") == 1 + 3 + 4 + 10 + 1
    assert house.rows("select distinct changed_by, action from crm_sync.changes") == [
        ("found when the audit began", "insert")
    ]
    assert house.value("select crm_sync.record_found()") == 0
    assert in_force(house, integration)["sync_settings.deal_amount"] == 1000


def test_a_new_database_begins_with_its_settings_written_down(house: House) -> None:
    kinds = dict(house.rows("select what, count(*) from crm_sync.changes group by what"))
    assert kinds == {"config": 1, "provider": 3, "intent_rule": 4, "alert_rule": 10}


def test_any_table_of_settings_can_be_recorded(house: House, organization: UUID) -> None:
    """As the alert rules are: one trigger whose arguments say what it is."""
    house.connection.execute(
        "create table crm_sync.bells (id bigint primary key, organization_id uuid, title text, limit_of integer, "
        "webhook_secret text, created_at timestamptz default now())"
    )
    house.connection.execute(
        "create trigger bells after insert or update or delete on crm_sync.bells for each row "
        "execute function crm_sync.record_change('alert_rule', 'id', 'title')"
    )
    house.connection.execute("insert into crm_sync.bells values (7, %s, 'Loud', 5, 's3cret')", [organization])
    house.connection.execute("update crm_sync.bells set limit_of = 6")
    assert last(house, "what, key, name, action, organization_id, new, difference") == [
        (
            "alert_rule", "7", "Loud", "update", organization,
            {"title": "Loud", "limit_of": 6, "webhook_secret": "[secret]"},
            {"limit_of": {"before": 5, "after": 6}},
        )
    ]  # fmt: skip


def test_keys_that_could_be_taken_for_a_path_are_in_quotes(house: House) -> None:
    rows = house.rows(
        "select path, before, after from crm_sync.json_difference(%s, %s) order by path",
        json.dumps({"a": {"b.c": 1, "d": [1]}, "e": None}),
        json.dumps({"a": {"b.c": 2, "d": [2]}, "f": {}}),
    )
    assert rows == [('a."b.c"', 1, 2), ("a.d", [1], [2]), ("e", None, None), ("f", None, {})]
    assert house.rows("select * from crm_sync.json_difference('1', '1.0')") == []
