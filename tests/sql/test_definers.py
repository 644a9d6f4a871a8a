"""Functions that run as the owner, called by each role that may, in a hostile session with hostile arguments.

In that session the names of types, tables and functions are shadowed by temporary objects and by a schema that is
searched first; whatever of it ran as the owner would be seen. What belongs to another organization must neither be
shown nor touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from tests.house import House
from tests.postgres import TestServer
from tests.sql.daemon import Daemon, connect, documents, failed, synced

CANARY = "canary7f3a"
TYPES = ("text", "uuid", "jsonb", "json", "timestamptz", "bytea", "int4", "int8", "int2", "bool", "interval", "numeric")
RELATIONS = (
    "users", "contacts", "organizations", "user_integrations", "sync_queue", "lanes", "batches", "config", "pauses",
    "pg_class", "pg_proc", "pg_namespace", "pg_attribute", "pg_roles", "pg_stat_activity", "pg_locks", "pg_settings",
)  # fmt: skip
ASK = """
create function public.ask(p_statement pg_catalog.text) returns pg_catalog.text
language plpgsql
as $ask$
declare
  v_said pg_catalog.text;
begin
  perform pg_catalog.set_config('test.trap', '', true);
  perform pg_catalog.set_config('test.touched', '', true);
  execute p_statement into v_said;
  raise exception using errcode = 'ZZ001', message = pg_catalog.concat(
    'ok|', pg_catalog.current_setting('test.trap'), '|', pg_catalog.current_setting('test.touched'), '|', v_said);
exception
  when sqlstate 'ZZ001' then
    return sqlerrm;
  when others then
    return pg_catalog.concat(
      sqlstate, '|', pg_catalog.current_setting('test.trap', true), '||', sqlerrm);
end;
$ask$;
create function public.spy() returns trigger
language plpgsql
as $spy$
begin
  perform pg_catalog.set_config('test.touched', pg_catalog.concat(tg_table_name, ' ', tg_op), true);
  return coalesce(new, old);
end;
$spy$;
"""
TRAP = """
create function {schema}.trap(p_name pg_catalog.text) returns pg_catalog.bool
language plpgsql
as $trap$
begin
  if current_user = 'crm_sync_owner' then
    perform pg_catalog.set_config('test.trap', p_name, true);
  end if;
  return true;
