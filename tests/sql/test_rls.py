"""Who sees and writes what, beyond the matrix of every table, verb and claim (test_rls_matrix)."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, documents, failed, synced

TABLES = (
    "organizations", "users", "contacts", "inbox_messages", "message_classifications", "integration_providers",
    "user_integrations", "contact_sync_mappings", "sync_activity_logs", "sync_queue",
)  # fmt: skip


@pytest.fixture
def neighbours(house: House) -> tuple[UUID, UUID, UUID, UUID]:
    """Two organizations with rows in every table, and a member of each."""
    found = []
    for name in ("Acme", "Other"):
        organization = house.organization(name)
        member = house.user(organization, f"{name}@example.com")
        house.integration(organization)
        for n in range(2):
            house.reply(organization, house.contact(organization, f"c{n}@example.com"), "interested")
        found += [organization, member]
    daemon = Daemon(house)
    for _ in range(2):
        batch = daemon.claim()
        first, second = documents(batch)
        daemon.finish(batch, [synced(first), failed(second, "rejected")])
    acme, ada, other, olga = found
    return acme, ada, other, olga


def columns(table: str) -> str:
    return "id, organization_id, sync_settings" if table == "user_integrations" else "*"


def count(connection: psycopg.Connection, table: str, where: str = "true") -> int:
    row = connection.execute(
        f"select count(*) from (select {columns(table)} from public.{table}) as t where {where}".encode()
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_an_inactive_provider_is_hidden_from_members(house: House, neighbours: tuple[UUID, UUID, UUID, UUID]) -> None:
    house.connection.execute("update public.integration_providers set is_active = false where name = 'pipedrive'")
    with house.as_role("authenticated", neighbours[1]) as connection:
        names = connection.execute("select name from public.integration_providers order by 1").fetchall()
    assert names == [("hubspot",), ("salesforce",)]


@pytest.mark.usefixtures("rolled_back")
def test_a_member_manages_the_connections_of_the_organization_only(
    house: House, neighbours: tuple[UUID, UUID, UUID, UUID]
) -> None:
    acme, ada, other, _ = neighbours
    insert = (
        "insert into public.user_integrations (organization_id, provider_id, name) "
        "select %s, id, 'mine' from public.integration_providers where name = 'pipedrive'"
    )
    with house.as_role("authenticated", ada) as connection:
        connection.execute(insert, [acme])
        changed = connection.execute("update public.user_integrations set sync_frequency = 'daily'").rowcount
        assert changed == 2
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute(insert, [other])
        for (id_,) in connection.execute("select id from public.user_integrations").fetchall():
            assert connection.execute("select crm_sync.delete_connection(%s)", [id_]).fetchone() == (True,)
    assert house.rows("select distinct organization_id, sync_frequency from public.user_integrations") == [
        (other, "realtime")
    ]


@pytest.mark.parametrize(
    "column",
    ["credentials", "credentials_version", "status", "organization_id", "total_synced_contacts", "error_count"],
)
@pytest.mark.usefixtures("rolled_back")
def test_a_member_cannot_write_this_column(
    house: House, neighbours: tuple[UUID, UUID, UUID, UUID], column: str
) -> None:
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with house.as_role("authenticated", neighbours[1]) as connection, refused, connection.transaction():
        connection.execute(f"update public.user_integrations set {column} = default".encode())


@pytest.mark.parametrize("role", ["authenticated", "crm_sync_reader", "crm_sync_daemon", "anon", "crm_sync_producer"])
@pytest.mark.usefixtures("rolled_back")
def test_credentials_cannot_be_selected(house: House, neighbours: tuple[UUID, UUID, UUID, UUID], role: str) -> None:
    with house.as_role(role, neighbours[1]) as connection:
        for query in (
            "select credentials from public.user_integrations",
            "select * from public.user_integrations",
            "select 1 from public.user_integrations where credentials like 'sealed:%'",
            "select i from public.user_integrations as i",
            "select to_jsonb(i) from public.user_integrations as i",
            "copy (select credentials from public.user_integrations) to stdout",
            "select crm_sync.require_integration(1)",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(query.encode())


@pytest.mark.usefixtures("rolled_back")
def test_an_organizations_rules_are_its_own_and_the_common_ones_are_nobodys(
    house: House, neighbours: tuple[UUID, UUID, UUID, UUID]
) -> None:
    acme, ada, other, olga = neighbours
    insert = "insert into crm_sync.intent_rules (organization_id, intent, create_deal) values (%s, 'hot', true)"
    with house.as_role("authenticated", ada) as connection:
        connection.execute(insert, [acme])
        for stranger in (other, None):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(insert, [stranger])
        assert connection.execute("update crm_sync.intent_rules set create_deal = false").rowcount == 1
        assert connection.execute("select count(*) from crm_sync.intent_rules").fetchone() == (5,)
    with house.as_role("authenticated", olga) as connection:
        assert connection.execute("select count(*) from crm_sync.intent_rules").fetchone() == (4,)
        (common,) = connection.execute("select min(id) from crm_sync.intent_rules").fetchall()[0]
    hidden = house.value("select id from crm_sync.intent_rules where organization_id = %s", acme)
    with house.as_role("authenticated", olga) as connection:
        for id_ in (common, hidden, 10**9, None):
            with pytest.raises(psycopg.Error) as refusal, connection.transaction():
                connection.execute("select crm_sync.delete_intent_rule(%s)", [id_])
            assert refusal.value.sqlstate == "CS021"
    with house.as_role("authenticated", ada) as connection:
        assert connection.execute("select crm_sync.delete_intent_rule(%s)", [hidden]).fetchone() == (True,)


@pytest.mark.usefixtures("rolled_back")
def test_a_reader_sees_all_organizations_and_writes_nothing(
    house: House, neighbours: tuple[UUID, UUID, UUID, UUID]
) -> None:
    with house.as_role("crm_sync_reader") as connection:
        for view in ("status", "contact_status", "accounting"):
            rows = connection.execute(f"select distinct organization_id from crm_sync.{view}".encode()).fetchall()
            assert len(rows) == 2, view
        connection.execute("select * from crm_sync.workers")
        for table in ("user_integrations", "sync_queue", "contact_sync_mappings", "sync_activity_logs"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(f"delete from public.{table}".encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
            connection.execute("select * from public.contacts")


@pytest.mark.usefixtures("rolled_back")
def test_a_row_cannot_point_into_another_organization(house: House, neighbours: tuple[UUID, UUID, UUID, UUID]) -> None:
    acme, _, other, _ = neighbours
    foreign = house.value("select id from public.contacts where organization_id = %s limit 1", other)
    mine = house.value("select id from public.user_integrations where organization_id = %s", acme)
    for table, values in (
        ("contact_sync_mappings (organization_id, integration_id, contact_id)", [acme, mine, foreign]),
        ("contact_sync_mappings (organization_id, integration_id, contact_id)", [other, mine, foreign]),
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation), house.connection.transaction():
            house.connection.execute(f"insert into public.{table} values (%s, %s, %s)".encode(), values)
    with pytest.raises(psycopg.errors.ForeignKeyViolation), house.connection.transaction():
        house.message(acme, foreign)


@pytest.mark.parametrize("table", [t for t in TABLES if t != "integration_providers"])
@pytest.mark.usefixtures("rolled_back")
def test_a_policy_asks_who_it_is_once_for_each_statement(
    house: House, neighbours: tuple[UUID, UUID, UUID, UUID], table: str
) -> None:
    with house.as_role("authenticated", neighbours[1]) as connection:
        plan = connection.execute(
            f"explain (verbose, costs off) select {columns(table)} from public.{table}".encode()
        ).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "InitPlan" in text
    for line in text.splitlines():
        if "Filter:" in line or "Cond:" in line:
            assert "member_organizations()" not in line, line
            assert "uid()" not in line, line
