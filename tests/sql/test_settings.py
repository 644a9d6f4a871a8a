"""Settings that make no sense are refused in words; those that are left out have their defaults."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.house import House

pytestmark = pytest.mark.usefixtures("rolled_back")

DEFAULTS = {
    "auto_sync_contacts": True,
    "auto_create_deals": True,
    "log_activities": True,
    "deal_pipeline": "default",
    "deal_stage": "appointmentscheduled",
    "deal_amount": 1000,
    "deal_close_days": 30,
    "lead_source": "Email Campaign",
    "attention_tasks": True,
    "task_due_days": 1,
    "interested_overtake": False,
}
CONDITION = {"field": "intent", "op": "=", "value": "x"}


def settings_of(house: House) -> dict[str, Any]:
    settings: dict[str, Any] = house.value("select sync_settings from public.user_integrations")
    return settings


def test_a_new_connection_has_the_default_settings(house: House, organization: UUID) -> None:
    house.integration(organization)
    assert settings_of(house) == DEFAULTS


def test_the_providers_defaults_go_before_the_common_ones(house: House, organization: UUID) -> None:
    house.integration(organization, "salesforce")
    assert settings_of(house)["deal_stage"] == "Prospecting"


def test_a_tenants_settings_go_before_the_defaults_and_null_stays_null(house: House, organization: UUID) -> None:
    house.integration(organization, sync_settings={"deal_amount": None, "log_activities": False, "theirs": [1]})
    assert settings_of(house) == {**DEFAULTS, "deal_amount": None, "log_activities": False, "theirs": [1]}


def test_a_setting_that_is_left_out_of_an_update_falls_back_to_its_default(
    house: House, organization: UUID, integration: int
) -> None:
    """Not to nothing: deals must not stop because somebody has changed the amount."""
    house.connection.execute("""update public.user_integrations set sync_settings = '{"deal_amount": 5}'""")
    assert settings_of(house) == {**DEFAULTS, "deal_amount": 5}


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("sync_settings", [], "sync_settings: must be an object"),
        ("sync_settings", {"auto_sync_contacts": "yes"}, 'auto_sync_contacts must be true or false, not "yes"'),
        ("sync_settings", {"auto_create_deals": None}, "auto_create_deals must be true or false"),
        ("sync_settings", {"log_activities": 1}, "log_activities must be true or false"),
        ("sync_settings", {"deal_pipeline": " "}, "deal_pipeline must be a text"),
        ("sync_settings", {"deal_stage": 7}, "deal_stage must be a text"),
        ("sync_settings", {"deal_stage": "x" * 256}, "deal_stage must be a text of at most 255 letters"),
        ("sync_settings", {"status_values": {"new": "x" * 256}}, "status_values maps new, contacted"),
        ("sync_settings", {"deal_amount": 10**13}, "deal_amount must be a number"),
        ("sync_settings", {"lead_source": {}}, "lead_source must be a text of at most 255 letters or null"),
        ("sync_settings", {"deal_amount": "1000"}, "deal_amount must be a number"),
        ("sync_settings", {"deal_amount": -1}, "deal_amount must be a number of 0 or more"),
        ("sync_settings", {"deal_close_days": 1.5}, "deal_close_days must be a whole number"),
        ("sync_settings", {"deal_close_days": -1}, "deal_close_days must be a whole number"),
        ("sync_settings", {"deal_close_days": 10**9}, "deal_close_days must be a whole number from 0 to 3650"),
        ("sync_settings", {"deal_close_days": None}, "deal_close_days must be a whole number"),
        ("sync_settings", {"attention_tasks": "x"}, "attention_tasks must be true or false"),
        ("sync_settings", {"interested_overtake": None}, "interested_overtake must be true or false"),
        ("sync_settings", {"task_due_days": 366}, "task_due_days must be a whole number from 0 to 365"),
        ("sync_settings", {"task_due_days": "1"}, "task_due_days must be a whole number"),
        ("sync_settings", {"contact_object": "person"}, 'contact_object must be "contact" or "lead", not "person"'),
        ("sync_settings", {"contact_object": None}, 'contact_object must be "contact" or "lead"'),
        ("sync_settings", {"deal_currency": "EURO"}, "deal_currency must be the three letters"),
        ("sync_settings", {"deal_currency": 978}, "deal_currency must be the three letters"),
        ("sync_settings", {"status_values": {"hot": "X"}}, "status_values maps new, contacted"),
        ("sync_settings", {"status_values": {"new": 1}}, "status_values maps new, contacted"),
        ("sync_settings", {"status_values": ["NEW"]}, "status_values maps new, contacted"),
        ("sync_filters", "x", "sync_filters: must be an object"),
        ("sync_filters", {"some": []}, 'knows the groups "all" and "any", not "some"'),
        ("sync_filters", {"all": {}}, '"all" must be a list of conditions'),
        ("sync_filters", {"all": None}, '"all" must be a list of conditions'),
        ("sync_filters", {"any": ["x"]}, "a condition is an object with field, op and value"),
        ("sync_filters", {"any": [{}]}, "null is not a field to filter by"),
        ("sync_filters", {"any": [{**CONDITION, "field": "body"}]}, '"body" is not a field to filter by'),
        ("sync_filters", {"any": [{**CONDITION, "field": "contact.x'"}]}, "is not a field to filter by"),
        ("sync_filters", {"any": [{**CONDITION, "op": "like"}]}, '"like" is not an operator'),
        ("sync_filters", {"any": [{**CONDITION, "op": "in"}]}, '"in" does not go with the value "x"'),
        ("sync_filters", {"any": [{**CONDITION, "op": ">="}]}, '">=" does not go with the value "x"'),
        ("sync_filters", {"any": [{**CONDITION, "value": None}]}, '"=" does not go with the value null'),
        ("sync_filters", {"all": [[CONDITION]]}, "a condition is an object"),
        ("sync_filters", {"all": [{**CONDITION, "x": 1}]}, "a condition has field, op and value and nothing else"),
        ("sync_filters", {"all": [{**CONDITION, "field": ["intent"]}]}, '["intent"] is not a field to filter by'),
        (
            "sync_filters",
            {"all": [{**CONDITION, "field": "contact.shoe"}]},
            'contacts has no column "shoe": there are id,',
        ),
        (
            "sync_filters",
            {"all": [{**CONDITION, "op": "in", "value": [["x"]]}]},
            '"in" does not go with the value [["x"]]',
        ),
        (
            "sync_filters",
            {"all": [{**CONDITION, "op": "in", "value": [None]}]},
            '"in" does not go with the value [null]',
        ),
        ("sync_filters", {"all": [{**CONDITION, "op": "is blank"}]}, '"is blank" does not go with the value "x"'),
        ("sync_filters", {"all": [CONDITION] * 51}, '"all" has 51 conditions; 50 are the most'),
        ("sync_filters", {"all": [{**CONDITION, "value": "x" * 20_001}]}, "more than 20000 letters"),
        ("field_mappings", [], "field_mappings: must be an object"),
        ("field_mappings", {"note": []}, 'knows the objects "contact", "lead", "company" and "deal", not "note"'),
        ("field_mappings", {"deal": {}}, '"deal" must be a list of rules'),
        ("field_mappings", {"deal": ["x"]}, "a rule is"),
        ("field_mappings", {"deal": [{"from": "a"}]}, "a rule is"),
        ("field_mappings", {"deal": [{"to": "a"}]}, "a rule is"),
        ("field_mappings", {"deal": [{"from": "a", "value": "b", "to": "c"}]}, "a rule is"),
        ("field_mappings", {"deal": [{"from": "a", "to": ""}]}, '"to" is the name of a field'),
        ("field_mappings", {"deal": [{"from": "a", "to": 1}]}, '"to" is the name of a field'),
        ("field_mappings", {"deal": [{"from": "a", "to": "b", "policy": "x"}]}, '"x" is not a policy'),
        ("field_mappings", {"deal": [{"from": "a", "to": "b", "values": []}]}, '"values" maps our values'),
        ("field_mappings", {"deal": [{"from": "a", "to": "b", "values": {"x": []}}]}, '"values" maps to texts'),
        ("field_mappings", {"lead": [{"value": {}, "to": "b"}]}, "a constant is a text"),
        ("field_mappings", {"company": [{"from": "a", "to": "b", "policy": "always"}]}, "its policy is if_blank"),
        ("field_mappings", {"deal": [{"from": 5, "to": "b"}]}, '"from" is the name of a field of ours, not 5'),
        ("field_mappings", {"deal": [{"from": "name", "to": "x" * 256}]}, '"to" is the name of a field'),
        ("field_mappings", {"deal": [{"from": "name", "to": "b", "polcy": "if_blank"}]}, '"values", not "polcy"'),
        (
            "field_mappings",
            {"contact": [{"value": 1, "to": "b"}, {"value": 2, "to": "b"}]},
            "two rules lead to the contact",
        ),
        ("field_mappings", {"contact": [{"value": None, "to": "b"}]}, "a constant is a text"),
        ("field_mappings", {"contact": [{"value": "x" * 2001, "to": "b"}]}, "a constant is a text of at most 2000"),
        ("field_mappings", {"contact": [{"value": "x", "to": "b", "values": {}}]}, "not a constant"),
        (
            "field_mappings",
            {"contact": [{"value": n, "to": f"f{n}"} for n in range(501)]},
            "501 rules; 500 are the most",
        ),
        (
            "field_mappings",
            {"contact": [{"from": "intent", "to": "b", "values": {str(n): n for n in range(1001)}}]},
            "maps more than 1000 values",
        ),
        (
            "field_mappings",
            {"contact": [{"from": "x", "to": f"{n}", "values": {"a": "x" * 2000}} for n in range(300)]},
            "500000 letters",
        ),
        ("sync_settings", {"theirs": "x" * 50_000}, "50000 letters"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words_and_nothing_is_saved(
    house: House, organization: UUID, integration: int, column: str, value: Any, words: str
) -> None:
    before = house.rows("select * from public.user_integrations")
    with pytest.raises(psycopg.Error) as error, house.connection.transaction():
        house.connection.execute(f"update public.user_integrations set {column} = %s".encode(), [Jsonb(value)])
    assert error.value.sqlstate == "CS010"
    assert words in str(error.value.diag.message_primary)
    assert error.value.diag.message_hint == "Nothing was saved; the settings in force are unchanged."
    assert house.rows("select * from public.user_integrations") == before


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("sync_settings", {"contact_object": "lead", "task_due_days": 0, "deal_currency": "EUR"}),
        ("sync_settings", {"deal_currency": None, "attention_tasks": False, "interested_overtake": True}),
        (
            "field_mappings",
            {"company": [{"from": "company", "to": "name", "policy": "if_blank"}, {"value": 1, "to": "b"}]},
        ),
        (
            "field_mappings",
            {"lead": [{"from": "intent", "to": "x", "values": {"a": 1, "b": True, "c": None, "d": ""}}]},
        ),
    ],
)
def test_what_makes_sense_is_saved(
    house: House, organization: UUID, integration: int, column: str, value: dict[str, Any]
) -> None:
    house.connection.execute(f"update public.user_integrations set {column} = %s".encode(), [Jsonb(value)])
    saved = house.rows("select sync_settings, field_mappings from public.user_integrations")[0]
    assert value.items() <= saved[column == "field_mappings"].items()


def test_a_refusal_of_something_huge_is_short(house: House, organization: UUID, integration: int) -> None:
    rules = {"contact": [{"value": "x" * 1_000_000, "to": "y" * 1_000_000}]}
    with pytest.raises(psycopg.Error) as error, house.connection.transaction():
        house.connection.execute("update public.user_integrations set field_mappings = %s", [Jsonb(rules)])
    assert len(str(error.value.diag.message_primary)) < 500


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a\x7f"])
def test_a_name_that_would_rule_an_operators_terminal_is_refused(house: House, organization: UUID, name: str) -> None:
    integration = house.integration(organization)
    for act in (
        lambda: house.connection.execute("update public.user_integrations set name = %s", [name]),
        lambda: house.integration(organization, name=name),
    ):
        with pytest.raises(psycopg.Error) as error, house.connection.transaction():
            act()
        assert (error.value.sqlstate, error.value.diag.message_primary) == ("CS010", "name: must be one line")
    assert house.rows("select id, name from public.user_integrations") == [(integration, "default")]


def test_what_an_older_version_let_through_stands_in_nobodys_way(
    house: House, organization: UUID, integration: int
) -> None:
    """Least of all in the daemon's, which carries its counters to this row."""
    house.connection.execute("set local session_replication_role = replica")
    house.connection.execute(
        "update public.user_integrations set field_mappings = %s, sync_settings = %s",
        [Jsonb({"contact": [{"odd": 1}]}), Jsonb({"deal_stage": 7})],
    )
    house.connection.execute("set local session_replication_role = origin")
    house.connection.execute("update public.user_integrations set total_synced_contacts = 5, next_sync_at = null")
    house.connection.execute("update public.user_integrations set name = 'other', sync_frequency = 'daily'")
    with pytest.raises(psycopg.Error, match="a rule is"), house.connection.transaction():
        house.connection.execute("""update public.user_integrations set field_mappings = '{"deal": [{"odd": 1}]}'""")


