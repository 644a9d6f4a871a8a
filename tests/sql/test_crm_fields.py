"""What a CRM says its fields are: kept without needless writes, and what mappings and settings are held against."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.crm import FIELDS, STATUS, describe, field, save
from tests.sql.daemon import Daemon, failed

pytestmark = pytest.mark.usefixtures("rolled_back")

VERSIONS = (
    "select name, xmin::text, ctid::text from crm_sync.crm_fields where integration_id = %s order by object, name"
)
DESCRIBED = "select described_at is not null from crm_sync.lanes where integration_id = %s"


def refusal(house: House, integration: int, column: str, value: dict[str, Any]) -> tuple[str, str]:
    """The words and the hint with which it is refused; nothing is saved."""
    before = house.rows("select sync_settings, field_mappings from public.user_integrations")
    with pytest.raises(psycopg.Error) as error:
        save(house, integration, column, value)
    assert error.value.sqlstate == "CS013"
    assert house.rows("select sync_settings, field_mappings from public.user_integrations") == before
    return str(error.value.diag.message_primary), str(error.value.diag.message_hint)


def contact(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"contact": list(rules)}


def test_what_the_daemon_describes_is_stored(house: House, integration: int) -> None:
    assert house.value(DESCRIBED, integration) is False
    assert describe(house, integration) == len(FIELDS)
    assert house.value(DESCRIBED, integration) is True
    columns = "object, name, label, type, is_writable, is_required, options, is_closed"
    row = house.connection.execute(f"select {columns} from crm_sync.crm_fields where name = 'tier'".encode()).fetchone()
    options = [{"value": "1", "label": "Gold"}, {"value": "2", "label": "Silver"}]
    assert row == ("contact", "tier", "Tier", "enum", True, False, options, True)


def test_what_has_not_changed_is_not_written(house: House, integration: int) -> None:
    describe(house, integration)
    before = house.rows(VERSIONS, integration)
    assert describe(house, integration) == 0
    assert house.rows(VERSIONS, integration) == before
    changed = [field("tier", ("1", "Gold")) if each["name"] == "tier" else each for each in FIELDS]
    assert describe(house, integration, changed) == 1
    assert {name for (name, *_) in set(before) - set(house.rows(VERSIONS, integration))} == {"tier"}


def test_what_the_crm_does_not_have_any_more_goes(house: House, organization: UUID, integration: int) -> None:
    other = house.integration(house.organization("Other"))
    describe(house, other)
    describe(house, integration)
    assert describe(house, integration, FIELDS[:2]) == len(FIELDS) - 2
    assert [name for (name, *_) in house.rows(VERSIONS, integration)] == ["email", "firstname"]
    assert len(house.rows(VERSIONS, other)) == len(FIELDS)


def test_a_description_that_repeats_itself_or_knows_new_types_is_taken(house: House, integration: int) -> None:
    odd = [field("a"), field("a", label="again"), field("b", type="geolocation"), field("c", of="ticket")]
    assert describe(house, integration, odd) == 2
    assert house.rows("select name, type from crm_sync.crm_fields order by name") == [("a", "text"), ("b", "other")]


def test_a_description_of_a_connection_that_is_gone_is_dropped(house: House) -> None:
    assert describe(house, 999_999) == 0


def test_facts_of_the_account_come_back_with_the_next_batch(
    house: House, daemon: Daemon, organization: UUID, integration: int, row: UUID
) -> None:
    daemon.call("""select crm_sync.mark_schema_ready(%s, true, '{"key_field": "abc"}')""", integration)
    daemon.call("select crm_sync.mark_schema_ready(%s)", integration)
    batch = daemon.claim()
    assert (batch["schema_ready"], batch["account"]) == (True, {"key_field": "abc"})


@pytest.mark.parametrize(
    ("failure", "is_stale"),
    [
        ({"kind": "rejected", "field": "tier"}, True),
        ({"kind": "rejected", "field": None}, False),
        ({"kind": "rejected"}, False),
        ({"kind": "bug", "field": "tier"}, False),
    ],
)
def test_a_complaint_about_a_field_asks_for_a_new_description(
    house: House, daemon: Daemon, integration: int, row: UUID, failure: dict[str, Any], is_stale: bool
) -> None:
    describe(house, integration)
    house.connection.execute("update crm_sync.lanes set described_at = described_at - interval '2 minutes'")
    batch = daemon.claim()
    assert batch["schema_stale"] is False
    daemon.finish(batch, [failed(document, **failure) for document in batch["contacts"]])
    assert house.value(DESCRIBED, integration) is not is_stale


def test_a_description_of_the_last_minute_is_good_enough(
    house: House, daemon: Daemon, integration: int, row: UUID
) -> None:
    describe(house, integration)
    daemon.fail(daemon.claim(), "rejected", field="tier")
    assert house.value(DESCRIBED, integration) is True


def test_a_field_that_the_crm_does_not_have_is_refused_with_its_likeliest(
    house: House, organization: UUID, integration: int
) -> None:
    describe(house, integration)
    words, hint = refusal(house, integration, "field_mappings", contact({"from": "first_name", "to": "first_nmae"}))
    assert words == 'field_mappings: HubSpot has no contact field "first_nmae"'
    assert hint.startswith("Nothing was saved. Fields there are, the likeliest first: firstname, ")
    assert "createdate" not in hint


def test_a_field_that_nobody_may_write_is_refused(house: House, organization: UUID, integration: int) -> None:
    describe(house, integration)
    words, _ = refusal(house, integration, "field_mappings", contact({"value": "x", "to": "createdate"}))
    assert words == 'field_mappings: HubSpot lets nobody write its contact field "createdate"'


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"value": "Bronze", "to": "tier"}, "Bronze"),
        ({"value": 3, "to": "tier"}, "3"),
        ({"from": "intent", "to": "tier", "values": {"interested": "Gold", "x": "Bronze"}}, "Bronze"),
        ({"from": "intent", "to": "topic", "values": {"interested": "1;2", "x": "1;3"}}, "1;3"),
    ],
)
def test_a_value_that_the_field_does_not_take_is_refused_with_those_it_takes(
    house: House, organization: UUID, integration: int, rule: dict[str, Any], value: str
) -> None:
    describe(house, integration)
    words, _ = refusal(house, integration, "field_mappings", contact(rule))
    first, second = ("Gold", "Silver") if rule["to"] == "tier" else ("Sales", "Support")
    takes = f'takes "1" ({first}), "2" ({second}); not "{value}"'
    assert words == f'field_mappings: the contact field "{rule["to"]}" of HubSpot {takes}'


@pytest.mark.parametrize(
    "rule",
    [
        {"from": "phone", "to": "mobilephone"},
        {"from": "phone", "to": None},
        {"value": "Gold", "to": "tier"},
        {"value": 2, "to": "tier"},
        {"value": "anything", "to": "phone"},
        {"from": "intent", "to": "topic", "values": {"x": "Sales;support", "y": None, "z": ""}},
        {"from": "status", "to": "tier", "values": {"new": "1"}},
    ],
)
def test_what_the_crm_takes_is_saved(house: House, organization: UUID, integration: int, rule: dict[str, Any]) -> None:
    describe(house, integration)
    save(house, integration, "field_mappings", contact(rule))
    assert house.value("select field_mappings from public.user_integrations") == contact(rule)


def test_an_object_that_was_never_described_takes_anything(house: House, organization: UUID, integration: int) -> None:
    describe(house, integration, [each for each in FIELDS if each["object"] == "contact"])
    save(house, integration, "field_mappings", {"deal": [{"from": "stage", "to": "whatever"}]})
    save(house, integration, "sync_settings", {"deal_stage": "whatever"})


def test_a_status_of_ours_that_goes_to_another_field_must_fit_there(
    house: House, organization: UUID, integration: int
) -> None:
    """Also by the provider's own words for it, which are sent where the connection names none."""
    describe(house, integration)
    words, _ = refusal(house, integration, "field_mappings", contact({"from": "status", "to": "tier"}))
    assert 'the contact field "tier" of HubSpot takes' in words


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"status_values": {"new": "FRESH"}},
            'status_values: the contact field "hs_lead_status" of HubSpot takes "NEW", "OPEN", "OPEN_DEAL", '
            '"BAD_TIMING"; not "FRESH"',
        ),
        (
            {"deal_stage": "Lost"},
            'deal_stage: the deal field "dealstage" of HubSpot takes "appointmentscheduled", "7" (Won); not "Lost"',
        ),
        (
            {"deal_pipeline": "x"},
            'deal_pipeline: the deal field "pipeline" of HubSpot takes "default" (Sales Pipeline); not "x"',
        ),
    ],
)
def test_settings_are_held_against_the_fields_they_lead_to(
    house: House, organization: UUID, integration: int, settings: dict[str, Any], words: str
) -> None:
    describe(house, integration)
    assert refusal(house, integration, "sync_settings", settings)[0] == "sync_settings: " + words


