"""The catalog itself: documented, closed, indexed; every single right is in test_access_matrix.

`\\d+` is the documentation, access.sql the page of grants.
"""

from __future__ import annotations

from pathlib import Path
from typing import LiteralString

import pytest

from tests.house import House

VIEWS = Path(__file__).parents[2] / "sql" / "views"

pytestmark = pytest.mark.usefixtures("rolled_back")

OURS = """
  (n.nspname = 'crm_sync' or n.nspname = 'public' and (c.relname in (
    'organizations', 'users', 'contacts', 'inbox_messages', 'message_classifications', 'integration_providers',
    'user_integrations', 'contact_sync_mappings', 'sync_queue') or c.relname ~ '^sync_activity_logs'))
"""
FUNCTIONS = "from pg_proc as p where p.pronamespace = 'crm_sync'::regnamespace"
RELATIONS = "from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where " + OURS

UNCOMMENTED: dict[str, LiteralString] = {
    "schemas": (
        "select nspname from pg_namespace where nspname in ('crm_sync', 'auth') and "
        "obj_description(oid, 'pg_namespace') is null"
    ),
    "roles": (
        "select rolname from pg_roles where rolname ~ '^crm_sync_' and shobj_description(oid, 'pg_authid') is null"
    ),
    "functions": "select p.oid::regprocedure::text " + FUNCTIONS + " and obj_description(p.oid, 'pg_proc') is null",
    "relations": "select c.oid::regclass::text "
    + RELATIONS
    + " and c.relkind in ('r', 'p', 'v') and obj_description(c.oid, 'pg_class') is null",
    "columns": "select c.oid::regclass || '.' || a.attname from pg_class as c join pg_namespace as n on "
    "n.oid = c.relnamespace "
    "join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped where "
    + OURS
    + (
        " and c.relkind in ('r', 'p', 'v') and c.relname <> 'sync_activity_logs_default' and "
        "col_description(c.oid, a.attnum) is null"
    ),
    "triggers": (
        "select t.tgname from pg_trigger as t join pg_class as c on c.oid = t.tgrelid join "
        "pg_namespace as n on n.oid = c.relnamespace where "
    )
    + OURS
    + " and not t.tgisinternal and obj_description(t.oid, 'pg_trigger') is null",
    "policies": (
        "select o.polname from pg_policy as o join pg_class as c on c.oid = o.polrelid join "
        "pg_namespace as n on n.oid = c.relnamespace where "
    )
    + OURS
    + " and obj_description(o.oid, 'pg_policy') is null",
    "indexes": (
        "select i.indexrelid::regclass::text from pg_index as i join pg_class as c on c.oid = i.indrelid join "
        "pg_namespace as n on n.oid = c.relnamespace where "
    )
    + OURS
    + " and (not c.relispartition or c.relname = 'sync_activity_logs_default') "
    "and obj_description(i.indexrelid, 'pg_class') is null",
    "constraints": (
        "select k.conname from pg_constraint as k join pg_class as c on c.oid = k.conrelid join "
        "pg_namespace as n on n.oid = c.relnamespace where "
    )
    + OURS
    + " and (not c.relispartition or c.relname = 'sync_activity_logs_default') "
    "and k.contype in ('p', 'u', 'f', 'c', 'x') and obj_description(k.oid, 'pg_constraint') is null",
    "sequences and types": (
        "select c.oid::regclass::text from pg_class as c join pg_namespace as n on n.oid = c.relnamespace "
        "where n.nspname = 'crm_sync' and (c.relkind = 'S' and obj_description(c.oid, 'pg_class') is null "
        "or c.relkind = 'c' and obj_description(c.reltype, 'pg_type') is null)"
    ),
}


@pytest.mark.parametrize("kind", UNCOMMENTED)
def test_every_object_says_what_it_is_for(house: House, kind: str) -> None:
    assert house.rows(UNCOMMENTED[kind]) == []


def test_a_comment_is_one_sentence_a_stranger_understands(house: House) -> None:
    comments = house.rows(
        "select p.oid::regprocedure::text, obj_description(p.oid, 'pg_proc') " + FUNCTIONS + " union all "
        "select c.oid::regclass::text, obj_description(c.oid, 'pg_class') "
        + RELATIONS
        + " and c.relkind in ('r', 'p', 'v')"
    )
    assert len(comments) > 80
    assert [name for name, comment in comments if not comment.endswith(".") or len(comment) < 12] == []


