"""Settings as a document: what it names is made so, all or nothing, and what is exported changes nothing."""

from __future__ import annotations

import json
import threading
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from listener.commands.document import parse, render, to_json
from tests.house import House, eventually
from tests.listener.test_document import LEAF, ODD, TEXT, VALUE
from tests.sql.daemon import connect, somebody_waits

Row = tuple[str, Any, Any]
common = pytest.mark.usefixtures("rolled_back")


def exported(house: House, organization: UUID | None = None) -> dict[str, Any]:
    found: dict[str, Any] = house.value("select crm_sync.configuration(%s)", organization)
    return found


def difference(house: House, document: dict[str, Any], *, prune: bool = False) -> list[Row]:
    query = "select * from crm_sync.configuration_difference(%s, %s)"
    return house.connection.execute(query, [json.dumps(document), prune]).fetchall()


def apply(house: House, document: dict[str, Any], *, prune: bool = False) -> list[Row]:
    query = "select * from crm_sync.apply_configuration(%s, %s)"
    return house.connection.execute(query, [json.dumps(document), prune]).fetchall()


def of(organization: UUID, **connection: Any) -> dict[str, Any]:
    """A document of one connection to HubSpot."""
    return {"version": 1, "organizations": {str(organization): {"connections": {"hubspot/default": connection}}}}


def refused(house: House, document: Any) -> tuple[str, str, str]:
    """SQLSTATE, message and hint; nothing must have changed."""
    before = house.value("select max(id) from crm_sync.changes")
    with pytest.raises(psycopg.Error) as error, house.connection.transaction():
        apply(house, document)
    assert house.value("select max(id) from crm_sync.changes") == before
    diagnosis = error.value.diag
    return str(diagnosis.sqlstate), str(diagnosis.message_primary), str(diagnosis.message_hint)


@common
def test_the_document_has_what_differs_from_the_defaults(house: House, organization: UUID, integration: int) -> None:
    document = exported(house)
    assert set(document) == {"version", "config", "providers", "intent_rules", "alert_rules", "organizations"}
    assert document["config"]["retain_finished"] == "14 days"
    assert document["providers"] == {"hubspot": {}, "pipedrive": {}, "salesforce": {}}
    assert document["intent_rules"]["question"] == {"contact_status": "contacted", "create_deal": False}
    rule = document["alert_rules"]["oldest_wait"]
    assert rule.pop("remedy").startswith("See what the connection waits for")
    assert rule == {
        "threshold": 60,
        "for_at_least": "00:05:00",
        "clear_after": "00:01:00",
        "severity": "warning",
        "is_active": True,
    }
    assert document["organizations"] == {
        str(organization): {"name": "Acme", "connections": {"hubspot/default": {"sync_frequency": "realtime"}}}
    }
    house.connection.execute(
        """update public.user_integrations set sync_settings = sync_settings || '{"deal_amount": null}'"""
    )
    house.connection.execute(
        """update public.integration_providers set config = config || '{"api_version": "1"}' where name = 'hubspot'"""
    )
    document = exported(house)
    assert document["organizations"][str(organization)]["connections"]["hubspot/default"] == {
        "sync_frequency": "realtime",
        "sync_settings": {"deal_amount": None},
    }
    assert document["providers"]["hubspot"] == {"config": {"api_version": "1"}}
    assert set(exported(house, organization)) == {"version", "organizations"}


@common
def test_what_is_exported_changes_nothing_when_it_is_applied(house: House, organization: UUID) -> None:
    house.integration(
        organization, name="Sales / EU #1", sync_settings={"deal_amount": 0.1, "theirs": {"a.b": ["no", None, 1e-7]}}
    )
    house.integration(organization, "pipedrive", sync_frequency="daily")
    for prune in (False, True):
        assert difference(house, exported(house), prune=prune) == []
        assert apply(house, exported(house), prune=prune) == []


