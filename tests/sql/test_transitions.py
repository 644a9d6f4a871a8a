"""crm_sync.transitions is true: the queue is watched while it goes every way there is, and then compared."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from docs import schema
from tests.house import House
from tests.sql.daemon import Daemon, Outcome, documents, elapse, failed, queue, released, synced

pytestmark = pytest.mark.usefixtures("rolled_back")

Transition = tuple[str, str, str]
STACK = r'^(?:PL/pgSQL function (?:crm_sync\.)?(\w+)\(|SQL function "(\w+)")'
WATCH = """
create table public.observed (from_status text, to_status text, by_function text);
create function public.observe() returns trigger
language plpgsql
security definer
set search_path = public, pg_temp
as $watch$
declare
  v_stack text;
  v_functions text[];
begin
  get diagnostics v_stack = pg_context;
  -- the innermost is this one, the next does it; none: the test itself
  v_functions := array(
    select coalesce(m.found[1], m.found[2]) from regexp_matches(v_stack, '{stack}', 'gn') as m (found)
  );
  if v_functions[2] is not null and (tg_op <> 'UPDATE' or old.status <> new.status) then
    insert into observed values (
      case when tg_op = 'INSERT' then '*' else old.status end,
      case when tg_op = 'DELETE' then '*' else new.status end,
      v_functions[2]
    );
  end if;
  return null;
end;
$watch$;
create trigger observe after insert or update or delete on public.sync_queue
for each row execute function public.observe();
""".replace("{stack}", STACK)


class Walk:
    """One organization's connection, and the rows that are sent along every way."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.daemon = Daemon(house)
        self.count = 0

    def tenant(self, **columns: Any) -> tuple[UUID, int]:
        organization = self.house.organization()
        return organization, self.house.integration(organization, **columns)

    def contact(self, organization: UUID, intent: str = "x") -> UUID:
        """A contact that has just replied."""
        self.count += 1
        contact = self.house.contact(organization, f"c{self.count}@example.com")
        self.house.reply(organization, contact, intent)
        return contact

    def finish(self, integration: int, outcome: Any, count: int | None = None) -> None:
        batch = self.daemon.claim(integration=integration)
        outcomes: list[Outcome] = [outcome(document) for document in documents(batch)[:count]]
        self.daemon.finish(batch, outcomes)

    def fail(self, integration: int, kind: str, **failure: Any) -> None:
        self.finish(integration, lambda document: failed(document, kind, **failure))

    def work(self, integration: int) -> None:
        while (batch := self.daemon.try_claim(integration=integration)) is not None:
            self.daemon.confirm(batch)

    def lose(self, integration: int) -> None:
        """A daemon that vanishes with its batch."""
        self.daemon.claim(integration=integration)
        self.house.connection.execute("update crm_sync.batches set lease_until = now() - interval '1 second'")

    def unpark(self) -> None:
        self.house.connection.execute(
            "update crm_sync.lanes set parked_until = null, parked_kind = null, look_behind_at = '-infinity'"
        )
        elapse(self.house, "20 minutes")


def go_every_way(house: House) -> None:
    walk = Walk(house)
    arrive_and_be_sent(walk)
    fail_and_come_back(walk)
    lose_what_held_them(walk)
    be_asked_for(walk)
    change_the_account(walk)
    be_erased(walk)
    be_cleared(walk)


def arrive_and_be_sent(walk: Walk) -> None:
    organization, integration = walk.tenant()
    contact = walk.contact(organization, "interested")
    walk.work(integration)
    walk.house.rows("select * from crm_sync.manual_sync(%s, array[%s])", organization, contact)
    walk.work(integration)
    house = walk.house
    picky, _ = walk.tenant(sync_filters={"all": [{"field": "intent", "op": "=", "value": "interested"}]})
    walk.contact(picky, "interested")
    walk.contact(picky, "question")
    # a deal that finds its contact gone has it made again
    walk.contact(organization, "interested")
    walk.finish(integration, synced)
    walk.finish(
        integration, lambda each: failed(each, "rejected", code="CONTACT_GONE") if "key" in each else synced(each)
    )
    walk.unpark()
    walk.work(integration)
    # a contact that no CRM could take any more
    gone = walk.contact(organization)
    house.connection.execute("update public.contacts set email = null where id = %s", [gone])
    assert walk.daemon.try_claim(integration=integration) is None


