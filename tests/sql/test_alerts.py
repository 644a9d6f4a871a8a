"""Rules, conditions and alerts: what is measured, raised once and cleared once, and who sees and changes what."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from providers.webhook import signatures
from tests.house import House, eventually
from tests.sql.daemon import Daemon, connect, documents, failed, people

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
ENDPOINT = "0" * 64


def check(house: House, role: str = "crm_sync_daemon") -> int:
    with house.as_role(role):
        count: int = house.value("select crm_sync.check_alerts()")
    return count


def conditions(house: House, rule: str) -> list[tuple[Any, ...]]:
    return house.rows(
        "select subject, value::float, is_raised from crm_sync.conditions where rule = %s order by subject", rule
    )


def alerts(house: House, rule: str | None = None) -> list[tuple[Any, ...]]:
    return house.rows(
        "select rule, subject, cleared_at is null from crm_sync.alerts where rule = coalesce(%s, rule) "
        "and rule <> 'no_worker_alive' order by id",
        rule,
    )


def a_while_passes(house: House, what: str = "10 minutes") -> None:
    """For alerts: time is moved by moving rows."""
    execute = house.connection.execute
    execute(
        "update crm_sync.alerts set raised_at = raised_at - %(d)s::interval, "
        "false_since = false_since - %(d)s::interval, cleared_at = cleared_at - %(d)s::interval",
        {"d": what},
    )
    execute(
        "update crm_sync.alert_suspects set since = since - %(d)s::interval, seen_at = seen_at - '1 minute'::interval",
        {"d": what},
    )
    execute("update crm_sync.alert_checks set checked_at = checked_at - %s::interval", [what])


def lose(house: House, integration: int, status: str = "error") -> None:
    house.connection.execute("update public.user_integrations set status = %s where id = %s", [status, integration])


def be_late(house: House, organization: UUID) -> None:
    """What nobody has taken up for three hours; that the daemons of these tests do not listen is another matter."""
    house.connection.execute("delete from crm_sync.alert_rules where name = 'worker_cannot_listen'")
    people(house, organization, 1)
    house.connection.execute("update public.sync_queue set scheduled_at = now() - interval '3 hours'")


def deliveries(house: House) -> list[tuple[Any, ...]]:
    return house.rows("select type, payload from crm_sync.deliveries order by created_at, type")


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


@pytest.mark.usefixtures("rolled_back")
class TestRaisedAndCleared:
    def test_an_alert_is_raised_once_and_cleared_once(self, house: House, integration: int) -> None:
        house.connection.execute("update crm_sync.alert_rules set for_at_least = '0' where name = 'no_worker_alive'")
        subject = f"connection:{integration}"
        lose(house, integration)
        assert check(house) == 2  # no daemon is alive either
        assert check(house) == 0
        assert alerts(house) == [("connection_lost", subject, True)]
        lose(house, integration, "connected")
        assert check(house) == 1
        assert check(house) == 0
        assert alerts(house) == [("connection_lost", subject, False)]
        lose(house, integration)
        check(house)
        assert alerts(house) == [("connection_lost", subject, False), ("connection_lost", subject, True)]
        assert [row[1] for row in house.rows("select 1, rule from crm_sync.alerts where rule = 'no_worker_alive'")] == [
            "no_worker_alive"
        ]

    def test_what_has_not_lasted_raises_nothing(self, house: House, integration: int) -> None:
        house.connection.execute(
            "update crm_sync.alert_rules set for_at_least = '5 minutes' where name = 'connection_lost'"
        )
        lose(house, integration)
        check(house)
        a_while_passes(house, "4 minutes")
        assert check(house) == 1  # only that no daemon is alive
        assert alerts(house) == []
        lose(house, integration, "connected")
        check(house)
        lose(house, integration)
        check(house)
        a_while_passes(house, "4 minutes")
        check(house)
        assert alerts(house) == []
        a_while_passes(house, "2 minutes")
        assert check(house) == 1
        assert [row[0] for row in alerts(house)] == ["connection_lost"]
        assert house.rows("select from crm_sync.alert_suspects where rule = 'connection_lost'") == []

    def test_what_nobody_has_looked_at_for_a_while_begins_anew(self, house: House, integration: int) -> None:
        house.connection.execute(
            "update crm_sync.alert_rules set for_at_least = '5 minutes' where name = 'connection_lost'"
        )
        lose(house, integration)
        check(house)
        house.connection.execute(
            "update crm_sync.alert_suspects set since = now() - interval '1 hour', "
            "seen_at = now() - interval '6 minutes'"
        )
        check(house)
        assert alerts(house) == []

    def test_a_value_that_swings_around_its_threshold_raises_and_clears_nothing_anew(
        self, house: House, integration: int
    ) -> None:
        def depth(waiting: int) -> int:
            house.connection.execute("delete from crm_sync.samples")
            house.connection.execute(
                "insert into crm_sync.samples select organization_id, id, now(), 0, %s, 0, null "
                "from public.user_integrations where id = %s",
                [waiting, integration],
            )
            return check(house)

        house.connection.execute(
            "update crm_sync.alert_rules set for_at_least = '0', clear_after = '5 minutes' where name = 'queue_depth'"
        )
        house.connection.execute("delete from crm_sync.alert_rules where name = 'no_worker_alive'")
        assert depth(100_001) == 1
        for waiting in (99_999, 90_001, 120_000, 95_000, 50_000, 95_000):
            assert depth(waiting) == 0
            a_while_passes(house, "4 minutes")
        # the value is that of the last time that it was true
        assert house.rows("select value::integer, false_since from crm_sync.alerts where rule = 'queue_depth'") == [
            (120_000, None)
        ]
        assert depth(50_000) == 0
        a_while_passes(house, "6 minutes")
        house.connection.execute("update crm_sync.alert_suspects set since = now()")
        assert depth(50_000) == 1
        assert alerts(house) == [("queue_depth", f"connection:{integration}", False)]

    @pytest.mark.parametrize(
        "end",
        [
            "delete from public.user_integrations",
            "update crm_sync.alert_rules set is_active = false where name = 'connection_lost'",
            "update public.user_integrations set status = 'disconnected'",
        ],
    )
    def test_an_alert_whose_subject_or_rule_is_gone_is_cleared(self, house: House, integration: int, end: str) -> None:
        lose(house, integration)
        check(house)
        house.connection.execute(end.encode())
        check(house)
        assert alerts(house) == [("connection_lost", f"connection:{integration}", False)]

    def test_a_console_or_a_cron_job_notices_that_no_daemon_is_alive(self, house: House, integration: int) -> None:
        assert check(house, "crm_sync_console") == 0
        a_while_passes(house, "2 minutes")
        assert check(house, "crm_sync_console") == 1
        assert house.rows("select rule, severity, organization_id from crm_sync.alerts") == [
            ("no_worker_alive", "critical", None)
        ]
        assert integration

    def test_what_follows_from_an_alert_is_shown_and_raised_only_if_it_outlasts_it(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        other = house.integration(organization, "pipedrive")
        be_late(house, organization)
        check(house)
        a_while_passes(house)
        assert check(house) == 1, "no storm"
        assert house.rows("select rule from crm_sync.alerts") == [("no_worker_alive",)]
        shown = (
            "select distinct rule, inhibited_by from crm_sync.conditions where is_raised and alert_id is null "
            "order by rule"
        )
        late = [(rule, "no_worker_alive") for rule in ("nothing_succeeds", "oldest_wait")]
        assert house.rows(shown) == late
        with house.as_role("authenticated", house.user(organization)):
            assert house.rows(shown) == late
        a_while_passes(house)
        assert check(house) == 0
        daemon.be_alive()
        assert check(house) == 1, "the cause is cleared"
        assert house.value("select cleared_at is not null from crm_sync.alerts") is True
        # they have their time anew: most of them go by themselves now
        house.connection.execute("update public.sync_queue set scheduled_at = now() where integration_id = %s", [other])
        check(house)
        assert house.value(f"select count(*) from ({shown}) as s where inhibited_by is not null") == 0
        a_while_passes(house)
        assert check(house) == 2
        assert alerts(house) == [(rule, f"connection:{integration}", True) for rule, _ in late]

    def test_what_was_raised_before_its_cause_is_neither_cleared_nor_raised_anew(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        be_late(house, organization)
        daemon.be_alive()
        check(house)
        a_while_passes(house)
        assert check(house) == 2
        house.connection.execute("update crm_sync.daemons set last_seen_at = now() - interval '3 minutes'")
        check(house)
        a_while_passes(house)
        assert check(house) == 1
        daemon.be_alive()
        for expected in (1, 0, 0):
            assert check(house) == expected
            a_while_passes(house)
        subject = f"connection:{integration}"
        assert alerts(house) == [("nothing_succeeds", subject, True), ("oldest_wait", subject, True)]

    def test_fewer_daemons_than_somebody_wants_explain_no_lateness(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        be_late(house, organization)
        house.connection.execute("update crm_sync.alert_rules set threshold = 2 where name = 'no_worker_alive'")
        daemon.be_alive()
        check(house)
        a_while_passes(house)
        assert check(house) == 3
        assert {row[1] for row in alerts(house)} == {f"connection:{integration}"}

    def test_a_lost_connection_explains_what_is_late_of_itself_only(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        other = house.integration(organization, "pipedrive")
        daemon.be_alive()
        be_late(house, organization)
        house.connection.execute("update crm_sync.alert_rules set for_at_least = '0', clear_after = '1 minute'")
        lose(house, integration)
        check(house)
        # connected again, and the alert is not cleared yet
        lose(house, integration, "connected")
        check(house)
        assert alerts(house) == [
            ("connection_lost", f"connection:{integration}", True),
            ("nothing_succeeds", f"connection:{other}", True),
            ("oldest_wait", f"connection:{other}", True),
        ]
        assert house.rows(
            "select rule, inhibited_by from crm_sync.conditions where integration_id = %s and is_raised order by rule",
            integration,
        ) == [("nothing_succeeds", "connection_lost"), ("oldest_wait", "connection_lost")]

    def test_whoever_has_just_looked_need_not_look_again(self, house: House, integration: int) -> None:
        check(house)
        lose(house, integration)
        assert house.value("select crm_sync.check_alerts('10 seconds')") == 0
        house.connection.execute("update crm_sync.alert_checks set checked_at = now() - interval '11 seconds'")
        assert house.value("select crm_sync.check_alerts('10 seconds')") == 1

    def test_old_alerts_are_deleted_with_their_messages(self, house: House, integration: int) -> None:
        house.connection.execute("delete from crm_sync.alert_rules where name = 'no_worker_alive'")
        house.rows("select * from crm_sync.claim_delivery(%s)", ENDPOINT)
        lose(house, integration)
        check(house)
        a_while_passes(house, "100 days")
        check(house)
        assert len(alerts(house, "connection_lost")) == 1  # it is raised still
        lose(house, integration, "connected")
        check(house)
        a_while_passes(house, "91 days")
        check(house)
        assert alerts(house, "connection_lost") == []
        assert deliveries(house) == []


@pytest.mark.usefixtures("rolled_back")
class TestWhoMayWhat:
    def test_members_see_the_alerts_and_conditions_of_their_organization_only(
        self, house: House, organization: UUID, integration: int
    ) -> None:
        other = house.integration(house.organization("Other"))
        house.connection.execute("update crm_sync.alert_rules set for_at_least = '0' where name = 'no_worker_alive'")
        for each in (integration, other):
            lose(house, each)
        assert check(house) == 3
        with house.as_role("authenticated", house.user(organization)):
            assert house.rows("select rule, integration_id from crm_sync.alerts") == [("connection_lost", integration)]
            assert house.rows("select distinct integration_id from crm_sync.conditions") == [(integration,)]
            assert house.rows("select alert_id is not null from crm_sync.conditions where is_raised") == [(True,)]
        with house.as_role("crm_sync_reader"):
            assert len(house.rows("select from crm_sync.alerts")) == 3
            assert len(house.rows("select from crm_sync.conditions where alert_id is not null")) == 3
        with house.as_role("authenticated"):
            assert house.rows("select from crm_sync.conditions") == []

    def test_an_organization_s_own_rule_goes_before_the_common_one(
        self, house: House, organization: UUID, integration: int
    ) -> None:
        other = house.integration(house.organization("Other"))
        ada = house.user(organization)
        house.connection.execute("update crm_sync.lanes set refresh_failures = 2")
        with house.as_role("authenticated", ada):
            rule = house.rows(
                "select organization_id, threshold, severity, remedy <> '' from crm_sync.set_alert_rule("
                "'refresh_failing', 2, p_severity => 'critical', p_organization_id => %s)",
                organization,
            )
        assert rule == [(organization, 2, "critical", True)]
        assert check(house) == 1
        assert alerts(house) == [("refresh_failing", f"connection:{integration}", True)]
        with house.as_role("authenticated", ada):
            house.connection.execute(
                "select crm_sync.set_alert_rule('refresh_failing', p_is_active => false, p_organization_id => %s)",
                [organization],
            )
        house.connection.execute("update crm_sync.lanes set refresh_failures = 9")
        check(house)
        assert alerts(house) == [
            ("refresh_failing", f"connection:{integration}", False),
            ("refresh_failing", f"connection:{other}", True),
        ]

    def test_members_make_rules_of_their_own_and_touch_no_other(self, house: House, organization: UUID) -> None:
        insert = (
            "insert into crm_sync.alert_rules (organization_id, name, condition, threshold, severity, remedy) "
            "values (%s, 'slow', %s, 5, 'info', 'Look.')"
        )
        other = house.organization("Other")
        with house.as_role("authenticated", house.user(organization)):
            house.connection.execute(insert, [organization, "oldest_wait"])
            assert house.value("select count(*) from crm_sync.alert_rules where name = 'slow'") == 1
            for refused in (other, None):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), house.connection.transaction():
                    house.connection.execute(insert, [refused, "oldest_wait"])
            with pytest.raises(psycopg.errors.CheckViolation), house.connection.transaction():
                house.connection.execute(insert.replace("slow", "gone").encode(), [organization, "no_worker_alive"])
            changed = house.connection.execute("update crm_sync.alert_rules set threshold = 1")
            assert changed.rowcount == 1

    @pytest.mark.parametrize(
        ("call", "sqlstate", "words"),
        [
            ("'nonsense'", "CS070", 'there is no rule for alerts that is called "nonsense"'),
            (
                "'oldest_wait', -1",
                "CS071",
                "the rule oldest_wait would make no sense: the threshold must be more than 0",
            ),
            ("'oldest_wait', p_severity => 'bad'", "CS071", "the severity is info, warning or critical"),
            ("'failures_per_hour', 5000", "CS071", "failures are counted to 1000"),
            ("'oldest_wait', p_for_at_least => '8 days'", "CS071", "up to 7 days"),
            ("'budget_nearly_spent', 101", "CS071", "it would never alarm, as its threshold is in percent"),
            ("'oldest_wait', p_organization_id => gen_random_uuid()", "CS021", "there is no organization "),
        ],
    )
    def test_a_rule_that_makes_no_sense_is_refused(self, house: House, call: str, sqlstate: str, words: str) -> None:
        with house.as_role("crm_sync_daemon"), pytest.raises(psycopg.Error) as refused, house.connection.transaction():
            house.connection.execute(f"select crm_sync.set_alert_rule({call})".encode())
        assert refused.value.sqlstate == sqlstate
        assert words in str(refused.value.diag.message_primary)
        assert refused.value.diag.message_hint

    def test_a_member_changes_no_common_rule_and_none_of_others(self, house: House, organization: UUID) -> None:
        other = house.organization("Other")
        with house.as_role("authenticated", house.user(organization)):
            for refused in (None, other):
                with pytest.raises(psycopg.Error) as error, house.connection.transaction():
                    house.connection.execute(
                        "select crm_sync.set_alert_rule('oldest_wait', 1, p_organization_id => %s)", [refused]
                    )
                assert error.value.sqlstate == "CS021"

    def test_somebody_takes_care_of_an_alert_once_and_the_log_says_who(
        self, house: House, organization: UUID, integration: int
    ) -> None:
        lose(house, integration)
        check(house)
        alert = house.value("select id from crm_sync.alerts")
        ada, eve = house.user(organization), house.user(house.organization("Evil"), "eve@example.com")
        with (
            house.as_role("authenticated", eve),
            pytest.raises(psycopg.Error) as stranger,
            house.connection.transaction(),
        ):
            house.connection.execute("select crm_sync.acknowledge(%s)", [alert])
        with (
            house.as_role("authenticated", ada),
            pytest.raises(psycopg.Error) as absent,
            house.connection.transaction(),
        ):
            house.connection.execute("select crm_sync.acknowledge(-1)")
        assert [stranger.value.sqlstate, absent.value.sqlstate] == ["CS021", "CS021"]
        with house.as_role("authenticated", ada):
            assert house.value("select crm_sync.acknowledge(%s, 'I call them')", alert) is True
            assert house.value("select crm_sync.acknowledge(%s)", alert) is False
        assert house.rows("select acknowledged_by, note, cleared_at is null from crm_sync.alerts") == [
            (str(ada), "I call them", True)
        ]
        assert house.rows("select title, description from public.sync_activity_logs where title ~ '^Alert'")[0][0] == (
            "Alert acknowledged"
        )

    def test_the_pulse_of_a_page_beats_for_an_alert_of_the_organization_and_for_no_other(
        self, house: House, organization: UUID, integration: int
    ) -> None:
        ada = house.user(organization)
        other = house.integration(house.organization("Other"))

        def pulse() -> str:
            with house.as_role("authenticated", ada):
                beat: str = house.value("select crm_sync.pulse()")
            return beat

        insert = (
            "insert into crm_sync.alerts (organization_id, integration_id, rule, condition, subject, severity, "
            "threshold, unit, words, remedy) "
            "select organization_id, id, 'r', 'queue_depth', 's' || id, 'info', 1, 'rows', 'w', 'm' "
            "from public.user_integrations where id = %s"
        )
        before = pulse()
        house.connection.execute(insert, [other])
        assert pulse() == before
        house.connection.execute(insert, [integration])
        assert pulse() != before


@pytest.mark.usefixtures("rolled_back")
class TestTheOutbox:
    def claim(self, house: House, endpoint: str = ENDPOINT) -> tuple[Any, ...] | None:
        with house.as_role("crm_sync_daemon"):
            return next(
                iter(house.rows("select id, type, payload, attempts from crm_sync.claim_delivery(%s)", endpoint)), None
            )

    def finish(self, house: House, row: tuple[Any, ...], outcome: str, *more: Any) -> bool:
        status, reason, wait = (*more, None, None, None)[:3]
        with house.as_role("crm_sync_daemon"):
            done: bool = house.value(
                "select crm_sync.finish_delivery(%s, %s, %s, %s, %s, %s, %s)",
                *(ENDPOINT, row[0], row[3], outcome, status, reason, wait),
            )
        return done

    def test_without_a_webhook_no_message_is_queued(self, house: House, integration: int) -> None:
        lose(house, integration)
        check(house)
        assert deliveries(house) == []

    def test_a_message_says_what_is_wrong_and_what_to_do(
        self, house: House, organization: UUID, integration: int
    ) -> None:
        assert self.claim(house) is None
        lose(house, integration)
        check(house)
        lose(house, integration, "connected")
        check(house)
        raised, cleared = (payload for _, payload in sorted(deliveries(house), reverse=True))
        assert [raised["type"], cleared["type"]] == ["alert.raised", "alert.cleared"]
        assert set(raised) == {"type", "timestamp", "data"}
        assert raised["timestamp"].endswith("Z")
        data = raised["data"]
        assert (data["rule"], data["severity"], data["provider"]) == ("connection_lost", "critical", "hubspot")
        assert (data["organization_id"], data["integration_id"]) == (str(organization), integration)
        assert "connects it again" in data["remedy"]
        assert data["cleared_at"] is None
        assert cleared["data"]["cleared_at"].endswith("Z")
        assert cleared["data"]["alert_id"] == data["alert_id"]

    def test_a_message_is_one_claimant_s_until_he_may_be_gone(self, house: House, integration: int) -> None:
        self.claim(house)
        lose(house, integration)
        check(house)
        first = self.claim(house)
        assert first is not None
        assert json.loads(first[2])["type"] == first[1] == "alert.raised"
        assert self.claim(house) is None
        house.connection.execute("update crm_sync.deliveries set next_attempt_at = now()")
        second = self.claim(house)
        assert second is not None
        assert (second[0], second[2], second[3]) == (first[0], first[2], 2)
        assert self.finish(house, first, "delivered") is False
        assert self.finish(house, second, "later", 500, "the receiver answered HTTP 500", 3600) is True
        assert house.rows(
            "select last_status, last_error, next_attempt_at > now() + interval '59 minutes' from crm_sync.deliveries"
        ) == [(500, "the receiver answered HTTP 500", True)]
        house.connection.execute("update crm_sync.deliveries set next_attempt_at = now()")
        third = self.claim(house)
        assert third is not None
        assert self.finish(house, third, "delivered", 204) is True
        assert self.claim(house) is None

    def test_it_is_tried_for_about_three_days_and_then_given_up(self, house: House, integration: int) -> None:
        self.claim(house)
        lose(house, integration)
        check(house)
        tries = 0
        while self.claim(house) is not None:
            tries += 1
            house.connection.execute(
                "update crm_sync.deliveries set created_at = created_at - (next_attempt_at - now()), "
                "next_attempt_at = now()"
            )
            assert tries < 100
        assert 15 <= tries <= 30
        assert house.value("select given_up_at is not null from crm_sync.deliveries") is True

    def test_a_receiver_that_is_gone_gets_nothing_more_until_somebody_says_so(
        self, house: House, integration: int
    ) -> None:
        self.claim(house)
        lose(house, integration)
        check(house)
        row = self.claim(house)
        assert row is not None
        self.finish(house, row, "gone", 410, "the receiver says that it is gone (HTTP 410)")
        lose(house, integration, "connected")
        check(house)
        assert self.claim(house) is None
        assert len(deliveries(house)) == 1  # of the second nothing was queued
        assert self.claim(house, "1" * 64) is None  # another URL is another receiver
        with house.as_role("crm_sync_daemon"):
            assert house.value("select crm_sync.resume_deliveries()") == 1
        again = self.claim(house)
        assert again is not None
        assert again[0] == row[0]

    @pytest.mark.parametrize("endpoint", ["https://example.com/hook", "", None])
    def test_no_url_is_ever_written_down(self, house: House, endpoint: str | None) -> None:
        with house.as_role("crm_sync_daemon"), pytest.raises(psycopg.Error) as refused, house.connection.transaction():
            house.connection.execute("select crm_sync.claim_delivery(%s)", [endpoint])
        assert refused.value.sqlstate == "CS074"


def test_two_that_look_at_the_same_time_raise_once_and_clear_once_and_who_listens_hears_it_once(
    house: House, database: str, integration: int
) -> None:
    house.connection.execute("delete from crm_sync.alert_rules where name = 'no_worker_alive'")
    house.connection.execute("select crm_sync.claim_delivery(%s)", [ENDPOINT])
    barrier = threading.Barrier(4)
    counts: list[int] = []

    def look() -> None:
        with connect(database) as connection:
            connection.execute("set role crm_sync_daemon")
            for _ in range(3):
                barrier.wait(15)
                for _ in range(3):
                    row = connection.execute("select crm_sync.check_alerts()").fetchone()
                    assert row is not None
                    counts.append(row[0])
                barrier.wait(15)

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    with connect(database) as ears:
        ears.execute("listen crm_sync_events")
        for status in ("error", "connected", "error"):
            lose(house, integration, status)
            barrier.wait(15)
            barrier.wait(30)
        for thread in threads:
            thread.join(15)
        heard = [json.loads(note.payload) for note in ears.notifies(timeout=5, stop_after=3)]
    assert sum(counts) == 3
    assert [each["event"] for each in heard] == ["alert_raised", "alert_cleared", "alert_raised"]
    assert {each["integration_id"] for each in heard} == {integration}
    assert [row[2] for row in alerts(house)] == [False, True]
    assert [row[0] for row in deliveries(house)] == ["alert.raised", "alert.cleared", "alert.raised"]


def test_a_look_waits_for_nobody_who_is_at_it(house: House, database: str, integration: int) -> None:
    lose(house, integration)
    with connect(database) as other, other.transaction():
        other.execute("select crm_sync.check_alerts()")
        house.connection.execute("set statement_timeout = '5s'")
        assert house.value("select crm_sync.check_alerts()") == 0
    eventually(lambda: house.rows("select from crm_sync.alerts"), "the other's alert")


PAGE = (Path(__file__).parent.parent.parent / "docs" / "alerts.md").read_text()


@pytest.mark.usefixtures("rolled_back")
def test_the_page_names_every_rule_as_it_is_shipped(house: House) -> None:
    rows = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (\d+) \w+[^|]* \| ([\w ]+) \| (\w+) \|", PAGE, re.M)}
    shipped = house.rows("select name, threshold, for_at_least, severity from crm_sync.alert_rules")
    assert set(rows) == {row[0] for row in shipped}
    for name, threshold, lasted, severity in shipped:
        minutes = lasted.total_seconds() / 60
        words = "at once" if not minutes else f"{minutes:g} minute{'s' if minutes > 1 else ''}"
        assert rows[name] == (str(threshold), words, severity), name


@pytest.mark.usefixtures("rolled_back")
def test_the_statements_of_the_page_are_valid(house: House, integration: int) -> None:
    lose(house, integration)
    check(house)
    statements = [text for text in re.findall(r"```sql\n(.*?)```", PAGE, re.S) if "cron." not in text]
    assert len(statements) == 7
    first = house.value("select min(id) from crm_sync.alerts")
    for text in statements:
        role = (
            "crm_sync_daemon" if "crm_sync." in text and "(" in text.split("crm_sync.")[1][:25] else "crm_sync_reader"
        )
        with house.as_role(role):
            assert house.connection.execute(text.replace("acknowledge(1,", f"acknowledge({first},").encode()).fetchall()


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node")
def test_the_snippet_for_node_accepts_what_we_sign_and_nothing_else(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```js\n(.*?)```", PAGE, re.S)
    body = '{"type": "alert.raised"}'
    stamp = int(time.time())
    headers = {
        "webhook-id": "msg-1",
        "webhook-timestamp": str(stamp),
        "webhook-signature": signatures([b"n" * 32, b"k" * 32], "msg-1", stamp, body.encode()),
    }
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    tries = [(secret, headers, body), (secret, headers, body + " "), ("whsec_AAAA", headers, body)]
    tries.append((secret, {**headers, "webhook-timestamp": str(stamp - 1000)}, body))
    script = tmp_path / "verify.mjs"
    script.write_text(f"{snippet}\nfor (const each of {json.dumps(tries)}) console.log(verify(...each));\n")
    done = subprocess.run(["node", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["true", "false", "false", "false"]