@pytest.mark.parametrize(
    "settings",
    [
        {"status_values": {"new": "Open deal", "qualified": "bad_timing", "contacted": None}},
        {"deal_stage": "won", "deal_pipeline": "SALES PIPELINE"},
        {"deal_stage": "7"},
        {"deal_stage": "Default", "deal_pipeline": "default"},
        {"lead_source": "anything"},
        {"lead_source": None},
    ],
)
def test_settings_may_name_a_value_or_its_label(
    house: House, organization: UUID, integration: int, settings: dict[str, Any]
) -> None:
    describe(house, integration)
    save(house, integration, "sync_settings", settings)
    assert settings.items() <= house.value("select sync_settings from public.user_integrations").items()


def test_the_providers_own_default_is_taken_by_any_account(house: House, organization: UUID, integration: int) -> None:
    describe(house, integration, [field("dealstage", "first", of="deal")])
    save(house, integration, "sync_settings", {"deal_stage": "first"})
    save(house, integration, "sync_settings", {"deal_stage": "appointmentscheduled"})


def test_a_lead_source_must_fit_a_field_that_takes_certain_values(
    house: House, organization: UUID, integration: int
) -> None:
    describe(house, integration, [field("crm_sync_lead_source", "Web", "Other")])
    assert (
        'takes "Web", "Other"; not "Mail"' in refusal(house, integration, "sync_settings", {"lead_source": "Mail"})[0]
    )
    save(house, integration, "sync_settings", {"lead_source": "Web"})


