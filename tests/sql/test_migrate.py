"""The migrator: once, in order, only what changed, all or nothing, and never against a table it does not own."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from sql.migrate import LOCK_KEY, ROOT, MigrationError, files, install_script, migrate, pending
from tests.house import House, eventually
from tests.postgres import TestServer
from tests.sql.daemon import Daemon, connect, failed, people, queue, released, synced

CATALOG = (
    "select p.oid::regprocedure::text, md5(pg_get_functiondef(p.oid)), p.proacl::text, pg_get_userbyid(p.proowner), "
    "obj_description(p.oid, 'pg_proc') from pg_proc as p where p.pronamespace in "
    "('crm_sync'::regnamespace, 'auth'::regnamespace)",
    "select c.oid::regclass::text, c.relkind, pg_get_userbyid(c.relowner), c.relacl::text, "
    "c.relrowsecurity, c.relforcerowsecurity, "
    "c.reloptions::text, obj_description(c.oid, 'pg_class') from pg_class as c "
    "where c.relnamespace in ('crm_sync'::regnamespace, 'public'::regnamespace)",
    "select a.attrelid::regclass::text, a.attname, a.attnum, format_type(a.atttypid, a.atttypmod), "
    "a.attnotnull, a.attidentity, "
    "a.attacl::text, col_description(a.attrelid, a.attnum), pg_get_expr(d.adbin, d.adrelid) from pg_attribute as a "
    "join pg_class as c on c.oid = a.attrelid left join pg_attrdef as d on d.adrelid = a.attrelid and "
    "d.adnum = a.attnum "
    "where c.relnamespace in ('crm_sync'::regnamespace, 'public'::regnamespace) and a.attnum > 0 and "
    "c.relkind in ('r', 'p', 'v')",
    "select k.conrelid::regclass::text, k.conname, pg_get_constraintdef(k.oid) from pg_constraint as k "
    "where k.connamespace in ('crm_sync'::regnamespace, 'public'::regnamespace)",
    "select indexdef from pg_indexes where schemaname in ('crm_sync', 'public')",
    "select tablename, policyname, roles::text, cmd, qual, with_check from pg_policies",
    "select pg_get_triggerdef(oid), obj_description(oid, 'pg_trigger') from pg_trigger where not tgisinternal",
    "select viewname, definition from pg_views where schemaname = 'crm_sync'",
    "select name, config::text, shipped_config::text, description from public.integration_providers",
    "select intent, contact_status, create_deal from crm_sync.intent_rules",
    "select organization_id, name, condition, threshold, severity, is_active, remedy from crm_sync.alert_rules",
    "select name, sha256 from crm_sync.applied_files",
)


def catalog(url: str) -> list[list[tuple[Any, ...]]]:
    with connect(url) as connection:
        return [sorted(connection.execute(query.encode()).fetchall(), key=str) for query in CATALOG]


@pytest.fixture
def empty(postgres: TestServer) -> Iterator[str]:
    url = postgres.create_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of sql/ to change."""
    for folder in ("migrations", "functions", "triggers", "views"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("access.sql", "claim.sql", "errors.sql", "providers.sql"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_a_second_run_applies_nothing_and_changes_nothing(database: str) -> None:
    before = catalog(database)
    assert migrate(database).applied == ()
    assert list(pending(database)) == []
    assert catalog(database) == before


def test_everything_is_applied_once_in_order_to_an_empty_database(empty: str) -> None:
    assert list(migrate(empty).applied) == [file.name for file in files()]
    with connect(empty) as connection:
        row = connection.execute("select crm_sync.schema_version()").fetchone()
    assert row == (len(list((ROOT / "migrations").glob("*.sql"))),)


def test_the_install_script_makes_the_very_same_database(database: str, empty: str) -> None:
    with psycopg.connect(empty) as connection:
        connection.execute(install_script().encode())
    assert catalog(empty) == catalog(database)
    assert migrate(empty).applied == ()


def test_only_a_changed_function_is_applied_again_and_then_the_grants(database: str, root: Path) -> None:
    append(root / "functions" / "next_slot.sql", "\n-- a change\n")
    assert list(pending(database, root)) == ["functions/next_slot.sql"]
    assert migrate(database, root).applied == ("functions/next_slot.sql", "access.sql")
    assert migrate(database, root).applied == ()


def test_a_new_migration_is_applied_and_counted(database: str, root: Path) -> None:
    number = len(list((root / "migrations").glob("*.sql"))) + 1
    (root / "migrations" / f"{number:04d}_more.sql").write_text("create table crm_sync.more (id bigint primary key);")
    assert migrate(database, root).applied == (f"migrations/{number:04d}_more.sql", "access.sql")
    with connect(database) as connection:
        assert connection.execute("select crm_sync.schema_version()").fetchone() == (number,)
        owner = "select pg_get_userbyid(relowner) from pg_class where relname = 'more'"
        assert connection.execute(owner.encode()).fetchone() == ("crm_sync_owner",)
    with pytest.raises(MigrationError, match="this version does not have"):
        migrate(database)


def test_an_edited_migration_is_refused(database: str, root: Path) -> None:
    append(root / "migrations" / "0001_foundation.sql", "\n-- just a comment\n")
    with pytest.raises(MigrationError, match=r"0001_foundation\.sql was edited after it had been applied"):
        migrate(database, root)


def test_a_file_that_vanished_is_refused(database: str, root: Path) -> None:
    (root / "functions" / "next_slot.sql").unlink()
    with pytest.raises(MigrationError, match=r"knows sql/functions/next_slot\.sql, which this version does not have"):
        migrate(database, root)


@pytest.mark.parametrize("name", ["0099_gap.sql", "0001_twice.sql", "0002_Upper.sql"])
def test_numbers_with_a_gap_or_a_repetition_are_refused(root: Path, name: str) -> None:
    (root / "migrations" / name).write_text("select 1;")
    with pytest.raises(MigrationError, match="expected number"):
        files(root)


def test_a_function_that_does_not_compile_changes_nothing(database: str, root: Path) -> None:
    before = catalog(database)
    append(
        root / "functions" / "next_slot.sql",
        "\ncreate or replace function crm_sync.ring() returns void language plpgsql as $$ begin oops; end $$;\n",
    )
    with pytest.raises(MigrationError, match="does not compile"):
        migrate(database, root)
    (root / "views" / "status.sql").write_text("select oops;")
    with pytest.raises(MigrationError, match=r'sql/views/status\.sql: column "oops" does not exist'):
        migrate(database, root)
    assert catalog(database) == before


def test_two_migrators_at_once_do_the_work_once(empty: str) -> None:
    results: list[object] = []

    def run() -> None:
        try:
            results.append(len(migrate(empty).applied))
        except MigrationError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(str, results)) == sorted(["0", str(len(files()))])


def test_a_migrator_waits_for_another_however_long_it_takes(database: str, root: Path) -> None:
    append(root / "functions" / "next_slot.sql", "\n-- a change\n")
    results: list[tuple[str, ...]] = []
    with connect(database) as other:
        other.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        thread = threading.Thread(target=lambda: results.append(migrate(database, root, lock_timeout="1ms").applied))
        thread.start()
        waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        eventually(lambda: other.execute(waiting.encode()).fetchone() != (0,), "the second migrator waits")
        other.execute("select pg_advisory_unlock(%s)", [LOCK_KEY])
    thread.join(30)
    assert results == [("functions/next_slot.sql", "access.sql")]


def test_a_migrator_that_is_killed_in_the_middle_leaves_nothing_and_is_run_again(database: str, root: Path) -> None:
    path = root / "functions" / "next_slot.sql"
    append(path, "\ncreate table crm_sync.half ();\n")
    last = root / "views" / "workers.sql"
    append(last, "\nselect pg_sleep(20);\n")
    before = catalog(database)
    words = f"from pathlib import Path; from sql.migrate import migrate; migrate({database!r}, Path({str(root)!r}))"
    with connect(database) as other, subprocess.Popen([sys.executable, "-c", words], cwd=ROOT.parent) as migrator:
        held = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
        eventually(lambda: other.execute(held.encode()).fetchone() == (1,), "a migrator in the middle")
        migrator.kill()
        last.write_text((ROOT / "views" / "workers.sql").read_text())
        path.write_text((ROOT / "functions" / "next_slot.sql").read_text() + "\n-- a change\n")
        assert migrate(database, root).applied == ("functions/next_slot.sql", "access.sql")
        assert other.execute("select to_regclass('crm_sync.half') is null").fetchone() == (True,)
    ledger = CATALOG.index("select name, sha256 from crm_sync.applied_files")
    assert catalog(database)[:ledger] == before[:ledger]


def test_a_timeout_of_the_operators_does_not_end_a_migration(database: str, root: Path) -> None:
    append(root / "functions" / "next_slot.sql", "\nselect pg_sleep(0.1);\n")
    with connect(database) as other:
        name = psycopg.sql.Identifier(str(other.info.dbname))
        other.execute(psycopg.sql.SQL("alter database {} set statement_timeout = '50ms'").format(name))
    assert migrate(database, root).applied == ("functions/next_slot.sql", "access.sql")


def test_a_migration_waits_for_a_producer_that_has_begun_and_is_no_deadlock_for_it(database: str, root: Path) -> None:
    number = len(list((root / "migrations").glob("*.sql"))) + 1
    (root / "migrations" / f"{number:04d}_more.sql").write_text(
        "alter table crm_sync.daemons add column more text; alter table public.sync_queue add column more text;"
    )
    with connect(database) as connection, connect(database) as other:
        house = House(connection)
        organization = house.organization()
        house.integration(organization)
        with connection.transaction():
            house.reply(organization, house.contact(organization), "question")
            migrator = threading.Thread(target=migrate, args=(database, root))
            migrator.start()
            waits = "select count(*) from pg_locks where not granted and relation = 'message_classifications'::regclass"
            eventually(lambda: other.execute(waits.encode()).fetchone() == (1,), "a migrator that waits")
            house.reply(organization, house.contact(organization), "question")
        migrator.join(20)
        assert house.value("select crm_sync.schema_version()") == number


def test_a_lock_that_a_producer_holds_ends_the_run_unharmed(database: str, root: Path) -> None:
    append(root / "triggers" / "message_classifications__insert.sql", "\n-- a change\n")
    before = catalog(database)
    with connect(database) as producer:
        producer.execute("begin")
        producer.execute("insert into public.message_classifications (message_id) values (gen_random_uuid())")
        with pytest.raises(MigrationError, match="needs a lock that another transaction holds"):
            migrate(database, root, lock_timeout="50ms")
        producer.execute("rollback")
    assert catalog(database) == before
    assert "triggers/message_classifications__insert.sql" in migrate(database, root).applied


def test_an_unreachable_database_is_named(empty: str) -> None:
    with pytest.raises(MigrationError, match="the database cannot be reached"):
        migrate("postgresql://nobody@127.0.0.1:1/nothing")


HOST = """
create schema app;
create table public.organizations (id uuid primary key default gen_random_uuid(), name text, plan text);
create type public.intent as enum ('interested', 'question');
create table public.users (id uuid primary key, organization_id uuid references public.organizations, email text);
create table public.contacts (id uuid primary key default gen_random_uuid(), organization_id uuid not null, email
  varchar(200), first_name text,
  last_name text, company text, phone text, score int);
create table public.inbox_messages (id uuid primary key default gen_random_uuid(), organization_id uuid, contact_id
  uuid,
  subject text, body text, received_at timestamptz default now(), constraint theirs unique (id, organization_id));
create table public.message_classifications (id uuid primary key default gen_random_uuid(), message_id uuid not
  null, intent public.intent,
  sentiment text, priority int, requires_human_attention boolean, next_action text, confidence float8, created_at
    timestamptz default now());
alter table public.contacts enable row level security;
alter table public.message_classifications enable row level security;
create policy theirs on public.contacts using (false);
"""


def test_tables_of_the_host_application_are_respected(empty: str) -> None:
    with connect(empty) as connection:
        connection.execute(HOST.encode())
        owner = connection.execute("select current_user").fetchone()
    migrate(empty)
    with connect(empty) as connection:
        house = House(connection)
        tables = ("organizations", "users", "contacts", "inbox_messages", "message_classifications")
        assert house.rows(
            "select distinct pg_get_userbyid(relowner) from pg_class where relname = any (%s)", list(tables)
        ) == [owner]
        assert house.rows(
            "select relname from pg_class where relname = any (%s) and relrowsecurity order by 1", list(tables)
        ) == [("contacts",), ("message_classifications",)]
        assert house.rows(
            "select conname from pg_constraint where conrelid = 'public.inbox_messages'::regclass and contype = 'u'"
        ) == [("theirs",)], "a key that was there is not made twice"
        assert house.value("select has_table_privilege('authenticated', 'public.contacts', 'select')") is False
        organization = house.organization()
        house.integration(organization, sync_filters={"all": [{"field": "contact.score", "op": ">=", "value": 5}]})
        for email, score in (("low@example.com", 1), ("high@example.com", 9)):
            contact = house.contact(organization, email)
            connection.execute("update public.contacts set score = %s where id = %s", [score, contact])
            message = house.message(organization, contact)
            with house.as_role("crm_sync_producer"):
                connection.execute(
                    (
                        "insert into public.message_classifications (message_id, intent, priority) values "
                        "(%s, 'interested', 1)"
                    ),
                    [message],
                )
        assert queue(house, "status, priority") == [("skipped", 3), ("pending", 3)]
        from tests.sql.daemon import Daemon

        daemon = Daemon(house)
        assert [len(batch["contacts"] + batch["deals"] + batch["activities"]) for batch in daemon.work()] == [1, 2]


def test_missing_columns_are_named_and_nothing_is_changed(empty: str) -> None:
    with connect(empty) as connection:
        connection.execute(
            "create table public.contacts (id bigint primary key, organization_id uuid, first_name text, "
            "last_name text)"
        )
    with pytest.raises(MigrationError) as error:
        migrate(empty)
    words = str(error.value)
    assert "lack columns that pg-crm-sync reads" in words
    for missing in ("contacts.id uuid", "contacts.email", "contacts.company", "contacts.phone"):
        assert missing in words
    assert "contacts.first_name" not in words
    assert "CS090" in words
    with connect(empty) as connection:
        assert connection.execute("select to_regnamespace('crm_sync')").fetchone() == (None,)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("current_setting('server_version_num')::int < 150000", "true", "PostgreSQL 15 or newer is needed"),
        ("current_setting('server_encoding') <> 'UTF8'", "true", "must use the encoding UTF8"),
    ],
)
def test_a_server_that_will_not_do_is_told_so(empty: str, root: Path, old: str, new: str, words: str) -> None:
    """The condition is turned round: no such server is at hand."""
    path = root / "migrations" / "0001_foundation.sql"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(MigrationError, match=words) as error:
        migrate(empty, root)
    assert "CS090" in str(error.value)


