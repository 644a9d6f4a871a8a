"""Who sees which alerts, who changes which rules, and who has taken care of what."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.alert_scene import alerts, check, lose


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