def test_text_that_is_no_json_is_refused_by_postgres(house: House, integration: int) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation), house.connection.transaction():
        house.connection.execute("update public.user_integrations set sync_settings = '{oops'")


def test_a_broken_insert_makes_no_connection_and_no_lane(house: House, organization: UUID) -> None:
    with pytest.raises(psycopg.Error, match="deal_amount"), house.connection.transaction():
        house.integration(organization, sync_settings={"deal_amount": "x"})
    assert house.rows("select * from crm_sync.lanes") == []


def test_a_connection_cannot_move_to_another_organization_or_crm(
    house: House, organization: UUID, integration: int
) -> None:
    other = house.organization("Other")
    for change in ("organization_id = %s", "provider_id = provider_id + 1 where %s::uuid is not null"):
        with pytest.raises(psycopg.Error, match="cannot move") as error, house.connection.transaction():
            house.connection.execute(f"update public.user_integrations set {change}".encode(), [other])
        assert error.value.sqlstate == "CS012"


def test_updated_at_follows_each_change(house: House, organization: UUID, integration: int) -> None:
    house.connection.execute("update public.user_integrations set name = 'other', updated_at = '2000-01-01'")
    assert house.value("select updated_at = now() from public.user_integrations") is True


@pytest.mark.parametrize("frequency", ["hourly", "daily"])
def test_a_slow_connection_shows_its_next_slot(
    house: House, organization: UUID, integration: int, frequency: str
) -> None:
    assert house.value("select next_sync_at from public.user_integrations") is None
    house.connection.execute("update public.user_integrations set sync_frequency = %s", [frequency])
    assert house.value("select next_sync_at > now() from public.user_integrations") is True
    house.connection.execute("update public.user_integrations set sync_frequency = 'realtime'")
    assert house.value("select next_sync_at from public.user_integrations") is None