def test_a_url_that_an_operator_changed_survives_the_next_version(database: str, root: Path) -> None:
    config = (
        "select config ->> 'api_base_url', config ->> 'api_version', shipped_config ->> 'api_base_url', description "
        "from public.integration_providers where name = 'hubspot'"
    )
    with connect(database) as connection:
        connection.execute(
            "update public.integration_providers set config = config || "
            """'{"api_base_url": "http://gateway", "extra": 1}' where name = 'hubspot'"""
        )
    path = root / "providers.sql"
    path.write_text(
        path.read_text()
        .replace('https://api.hubapi.com"', 'https://api.example.com"')
        .replace('"api_version": "2026-03"', '"api_version": "2027-03"')
        .replace("Contacts, companies, deals and notes in HubSpot", "Everything in HubSpot")
    )
    migrate(database, root)
    with connect(database) as connection:
        row = connection.execute(config.encode()).fetchone()
        extra = connection.execute(
            "select config -> 'extra' from public.integration_providers where name = 'hubspot'"
        ).fetchone()
    assert row == ("http://gateway", "2027-03", "https://api.example.com", "Everything in HubSpot's Smart CRM.")
    assert extra == (1,)


def test_rules_that_an_operator_changed_survive_the_next_version(database: str, root: Path) -> None:
    append(root / "providers.sql", "\n-- a change\n")
    with connect(database) as connection:
        connection.execute("update crm_sync.intent_rules set contact_status = 'qualified' where intent = 'question'")
    migrate(database, root)
    with connect(database) as connection:
        row = connection.execute(
            "select contact_status from crm_sync.intent_rules where intent = 'question'"
        ).fetchone()
    assert row == ("qualified",)