def fail_and_come_back(walk: Walk) -> None:
    organization, integration = walk.tenant()
    for _ in range(2):
        walk.contact(organization)
    walk.fail(integration, "rejected", code="NO", field="phone")
    house = walk.house
    house.value("select crm_sync.retry_failed(%s)", integration)
    walk.fail(integration, "rejected", code="NO", field="phone")
    cause = "select crm_sync.retry_cause(%s, 'rejected', 'contact_sync', 'NO', 'phone')"
    assert house.value(cause, integration) == 2
    walk.fail(integration, "unavailable")
    walk.unpark()
    walk.work(integration)
    walk.contact(organization)
    walk.finish(integration, released)


def lose_what_held_them(walk: Walk) -> None:
    organization, integration = walk.tenant()
    walk.contact(organization)
    walk.lose(integration)
    walk.lose(integration)
    walk.house.connection.execute("update public.sync_queue set losses = 9 where integration_id = %s", [integration])
    assert walk.daemon.try_claim(integration=integration) is None


def be_asked_for(walk: Walk) -> None:
    house = walk.house
    organization, integration = walk.tenant()
    contact = walk.contact(organization)
    cancel = "select crm_sync.cancel(%s, p_contact_id => %s)"
    assert house.value(cancel, integration, contact) == 1
    walk.contact(organization)
    walk.fail(integration, "contended")
    assert house.value("select crm_sync.cancel(%s, p_all => true)", integration) == 1
    walk.contact(organization)
    walk.fail(integration, "rejected")
    failed_ids = [row for (row,) in queue(house, "id", f"integration_id = {integration} and status = 'failed'")]
    assert house.value("select crm_sync.cancel(%s, p_queue_ids => %s)", integration, failed_ids) == 1
    assert house.value("select enqueued from crm_sync.backfill(%s)", integration) > 0
    walk.work(integration)
    assert house.value("select crm_sync.resync(%s, %s)", contact, integration) == 1


def change_the_account(walk: Walk) -> None:
    organization, integration = walk.tenant()
    house = walk.house
    for _ in range(2):
        walk.contact(organization)
    walk.finish(integration, synced)
    # of the two messages that follow, one is tried and one is not
    batch = walk.daemon.claim(limit=1, integration=integration)
    walk.daemon.fail(batch, "contended")
    assert sorted(queue(house, "status", f"integration_id = {integration} and queue_type <> 'contact_sync'")) == [
        ("pending",),
        ("retry",),
    ]
    house.connection.execute(
        "update crm_sync.lanes set other_account = '{\"id\": \"2\"}', parked_kind = 'other_account', "
        "parked_until = 'infinity' where integration_id = %s",
        [integration],
    )
    house.value("select crm_sync.adopt_account(%s, false)", integration)


def be_erased(walk: Walk) -> None:
    filters = {"all": [{"field": "intent", "op": "<>", "value": "no"}]}
    organization, integration = walk.tenant(sync_filters=filters, sync_settings={"log_activities": False})
    for _ in range(2):
        walk.contact(organization)
    batch = walk.daemon.claim(integration=integration)
    first, second = documents(batch)
    walk.daemon.finish(batch, [synced(first), failed(second, "rejected")])
    walk.contact(organization, "no")
    walk.contact(organization)
    walk.fail(integration, "contended")
    walk.house.connection.execute("update public.sync_queue set next_attempt_at = 'infinity' where status = 'retry'")
    walk.contact(organization)
    walk.daemon.claim(limit=1, integration=integration)
    walk.contact(organization)
    assert len({status for (status,) in queue(walk.house, "status", f"integration_id = {integration}")}) == 6
    walk.house.rows(
        "select e from public.contacts as k, crm_sync.erase_contact(k.id, true) as e where k.organization_id = %s",
        organization,
    )