@common
def test_what_the_document_names_is_made_so_and_the_rest_stays(
    house: House, organization: UUID, integration: int
) -> None:
    house.connection.execute(
        "update public.user_integrations set field_mappings = "
        """'{"contact": [{"from": "phone", "to": "mobilephone"}]}'"""
    )
    document = of(organization, sync_frequency="hourly", sync_settings={"deal_amount": 2000})
    document["organizations"][str(organization)]["intent_rules"] = {"maybe": {"contact_status": "contacted"}}
    document["config"] = {"retain_finished": "2 weeks", "batches_in_flight": 3}
    document["intent_rules"] = {"objection": None}
    document["providers"] = {"pipedrive": {"is_active": False, "config": {"batch_rows": 50}}}
    wanted = difference(house, document)
    root = f"organizations.{organization}"
    assert wanted == [
        ("providers.pipedrive.config.batch_rows", 200, 50),
        ("providers.pipedrive.is_active", True, False),
        ("config.batches_in_flight", 2, 3),
        ("intent_rules.objection", {"contact_status": "contacted", "create_deal": False}, None),
        (f"{root}.intent_rules.maybe", None, {"contact_status": "contacted", "create_deal": False}),
        (f"{root}.connections.hubspot/default.sync_frequency", "realtime", "hourly"),
        (f"{root}.connections.hubspot/default.sync_settings.deal_amount", 1000, 2000),
    ]
    assert sorted(apply(house, document), key=str) == sorted(wanted, key=str)
    assert apply(house, document) == difference(house, document) == []
    assert house.rows(
        "select sync_frequency, sync_settings ->> 'deal_close_days', field_mappings <> '{}' "
        "from public.user_integrations"
    ) == [("hourly", "30", True)]
    assert house.value("select batches_in_flight from crm_sync.config") == 3
    assert house.value("select count(*) from crm_sync.intent_rules where intent = 'objection'") == 0
    assert house.value("select is_active from public.integration_providers where name = 'pipedrive'") is False
    assert house.rows(
        "select title, description from public.sync_activity_logs where activity_type = 'connection'"
    ) == [
        (
            "Settings applied",
            f"sync_frequency, sync_settings.deal_amount changed by {house.value('select crm_sync.caller_name()')} "
            "with a document of settings",
        )
    ]


@common
def test_prune_takes_back_what_is_not_named_of_what_is_named(
    house: House, organization: UUID, integration: int
) -> None:
    house.integration(organization, "pipedrive", sync_frequency="daily")
    document = exported(house)
    changed = of(
        organization,
        sync_frequency="hourly",
        sync_settings={"deal_amount": 5},
        sync_filters={"all": []},
        field_mappings={"company": []},
    )
    changed["organizations"][str(organization)]["intent_rules"] = {"maybe": {}}
    changed["intent_rules"] = {"perhaps": {"create_deal": True}}
    changed["providers"] = {"hubspot": {"config": {"api_version": "x", "more": 1}, "is_active": False}}
    apply(house, changed)
    house.connection.execute(
        "update public.user_integrations set sync_settings = sync_settings || "
        """'{"their_token": "s3cret"}' where id = %s""",
        [integration],
    )
    assert apply(house, document) != [], "the rest stays"
    assert house.value("select count(*) from crm_sync.intent_rules where intent in ('maybe', 'perhaps')") == 2
    assert apply(house, document, prune=True) != []
    assert exported(house) == document
    assert house.value(
        "select sync_settings ->> 'their_token' from public.user_integrations where id = %s", integration
    )
    only_one = of(organization)
    apply(house, only_one, prune=True)
    assert house.value("select count(*) from crm_sync.intent_rules") == 4, "what holds for all is not named at all"
    assert house.value("select sync_frequency from public.user_integrations where id <> %s", integration) == "daily"