def test_every_function_says_who_it_is_for(house: House) -> None:
    query = "select p.proname, split_part(obj_description(p.oid, 'pg_proc'), ':', 1) " + FUNCTIONS
    assert {who for _, who in house.rows(query)} == {"Worker", "Trigger", "Operator", "Reader", "Console"}


def test_security_definer_functions_search_no_schema_of_anybodys_and_belong_to_the_owner(house: House) -> None:
    """An empty search_path would look into pg_temp first: whoever makes a type `text` there would run as the owner."""
    path = "search_path=pg_catalog, pg_temp"
    fault = (
        " and (pg_get_userbyid(p.proowner) <> 'crm_sync_owner' or p.prosecdef and p.proconfig is null or "
        "exists (select from unnest(p.proconfig) as c where c ~ '^search_path' and c <> %s) or "
        "p.prosecdef and not %s = any (p.proconfig))"
    )
    assert house.rows("select p.oid::regprocedure::text " + FUNCTIONS + fault, path, path) == []
    assert house.value("select count(*) " + FUNCTIONS + " and p.prosecdef") > 20


def test_every_relation_of_ours_belongs_to_the_owner(house: House) -> None:
    assert (
        house.rows(
            "select c.oid::regclass::text " + RELATIONS + (" and pg_get_userbyid(c.relowner) <> 'crm_sync_owner'")
        )
        == []
    )


def test_the_owner_cannot_log_in_and_no_role_of_ours_is_powerful(house: House) -> None:
    assert (
        house.rows(
            "select rolname from pg_roles where rolname ~ '^crm_sync_' "
            "and (rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)"
        )
        == []
    )


def test_each_role_executes_exactly_what_it_needs(house: House) -> None:
    def allowed(role: str) -> set[str]:
        return {
            name
            for (name,) in house.rows(
                "select p.proname " + FUNCTIONS + " and has_function_privilege(%s, p.oid, 'execute')", role
            )
        }

    explaining = {
        "failure_meaning",
        "option_list",
        "our_fields",
        "mapping_faults",
    }  # what the view of failures is made of
    assert allowed("anon") == allowed("crm_sync_producer") == set()
    linking = {"is_web_url", "record_url"}
    alarming = {"current_conditions"}  # what the view of conditions is made of
    diagnosing = {"diagnose", "diagnose_work", "diagnose_catalog", "diagnose_server"}
    configuring = {"configuration", "configuration_difference", "unknown_ids"}
    counting = {
        "lane_counts",
        "lane_causes",
        "failed_causes",
        "retrying_causes",
        "row_of",
        "count_open",
        "first_open",
        "floors_of",
        "oldest_rows",
        "lag_bounds",
        "is_running",
        "is_alive",
        "standstill",
        "who_words",
    }  # what the counted views are made of
    reading = explaining | linking | alarming | counting | {"connection_state", "settings_at"}
    explained = {"explained_steps", "explained_mapping", "explained_payload"}  # what explain is made of
    asking = {"explain", "plan", "wait_for", "believed", "stuck_rows", "contact_standing", "contact_timeline"}
    asking |= explained | {"personal_data", "contact_rights"}
    assert allowed("crm_sync_reader") == reading | asking | diagnosing | configuring
    starting = {"schema_version", "verify_key", "check_fence"}
    testing = {
        "open_credentials",
        "begin_refresh",
        "end_refresh",
        "store_credentials",
        "spend_budget",
    }  # each asks whose it is
    connecting = {"oauth_provider", "begin_authorization", "take_authorization", "connect_integration"}
    telling = {"check_alerts", "claim_delivery", "finish_delivery"}  # a console is there when no daemon is
    assert allowed("crm_sync_console") - allowed("authenticated") == connecting | starting | testing | telling
    watching = {"pulse", "find_contacts", "contacts_by_id"}
    assert allowed("authenticated") == reading | asking | watching | {
        "retry_cause",
        "reset_counters",
        "sync_now",
        "rows_at_once",
        "adopt_account",
        "member_organizations",
        "pause",
        "resume",
        "try_again",
        "disconnect",
        "retry_failed",
        "manual_sync",
        "acknowledge",
        "set_alert_rule",
        "pause_all",
        "resume_all",
        "cancel",
        "reprioritize",
        "backfill",
        "resync",
        "erase_contact",
        "lift_erasure",
        "delete_connection",
        "delete_alert_rule",
        "delete_intent_rule",
    }
    daemon = allowed("crm_sync_daemon")
    assert {"claim_batch", "finish_batch", "open_credentials"} <= daemon
    assert daemon.isdisjoint(
        {
            "seal_credentials",
            "open_sealed",
            "session_key",
            "decrypt_text",
            "register_provider",
            "claim_lane",
            "apply_configuration",
        }
    )


