"""Every table and view of the catalogs, with every verb, as members with own, forged, foreign and garbled claims.

A table that is made tomorrow is in it by itself: what members may see of it must be the rows of their organization, or
be written into COMMON with its reason.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from docs import access
from tests.house import KEY, House
from tests.sql.attempts import ATTEMPT, DENIED, attempt
from tests.sql.crm import describe
from tests.sql.daemon import Daemon, documents, failed, synced
from tests.sql.test_access_matrix import PAGE, TABLES

# what is not the rows of one's organization, and why
OF_MINE = {
    "organizations": "id = %(mine)s",
    "message_classifications": "message_id in (select id from public.inbox_messages where organization_id = %(mine)s)",
    "crm_sync.pauses": "key = %(mine)s::text or key in "
    "(select id::text from public.user_integrations where organization_id = %(mine)s)",
    # one line for each code of a CRM, of whatever connections: both organizations have met the same one
    "crm_sync.unknown_errors": "true",
}
COMMON = {
    "integration_providers": "is_active",  # what can be connected
    "crm_sync.errors": "true",  # what codes of the CRMs mean: nothing of anybody's
    "crm_sync.intent_rules": "organization_id is null",  # the rules that hold where one has none
    "crm_sync.alert_rules": "organization_id is null",
    "crm_sync.pauses": "scope in ('provider', 'everything')",  # what holds up everybody
}
VERBS = {
    "select": "select from {table}",
    "insert": "insert into {table} default values",
    "update": "update {table} set {column} = {column}",
    "delete": "delete from {table}",
    "merge": "merge into {table} as t using (select 1) as s on true when matched then delete",
    "merge to insert": "merge into {table} as t using (select 1) as s on false "
    "when not matched then insert default values",
    "truncate": "truncate {table}",
    "for update": "select from {table} for update",
    "trigger": "create trigger t before insert on {table} execute function public.attempt('x')",
    "policy": "create policy p on {table} using (true)",
    "unprotect": "alter table {table} disable row level security",
    "index": "create index on {table} ({column})",
    "own": "alter table {table} owner to authenticated",
    "reference": "create table public.mine_{number} (a uuid references {table})",
    "inherit": "create table public.mine_{number} () inherits ({table})",
    "rule": "create rule r as on select to {table} do instead select 1",
    "comment": "comment on table {table} is 'x'",
}
NOBODY: dict[str, str | None] = {
    "no claims": None,
    "an empty text": "",
    "an empty object": "{}",
    "an array": "[]",
    "an array of claims": '[{"sub": "ADA"}]',
    "a text": '"ADA"',
    "null": "null",
    "a null user": '{"sub": null}',
    "a number": '{"sub": 7}',
    "an object as the user": '{"sub": {"sub": "ADA"}}',
    "a list as the user": '{"sub": ["ADA"]}',
    "a stranger": '{"sub": "6f1c1e0e-52a4-4c53-9d0c-4a8f4f0f6a11"}',
    "an organization instead": '{"sub": "ACME", "organization_id": "ACME"}',
    "no id": '{"sub": "x"}',
    "an injection": '{"sub": "ADA\' or true --"}',
    "another injection": '{"sub": "ADA\'); reset role; --"}',
    "a padded user": '{"sub": " ADA "}',
    "a braced user": '{"sub": "{ADA}"}',
    "a huge one": json.dumps({"sub": "a" * 1_000_000}),
    "a deep one": '{"sub": ' + "[" * 500 + "]" * 500 + "}",
    "the last of two": '{"sub": "ADA", "sub": "x"}',
    "other letters": '{"SUB": "ADA", "Sub": "ADA", "role": "crm_sync_owner"}',
}
GARBAGE = {"half of it": '{"sub": "ADA', "no JSON": "{garbage", "a zero byte": '{"sub": "\\u0000"}', "NaN": "NaN"}
FORGED = (
    '{"sub": "ADA", "organization_id": "OTHER"}',
    '{"sub": "ADA", "role": "crm_sync_owner", "org": "OTHER", "organization_ids": ["OTHER"]}',
    '{"sub": "ADA", "app_metadata": {"organization_id": "OTHER"}, "is_admin": true}',
    '{"sub": "OLGA", "sub": "ADA"}',
)


@dataclass
class Neighbours:
    """Two organizations with rows in every table that members see, and a member of each."""

    connection: psycopg.Connection
    acme: UUID
    ada: UUID
    other: UUID
    olga: UUID

    def claims(self, text: str) -> str:
        names = {"ADA": self.ada, "OLGA": self.olga, "ACME": self.acme, "OTHER": self.other}
        for name, value in names.items():
            text = text.replace(name, str(value))
        return text

    def become(self, claims: str | None, role: str = "authenticated") -> None:
        self.connection.execute("reset role")
        self.connection.execute("reset request.jwt.claims")
        if claims is not None:
            self.connection.execute("select set_config('request.jwt.claims', %s, false)", [self.claims(claims)])
        self.connection.execute(sql.SQL("set role {}").format(sql.Identifier(role)))

    def as_superuser(self) -> None:
        self.connection.execute("reset role")
        self.connection.execute("reset request.jwt.claims")


@pytest.fixture(scope="module")
def neighbours(common_connection: psycopg.Connection) -> Iterator[Neighbours]:
    with common_connection.transaction(force_rollback=True):
        house = House(common_connection)
        common_connection.execute(ATTEMPT)
        common_connection.execute("update crm_sync.alert_rules set for_at_least = '0', threshold = 1")
        found = []
        for name in ("Acme", "Other"):
            organization = house.organization(name)
            member = house.user(organization, f"{name}@example.com")
            fill(house, organization)
            found += [organization, member]
        daemon = Daemon(house)
        daemon.call("select crm_sync.pause_all('provider', 'salesforce')")
        daemon.call("select crm_sync.check_alerts()")
        daemon.call("select crm_sync.take_samples()")
        common_connection.execute(  # where there are few rows there are none: they are counted when somebody asks
            "insert into crm_sync.tallies (organization_id, integration_id, counted_at, believed_until, took) "
            "select organization_id, id, '-infinity', '-infinity', '0' from public.user_integrations"
        )
        yield Neighbours(common_connection, *found)
        common_connection.execute("reset role")
        common_connection.execute("reset request.jwt.claims")
        common_connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])


def fill(house: House, organization: UUID) -> None:
    integration = house.integration(organization)
    describe(house, integration)
    daemon = Daemon(house)
    for n in range(3):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"), "interested")
    batch = daemon.claim(integration=integration)
    first, second, third = documents(batch)
    daemon.finish(batch, [synced(first), failed(second, "rejected", code="NEW"), failed(third, "contended")])
    daemon.call("select crm_sync.spend_budget(%s, '{\"core\": 1}', '0')", integration)
    daemon.claim(limit=1, integration=integration)
    daemon.call("select crm_sync.pause_all('integration', %s)", str(integration))
    daemon.call("select crm_sync.reset_counters(%s)", integration)
    gone = house.contact(organization, "gone@example.com")
    daemon.call("select count(*) from crm_sync.erase_contact(%s)", gone)
    for table, columns, values in (
        ("intent_rules", "organization_id, intent, create_deal", f"'{organization}', 'hot', true"),
        (
            "alert_rules",
            "organization_id, name, condition, threshold, severity, remedy",
            f"'{organization}', 'mine', 'queue_depth', 1, 'info', 'look'",
        ),
    ):
        house.connection.execute(f"insert into crm_sync.{table} ({columns}) values ({values})".encode())


def relations(neighbours: Neighbours) -> list[str]:
    return [name for (name,) in neighbours.connection.execute(TABLES.encode()).fetchall()]


def readable(neighbours: Neighbours) -> dict[str, list[str]]:
    """Columns that members may select, of each table and view that they may."""
    query = (
        "select c.oid::regclass::text, array_agg(a.attname::text order by a.attnum) from pg_class as c "
        "join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.oid::regclass::text = any (%s) and has_column_privilege('authenticated', c.oid, a.attnum, 'select') "
        "group by c.oid"
    )
    return dict(neighbours.connection.execute(query, [relations(neighbours)]).fetchall())


def counts(neighbours: Neighbours, where: dict[str, str]) -> dict[str, int]:
    """How many rows of each table and view there are for whoever asks."""
    parts = [
        f"select '{table}' as name, count(*) from (select {', '.join(columns)} from {table}) as t "
        f"where {where.get(table, 'true')}"
        for table, columns in readable(neighbours).items()
    ]
    query = " union all ".join(parts).encode()
    return dict(neighbours.connection.execute(query, {"mine": neighbours.acme}, prepare=False).fetchall())


def test_a_member_sees_all_of_the_organization_and_nothing_of_another(neighbours: Neighbours) -> None:
    neighbours.as_superuser()
    mine: dict[str, str] = {}
    common: dict[str, str] = {}
    for table, columns in readable(neighbours).items():
        own = "organization_id = %(mine)s" if "organization_id" in columns else "false"
        mine[table] = OF_MINE.get(table, own)
        common[table] = COMMON.get(table, "false")
    either = {table: f"(({mine[table]}) or ({common[table]}))" for table in mine}
    wanted, of_mine = counts(neighbours, either), counts(neighbours, mine)
    assert len(wanted) > 30
    for claims in ('{"sub": "ADA"}', *FORGED):
        neighbours.become(claims)
        seen, seen_of_mine = counts(neighbours, {}), counts(neighbours, either)
        assert seen == seen_of_mine == wanted, claims
    assert [t for t, n in of_mine.items() if n == 0 and t not in COMMON and t not in ("crm_sync.stuck",)] == []


def test_a_member_reads_the_same_rows_whatever_way(neighbours: Neighbours) -> None:
    """COPY, a prepared statement, a cursor, a join from outside, and without row security."""
    neighbours.become('{"sub": "ADA"}')
    connection = neighbours.connection
    for table, columns in readable(neighbours).items():
        listed = ", ".join(columns)
        expected = connection.execute(f"select count(*) from (select {listed} from {table}) as t".encode()).fetchone()
        out = io.BytesIO()
        with connection.cursor().copy(f"copy (select {listed} from {table}) to stdout".encode()) as copy:
            for block in copy:
                out.write(bytes(block))
        assert out.getvalue().count(b"\n") == (expected or (0,))[0], table
        assert str(neighbours.other).encode() not in out.getvalue(), table
    for table in readable(neighbours):
        with connection.transaction(force_rollback=True):
            connection.execute("set local row_security = off")
            said = attempt(connection, [f"select 1 from {table}"])[f"select 1 from {table}"]
            assert said.startswith(DENIED) or said == "0" or table in COMMON, (table, said)


@pytest.mark.parametrize("claims", NOBODY)
def test_claims_that_name_no_member_show_nothing_but_what_is_common(neighbours: Neighbours, claims: str) -> None:
    neighbours.as_superuser()
    wanted = counts(neighbours, {table: COMMON.get(table, "false") for table in readable(neighbours)})
    neighbours.become(NOBODY[claims])
    assert counts(neighbours, {}) == wanted


@pytest.mark.parametrize("claims", GARBAGE)
def test_claims_that_are_no_json_are_an_error_and_no_way_in(neighbours: Neighbours, claims: str) -> None:
    neighbours.become(GARBAGE[claims])
    protected = [table for table in readable(neighbours) if table not in ("integration_providers", "crm_sync.errors")]
    for statement, said in attempt(neighbours.connection, [f"select from {table}" for table in protected]).items():
        assert said[:3] == "22P" or said == "0", (statement, said)
        assert str(neighbours.ada) not in said


@pytest.mark.parametrize("role", ["anon", "authenticated", *(r for r in access.ROLES if r.startswith("crm_sync_"))])
def test_each_role_does_to_each_table_what_the_page_of_grants_says_and_no_more(
    neighbours: Neighbours, role: str
) -> None:
    neighbours.as_superuser()
    page = {
        g
        for g in access.written(PAGE.read_text())
        if g.role == role or (role == "crm_sync_console" and g.role == "authenticated")
    }
    hosts = (
        {(f"public.{table}", "select") for table in access.HOST}
        if role in ("authenticated", "crm_sync_console")
        else set()
    )
    whole = {(g.name, g.privilege) for g in page if g.kind == "table"} | hosts
    some = {(g.name.rpartition(".")[0], g.privilege) for g in page if g.kind == "column"}
    statements: dict[str, tuple[str, str]] = {}
    for number, table in enumerate(relations(neighbours)):
        columns = neighbours.connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and attidentity = '' "
            "and not attisdropped order by attnum limit 1",
            [table],
        ).fetchone()
        assert columns is not None
        full = table if "." in table else f"public.{table}"
        updatable = next(
            (
                g.name.rpartition(".")[2]
                for g in page
                if g.kind == "column" and g.privilege == "update" and g.name.startswith(full + ".")
            ),
            columns[0],
        )
        for verb, text in VERBS.items():
            statements[text.format(table=table, column=updatable, number=number)] = (full, verb)
    neighbours.become('{"sub": "ADA"}', role)
    allowed = {
        statements[statement]: said
        for statement, said in attempt(neighbours.connection, list(statements)).items()
        if not is_refused(said)
    }
    neighbours.as_superuser()
    for (table, verb), said in allowed.items():
        right = {"merge": "delete", "merge to insert": "insert", "for update": "update"}.get(verb, verb)
        assert (table, right) in whole | some, (table, verb, said)
    for table, right in whole:
        assert right == "execute" or (table, right) in allowed, (table, right)


def is_refused(said: str) -> bool:
    """No right, or (views) no such thing; a row that a policy refuses was looked at, so the right was there."""
    return "row-level security" not in said and said.startswith((DENIED, "42809", "0A000", "55000", "42P16", "42704"))


WRITABLE = ("public.user_integrations", "crm_sync.intent_rules", "crm_sync.alert_rules")
VALUES = {
    "public.user_integrations": ("organization_id, provider_id, name", "'{organization}', 1, 'forged'"),
    "crm_sync.intent_rules": ("organization_id, intent", "'{organization}', 'forged'"),
    "crm_sync.alert_rules": (
        "organization_id, name, condition, threshold, severity, remedy",
        "'{organization}', 'forged', 'queue_depth', 1, 'info', 'x'",
    ),
}


@pytest.mark.parametrize("table", WRITABLE)
def test_members_write_rows_of_their_organization_and_no_others(neighbours: Neighbours, table: str) -> None:
    neighbours.as_superuser()
    columns, values = VALUES[table]
    column = {"public.user_integrations": "name", "crm_sync.intent_rules": "intent"}.get(table, "remedy")
    (own,) = neighbours.connection.execute(
        f"select count(*) from {table} where organization_id = %s".encode(), [neighbours.acme]
    ).fetchone() or (0,)
    assert own > 0

    def outcome(statement: str, organization: Any = "") -> str:
        return attempt(neighbours.connection, [statement.replace("{organization}", str(organization))]).popitem()[1]

    for claims in ('{"sub": "ADA"}', *FORGED):
        neighbours.become(claims)
        insert = f"insert into {table} ({columns}) values ({values})"
        assert outcome(insert, neighbours.acme) == "1"
        for organization in (neighbours.other, uuid4()):
            assert outcome(insert, organization).startswith((DENIED, "42501")), organization
        assert outcome(insert.replace("'{organization}'", "null")).startswith((DENIED, "23502"))
        assert outcome(f"update {table} set {column} = {column}") == str(own)
        matched = f"when matched then update set {column} = t.{column}"
        merge = f"merge into {table} as t using (select 1) as s on t.organization_id is not null {matched}"
        assert outcome(merge) == str(own)
        assert outcome(f"update {table} set organization_id = '{neighbours.other}'").startswith(DENIED)
        upsert = insert + f" on conflict do nothing returning {columns.split(',')[0]}"
        assert outcome(upsert, neighbours.other).startswith(DENIED)
        peek = f"from public.contacts as k where k.organization_id <> '{neighbours.acme}'"
        assert outcome(f"update {table} set {column} = {column} {peek}") == "0"
    neighbours.become('{"sub": "6f1c1e0e-52a4-4c53-9d0c-4a8f4f0f6a11"}')
    assert outcome(f"update {table} set {column} = {column}") == "0"


def test_a_cheap_function_in_a_condition_sees_no_row_of_another(neighbours: Neighbours) -> None:
    """A condition that talks is asked after the policy, in tables and through every view."""
    neighbours.as_superuser()
    neighbours.connection.execute(
        "create or replace function public.tell(p text) returns boolean language plpgsql cost 0.0001 immutable as $$ "
        "begin perform set_config('test.told', current_setting('test.told') || p, true); return true; end $$; "
        "grant execute on function public.tell(text) to public"
    )
    neighbours.become('{"sub": "ADA"}')
    for table, columns in readable(neighbours).items():
        row = "row(" + ", ".join(f"t.{column}" for column in columns) + ")"
        neighbours.connection.execute("select set_config('test.told', '', true)")
        neighbours.connection.execute(f"select count(*) from {table} as t where public.tell({row}::text)".encode())
        told = neighbours.connection.execute("select current_setting('test.told')").fetchone()
        assert told is not None
        assert str(neighbours.other) not in told[0], table
        for column in columns:
            # an error of a cast repeats the value
            said = attempt(
                neighbours.connection, [f"select from {table} as t where (t.{column}::text || 'x')::numeric > 0"]
            )
            assert str(neighbours.other) not in said.popitem()[1], table
    neighbours.as_superuser()


def test_no_view_lends_its_owners_eyes(neighbours: Neighbours) -> None:
    """security_invoker is on for each; whoever turns it off gives a reason here."""
    reasons: dict[str, str] = {}  # a view, and why it may
    neighbours.as_superuser()
    query = (
        "select c.oid::regclass::text from pg_class as c where c.relkind in ('v', 'm') and "
        "c.relnamespace in ('crm_sync'::regnamespace, 'public'::regnamespace) and "
        "pg_get_userbyid(c.relowner) = 'crm_sync_owner' "
        "and not coalesce(c.reloptions @> '{security_invoker=true}', false)"
    )
    assert {name for (name,) in neighbours.connection.execute(query.encode()).fetchall()} == set(reasons)