def be_cleared(walk: Walk) -> None:
    house = walk.house
    filters = {"all": [{"field": "intent", "op": "<>", "value": "no"}]}
    organization, integration = walk.tenant(sync_filters=filters, sync_settings={"log_activities": False})

    def one_of_each() -> None:
        for _ in range(2):
            walk.contact(organization)
        batch = walk.daemon.claim(integration=integration)
        first, second = documents(batch)
        walk.daemon.finish(batch, [synced(first), failed(second, "rejected")])
        walk.contact(organization, "no")

    one_of_each()
    house.connection.execute(
        "update public.sync_queue set completed_at = now() - interval '20 days' where completed_at is not null"
    )
    since = "-infinity"
    while (since := house.value("select crm_sync.purge(%s::timestamptz, 1000)", since)) is not None:
        pass
    house.connection.execute(
        "insert into public.sync_queue (organization_id, integration_id, contact_id, queue_type) "
        "values (%s, 1000000, gen_random_uuid(), 'contact_sync')",
        [organization],
    )
    house.value("select crm_sync.purge_remains()")
    one_of_each()
    walk.contact(organization)
    walk.fail(integration, "contended")
    house.connection.execute("update public.sync_queue set next_attempt_at = 'infinity' where status = 'retry'")
    walk.contact(organization)
    walk.daemon.claim(limit=1, integration=integration)
    walk.contact(organization)
    assert {status for (status,) in queue(house, "status", f"integration_id = {integration}")} == {
        "pending", "processing", "retry", "completed", "failed", "skipped",
    }  # fmt: skip
    house.connection.execute("delete from public.user_integrations where id = %s", [integration])


def test_the_queue_goes_the_ways_that_are_written_down_and_no_others(house: House) -> None:
    house.connection.execute(WATCH.encode())
    go_every_way(house)
    observed: set[Transition] = {
        (source, target, function) for source, target, function in house.rows("select distinct * from public.observed")
    }
    known = "select from_status, to_status, by_function from crm_sync.transitions"
    there = " where by_function in (select proname from pg_proc where pronamespace = 'crm_sync'::regnamespace)"
    written: set[Transition] = {(source, target, by) for source, target, by in house.rows(known)}
    exists = {(source, target, by) for source, target, by in house.connection.execute((known + there).encode())}
    assert observed - written == set(), "seen, and not written down"
    assert exists - observed == set(), "written down, and never seen"


def test_the_states_are_those_of_the_queues_check(house: House) -> None:
    drawn = {status for row in house.rows("select from_status, to_status from crm_sync.transitions") for status in row}
    assert drawn - {"*"} == set(schema.states(house.connection))
    assert len(house.rows("select from_status, to_status, by_function from crm_sync.transitions")) == house.value(
        "select count(distinct (from_status, to_status, by_function)) from crm_sync.transitions"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("drop constraint sync_queue_status_is_known", "do not know the same states: completed, failed"),
        (
            "drop constraint sync_queue_status_is_known, add constraint sync_queue_status_is_known "
            "check (status in ('pending', 'processing', 'completed', 'failed', 'retry', 'skipped', 'resting'))",
            "do not know the same states: resting",
        ),
    ],
)
def test_a_state_that_the_diagram_does_not_know_fails_the_build(house: House, change: str, words: str) -> None:
    house.connection.execute(f"alter table public.sync_queue {change}".encode())
    with pytest.raises(schema.Stale, match=words):
        schema.page(house.connection)


def test_a_state_without_a_way_out_fails_the_build(house: House) -> None:
    definition = house.value("select pg_get_viewdef('crm_sync.transitions'::regclass)").rstrip(";")
    view = f"select * from ({definition}) as t where t.from_status <> 'failed'"
    house.connection.execute(
        f"create or replace view crm_sync.transitions with (security_invoker = true) as {view}".encode()
    )
    with pytest.raises(schema.Stale, match="into the state failed and never out"):
        schema.page(house.connection)


def test_the_page_has_every_object_and_the_diagram(house: House) -> None:
    text = schema.page(house.connection)
    assert "```mermaid\nstateDiagram-v2\n  [*] --> pending: " in text
    assert "  processing --> completed: settle_rows\n" in text
    for name, kind in house.rows(
        "select object, kind from crm_sync.manual where kind in ('table', 'view', 'function', 'role', 'index')"
    ):
        word = name.rpartition(".")[2] if kind in ("function", "index") else name
        assert f"`{word}" in text or f"### {word}\n" in text, (kind, name)


def test_the_reader_may_look(house: House) -> None:
    with house.as_role("crm_sync_reader") as connection:
        assert connection.execute("select count(*) > 20 from crm_sync.transitions").fetchone() == (True,)
    assert not house.value("select has_table_privilege('authenticated', 'crm_sync.transitions', 'select')")