def test_a_connection_shows_the_next_slot_although_one_has_passed_without_work(
    house: House, organization: UUID
) -> None:
    hourly, _ = (house.integration(organization, name=name, sync_frequency=name) for name in ("hourly", "realtime"))
    house.connection.execute(
        "update public.user_integrations set next_sync_at = now() - interval '3 hours' where id = %s", [hourly]
    )
    with house.as_role("crm_sync_daemon"):
        assert house.value("select crm_sync.advance_slots()") == 1
        assert house.value("select crm_sync.advance_slots()") == 0
    assert house.rows(
        "select next_sync_at = date_trunc('hour', now()) + interval '1 hour' from public.user_integrations order by id"
    ) == [
        (True,),
        (None,),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"batch_rows": 0},
        {"batch_rows": -1},
        {"batch_rows": "many"},
        {"batch_rows": [5]},
        {"batches_in_flight": 0},
        {"batches_in_flight": "2"},
        {"limits": []},
        {"limits": {"core": 5}},
        {"limits": {"core": {"calls": 5}}},
        {"limits": {"core": {"calls": "5", "seconds": 1}}},
        {"limits": {"core": {"calls": 0, "seconds": 1}}},
        {"limits": {"core": {"calls": 5, "seconds": 0}}},
        {"limits": {"core": {"calls": 5, "seconds": 1}, "day": {"calls": 5, "seconds": 86400, "share": 1.5}}},
        {"limits": {"core": {"calls": 5, "seconds": 1}, "day": {"calls": 5, "seconds": 86400, "share": [0.5]}}},
    ],
)
def test_a_config_with_numbers_that_make_no_sense_is_refused(house: House, change: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="config_has_sane_numbers"), house.connection.transaction():
        house.connection.execute("update public.integration_providers set config = config || %s", [Jsonb(change)])


@pytest.mark.parametrize(
    ("value", "whole"),
    [(5, 5), (1.9, 1), (0, 1), (-7, 1), (10**30, 64), ("8", None), (None, None), ([8], None), ({}, None), (True, None)],
)
def test_whatever_stands_in_a_config_is_read_as_a_number_in_bounds_or_as_none(
    house: House, value: Any, whole: int | None
) -> None:
    assert house.value("select crm_sync.whole_number(%s, 1, 64)", Jsonb(value)) == whole