@common
def test_no_secret_is_exported_or_taken(house: House, organization: UUID, integration: int) -> None:
    house.connection.execute(
        "update public.user_integrations set sync_settings = sync_settings || "
        """'{"crm_token": "s3cret", "proxy": "http://u:s3cret@h/"}'"""
    )
    text = json.dumps(exported(house))
    assert "s3cret" not in text
    assert "access_token" not in text
    assert "sealed" not in text
    for document in (
        of(organization, credentials={"access_token": "x"}),
        of(organization, token="x"),
        of(organization, sync_settings={"api_key": "x"}),
        {"version": 1, "providers": {"hubspot": {"config": {"proxy": {"password": "x"}}}}},
    ):
        state, message, _ = refused(house, document)
        assert state == "CS060"
        assert "secrets have no place here" in message
        assert message.startswith(("organizations.", "providers.hubspot.config"))


@common
@pytest.mark.parametrize(
    ("part", "state", "words"),
    [
        ({"sync_settings": {"deal_amount": "x"}}, "CS010", "sync_settings: deal_amount must be a number"),
        ({"sync_filters": {"all": [{"field": "x"}]}}, "CS010", 'sync_filters: "x" is not a field to filter by'),
        ({"field_mappings": {"person": []}}, "CS010", 'field_mappings: knows the objects "contact"'),
        (
            {"sync_frequency": "weekly"},
            "CS062",
            'violates check constraint "user_integrations_sync_frequency_is_known"',
        ),
        ({"sync_frequency": 7}, "CS060", "sync_frequency: must be a text"),
        ({"status": "connected"}, "CS060", "status: there is no such key here"),
    ],
)
def test_what_the_tables_refuse_is_refused_with_its_path(
    house: House, organization: UUID, integration: int, part: dict[str, Any], state: str, words: str
) -> None:
    document = of(organization, **part)
    document["config"] = {"batches_in_flight": 9}
    found, message, hint = refused(house, document)
    assert found == state
    assert message.startswith(f"organizations.{organization}.connections.hubspot/default")
    assert words in message
    assert "Nothing was" in hint
    assert house.value("select batches_in_flight from crm_sync.config") == 2, "all or nothing"


@common
@pytest.mark.parametrize(
    ("document", "state", "words"),
    [
        (None, "CS060", "must be an object"),
        ({}, "CS060", "version: must be 1"),
        ({"version": 2}, "CS060", "version: must be 1"),
        ({"version": 1, "people": {}}, "CS060", "people: there is no such key here"),
        ({"version": 1, "config": []}, "CS060", "config: must be an object"),
        ({"version": 1, "config": {"is_only": True}}, "CS060", "config.is_only: there is no such setting"),
        ({"version": 1, "config": {"retain_logs": "long"}}, "CS062", "config.retain_logs: invalid input syntax"),
        ({"version": 1, "config": {"retain_logs": None}}, "CS062", 'config: null value in column "retain_logs"'),
        ({"version": 1, "config": {"batches_in_flight": 99}}, "CS062", "config_batches_in_flight_is_1_to_64"),
        ({"version": 1, "providers": {"zoho": {}}}, "CS061", "providers.zoho: there is no such CRM"),
        ({"version": 1, "providers": {"hubspot": {"is_active": 1}}}, "CS060", "must be true or false"),
        ({"version": 1, "providers": {"hubspot": {"config": {"batch_rows": 0}}}}, "CS062", "has_sane_numbers"),
        ({"version": 1, "intent_rules": {"x": {"deal": 1}}}, "CS060", "intent_rules.x: a rule has contact_status"),
        ({"version": 1, "intent_rules": {"No!": {}}}, "CS062", 'intent_rules."No!": new row'),
        ({"version": 1, "intent_rules": {"bounced": {"create_deal": True}}}, "CS062", "machines_are_not_interested"),
        ({"version": 1, "alert_rules": []}, "CS060", "alert_rules: must be an object"),
        ({"version": 1, "alert_rules": {"oldest_wait": 5}}, "CS060", "alert_rules.oldest_wait: a rule has threshold"),
        ({"version": 1, "alert_rules": {"oldest_wait": {"treshold": 5}}}, "CS060", "oldest_wait.treshold: there is no"),
        ({"version": 1, "alert_rules": {"oldest_wait": {"threshold": "5"}}}, "CS060", "threshold: must be a number"),
        ({"version": 1, "alert_rules": {"oldest_wait": {"severity": None}}}, "CS060", "severity: must be a text"),
        (
            {"version": 1, "alert_rules": {"oldest_wait": {"for_at_least": "long"}}},
            "CS062",
            "oldest_wait: invalid",
        ),
        (
            {"version": 1, "alert_rules": {"oldest_wait": {"remedy": "http://u:p@h/"}}},
            "CS060",
            "remedy: secrets have no place here",
        ),
        ({"version": 1, "organizations": {"acme": {}}}, "CS060", "organizations are named by their id"),
    ],
)
def test_nonsense_is_refused_with_its_path(house: House, document: Any, state: str, words: str) -> None:
    found, message, hint = refused(house, document)
    assert (found, words in message) == (state, True), message
    assert "Nothing was" in hint


