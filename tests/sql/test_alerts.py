"""An alert is raised once and cleared once, however many look, and what follows from it is not raised as well."""

from __future__ import annotations

import json
import threading
from uuid import UUID

import pytest

from tests.house import House, eventually
from tests.sql.alert_scene import ENDPOINT, a_while_passes, alerts, be_late, check, deliveries, lose
from tests.sql.daemon import Daemon, connect, documents, failed, people


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

    def test_a_code_that_nobody_knows_is_raised_and_kept_whoever_looks(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        """A daemon, or a console, which sees no organization unless a member asks."""
        house.connection.execute("update crm_sync.alert_rules set for_at_least = '0', clear_after = '0'")
        people(house, organization, 1)
        batch = daemon.claim()
        daemon.finish(batch, [failed(each, "rejected", code="NEW") for each in documents(batch)])
        daemon.call("select crm_sync.register_worker(gen_random_uuid(), 'host', 1, '1', true)")
        for role in ("crm_sync_console", "crm_sync_daemon", "crm_sync_console"):
            check(house, role)
            a_while_passes(house)
            assert alerts(house, "unknown_error") == [("unknown_error", "error:hubspot/NEW", True)]

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