end;
$trap$;
"""
SHADOWS = """
create function evil.now() returns timestamptz language sql return evil.stamp('now');
create function evil.clock_timestamp() returns timestamptz language sql return evil.stamp('clock_timestamp');
create function evil.lower(text) returns text language plpgsql as $$
begin perform evil.trap('lower'); return $1; end $$;
create function evil.btrim(text) returns text language plpgsql as $$
begin perform evil.trap('btrim'); return $1; end $$;
create function evil.cardinality(bigint[]) returns integer language plpgsql as $$
begin perform evil.trap('cardinality'); return 1; end $$;
create function evil.is_same(uuid, uuid) returns boolean language plpgsql as $$
begin perform evil.trap('= of uuid'); return true; end $$;
create operator evil.= (leftarg = uuid, rightarg = uuid, function = evil.is_same);
create function evil.is_same(bigint, bigint) returns boolean language plpgsql as $$
begin perform evil.trap('= of bigint'); return true; end $$;
create operator evil.= (leftarg = bigint, rightarg = bigint, function = evil.is_same);
create function evil.is_same(text, text) returns boolean language plpgsql as $$
begin perform evil.trap('= of text'); return true; end $$;
create operator evil.= (leftarg = text, rightarg = text, function = evil.is_same);
"""


@dataclass
class Scene:
    """Two organizations; what belongs to the second carries the canary."""

    url: str
    acme: UUID
    ada: UUID
    own: dict[str, list[str]]
    foreign: dict[str, list[str]]


@pytest.fixture(scope="module")
def scene(postgres: TestServer, template: str) -> Iterator[Scene]:
    url = postgres.create_database(template)
    with connect(url) as connection:
        connection.execute("select crm_sync.claim_database()")
        house = House(connection)
        acme, own, ada = fill(house, "Acme", "mine")
        other, foreign, _ = fill(house, CANARY, CANARY)
        connection.execute(ASK)
        spy(connection, other)
    yield Scene(url, acme, ada, own, foreign)
    postgres.drop_database(url)


def fill(house: House, name: str, word: str) -> tuple[UUID, dict[str, list[str]], UUID]:
    """An organization with work in every state; ids of each kind, as texts."""
    organization = house.organization(name)
    member = house.user(organization, f"{word}@example.com")
    integration = house.integration(organization, credentials={"access_token": word}, name=word)
    contacts, messages = [], []
    for n in range(3):
        contact = house.contact(organization, f"{word}{n}@example.com", first_name=word, company=word)
        message = house.message(organization, contact, word, word)
        house.classify(message)
        contacts.append(str(contact))
        messages.append(str(message))
    daemon = Daemon(house)
    batch = daemon.claim(integration=integration)
    first, second, third = documents(batch)
    outcomes = [synced(first, f"crm-{word}"), failed(second, "rejected", word), failed(third, "contended", word)]
    daemon.finish(batch, outcomes)
    running = daemon.claim(limit=1, integration=integration)
    rule = "insert into crm_sync.intent_rules (organization_id, intent) values (%s, %s) returning id"
    alarm = (
        "insert into crm_sync.alert_rules (organization_id, name, condition, threshold, severity, remedy) "
        "values (%s, %s, 'queue_depth', 1, 'info', %s) returning id"
    )
    ids = [
        integration,
        running["id"],
        house.value(rule, organization, word),
        house.value(alarm, organization, word, word),
    ]
    ids += [row for (row,) in house.rows("select id from public.sync_queue where organization_id = %s", organization)]
    return (
        organization,
        {"uuid": [str(organization), *contacts, *messages, str(member)], "bigint": list(map(str, ids))},
        member,
    )


def spy(connection: psycopg.Connection, organization: UUID) -> None:
    """Whoever writes a row of this organization is seen."""
    tables = connection.execute(
        "select a.attrelid::regclass::text from pg_attribute as a join pg_class as c on c.oid = a.attrelid "
        "where a.attname = 'organization_id' and c.relkind = 'r' and not c.relispartition "
        "and pg_get_userbyid(c.relowner) = 'crm_sync_owner'"
    ).fetchall()
    for (table,) in tables:
        for verbs, row in (("insert or update", "new"), ("delete", "old")):
            when = f"when ({row}.organization_id = '{organization}')"
            name = f"spy_{row}"
            spying = (
                f"create trigger {name} before {verbs} on {table} for each row {when} execute function public.spy()"
            )
            connection.execute(spying.encode())


def set_traps(connection: psycopg.Connection, role: str) -> None:
    """As a role that has made what it could make: temporary objects, and a schema that it had before."""
    connection.execute("create schema evil")
    connection.execute("grant all on schema evil to public")
    connection.execute(TRAP.format(schema="evil").encode())
    connection.execute(
        "create function evil.stamp(text) returns timestamptz language plpgsql as "
        "$$ begin perform evil.trap($1); return pg_catalog.now(); end $$"
    )
    connection.execute(SHADOWS.encode())
    connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
    connection.execute(TRAP.format(schema="pg_temp").encode())
    for name in RELATIONS:
        connection.execute(f"create view pg_temp.{name} as select pg_temp.trap('relation {name}') as id".encode())
    for name in TYPES:
        check = f"check (pg_temp.trap('type {name}'))"
        connection.execute(f"create domain pg_temp.{name} as pg_catalog.{name} {check}".encode())
    connection.execute("set search_path = evil, pg_temp, public, crm_sync, pg_catalog")


def functions(connection: psycopg.Connection, role: str) -> list[tuple[str, list[str], list[str]]]:
    """Name, types and names of the parameters of each that runs as the owner and that this role may call."""
    query = (
        "select p.proname, array(select t::regtype::text from unnest(p.proargtypes::oid[]) as t), "
        "coalesce(p.proargnames[:p.pronargs], '{}') from pg_proc as p "
        "where p.pronamespace = 'crm_sync'::regnamespace and p.prorettype <> 'trigger'::regtype "
        "and p.prosecdef and has_function_privilege(%s, p.oid, 'execute') order by 1"
    )
    return connection.execute(query, [role]).fetchall()


NASTY: dict[str, list[str]] = {
    "uuid": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    "bigint": ["-1", "0", "9223372036854775807", "-9223372036854775808"],
    "integer": ["-1", "0", "1", "2147483647", "-2147483648"],
    "numeric": ["NaN", "-1", "1e300", "Infinity", "0"],
    "double precision": ["NaN", "Infinity", "-Infinity", "-1", "1e300"],
    "boolean": ["true", "false"],
    "interval": ["-1 day", "0", "0.01 seconds", "-178000000 years"],
    "timestamp with time zone": ["infinity", "-infinity", "294276-12-31", "4713-01-01 BC"],
    "jsonb": [
        "null",
        "[]",
        "{}",
        "7",
        '"x"',
        "[null]",
        '{"all": 7}',
        '[{"rows": "x"}]',
        '{"core": -1e99}',
        '[[[{"a": {}}]]]',
    ],
    "text": [
        "",
        " ",
        "x' or true --",
        "'; drop table public.users; --",
        "%s%n%I%L",
        "\\",
        "{}",
        "a" * 5_000,
        "everything",
        "organization",
    ],
    "bytea": ["", "\\x00ff"],
    "uuid[]": ["{}", "{NULL}"],
    "bigint[]": ["{}", "{NULL}", "{-1,0}"],
}
HUGE = {
    "uuid[]": "array(select gen_random_uuid() from pg_catalog.generate_series(1, 20000))",
    "bigint[]": "array(select g::pg_catalog.int8 from pg_catalog.generate_series(1, 20000) as g)",
}


def values(kind: str, scene: Scene, *, mine: bool) -> list[str]:
    """Expressions of a type: an organization's own, or hostile ones, those of the other organization among them."""
    cast = "::" + ("pg_catalog." + ALIASES[kind] if kind in ALIASES else kind)
    ids = scene.own if mine else scene.foreign
    found = ids.get(kind, []) + (NASTY.get(kind, []) if not mine else [])
    if kind.endswith("[]") and kind[:-2] in ids:
        found = ["{" + ",".join(ids[kind[:-2]]) + "}"] + ([] if mine else NASTY[kind])
    quoted = [sql.Literal(value).as_string(None) + cast for value in found]
    return quoted + ([f"({HUGE[kind]}){cast}"] if kind in HUGE and not mine else []) + ["null" + cast]


