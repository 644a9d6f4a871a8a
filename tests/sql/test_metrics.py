"""What the daemon asks of the database for its metrics."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.house import House
from tests.sql.daemon import Daemon

pytestmark = pytest.mark.usefixtures("rolled_back")


def asked(house: House, function: str, most: int | None = None) -> list[dict[str, Any]]:
    """The rows of one of the functions, as the daemon's role gets them."""
    call = f"select to_jsonb(a) from crm_sync.{function}({'' if most is None else most}) as a"
    with house.as_role("crm_sync_daemon"):
        return [row for (row,) in house.connection.execute(call.encode()).fetchall()]


def waits(house: House, rows: int, provider: str = "hubspot") -> int:
    """A connection with so many open rows."""
    organization = house.organization()
    integration = house.integration(organization, provider)
    for n in range(rows):
        house.reply(organization, house.contact(organization, f"{n}@example.com"))
    return integration


def test_the_longest_queues_are_named_and_the_others_summed(house: House) -> None:
    long, middle = waits(house, 5), waits(house, 3)
    waits(house, 2)
    waits(house, 1)
    waits(house, 1, "salesforce")
    found = {
        (each["integration_id"], each["provider"]): each["pending"] for each in asked(house, "queue_depths", most=2)
    }
    assert found == {
        (long, "hubspot"): 5,
        (middle, "hubspot"): 3,
        (None, "hubspot"): 3,
        (None, "salesforce"): 1,
    }


def test_rows_are_told_apart_by_what_they_wait_for(
    house: House, organization: UUID, integration: int, daemon: Daemon
) -> None:
    for n in range(6):
        house.reply(organization, house.contact(organization, f"{n}@example.com"), "x")
    daemon.claim(limit=1)
    house.connection.execute(
        "update sync_queue set status = 'retry', last_error = 'no', next_attempt_at = now() + interval '1 hour' "
        "where id in (select id from sync_queue where status = 'pending' order by id limit 2)"
    )
    (found,) = asked(house, "queue_depths")
    assert (found["integration_id"], found["pending"], found["processing"], found["retry"]) == (integration, 3, 1, 2)


def test_what_has_ended_does_not_wait(house: House, row: UUID, daemon: Daemon) -> None:
    daemon.confirm(daemon.claim())
    house.connection.execute("delete from sync_queue where completed_at is null")
    assert house.value("select count(*) from sync_queue") > 0
    assert asked(house, "queue_depths") == []


def test_age_counts_from_when_a_row_was_due(house: House, row: UUID) -> None:
    for due, seconds in (("- interval '90 s'", 90), ("+ interval '1 hour'", 0)):
        house.connection.execute(f"update sync_queue set scheduled_at = now() {due}".encode())
        (found,) = asked(house, "queue_depths")
        assert seconds <= found["oldest_wait"] < seconds + 30


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("select", "connected"),
        ("update user_integrations set status = 'error', last_error = 'x'", "error"),
        ("update crm_sync.lanes set paused_at = now()", "paused"),
        (
            "update crm_sync.lanes set parked_until = now() + interval '1 h', parked_kind = 'rate_limited'",
            "rate_limited",
        ),
        ("update crm_sync.lanes set parked_until = now() - interval '1 h', parked_kind = 'rate_limited'", "connected"),
    ],
)
def test_a_connections_state_is_that_of_the_view(house: House, row: UUID, change: str, state: str) -> None:
    house.connection.execute(change.encode())
    assert house.value("select state from crm_sync.status") == state
    assert [each["connection_state"] for each in asked(house, "queue_depths")] == [state]
    assert asked(house, "connection_counts") == [{"provider": "hubspot", "connection_state": state, "connections": 1}]


def test_connections_are_counted_by_provider_and_state(house: House) -> None:
    for provider in ("hubspot", "hubspot", "pipedrive"):
        house.integration(house.organization(), provider)
    gone = house.integration(house.organization())
    house.connection.execute("select crm_sync.disconnect(%s)", [gone])
    found = {
        (each["provider"], each["connection_state"], each["connections"]) for each in asked(house, "connection_counts")
    }
    assert found == {("hubspot", "connected", 2), ("hubspot", "disconnected", 1), ("pipedrive", "connected", 1)}