@common
def test_what_does_not_exist_is_refused_with_what_to_do(house: House, organization: UUID, integration: int) -> None:
    nobody = uuid4()
    state, message, _ = refused(house, of(nobody))
    assert (state, message) == ("CS061", f"organizations.{nobody}: there is no such organization")
    document = of(organization)
    document["organizations"][str(organization)]["connections"] = {"pipedrive/Sales team": {}}
    state, message, hint = refused(house, document)
    assert state == "CS061"
    assert message == f'organizations.{organization}.connections."pipedrive/Sales team": there is no such connection'
    assert f"crm-sync connect pipedrive --organization {organization} --name" in hint


@common
def test_rules_of_alerts_are_made_changed_and_removed_by_a_document(
    house: House, organization: UUID, integration: int
) -> None:
    document = {
        "version": 1,
        "alert_rules": {
            "oldest_wait": {"threshold": 15, "severity": "critical"},
            "queue_depth": None,
            "old_ones": {"condition": "oldest_wait", "threshold": 0.5, "severity": "info", "remedy": "Look."},
        },
        "organizations": {
            str(organization): {"alert_rules": {"oldest_wait": {"for_at_least": "1 hour"}, "connection_lost": {}}}
        },
    }
    shipped = exported(house)["alert_rules"]
    path = f"organizations.{organization}.alert_rules"
    wanted = difference(house, document)
    assert {row[0] for row in wanted} == {
        *("alert_rules.oldest_wait.threshold", "alert_rules.oldest_wait.severity", "alert_rules.queue_depth"),
        *("alert_rules.old_ones", f"{path}.oldest_wait", f"{path}.connection_lost"),
    }
    assert sorted(apply(house, document), key=str) == sorted(wanted, key=str)
    assert apply(house, document) == difference(house, document) == []
    now = exported(house)
    assert now["alert_rules"]["oldest_wait"] == shipped["oldest_wait"] | {"threshold": 15, "severity": "critical"}
    assert now["alert_rules"]["old_ones"] == document["alert_rules"]["old_ones"] | {  # type: ignore[index]
        "for_at_least": "00:00:00",
        "clear_after": "00:01:00",
        "is_active": True,
    }
    assert "queue_depth" not in now["alert_rules"]
    own = now["organizations"][str(organization)]["alert_rules"]
    assert own == {
        "oldest_wait": now["alert_rules"]["oldest_wait"] | {"for_at_least": "01:00:00"},
        "connection_lost": shipped["connection_lost"],
    }, "an own rule is as the common one will be, but for what it says"
    assert house.value("select count(*) from crm_sync.changes where what = 'alert_rule' and name = 'old_ones'") == 1
    for prune in (False, True):
        assert difference(house, now, prune=prune) == []
    only_one = {"version": 1, "organizations": {str(organization): {"alert_rules": {"oldest_wait": {}}}}}
    assert [row[0] for row in apply(house, only_one, prune=True)] == [f"{path}.connection_lost"]
    apply(house, {"version": 1, "alert_rules": shipped}, prune=True)
    assert exported(house)["alert_rules"] == shipped