def test_a_lead_is_held_against_the_fields_of_leads(house: House, organization: UUID) -> None:
    integration = house.integration(organization, "salesforce", sync_settings={"contact_object": "lead"})
    describe(house, integration, [field("Status", "Open", "Closed", of="lead"), field("Status", "Other")])
    assert (
        'takes "Open", "Closed"'
        in refusal(house, integration, "sync_settings", {"contact_object": "lead", "status_values": {"new": "Other"}})[
            0
        ]
    )
    save(house, integration, "sync_settings", {"contact_object": "lead", "status_values": {"new": "Open"}})


def test_what_the_crm_broke_does_not_stand_in_the_way_of_another_change(
    house: House, organization: UUID, integration: int
) -> None:
    old = {"value": "Gold", "to": "tier"}
    describe(house, integration)
    save(house, integration, "field_mappings", contact(old))
    describe(house, integration, [each for each in FIELDS if each["name"] != "tier"])
    save(house, integration, "field_mappings", contact(old, {"from": "phone", "to": "mobilephone"}))
    save(house, integration, "sync_settings", {"deal_amount": 5})
    house.connection.execute("update public.user_integrations set name = 'other', credentials = null")
    rules = contact({"value": "Silver", "to": "tier"}, {"from": "phone", "to": "nowhere"})
    assert refusal(house, integration, "field_mappings", rules)[0].endswith('HubSpot has no contact field "nowhere"')


def test_a_member_is_refused_as_well_and_reads_only_the_own_organizations_fields(house: House) -> None:
    mine, theirs = house.organization("Mine"), house.organization("Theirs")
    user = house.user(mine)
    integration, other = house.integration(mine), house.integration(theirs)
    describe(house, integration)
    describe(house, other, FIELDS[:1])
    with house.as_role("authenticated", user) as connection:
        assert connection.execute("select count(*) from crm_sync.crm_fields").fetchone() == (len(FIELDS),)
        with pytest.raises(psycopg.Error, match="has no contact field") as error:
            save(house, integration, "field_mappings", contact({"from": "phone", "to": "fone"}))
    assert "phone" in str(error.value.diag.message_hint)