def test_every_foreign_key_has_an_index(house: House) -> None:
    assert (
        house.rows(
            "select k.conrelid::regclass::text, k.conname from pg_constraint as k "
            "join pg_class as c on c.oid = k.conrelid join pg_namespace as n on n.oid = c.relnamespace where "
            + OURS
            + " and k.contype = 'f' and not exists (select from pg_index as i where i.indrelid = "
            "k.conrelid and i.indpred is null "
            "and (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey and "
            "(i.indkey::int2[])[0:cardinality(k.conkey) - 1] <@ k.conkey)"
        )
        == []
    )


def test_every_tenant_table_has_organization_id_in_its_key_and_its_foreign_keys(house: House) -> None:
    tenant = (
        "select c.oid from pg_class as c join pg_namespace as n on n.oid = c.relnamespace where "
        + OURS
        + " and c.relkind in ('r', 'p') and exists (select from pg_attribute as a where a.attrelid = "
        "c.oid and a.attname = 'organization_id')"
        # rules, alerts and changes of settings may be everybody's, and then they have none
        " and c.relname not in ('users', 'contacts', 'inbox_messages')"
        " and c.relname not in ('intent_rules', 'alert_rules', 'alerts', 'changes')"
    )
    assert len(house.rows(tenant)) >= 9
    assert (
        house.rows(
            "select k.conrelid::regclass::text, k.conname from pg_constraint as k where k.conrelid in ("
            + tenant
            + ") and k.contype in ('p', 'u', 'f') and not exists (select from pg_attribute as a where "
            "a.attrelid = k.conrelid "
            "and a.attname = 'organization_id' and a.attnum = any (k.conkey)) and k.confrelid <> "
            "'public.integration_providers'::regclass "
            "and k.conname <> 'batches_pkey'"
        )
        == []
    )


def test_row_security_is_enabled_and_forced_everywhere(house: House) -> None:
    assert (
        house.rows(
            "select c.oid::regclass::text "
            + RELATIONS
            + " and c.relkind in ('r', 'p') and c.relname <> 'applied_files' "
            "and not (c.relrowsecurity and c.relforcerowsecurity)"
        )
        == []
    )


def test_every_view_asks_with_its_readers_rights_and_none_shows_credentials(house: House) -> None:
    views = (
        "select c.relname, coalesce(c.reloptions @> '{security_invoker=true}', false) "
        + RELATIONS
        + " and c.relkind = 'v'"
    )
    shown = [path.stem for path in VIEWS.glob("*.sql")]
    assert sorted(house.rows(views)) == [(name, True) for name in sorted([*shown, "letterbox"])]  # that is a way in
    assert (
        house.rows(
            "select table_name from information_schema.columns where table_schema = 'crm_sync' and "
            "column_name = 'credentials'"
        )
        == []
    )


def test_every_check_is_named_by_its_rule(house: House) -> None:
    """Postgres' own names end in _check and tell nobody anything."""
    query = (
        "select k.conname from pg_constraint as k join pg_class as c on c.oid = k.conrelid "
        "join pg_namespace as n on n.oid = c.relnamespace where " + OURS + " and k.contype = 'c'"
    )
    names = [name for (name,) in house.rows(query)]
    assert len(names) > 15
    assert [name for name in names if name.endswith("_check")] == []


def test_every_status_has_a_check(house: House) -> None:
    assert (
        house.rows(
            "select c.relname, a.attname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace "
            "join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 where "
            + OURS
            + " and c.relkind in ('r', 'p') "
            "and (a.attname in ('status', 'sync_status', 'queue_type', 'sync_frequency', 'auth_type', "
            "'sync_direction')) "
            "and not exists (select from pg_constraint as k where k.conrelid = c.oid and k.contype = 'c' "
            "and k.conkey = array[a.attnum])"
        )
        == []
    )


def test_nothing_that_has_a_default_is_nullable(house: House) -> None:
    assert (
        house.rows(
            "select c.relname, a.attname "
            + RELATIONS.replace("where", "join pg_attribute as a on a.attrelid = c.oid where", 1)
            + " and c.relkind in ('r', 'p') and a.attnum > 0 and a.atthasdef and not a.attnotnull"
        )
        == []
    )


def test_the_producers_trigger_is_one_for_each_statement(house: House) -> None:
    assert house.rows(
        "select tgname, (tgtype & 1) = 1 from pg_trigger where tgrelid = "
        "'public.message_classifications'::regclass and not tgisinternal"
    ) == [("crm_sync_insert", False)]
