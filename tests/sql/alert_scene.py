"""Conditions that come true, alerts and messages that come of them, and time that passes."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from tests.house import House
from tests.sql.daemon import people

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