ALIASES = {
    "uuid": "uuid", "bigint": "int8", "integer": "int4", "numeric": "numeric", "double precision": "float8",
    "boolean": "bool", "interval": "interval", "timestamp with time zone": "timestamptz", "jsonb": "jsonb",
    "text": "text", "bytea": "bytea",
    "uuid[]": "uuid[]", "bigint[]": "int8[]",
}  # fmt: skip


SENSIBLE = {
    "p_scope": "integration", "p_key": "", "p_provider": "hubspot", "p_name": "queue_depth", "p_kind": "rejected",
    "p_queue_type": "contact_sync", "p_severity": "info", "p_credentials": '{"access_token": "x"}', "p_priority": "5",
    "p_older_than": "0", "p_lease": "1 minute", "p_costs": '{"core": 1}', "p_outcomes": "[]", "p_fields": "[]",
    "p_filter": "{}", "p_account": '{"id": "7"}', "p_at": "now", "p_queue_ids": "{1,2,3}",
}  # fmt: skip
BY_TYPE = {
    "integer": "5", "numeric": "5", "double precision": "5", "boolean": "true", "interval": "1 hour", "jsonb": "{}",
    "timestamp with time zone": "now", "text": "x", "bytea": "x",
}  # fmt: skip


def sensible(scene: Scene, types: list[str], names: list[str]) -> list[str]:
    """Arguments with which the organization itself would call it."""
    found = []
    for kind, name in zip(types, names or [""] * len(types), strict=True):
        plain = SENSIBLE.get(name, BY_TYPE.get(kind))
        if name == "p_key":
            plain = scene.own["bigint"][0]
        if name == "p_contact_id":
            plain = scene.own["uuid"][1]
        if plain is None or kind not in ALIASES:
            found.append(values(kind, scene, mine=True)[0])
        else:
            found.append(f"{sql.Literal(plain).as_string(None)}::pg_catalog.{ALIASES[kind]}")
    return found


def calls(scene: Scene, name: str, types: list[str], names: list[str]) -> set[str]:
    """One argument hostile and the others sensible or null, each in turn; all of them hostile; all of them null."""
    hostile = [values(kind, scene, mine=False) for kind in types]
    chosen = [sensible(scene, types, names), [each[-1] for each in hostile], [each[0] for each in hostile]]
    for place, nasty in enumerate(hostile):
        for value in nasty:
            for others in chosen[:2]:
                chosen.append([value if n == place else other for n, other in enumerate(others)])
    return {
        f"select pg_catalog.string_agg(t::pg_catalog.text, ';') from crm_sync.{name}({', '.join(each)}) as t"
        for each in chosen
    }