def test_our_three_providers_have_todays_urls_and_least_scopes(database: str) -> None:
    with connect(database) as connection:
        rows = connection.execute(
            "select name, auth_type, is_active, logo_url <> '' and description <> '', config from "
            "public.integration_providers order by name"
        ).fetchall()
    assert [row[:4] for row in rows] == [(name, "oauth", True, True) for name in ("hubspot", "pipedrive", "salesforce")]
    for _, _, _, _, config in rows:
        assert {"auth_url", "token_url", "revoke_url", "api_base_url", "api_version", "scopes", "limits"} <= set(config)
        assert all(
            config[key].startswith("https://") for key in config if key.endswith("_url") and key != "scope_in_url"
        )
        assert len(config["scopes"]) == len(set(config["scopes"])) > 0


ROWS = "select id, status, attempts, last_error, batch_id from public.sync_queue where integration_id = %s order by id"


def leave_rows_in_every_state(house: House, organization: UUID) -> None:
    daemon = Daemon(house)
    house.reply(organization, house.contact(organization, None), "x")
    people(house, organization, 10)
    batch = daemon.claim(limit=6)
    first, second, third, *others = batch["contacts"]
    answers = [failed(first, "rejected", code="NO"), failed(second, "contended"), released(third, uncertain=True)]
    daemon.finish(batch, [*answers, *map(synced, others)])
    daemon.claim(limit=1)
    assert {status for (status,) in queue(house, "status")} == {
        "pending",
        "processing",
        "retry",
        "failed",
        "skipped",
        "completed",
    }