@common
@pytest.mark.parametrize(
    ("name", "rule", "words"),
    [
        ("oldest_wait", {"threshold": 0}, "the threshold must be more than 0"),
        ("oldest_wait", {"for_at_least": "8 days"}, "for_at_least is from 0 up to 7 days"),
        ("oldest_wait", {"clear_after": "8 days"}, "clear_after is from 0 up to 1 day"),
        ("oldest_wait", {"severity": "bad"}, "the severity is info, warning or critical"),
        ("oldest_wait", {"remedy": " "}, "the remedy says what to do"),
        ("budget_nearly_spent", {"threshold": 101}, "it would never alarm, as its threshold is in percent"),
        ("failures_per_hour", {"threshold": 5000}, "failures are counted to 1000"),
        ("mine", {"condition": "oldest_wait"}, "a new one needs a condition, a threshold, a severity and a remedy"),
        ("mine", {"threshold": 1, "severity": "info", "remedy": "x"}, 'the condition is "mine", which is not measured'),
        ("My Own", {"condition": "oldest_wait", "threshold": 1, "severity": "info", "remedy": "x"}, "small letters"),
    ],
)
def test_a_rule_of_an_alert_that_makes_no_sense_is_refused_in_the_words_of_set_alert_rule(
    house: House, name: str, rule: dict[str, Any], words: str
) -> None:
    state, message, hint = refused(house, {"version": 1, "alert_rules": {name: rule}})
    assert (state, words in message) == ("CS071", True), message
    assert message.startswith("alert_rules." + (name if name.islower() else f'"{name}"'))
    assert "stays" in hint or "Nothing was changed" in hint


@common
def test_what_concerns_all_daemons_is_no_organizations_own_rule(house: House, organization: UUID) -> None:
    document = {"version": 1, "organizations": {str(organization): {"alert_rules": {"no_worker_alive": {}}}}}
    state, message, _ = refused(house, document)
    assert (state, "there is only the common rule" in message) == ("CS071", True)
    with house.as_role("crm_sync_reader"):
        assert len(difference(house, document)) == 1


@common
def test_the_reader_compares_and_only_the_owner_applies(house: House, organization: UUID, integration: int) -> None:
    document = of(organization, sync_settings={"deal_amount": 5})
    with house.as_role("crm_sync_reader"):
        assert len(difference(house, document)) == 1
        assert exported(house)["organizations"]
        house.connection.execute("set transaction read only")
        assert len(difference(house, exported(house) | document)) == 1
    for role in ("crm_sync_reader", "crm_sync_daemon", "authenticated"):
        assert not house.value(
            "select has_function_privilege(%s, 'crm_sync.apply_configuration(jsonb, boolean)', 'execute')", role
        )


def test_what_changes_between_the_look_and_the_write_is_seen(house: House, database: str) -> None:
    """Somebody holds the connection while the document waits; his change is not undone by what was read before."""
    organization = house.organization()
    house.integration(organization)
    results: list[list[Row]] = []

    def run() -> None:
        with connect(database) as connection:
            results.append(apply(House(connection), of(organization, sync_settings={"deal_amount": 5})))

    with house.connection.transaction():
        house.connection.execute(
            """update public.user_integrations set sync_settings = sync_settings || '{"deal_close_days": 9}'"""
        )
        thread = threading.Thread(target=run)
        thread.start()
        eventually(lambda: somebody_waits(house), "the document waits")
    thread.join(15)
    (row,) = results[0]
    assert row[1:] == (1000, 5)
    assert house.rows(
        "select sync_settings -> 'deal_close_days', sync_settings -> 'deal_amount' from public.user_integrations"
    ) == [(9, 5)]


