"""Every (role, object, privilege) is what sql/access.sql says: not one more, not one less."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs import access
from docs.access import Grant
from tests.house import House
from tests.sql.attempts import ATTEMPT, DENIED, attempt

PAGE = Path(__file__).parents[2] / "sql" / "access.sql"

pytestmark = pytest.mark.usefixtures("rolled_back")

# what no statement of the page says by itself
BY_BLOCKS = {
    # the page's first block, before all else is given
    Grant("schema", "crm_sync", "usage", access.OWNER),
    Grant("schema", "crm_sync", "create", access.OWNER),
    # made by the migrations: a policy of anybody asks auth.uid()
    Grant("schema", "auth", "usage", "public"),
    # Postgres' own default
    Grant("schema", "public", "usage", "public"),
    # the page's last block but one: the daemon and the console keep people out of the server's log
    *(
        Grant("parameter", name, "set", role)
        for name in ("log_parameter_max_length", "auto_explain.log_min_duration")
        for role in ("crm_sync_daemon", "crm_sync_console")
    ),
} | {Grant("table", f"public.{table}", "select", "authenticated") for table in access.HOST}


def short(grants: set[Grant]) -> set[Grant]:
    """Without `public.`, which the page may leave away, and without what goes to the owner of the table."""
    return {g for g in grants if not (g.role == access.OWNER and g.kind == "table")}


def test_every_right_is_on_the_page_and_the_page_gives_no_other(house: House) -> None:
    there = short(access.granted(house.connection))
    listed = short(access.written(PAGE.read_text())) | BY_BLOCKS
    assert there - listed == set(), "granted, and not on the page"
    assert listed - there == set(), "on the page, and not granted"
    assert len(there) > 250


@pytest.mark.parametrize(
    "grant",
    [
        "grant select on crm_sync.config to authenticated",
        "grant select (credentials) on public.user_integrations to crm_sync_reader",
        "grant execute on function crm_sync.claim_lane(uuid, bigint, integer, interval, uuid) to crm_sync_console",
        "grant usage on schema crm_sync to anon",
        "grant usage on sequence crm_sync.batches_id_seq to public",
        "grant select on public.sync_queue to authenticated with grant option",
        "revoke select on crm_sync.status from crm_sync_reader",
        "alter default privileges for role crm_sync_owner grant select on tables to public",
    ],
)
def test_one_right_more_or_less_is_noticed(house: House, grant: str) -> None:
    house.connection.execute(grant.encode())
    with pytest.raises(AssertionError):
        test_every_right_is_on_the_page_and_the_page_gives_no_other(house)


def test_what_is_made_later_can_be_called_by_nobody(house: House) -> None:
    house.connection.execute("set local role crm_sync_owner")
    house.connection.execute("create function crm_sync.made_later() returns integer language sql return 1")
    house.connection.execute("create table crm_sync.made_later (id integer)")
    for role in ("anon", "authenticated", "crm_sync_daemon", "crm_sync_producer", "crm_sync_reader"):
        may_call = house.value("select has_function_privilege(%s, 'crm_sync.made_later()', 'execute')", role)
        may_see = house.value("select has_table_privilege(%s, 'crm_sync.made_later', 'select')", role)
        assert (may_call, may_see) == (False, False), role
    house.connection.execute("reset role")


def test_roles_of_ours_are_members_of_nothing_but_what_is_written_here(house: House) -> None:
    memberships = house.rows(
        "select pg_get_userbyid(roleid), pg_get_userbyid(member) from pg_auth_members "
        "where pg_get_userbyid(member) ~ '^crm_sync_(owner|daemon|console|producer|reader)$' "
        "or pg_get_userbyid(member) in ('anon', 'authenticated') order by 1, 2"
    )
    assert memberships == [("authenticated", "crm_sync_console")]  # the console asks as the user who asks it


def test_no_role_of_ours_may_make_anything_in_the_database(house: House) -> None:
    roles = [*access.ROLES[1:]]
    for role in roles:
        assert not house.value("select has_database_privilege(%s, current_database(), 'create')", role), role
        for schema in ("public", "crm_sync", "auth"):
            assert not house.value("select has_schema_privilege(%s, %s, 'create')", role, schema), (role, schema)


def test_the_page_for_people_has_every_right(house: House) -> None:
    text = access.page(house.connection)
    for grant in access.granted(house.connection):
        name = grant.name.rpartition(".")[0] if grant.kind == "column" else grant.name
        assert f"| `{name}` |" in text or grant.kind in ("default", "type"), grant


MODES = (
    "access share", "row share", "row exclusive", "share update exclusive", "share", "share row exclusive", "exclusive",
    "access exclusive",
)  # fmt: skip
HARMLESS = {"access share", "row share", "row exclusive"}  # these keep out nobody who reads or writes


def test_nobody_can_lock_a_table_against_others(house: House) -> None:
    """Whoever may DELETE from, UPDATE or TRUNCATE a whole table may LOCK it, and hold up every organization."""
    tables = [name for (name,) in house.rows(TABLES)]
    assert len(tables) > 40
    held = set()
    house.connection.execute(ATTEMPT)
    for role in access.ROLES[1:]:
        tried = {f"lock table {table} in {mode} mode": (role, table, mode) for table in tables for mode in MODES}
        with house.as_role(role) as connection:
            outcomes = attempt(connection, list(tried))
        assert {said[:5] for said in outcomes.values()} <= {"0", DENIED}
        held |= {tried[statement] for statement, said in outcomes.items() if said == "0"}
    assert [each for each in held if each[2] not in HARMLESS] == []
    assert {each for each in held if each[2] == "row exclusive"} == {
        ("authenticated", "crm_sync.alert_rules", "row exclusive"),
        ("authenticated", "crm_sync.intent_rules", "row exclusive"),
        ("crm_sync_console", "crm_sync.alert_rules", "row exclusive"),
        ("crm_sync_console", "crm_sync.intent_rules", "row exclusive"),
        ("crm_sync_console", "crm_sync.letterbox", "row exclusive"),
        ("crm_sync_daemon", "crm_sync.letterbox", "row exclusive"),
        ("crm_sync_producer", "message_classifications", "row exclusive"),
    }


TABLES = (
    "select c.oid::regclass::text from pg_class as c where c.relkind in ('r', 'p', 'v') and "
    "(c.relnamespace = 'crm_sync'::regnamespace or pg_get_userbyid(c.relowner) = 'crm_sync_owner') order by 1"
)
