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
    assert f"crm_sync.retry_failed({integration})" in remedy
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
    ("provider", "kind", "code", "words"),
    [
        ("hubspot", "rejected", "PROPERTY_DOESNT_EXIST", "no such field"),
        ("salesforce", "rejected", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", "certain values"),
        ("salesforce", "rejected", "INSUFFICIENT_ACCESS_OR_READONLY", "may not do this"),
        ("salesforce", "rejected", "DUPLICATES_DETECTED", "holds this record already"),
        ("hubspot", "rejected", "SOMETHING_NEW", "in its own words"),
        ("hubspot", "rejected", None, "in its own words"),
        ("pipedrive", "rate_limited", "OWN_BUDGET", "our share"),
        ("hubspot", "rate_limited", None, "slow down"),
        ("toy", "unavailable", "X", "is down"),
        ("toy", "bug", None, "does not understand"),
        ("hubspot", "other", None, "words of the message"),
        ("hubspot", "new kind", "X", "words of the message"),
    ],
)
def test_every_kind_of_failure_means_something(
    house: House, provider: str, kind: str, code: str | None, words: str
) -> None:
    rows = house.rows("select meaning, remedy from crm_sync.failure_meaning(%s, %s, %s)", provider, kind, code)
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


def test_rows_that_the_crm_refuses_for_one_field_are_one_failure_whatever_value_it_quotes(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 4)
    batch = daemon.claim()
    named = [{**BAD_OPTION, "message": f'"{n}" is no option'} for n in range(2)]
    unnamed = [{"kind": "rejected", "code": "X", "message": f"no {n}"} for n in range(2)]
    documents = sorted(batch["contacts"], key=lambda document: document["rows"][0])
    answers = zip(documents, [*named, *unnamed], strict=True)
    daemon.finish(batch, [failed(document, **failure) for document, failure in answers])
    assert failures(house, "code, message, count") == [
        ("INVALID_OPTION", '"1" is no option', 2),
        ("X", "no 0", 1),
        ("X", "no 1", 1),
    ]


def test_a_row_that_was_lost_or_skipped_since_does_not_show_its_last_refusal(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    lost, skipped = people(house, organization, 2)
    daemon.fail(daemon.claim(), "contended", "locked", code="BUSY")
    house.connection.execute("update public.contacts set email = '' where id = %s", [skipped])
    house.connection.execute("update public.sync_queue set next_attempt_at = null")
    house.connection.execute("update crm_sync.lanes set look_behind_at = '-infinity'")
    assert [document["contact_id"] for document in daemon.claim()["contacts"]] == [str(lost)]
    house.connection.execute("update crm_sync.batches set lease_until = now() - interval '1 second'")
    house.value("select crm_sync.take_over_expired(%s, %s)", organization, integration)
    assert queue(house, "status, failure") == [("retry", None), ("skipped", None)]
    assert failures(house, "kind, code, message") == [("other", None, "the daemon that worked on it vanished")]


def test_a_connection_whose_share_of_the_day_is_spent_says_so_and_until_when(
    house: House, daemon: Daemon, organization: UUID, integration: int, row: UUID
) -> None:
    words = "our share of the day's rate limit of hubspot 'core' is spent"
    daemon.fail(daemon.claim(), "rate_limited", words, code="OWN_BUDGET", retry_after=5000.0)
    with house.as_role("crm_sync_reader") as connection:
        shown = connection.execute(
            "select state, retrying, failed, last_error, resumes_at - now() from crm_sync.status"
        )
        *state, wait = shown.fetchone() or ()
    assert state == ["rate_limited", 1, 0, words]
    assert 4990 < wait.total_seconds() < 5010
    assert queue(house, "status, attempts, last_error") == [("retry", 0, words)]
    assert "share" in failures(house, "meaning")[0][0]