KNOWN = st.fixed_dictionaries(
    {},
    optional={
        "auto_create_deals": st.booleans(),
        "deal_amount": st.none() | st.integers(0, 10**12) | st.decimals(0, 10**6, places=4),
        "deal_close_days": st.integers(0, 3650),
        "deal_stage": TEXT.filter(lambda text: text.strip(" ") != ""),
        "lead_source": st.none() | TEXT | ODD,
        "status_values": st.dictionaries(st.sampled_from(["new", "contacted"]), st.none() | TEXT, max_size=2),
    },
)
FREE = st.dictionaries((TEXT | ODD).map(lambda text: "their " + text), VALUE, max_size=4)
CONDITION = st.fixed_dictionaries(
    {"field": st.just("intent"), "op": st.sampled_from(["=", "<>"]), "value": TEXT | ODD | st.booleans()}
)
FILTERS = st.dictionaries(st.sampled_from(["all", "any"]), st.lists(CONDITION, max_size=3), max_size=2)
MAPPINGS = st.dictionaries(
    st.sampled_from(["contact", "deal"]),
    st.lists(
        st.fixed_dictionaries({"from": st.just("phone"), "to": st.none(), "values": st.dictionaries(TEXT, LEAF)}),
        max_size=2,
    ),
    max_size=2,
)
INTENT = st.from_regex(r"[a-z0-9]{1,8}(_[a-z0-9]{1,8}){0,2}", fullmatch=True)
RULES = st.dictionaries(
    INTENT.map(lambda intent: "x_" + intent),
    st.fixed_dictionaries(
        {"contact_status": st.sampled_from([None, "new", "unqualified"]), "create_deal": st.just(False)}
    ),
    max_size=3,
)
ALERTS = st.dictionaries(
    st.sampled_from(["oldest_wait", "queue_depth", "mine"]),
    st.tuples(
        st.integers(1, 10**12) | st.decimals("0.001", 10**6, places=4),
        st.integers(0, 86400),
        (TEXT | ODD).map(lambda text: "Look: " + text),
    ),
    max_size=2,
)


@common
@settings(
    max_examples=20,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(known=KNOWN, free=FREE, filters=FILTERS, mappings=MAPPINGS, rules=RULES, alerts=ALERTS, name=TEXT, label=TEXT)
def test_whatever_is_set_goes_out_to_a_file_and_comes_back_as_it_was(
    house: House, known: Any, free: Any, filters: Any, mappings: Any, rules: Any, alerts: Any, name: str, label: str
) -> None:
    with house.connection.transaction(force_rollback=True):
        organization = house.organization(name)
        label = "".join(letter for letter in label if letter.isprintable()) or "default"
        integration = house.integration(organization, name=label)
        house.connection.execute(
            "update public.user_integrations set sync_settings = %s, sync_filters = %s, field_mappings = %s "
            "where id = %s",
            [to_json({**free, **known}), to_json(filters), to_json(mappings), integration],
        )
        for intent, rule in rules.items():
            house.connection.execute(
                "insert into crm_sync.intent_rules (organization_id, intent, contact_status) values (%s, %s, %s)",
                [organization, intent, rule["contact_status"]],
            )
        for rule, (threshold, seconds, remedy) in alerts.items():
            house.connection.execute(
                "insert into crm_sync.alert_rules "
                "(organization_id, name, condition, threshold, for_at_least, severity, remedy) "
                "values (%s, %s, 'oldest_wait', %s, make_interval(secs => %s), 'info', %s)",
                [organization, rule, threshold, seconds, remedy],
            )
        document = house.value("select crm_sync.configuration()::text")
        file = render(document)
        back = parse(file)
        query = "select %s::jsonb #- array['organizations', %s, 'name'] = %s::jsonb"
        assert house.value(query, document, str(organization), back), file
        assert render(document) == file
        for prune in (False, True):
            assert house.rows("select * from crm_sync.configuration_difference(%s::jsonb, %s)", back, prune) == []
        # and into a connection that has nothing of it
        house.connection.execute(
            "update public.user_integrations set sync_settings = '{}', sync_filters = '{}', field_mappings = '{}'"
        )
        house.connection.execute("delete from crm_sync.intent_rules where organization_id is not null")
        house.connection.execute("delete from crm_sync.alert_rules where organization_id is not null")
        house.rows("select * from crm_sync.apply_configuration(%s::jsonb)", back)
        assert house.value("select crm_sync.configuration() = %s::jsonb", document)
        assert house.rows("select * from crm_sync.apply_configuration(%s::jsonb)", back) == []
