"""crm_sync.manual: everything that is ours, each with what it is for and for whom."""

from __future__ import annotations

import time
from typing import LiteralString

import pytest

from tests.house import House, eventually

pytestmark = pytest.mark.usefixtures("rolled_back")

CATALOGS: dict[str, LiteralString] = {
    "role": "select count(*) from pg_roles where rolname ~ '^crm_sync_(owner|daemon|producer|reader|console)$'",
    "table": (
        "select count(*) from pg_class where relkind in ('r', 'p') and not relispartition "
        "and pg_get_userbyid(relowner) = 'crm_sync_owner'"
    ),
    "view": "select count(*) from pg_class where relkind = 'v' and relnamespace = 'crm_sync'::regnamespace",
    "column": (
        "select count(*) from pg_attribute as a join pg_class as c on c.oid = a.attrelid where c.relkind in ('r', "
        "'p', 'v') and not c.relispartition and pg_get_userbyid(c.relowner) = 'crm_sync_owner' and a.attnum > 0 "
        "and not a.attisdropped"
    ),
    "function": "select count(*) from pg_proc where pronamespace = 'crm_sync'::regnamespace",
    "trigger": (
        "select count(*) from pg_trigger as t join pg_proc as p on p.oid = t.tgfoid "
        "where p.pronamespace = 'crm_sync'::regnamespace and not t.tgisinternal"
    ),
    "index": (
        "select count(*) from pg_index as i join pg_class as c on c.oid = i.indrelid "
        "where pg_get_userbyid(c.relowner) = 'crm_sync_owner' and not c.relispartition and c.relkind in ('r', 'p')"
    ),
    "policy": "select count(*) from pg_policies where tablename !~ '^sync_activity_logs_'",
    "constraint": (
        "select count(*) from pg_constraint as k join pg_class as c on c.oid = k.conrelid where k.contype in "
        "('p', 'u', 'f', 'c', 'x') and pg_get_userbyid(c.relowner) = 'crm_sync_owner' and not c.relispartition"
    ),
}
ENTRY = "select mark, comment, used_by, arguments, returns from crm_sync.manual where object = %s and kind = %s"


def test_everything_in_the_catalogs_is_in_it_once(house: House) -> None:
    counted = dict(house.rows("select kind, count(*) from crm_sync.manual group by kind"))
    for kind, query in CATALOGS.items():
        assert counted[kind] == house.value(query), kind
    assert house.rows("select object, kind, arguments from crm_sync.manual group by 1, 2, 3 having count(*) > 1") == []


def test_everything_has_a_comment_and_a_mark(house: House) -> None:
    lacking = "select kind, object from crm_sync.manual where comment is null or mark is null or comment !~ '[.]$'"
    assert house.rows(lacking) == []
    assert {mark for (mark,) in house.rows("select distinct mark from crm_sync.manual")} == {
        "Worker", "Operator", "Reader", "Trigger", "Console",
    }  # fmt: skip


def test_marks_follow_from_comments_and_rights(house: House) -> None:
    def entry(name: str, kind: str) -> tuple[str, list[str]]:
        row = house.connection.execute(ENTRY, [name, kind]).fetchone()
        assert row is not None, name
        return row[0], row[2]

    assert entry("crm_sync.claim_batch", "function") == ("Worker", ["crm_sync_daemon"])
    assert entry("crm_sync.pause", "function") == ("Operator", ["authenticated", "crm_sync_daemon"])
    assert entry("crm_sync.status", "view") == ("Reader", ["authenticated", "crm_sync_reader"])
    assert entry("crm_sync.revocations", "table") == ("Worker", [])
    assert entry("public.user_integrations", "table") == ("Reader", ["authenticated", "crm_sync_reader"])
    assert entry("public.user_integrations.credentials", "column") == ("Worker", [])
    assert entry("public.user_integrations.name", "column") == ("Reader", ["authenticated", "crm_sync_reader"])
    assert entry("crm_sync_write on user_integrations", "trigger")[0] == "Trigger"
    assert entry("reader_select on sync_queue", "policy")[0] == "Reader"


def test_it_answers_within_50_ms_as_the_reader(house: House) -> None:
    def asked_fast() -> bool:
        started = time.perf_counter()
        assert len(house.rows("select * from crm_sync.manual")) > 700
        return time.perf_counter() - started < 0.05

    with house.as_role("crm_sync_reader"):
        eventually(asked_fast, "an answer within 50 ms")  # a busy machine has its moments