@pytest.mark.parametrize("role", ["authenticated", "crm_sync_console", "crm_sync_reader", "crm_sync_daemon"])
def test_no_function_can_be_led_astray(scene: Scene, role: str) -> None:
    is_tenant = role in ("authenticated", "crm_sync_console")
    with connect(scene.url) as connection, connection.transaction(force_rollback=True):
        if is_tenant:
            claims = json.dumps({"sub": str(scene.ada), "role": role})
            connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])
        found = functions(connection, role)
        connection.execute("set local client_min_messages = error")
        set_traps(connection, role)
        statements = sorted(
            {call for name, types, names in found if name != "wait_for" for call in calls(scene, name, types, names)}
        )
        said = connection.execute(
            "select s, public.ask(s) from pg_catalog.unnest(%s::pg_catalog.text[]) as s", [statements], prepare=False
        ).fetchall()
        assert len(said) > 100
        trapped, touched, shown, broken = set(), set(), set(), set()
        for statement, answer in said:
            state, trap, rows, words = answer.split("|", 3)
            trapped |= {(statement, trap)} - {(statement, "")}
            touched |= {(statement, rows)} - {(statement, "")}
            shown |= {(statement, words)} if CANARY in words else set()
            broken |= {(statement, state, words)} if state[:2] in ("XX", "58", "57", "53", "P0", "F0") else set()
        assert trapped == set(), "ran as the owner"
        assert broken == set(), "internal errors"
        if is_tenant:
            assert touched == set(), "rows of another organization were written"
            assert shown == set(), "rows of another organization were shown"
        connection.execute("reset role")


def test_what_is_not_yours_and_what_does_not_exist_are_answered_alike(scene: Scene) -> None:
    """By the same words and state, but for the id that was given; so nobody can find out what there is."""
    nowhere = {"uuid": "6f1c1e0e-52a4-4c53-9d0c-4a8f4f0f6a11", "bigint": "123456789012"}
    different = []
    with connect(scene.url) as connection, connection.transaction(force_rollback=True):
        connection.execute("set local client_min_messages = error")
        claims = json.dumps({"sub": str(scene.ada)})
        connection.execute("select set_config('request.jwt.claims', %s, false)", [claims])
        found = functions(connection, "authenticated")
        connection.execute("set role authenticated")
        for name, types, names in found:
            for place, kind in enumerate(types):
                if kind not in nowhere or name == "wait_for" or names[place] == "p_after":
                    continue
                arguments = sensible(scene, types, names)
                answers = {}
                for id_ in [nowhere[kind], *scene.foreign[kind]]:
                    arguments[place] = f"'{id_}'::{kind}"
                    call = f"select string_agg(t::text, ';') from crm_sync.{name}({', '.join(arguments)}) as t"
                    row = connection.execute("select public.ask(%s)", [call]).fetchone()
                    answers[id_] = re.sub(rf"\b{id_}\b", "ID", (row or ("",))[0])
                different += [(name, id_, said) for id_, said in answers.items() if said != answers[nowhere[kind]]]
        connection.execute("reset role")
    assert [(n, w[:120]) for n, _, w in different] == []


def test_a_producer_with_a_session_of_its_own_does_not_become_the_owner(scene: Scene) -> None:
    """A temporary type `text` was once found before the real one, and its check ran as the owner in the trigger."""
    with connect(scene.url) as connection, connection.transaction(force_rollback=True):
        set_traps(connection, "crm_sync_producer")
        connection.execute("select pg_catalog.set_config('test.trap', '', true)")
        for message in (scene.own["uuid"][4], scene.foreign["uuid"][4], "6f1c1e0e-52a4-4c53-9d0c-4a8f4f0f6a11"):
            connection.execute(
                "insert into public.message_classifications (message_id, intent, priority) "
                f"select '{message}'::pg_catalog.uuid, i, 'urgent' "
                "from (values ('interested'), ('Other thing')) as v (i)".encode()
            )
        assert connection.execute("select pg_catalog.current_setting('test.trap')").fetchone() == ("",)
        connection.execute("reset role")


def test_a_classification_makes_work_for_the_organization_of_its_message_alone(scene: Scene) -> None:
    """Producers classify for everybody; what they say reaches the CRMs of the message's organization and no other."""
    with connect(scene.url) as connection, connection.transaction(force_rollback=True):
        (before,) = connection.execute("select max(id) from public.sync_queue").fetchone() or (0,)
        connection.execute("set role crm_sync_producer")
        for message in (*scene.own["uuid"][4:7], *scene.foreign["uuid"][4:7]):
            connection.execute(
                "insert into public.message_classifications (message_id, intent) values (%s, 'interested')", [message]
            )
        connection.execute("reset role")
        mixed = (
            "select count(*), count(*) filter (where m.organization_id = q.organization_id and "
            "i.organization_id = q.organization_id and k.organization_id = q.organization_id and m.contact_id = k.id) "
            "from public.sync_queue as q left join public.inbox_messages as m on m.id = q.message_id "
            "left join public.user_integrations as i on i.id = q.integration_id "
            "left join public.contacts as k on k.id = q.contact_id where q.id > %s"
        )
        assert connection.execute(mixed, [before]).fetchone() == (6, 6)
