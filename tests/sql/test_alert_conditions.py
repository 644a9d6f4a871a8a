"""What is measured: every condition that has a rule, and what asking for it costs."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.house import House
from tests.sql.alert_scene import check, conditions, lose
from tests.sql.daemon import Daemon, documents, failed, people

SHIPPED = {
    "failures_per_hour",
    "oldest_wait",
    "queue_depth",
    "nothing_succeeds",
    "budget_nearly_spent",
    "connection_lost",
    "refresh_failing",
    "no_worker_alive",
    "worker_cannot_listen",
    "unknown_error",
}


@pytest.mark.usefixtures("rolled_back")
class TestWhatIsMeasured:
    def test_every_condition_is_shipped_with_a_rule_that_says_what_to_do(self, house: House) -> None:
        rows = house.rows("select name, condition, remedy, is_active from crm_sync.alert_rules")
        assert {row[0] for row in rows} == {row[1] for row in rows} == SHIPPED
        assert all(len(row[2]) > 20 and row[3] for row in rows)

    def test_a_connection_that_is_well_raises_nothing_but_is_shown_with_its_values(
        self, house: House, integration: int
    ) -> None:
        rows = house.rows(
            "select rule, value::float, is_raised, words from crm_sync.conditions where integration_id = %s",
            integration,
        )
        assert {row[0] for row in rows} == {
            "failures_per_hour",
            "oldest_wait",
            "queue_depth",
            "nothing_succeeds",
            "connection_lost",
            "refresh_failing",
        }
        assert {row[1:] for row in rows} == {(0.0, False, None)}

    def test_failures_of_the_last_hour_are_counted_and_older_ones_are_not(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        people(house, organization, 25)
        batch = daemon.claim()
        daemon.finish(batch, [failed(each, "rejected") for each in documents(batch)])
        assert conditions(house, "failures_per_hour") == [(f"connection:{integration}", 25.0, True)]
        house.connection.execute(
            "update public.sync_queue set completed_at = now() - interval '61 minutes' where failure is not null "
            "and id in (select id from public.sync_queue where failure is not null order by id limit 10)"
        )
        assert conditions(house, "failures_per_hour") == [(f"connection:{integration}", 15.0, False)]

    def test_the_oldest_wait_counts_from_when_a_row_was_due_and_not_while_somebody_has_paused_it(
        self, house: House, organization: UUID, integration: int
    ) -> None:
        people(house, organization, 3)
        house.connection.execute(
            "update public.sync_queue as q set priority = 1 + r.n, scheduled_at = now() - r.n * interval '1 hour' "
            "from (select id, row_number() over (order by id) as n from public.sync_queue) as r where r.id = q.id"
        )
        assert conditions(house, "oldest_wait") == [(f"connection:{integration}", 180.0, True)]
        assert conditions(house, "nothing_succeeds") == [(f"connection:{integration}", 180.0, True)]
        house.connection.execute("update crm_sync.lanes set last_success_at = now() - interval '5 minutes'")
        assert conditions(house, "nothing_succeeds") == [(f"connection:{integration}", 5.0, False)]
        house.value("select crm_sync.pause(%s)", integration)
        assert conditions(house, "oldest_wait") == [(f"connection:{integration}", 0.0, False)]
        # a row of a daily connection waits from its slot on
        house.value("select crm_sync.resume(%s)", integration)
        house.connection.execute(
            "update public.sync_queue set scheduled_at = now() + interval '1 day', next_attempt_at = now() + '1 day'"
        )
        assert conditions(house, "oldest_wait") == [(f"connection:{integration}", 0.0, False)]

    def test_the_depth_is_that_of_the_newest_sample(self, house: House, integration: int) -> None:
        house.connection.execute(
            "insert into crm_sync.samples select organization_id, id, now() - n * interval '1 minute', 0, "
            "150000 - n, 0, null from public.user_integrations cross join generate_series(0, 2) as n where id = %s",
            [integration],
        )
        assert conditions(house, "queue_depth") == [(f"connection:{integration}", 150000.0, True)]

    def test_a_day_s_budget_is_measured_as_the_daemon_spends_it(self, house: House, organization: UUID) -> None:
        pipedrive = house.integration(organization, "pipedrive")
        with house.as_role("crm_sync_daemon"):
            house.connection.execute('select crm_sync.spend_budget(%s, \'{"daily": 1, "core": 1}\')', [pipedrive])
        house.connection.execute("update crm_sync.budgets set spent_today = 22000 where name = 'daily'")
        # 80 % of 30,000 are ours
        assert conditions(house, "budget_nearly_spent") == [(f"connection:{pipedrive}/daily", 91.7, True)]
        assert house.value("select used from crm_sync.day_budgets(10)") == pytest.approx(22000 / 24000)
        house.connection.execute("update crm_sync.budgets set today = today - 1")
        assert conditions(house, "budget_nearly_spent") == [(f"connection:{pipedrive}/daily", 0.0, False)]

    def test_a_lost_connection_and_a_token_that_cannot_be_refreshed_are_seen(
        self, house: House, integration: int
    ) -> None:
        house.connection.execute("update crm_sync.lanes set refresh_failures = 3")
        assert conditions(house, "refresh_failing") == [(f"connection:{integration}", 3.0, True)]
        lose(house, integration)
        assert conditions(house, "connection_lost") == [(f"connection:{integration}", 1.0, True)]
        assert conditions(house, "refresh_failing") == [(f"connection:{integration}", 0.0, False)]
        lose(house, integration, "disconnected")
        assert conditions(house, "connection_lost") == []

    def test_no_worker_alive_asks_for_a_connection_that_there_is_work_for(
        self, house: House, daemon: Daemon, organization: UUID
    ) -> None:
        assert conditions(house, "no_worker_alive") == []
        house.integration(organization)
        assert conditions(house, "no_worker_alive") == [("workers", 0.0, True)]
        daemon.call("select crm_sync.register_worker(%s, 'web1', 12, '1', false)", daemon.id)
        assert conditions(house, "no_worker_alive") == [("workers", 1.0, False)]
        assert conditions(house, "worker_cannot_listen") == [("worker:web1:12", 1.0, True)]
        house.connection.execute("update crm_sync.daemons set last_seen_at = now() - interval '3 minutes'")
        assert conditions(house, "no_worker_alive") == [("workers", 0.0, True)]
        assert conditions(house, "worker_cannot_listen") == []

    def test_words_name_the_crm_and_the_connection_and_never_what_people_called_it(
        self, house: House, organization: UUID
    ) -> None:
        lost = house.integration(organization, name="ada@example.com")
        lose(house, lost)
        check(house)
        words = house.value("select words from crm_sync.alerts where rule = 'connection_lost'")
        assert words == f"HubSpot (connection {lost}) is not accepted any more by the CRM; its rows wait for a person"

    def test_asking_writes_nothing_so_that_a_replica_can_be_asked(
        self, house: House, organization: UUID, integration: int
    ) -> None:
        lose(house, integration)
        user = house.user(organization)
        for role, seen in (("crm_sync_reader", 7), ("authenticated", 6)):
            with house.connection.transaction(force_rollback=True), house.as_role(role, user):
                house.connection.execute("set local transaction_read_only = on")
                assert house.value("select count(*) from crm_sync.conditions") == seen
                assert house.value("select count(*) from crm_sync.alerts where cleared_at is null") == 0

    def test_what_has_piled_up_costs_nothing(self, house: House, integration: int) -> None:
        """The same number of rows is read, however many wait, are finished or have failed."""
        house.connection.execute(
            "insert into public.sync_queue (organization_id, integration_id, contact_id, queue_type, status, "
            "completed_at, failure, last_error, next_attempt_at) "
            "select i.organization_id, i.id, gen_random_uuid(), 'contact_sync', s.status, "
            "case when s.status <> 'pending' then now() end, case when s.status = 'failed' then '{}'::jsonb end, "
            "case when s.status = 'failed' then 'no' end, case when s.status = 'pending' and n %% 2 = 0 then now() end "
            "from public.user_integrations as i, generate_series(1, 3000) as n, "
            "unnest(array['pending', 'completed', 'failed']) as s (status) where i.id = %s",
            [integration],
        )
        source = house.value("select prosrc from pg_proc where proname = 'measure_conditions'")
        body = source.split("return query", 1)[1].rsplit(";\nend;", 1)[0]
        for setting in ("enable_seqscan", "enable_bitmapscan", "jit"):
            house.connection.execute(f"set local {setting} = off".encode())
        explain = "explain (analyze, format json) " + body.replace("p_organization_ids", "null::uuid[]")
        row = house.connection.execute(explain.encode()).fetchone()
        assert row is not None
        read: list[tuple[str, float]] = []

        def walk(node: dict[str, Any]) -> None:
            if node.get("Relation Name") == "sync_queue":
                read.append((node["Node Type"], node["Actual Rows"] * node["Actual Loops"]))
            for below in node.get("Plans", ()):
                walk(below)

        walk(row[0][0]["Plan"])
        assert {kind for kind, _ in read} <= {"Index Scan", "Index Only Scan"}
        assert 1000 <= sum(rows for _, rows in read) <= 1000 + 100 + 10