def test_a_days_budget_is_shown_as_the_share_of_it_that_is_ours(house: House) -> None:
    integration = house.integration(house.organization(), "pipedrive")
    house.connection.execute(
        """update integration_providers set config = config || '{"limits": {
        "daily": {"calls": 1000, "seconds": 86400}, "core": {"calls": 10, "seconds": 1}}}' where name = 'pipedrive'"""
    )
    assert asked(house, "day_budgets") == []
    with house.as_role("crm_sync_daemon"):
        house.connection.execute("""select crm_sync.spend_budget(%s, '{"daily": 200, "core": 1}')""", [integration])
    found = {"integration_id": integration, "provider": "pipedrive", "limit_name": "daily", "used": 0.25}
    assert asked(house, "day_budgets") == [found]
    # what the CRM says that all apps have used counts as well
    with house.as_role("crm_sync_daemon"):
        house.connection.execute(
            """select crm_sync.spend_budget(%s, '{"daily": 0}', '0', null,
            '{"daily": {"used": 600, "maximum": 1000, "age": 0}}')""",
            [integration],
        )
    assert asked(house, "day_budgets") == [{**found, "used": 0.75}]
    house.connection.execute("update crm_sync.budgets set today = today - 1, observed_at = now() - interval '1 day'")
    assert asked(house, "day_budgets") == []


def test_finished_rows_cost_a_look_at_the_queue_nothing(house: House, row: UUID) -> None:
    house.connection.execute(
        "insert into sync_queue (organization_id, integration_id, queue_type, status, completed_at) "
        "select organization_id, integration_id, queue_type, 'completed', now() from sync_queue, "
        "generate_series(1, 20000)"
    )
    plan = house.value("explain (analyze, buffers, format json) select * from crm_sync.queue_depths()")
    pages = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
    assert pages < 200
    assert len(asked(house, "queue_depths")) == 1


def test_the_headline_counts_connections_and_what_waits(house: House) -> None:
    assert asked(house, "headline") == [
        {"connections": 0, "need_person": 0, "waiting": 0, "oldest_seconds": None},
    ]
    first, second, third = waits(house, 3), waits(house, 2), waits(house, 0)
    house.connection.execute("update user_integrations set status = 'error' where id = %s", [second])
    house.connection.execute("select crm_sync.disconnect(%s)", [third])
    house.connection.execute(
        "update sync_queue set scheduled_at = now() - interval '90 s' "
        "where id = (select max(id) from sync_queue where integration_id = %s)",
        [first],
    )
    house.connection.execute(
        "update sync_queue set status = 'retry', next_attempt_at = now() + interval '1 h' "
        "where id = (select max(id) from sync_queue where integration_id = %s)",
        [first],
    )
    (found,) = asked(house, "headline")
    assert (found["connections"], found["need_person"], found["waiting"]) == (2, 1, 5)
    assert 90 <= found["oldest_seconds"] < 120
    assert asked(house, "headline", most=3)[0]["waiting"] == 4
    house.connection.execute("update sync_queue set scheduled_at = now() + interval '1 h'")
    assert asked(house, "headline")[0]["oldest_seconds"] == 0


def test_the_headline_is_bounded_however_much_waits_and_has_ended(house: House) -> None:
    waits(house, 1)
    for status, ended in (("completed", "now()"), ("pending", "null")):
        house.connection.execute(
            "insert into sync_queue (organization_id, integration_id, queue_type, status, completed_at) "
            f"select organization_id, integration_id, queue_type, '{status}', {ended} from sync_queue, "
            "generate_series(1, 5000) where contact_id is not null".encode()
        )
    plan = house.value("explain (analyze, buffers, format json) select * from crm_sync.headline(100)")
    assert plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"] < 1000


def test_members_and_readers_may_not_ask(house: House) -> None:
    for role in ("authenticated", "crm_sync_reader", "crm_sync_producer"):
        for function in ("queue_depths(integer)", "connection_counts()", "day_budgets(integer)", "headline(integer)"):
            assert not house.value("select has_function_privilege(%s, %s, 'execute')", role, f"crm_sync.{function}"), (
                role,
                function,
            )