def test_a_long_list_of_values_is_cut_with_a_count(house: House, organization: UUID, integration: int) -> None:
    describe(house, integration, [field("industry", *(f"I{n}" for n in range(150)))])
    words, _ = refusal(house, integration, "field_mappings", contact({"value": "x", "to": "industry"}))
    assert '"I39" and 110 more; not "x"' in words


@pytest.mark.parametrize("is_described", [True, False])
def test_a_field_of_ours_that_is_not_there_is_refused_with_those_that_are(
    house: House, organization: UUID, integration: int, is_described: bool
) -> None:
    if is_described:
        describe(house, integration)
    words, _ = refusal(house, integration, "field_mappings", contact({"from": "frist_name", "to": "firstname"}))
    assert words.startswith(
        'field_mappings: we know nothing called "frist_name" of a contact: there are id, organization_id,'
    )
    assert "next_action" in words
    save(house, integration, "field_mappings", {"deal": [{"from": "rule", "to": "dealname"}]})
    assert (
        "frist_name"
        in refusal(house, integration, "field_mappings", {"deal": [{"from": "frist_name", "to": "dealname"}]})[0]
    )
    with pytest.raises(psycopg.Error, match="frist_name"), house.connection.transaction():
        house.integration(organization, name="new", field_mappings=contact({"from": "frist_name", "to": "x"}))


def test_a_column_that_the_host_has_dropped_shows_among_the_failures(
    house: House, organization: UUID, integration: int
) -> None:
    house.connection.execute("alter table public.contacts add column shoe text")
    save(house, integration, "field_mappings", contact({"from": "shoe", "to": "shoe_size"}))
    house.connection.execute("alter table public.contacts drop column shoe")
    with house.as_role("crm_sync_reader") as connection:
        shown = connection.execute("select kind, field, message, allowed_values from crm_sync.failures").fetchall()
    assert [(kind, field, values) for kind, field, _, values in shown] == [("mapping", "shoe_size", [])]
    assert '"shoe"' in shown[0][2]


def test_of_two_fields_with_one_name_the_first_counts(house: House, integration: int) -> None:
    twice = [field("a", label="first"), field("a", label="second")]
    assert describe(house, integration, twice) == 1
    assert describe(house, integration, twice) == 0
    assert house.rows("select label from crm_sync.crm_fields") == [("first",)]


def test_options_that_are_not_whole_stop_no_claim(
    house: House, daemon: Daemon, organization: UUID, integration: int, row: UUID
) -> None:
    describe(
        house, integration, [{**STATUS, "options": [5, {"value": "NEW"}, {"label": "Open"}, None]}, field("email")]
    )
    assert len(daemon.claim()["contacts"]) == 1


@pytest.mark.parametrize("reconnects", [True, False])
def test_what_is_known_of_an_account_is_in_doubt_once_it_is_connected_anew_and_not_when_a_token_is_refreshed(
    house: House, daemon: Daemon, organization: UUID, integration: int, reconnects: bool
) -> None:
    describe(house, integration)
    daemon.call("select crm_sync.mark_schema_ready(%s)", integration)
    known = "select schema_ready_at is not null and described_at is not null from crm_sync.lanes"
    if reconnects:
        house.value("select crm_sync.disconnect(%s)", integration)
        house.connection.execute("""update public.user_integrations set credentials = '{"access_token": "another"}'""")
    else:
        assert daemon.call("select crm_sync.begin_refresh(%s, 1)", integration) == "yours"
        assert (
            daemon.call("""select crm_sync.store_credentials(%s, 1, '{"access_token": "fresh"}')""", integration) == 2
        )
    assert house.value(known) is not reconnects
    if not reconnects:
        house.connection.execute(
            """update public.user_integrations set credentials = '{"access_token": "by a person"}'"""
        )
        assert house.value(known) is False