FIRST_SINCE = "0017_*.sql"  # the first migration that the version published last did not have, whatever it was called


def version_published_last(folder: Path, *what: str) -> Path:
    """sql/, and what else is named, as it was then, out of the repository's history."""
    words = ["git", "-C", str(ROOT.parent)]
    # a merge counts as what it brought to its first parent
    log = [
        *words,
        "log",
        "--first-parent",
        "-m",
        "--diff-filter=A",
        "--format=%H",
        "--",
        f"sql/migrations/{FIRST_SINCE}",
    ]
    found = subprocess.run([*log, f"sql/migrations/{FIRST_SINCE}"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("there is no history here")
    commit = f"{found.stdout.split()[-1]}^" if found.stdout.strip() else "HEAD"
    archive = subprocess.run([*words, "archive", commit, "sql", *what], capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("there is not enough history here")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as then:
        then.extractall(folder, filter="data")
    return folder / "sql"


def test_a_database_of_the_version_published_last_becomes_the_very_same_as_a_new_one(
    database: str, empty: str, tmp_path: Path
) -> None:
    """With work waiting in it, which is done afterwards."""
    migrate(empty, version_published_last(tmp_path))
    with connect(empty) as connection:
        house = House(connection)
        organization = house.organization()
        integration = house.integration(organization)
        house.reply(organization, house.contact(organization), "question")
        leave_rows_in_every_state(house, organization)
        worker = Daemon(house)
        held = worker.claim(limit=1)
        rows = house.rows(ROWS, integration)
        migrate(empty)
        assert rows == house.rows(ROWS, integration), "nothing was touched"
        assert house.rows("select * from crm_sync.accounting where difference <> 0") == []
        assert house.value("select count(*) from crm_sync.changes where what = 'connection'") == 1, "found, if not made"
        assert worker.confirm(held) > 0, "what was claimed before is settled after"
        house.value("select crm_sync.retry_failed(%s)", integration)
        house.connection.execute("update public.sync_queue set next_attempt_at = null where completed_at is null")
        house.connection.execute("update crm_sync.batches set lease_until = now() - interval '1 s'")
        assert Daemon(house).work()
        assert queue(house, "status", "status <> 'completed'") == [("skipped",)]
    columns = CATALOG.index(next(each for each in CATALOG if "a.attnum" in each))
    old, new = catalog(empty), catalog(database)
    for number, (mine, theirs) in enumerate(zip(old, new, strict=True)):
        if number != columns:
            assert mine == theirs
