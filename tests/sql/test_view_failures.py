"""`crm_sync.failures`: what does not arrive, why, and what to do, in one SELECT."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from tests.house import House
from tests.sql.crm import FIELDS, describe, field, save
from tests.sql.daemon import Daemon, failed, people, queue, released, synced

pytestmark = pytest.mark.usefixtures("rolled_back")

BAD_OPTION: dict[str, Any] = {
    "kind": "rejected",
    "message": '"GOLD" is no option',
    "code": "INVALID_OPTION",
    "field": "tier",
}


def failures(house: House, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
    query = f"select {columns} from crm_sync.failures where {where} order by kind, message"
    with house.as_role("crm_sync_reader") as connection:
        return connection.execute(query.encode()).fetchall()


def test_rows_are_grouped_by_what_stopped_them(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    describe(house, integration)
    contacts = people(house, organization, 3)
    batch = daemon.claim()
    first, second, third = sorted(batch["contacts"], key=lambda document: document["rows"][0])
    daemon.finish(
        batch,
        [failed(first, **BAD_OPTION), failed(second, **BAD_OPTION), failed(third, "contended", "locked", status=423)],
    )
    rows = failures(house, "kind, queue_type, code, field, message, count, retrying, allowed_values, allowed_labels")
    assert rows == [
        ("contended", "contact_sync", None, None, "locked", 1, 1, [], []),
        (
            "rejected",
            "contact_sync",
            "INVALID_OPTION",
            "tier",
            '"GOLD" is no option',
            2,
            0,
            ["1", "2"],
            ["Gold", "Silver"],
        ),
    ]
    ((queue_id, contact, message, meaning, remedy, in_time),) = failures(
        house,
        "example_queue_id, example_contact_id, example_message_id, meaning, remedy, first_at <= last_at",
        "kind = 'rejected'",
    )
    assert (queue_id, contact) == (second["rows"][0], UUID(second["contact_id"]))
    assert contact in contacts
    assert message is not None
    assert "takes only certain values" in meaning
    assert "retry_failed" in remedy
    assert in_time is True


def test_the_parts_of_a_failure_are_kept_until_the_row_arrives(house: House, daemon: Daemon, row: UUID) -> None:
    batch = daemon.claim()
    daemon.fail(batch, "contended", "locked", status=423, correlation_id="c-1", retry_after=0.0)
    parts = {"kind": "contended", "status": 423, "correlation_id": "c-1"}
    assert queue(house, "status, failure") == [("retry", parts)]
    house.connection.execute("update public.sync_queue set next_attempt_at = null")
    house.connection.execute("update crm_sync.lanes set look_behind_at = '-infinity'")
    batch = daemon.claim()
    daemon.finish(batch, map(released, batch["contacts"]))
    assert queue(house, "status, failure") == [("retry", parts)]
    house.connection.execute("update crm_sync.lanes set look_behind_at = '-infinity'")
    batch = daemon.claim()
    daemon.finish(batch, map(synced, batch["contacts"]))
    assert queue(house, "status, failure", "queue_type = 'contact_sync'") == [("completed", None)]
    assert failures(house, "kind") == []


def test_failed_rows_that_are_put_back_and_arrive_leave_the_view(
    house: House, daemon: Daemon, integration: int, row: UUID
) -> None:
    daemon.fail(daemon.claim(), **BAD_OPTION)
    assert failures(house, "count, retrying") == [(1, 0)]
    daemon.call("select crm_sync.retry_failed(%s)", integration)
    assert failures(house, "count, retrying") == [(1, 1)]
    daemon.work()
    assert failures(house, "count") == []


def test_a_mapping_that_the_crm_breaks_shows_with_its_field_and_the_allowed_values(
    house: House, organization: UUID, integration: int
) -> None:
    describe(house, integration)
    save(
        house,
        integration,
        "field_mappings",
        {"contact": [{"value": "Gold", "to": "tier"}, {"from": "phone", "to": "mobilephone"}]},
    )
    save(house, integration, "sync_settings", {"deal_stage": "Won"})
    assert failures(house, "kind") == []
    broken = [each for each in FIELDS if each["name"] not in ("mobilephone", "tier", "dealstage")]
    describe(house, integration, [*broken, field("tier", "A", "B"), field("dealstage", "new", of="deal")])
    assert failures(house, "kind, code, field, message, allowed_values, last_at is not null") == [
        ("mapping", None, "mobilephone", 'HubSpot has no contact field "mobilephone"', [], True),
        ("mapping", None, "tier", 'the contact field "tier" of HubSpot takes "A", "B"; not "Gold"', ["A", "B"], True),
        (
            "mapping",
            "deal_stage",
            "dealstage",
            'the deal field "dealstage" of HubSpot takes "new"; not "Won"',
            ["new"],
            True,
        ),
    ]
    describe(house, integration)
    assert failures(house, "kind") == []


def test_a_connection_that_waits_for_a_person_shows(house: House, daemon: Daemon, integration: int, row: UUID) -> None:
    daemon.fail(daemon.claim(), "unauthorized", "token refused")
    shown = failures(house, "kind, code, message, count, retrying, remedy like '%%onnect it again%%'")
    assert shown == [
        ("connection", "unauthorized", "token refused", 1, 0, True),
        ("unauthorized", None, "token refused", 1, 1, True),
    ]


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("rejected", "PROPERTY_DOESNT_EXIST", "no such field"),
        ("rejected", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "certain values"),
        ("rejected", "INSUFFICIENT_ACCESS_OR_READONLY", "may not do this"),
        ("rejected", "DUPLICATES_DETECTED", "holds this record already"),
        ("rejected", "SOMETHING_NEW", "in its own words"),
        ("rejected", None, "in its own words"),
        ("rate_limited", "OWN_BUDGET", "our share"),
        ("rate_limited", None, "slow down"),
        ("unavailable", "X", "is down"),
        ("bug", None, "does not understand"),
        ("other", None, "words of the message"),
        ("new kind", "X", "words of the message"),
    ],
)
def test_every_kind_of_failure_means_something(house: House, kind: str, code: str | None, words: str) -> None:
    rows = house.rows("select meaning, remedy from crm_sync.failure_meaning(%s, %s)", kind, code)
    assert len(rows) == 1
    assert words in rows[0][0]
    assert rows[0][1].endswith(".")


def test_members_see_their_own_failures_only(house: House, daemon: Daemon) -> None:
    organizations = [house.organization(name) for name in ("Mine", "Theirs")]
    user = house.user(organizations[0])
    for organization in organizations:
        integration = house.integration(organization)
        describe(house, integration, [field("a")])
        save(house, integration, "field_mappings", {"contact": [{"value": 1, "to": "a"}]})
        describe(house, integration, [field("b")])
        people(house, organization, 1)
        daemon.fail(daemon.claim(integration=integration), "rejected", "no")
    with house.as_role("authenticated", user) as connection:
        seen = connection.execute("select organization_id, kind from crm_sync.failures order by kind").fetchall()
    assert seen == [(organizations[0], "mapping"), (organizations[0], "rejected")]
    assert len(failures(house, "kind")) == 4
