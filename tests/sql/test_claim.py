"""What a claim takes, in which order, and what it must never do."""

from __future__ import annotations

import json
import time
from typing import LiteralString
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, connect, documents, elapse, failed, queue


def rows_of(batch: dict[str, object]) -> list[int]:
    return sorted(row for document in documents(batch) for row in document["rows"])


def test_a_claim_takes_rows_of_one_connection_and_names_the_others(house: House, daemon: Daemon) -> None:
    acme, other = house.organization(), house.organization("Other")
    integrations = {house.integration(acme), house.integration(acme, "pipedrive"), house.integration(other)}
    for organization in (acme, other):
        house.reply(organization, house.contact(organization))
    batch, due, _ = daemon.answer()
    assert batch is not None
    assert set(due) == integrations - {batch["integration_id"]}
    assert rows_of(batch) == [row for (row,) in queue(house, "id", f"integration_id = {batch['integration_id']}")]


def test_a_claimed_row_is_processing_with_one_attempt_more_under_a_lease(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.reply(organization, house.contact(organization))
    batch = daemon.claim()
    assert queue(house, "status, attempts, batch_id, started_at is not null") == [("processing", 1, batch["id"], True)]
    assert house.rows(
        "select worker_id, organization_id, integration_id, "
        "lease_until - claimed_at between interval '59 seconds' and interval '61 seconds' from crm_sync.batches"
    ) == [(daemon.id, organization, integration, True)]


def test_the_contact_decides_the_order_and_the_priority_decides_between_contacts(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    slow, quick = house.contact(organization, "slow@example.com"), house.contact(organization, "quick@example.com")
    house.reply(organization, slow, "not_interested")
    house.reply(organization, quick, "interested")
    assert daemon.claim(limit=1)["contacts"][0]["contact_id"] == str(quick)


@pytest.mark.parametrize(
    "hold",
    [
        "select from public.user_integrations where id = %(id)s for update",
        "update public.user_integrations set name = 'mine' where id = %(id)s",
        "select crm_sync.sync_now(%(id)s)",
        "select crm_sync.pause(%(id)s)",
        "select crm_sync.delete_connection(%(id)s)",
    ],
)
def test_a_members_open_transaction_holds_up_nobody_elses_claims(
    house: House, daemon: Daemon, database: str, hold: LiteralString
) -> None:
    acme, other = house.organization(), house.organization("Other")
    held, free = house.integration(acme), house.integration(other)
    for organization in (acme, other):
        house.reply(organization, house.contact(organization))
    claims = json.dumps({"sub": str(house.user(acme))})
    house.connection.execute("set statement_timeout = '20s'")
    with connect(database) as member, member.transaction(force_rollback=True):
        member.execute("select set_config('request.jwt.claims', %s, true)", [claims])
        member.execute("set local role authenticated")
        member.execute(hold, {"id": held})
        began = time.monotonic()
        batch, due, _ = daemon.answer()
        assert batch is None
        assert due == [free]
        assert time.monotonic() - began < 10
        assert daemon.claim(integration=free)["integration_id"] == free
    assert daemon.claim()["integration_id"] == held


@pytest.mark.usefixtures("rolled_back")
def test_all_rows_of_a_contact_come_together_oldest_first(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    for intent in ("not_interested", "interested", "question"):
        house.reply(organization, contact, intent)
    batch = daemon.claim()
    assert [document["rows"] for document in batch["contacts"]] == [[row for (row,) in queue(house, "id")]]


def test_an_urgent_row_never_overtakes_older_rows_of_its_contact(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """However small the batch: what is left for later must be newer than what is taken."""
    contact = house.contact(organization)
    for intent in ("question", "not_interested", "question", "interested"):
        house.reply(organization, contact, intent)
    order: list[int] = []
    while (batch := daemon.try_claim(limit=1)) is not None:
        order += [row for document in batch["contacts"] for row in document["rows"]]
        daemon.confirm(batch)
    assert order == sorted(order)
    assert len(order) == 4


def test_rows_left_for_later_are_found_again(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    for _ in range(7):
        house.reply(organization, contact, "question")
    taken = 0
    while (batch := daemon.try_claim(limit=2)) is not None:
        taken += sum(len(document["rows"]) for document in batch["contacts"])
        daemon.confirm(batch)
    assert taken == 7
    assert queue(house, "id", "status <> 'completed'") == []


def test_a_contact_in_processing_is_not_claimed_again(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    busy, free = house.contact(organization, "busy@example.com"), house.contact(organization, "free@example.com")
    house.reply(organization, busy)
    batch = daemon.claim()
    house.reply(organization, busy)
    house.reply(organization, free)
    assert [d["contact_id"] for d in daemon.claim()["contacts"]] == [str(free)]
    assert daemon.try_claim() is None
    daemon.confirm(batch)
    assert str(busy) in {d["contact_id"] for d in daemon.claim()["contacts"]}


def test_a_limit_out_of_range_is_refused(house: House, daemon: Daemon) -> None:
    for limit in (0, -1, 10_001):
        with pytest.raises(psycopg.Error, match="a batch has 1 to 10000 rows") as error:
            daemon.answer(limit=limit)
        assert error.value.sqlstate == "CS020"
    assert daemon.answer(limit=10_000)[0] is None


@pytest.mark.usefixtures("rolled_back")
def test_a_batch_has_at_most_the_limit_of_contacts(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    for n in range(5):
        house.reply(organization, house.contact(organization, f"c{n}@example.com"))
    assert [len(daemon.claim(limit=2)["contacts"]), len(daemon.claim(limit=2)["contacts"])] == [2, 2]


@pytest.mark.usefixtures("rolled_back")
def test_one_tenants_backlog_delays_anothers_fresh_row_by_one_turn(house: House, daemon: Daemon) -> None:
    loud, quiet = house.organization("Loud"), house.organization("Quiet")
    loud_integration, quiet_integration = house.integration(loud), house.integration(quiet)
    for n in range(6):
        house.reply(loud, house.contact(loud, f"c{n}@example.com"))
    first = daemon.claim(limit=1)
    assert first["integration_id"] == loud_integration
    house.reply(quiet, house.contact(quiet))
    assert daemon.claim(limit=1)["integration_id"] == quiet_integration


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    ("email", "reason"),
    [
        (None, "the contact has no e-mail address"),
        ("", "the contact has no e-mail address"),
        ("   ", "the contact has no e-mail address"),
        ("ada", "the contact's e-mail address is malformed"),
        ("ada@", "the contact's e-mail address is malformed"),
        ("@example.com", "the contact's e-mail address is malformed"),
        ("ada@example", "the contact's e-mail address is malformed"),
        ("ada@@example.com", "the contact's e-mail address is malformed"),
        ("a da@example.com", "the contact's e-mail address is malformed"),
        ("Ada <ada@example.com>", "the contact's e-mail address is malformed"),
        ("ada@example.com,b@example.com", "the contact's e-mail address is malformed"),
        ("ada@example.", "the contact's e-mail address is malformed"),
        ("a@example.com\n", "the contact's e-mail address is malformed"),
        ("x" * 250 + "@example.com", "the contact's e-mail address is malformed"),
    ],
)
def test_what_no_crm_could_take_is_skipped_with_its_reason(
    house: House, daemon: Daemon, organization: UUID, integration: int, email: str | None, reason: str
) -> None:
    house.reply(organization, house.contact(organization, email))
    assert daemon.try_claim() is None
    assert queue(house, "status, last_error, completed_at is not null, attempts") == [("skipped", reason, True, 0)]
    assert_books_balance(house)


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize("email", ["ada@example.com", " Ada@Example.COM ", "a.b+c@sub.example.co", "ünï@exämple.de"])
def test_an_ordinary_address_is_sent(
    house: House, daemon: Daemon, organization: UUID, integration: int, email: str
) -> None:
    house.reply(organization, house.contact(organization, email))
    assert daemon.claim()["contacts"][0]["email"] == email.strip().lower()


@pytest.mark.usefixtures("rolled_back")
def test_a_contact_that_was_deleted_is_skipped(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact)
    house.connection.execute("delete from public.contacts")
    assert daemon.try_claim() is None
    assert queue(house, "status, last_error") == [("skipped", "the contact does not exist any more")]


def test_a_follow_up_is_skipped_when_the_crm_does_not_know_the_contact_or_the_message_is_gone(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    daemon.confirm(daemon.claim())
    house.connection.execute("delete from public.inbox_messages")
    house.connection.execute("update public.contact_sync_mappings set external_contact_id = null")
    assert daemon.try_claim() is None
    unknown = "the contact is not known in the CRM: sync the contact first"
    assert queue(house, "queue_type, status, last_error", "queue_type <> 'contact_sync'") == [
        ("deal_sync", "skipped", unknown),
        ("activity_sync", "skipped", unknown),
    ]


@pytest.mark.usefixtures("rolled_back")
def test_unsendable_rows_at_the_head_do_not_hide_the_work_behind_them(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """A claim that found only such rows says so, or its daemon would fall asleep over the rest."""
    for _ in range(5):
        house.reply(organization, house.contact(organization, None))
    sendable = house.contact(organization)
    house.reply(organization, sendable)
    batch, due, next_due_at = daemon.answer(limit=2)
    assert batch is None
    assert due == [integration]
    assert next_due_at <= house.value("select clock_timestamp()")
    batch, due, _ = daemon.answer(limit=2, integrations=[integration])
    assert (batch, due) == (None, [integration])
    assert [d["contact_id"] for d in daemon.claim(limit=2)["contacts"]] == [str(sendable)]


def test_a_deferred_row_becomes_ready_when_its_time_comes(house: House, daemon: Daemon, organization: UUID) -> None:
    integration = house.integration(organization, sync_frequency="daily")
    house.reply(organization, house.contact(organization))
    batch, due, next_due_at = daemon.answer()
    assert (batch, due) == (None, [])
    assert next_due_at == queue(house, "next_attempt_at")[0][0]
    elapse(house, "24 hours")
    assert daemon.claim()["integration_id"] == integration


def test_a_row_that_committed_late_is_found_behind_the_cursor(
    house: House, daemon: Daemon, database: str, organization: UUID, integration: int
) -> None:
    early = house.message(organization, house.contact(organization, "early@example.com"))
    with connect(database) as producer:
        producer.execute("begin")
        producer.execute("insert into public.message_classifications (message_id, intent) values (%s, 'x')", [early])
        for n in range(3):
            house.reply(organization, house.contact(organization, f"late{n}@example.com"), "x")
        first = daemon.claim(limit=2)
        producer.execute("commit")
    (lowest,) = queue(house, "id")[0]
    assert lowest not in rows_of(first)
    rest: list[int] = []
    daemon.confirm(first)
    while (batch := daemon.try_claim(limit=2)) is not None:
        rest += rows_of(batch)
        daemon.confirm(batch)
    assert lowest in rest


def test_looking_behind_comes_round_although_there_is_always_work_ahead(
    house: House, daemon: Daemon, database: str, organization: UUID, integration: int
) -> None:
    house.connection.execute("update crm_sync.config set batches_in_flight = 64")
    early = house.message(organization, house.contact(organization, "early@example.com"))
    with connect(database) as producer:
        producer.execute("begin")
        producer.execute("insert into public.message_classifications (message_id, intent) values (%s, 'x')", [early])
        for n in range(20):
            house.reply(organization, house.contact(organization, f"late{n}@example.com"), "x")
        daemon.claim(limit=1)
        producer.execute("commit")
    (lowest,) = queue(house, "id")[0]
    assert rows_of(daemon.claim(limit=1)) != [lowest]
    elapse(house, "2 minutes")
    house.connection.execute("update crm_sync.batches set lease_until = now() + interval '1 hour'")
    assert rows_of(daemon.claim(limit=1)) == [lowest]


def test_looking_behind_forgets_no_cursor(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    """A cursor that fell back to 0 would send every later claim through the dead entries of all finished work."""
    house.reply(organization, house.contact(organization, "a@example.com"), "interested")
    daemon.confirm(daemon.claim())
    cursors = "select cursors from crm_sync.lanes"
    before = house.value(cursors)
    assert before[2] > 0
    assert [d["rows"] for d in documents(daemon.claim())] != []
    elapse(house, "5 minutes")
    house.connection.execute("update crm_sync.batches set lease_until = now() + interval '1 hour'")
    house.reply(organization, house.contact(organization, "b@example.com"), "question")
    daemon.claim()
    after = house.value(cursors)
    assert after[2] >= before[2]
    assert after[4] > 0


def test_an_unclaimed_failure_is_listed_nowhere_twice(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "x")
    batch = daemon.claim()
    daemon.finish(batch, [failed(d, "rejected", "not that value") for d in documents(batch)])
    assert house.rows("select state, last_error from crm_sync.contact_status") == [("failed", "not that value")]


def test_contacts_with_much_that_waits_do_not_make_a_batch_without_end(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """All of it is carried in the end, each contact's in its order."""
    contacts = [house.contact(organization, f"c{n}@example.com") for n in range(6)]
    for _ in range(8):
        for contact in contacts:
            house.reply(organization, contact, "x")
    carried: dict[str, list[int]] = {str(contact): [] for contact in contacts}
    for _ in range(200):
        house.connection.execute("update crm_sync.lanes set look_behind_at = '-infinity'")
        batch = daemon.try_claim(limit=4)
        if batch is None:
            break
        assert sum(len(document["rows"]) for document in documents(batch)) <= 20
        for document in batch["contacts"]:
            carried[document["contact_id"]] += document["rows"]
        daemon.confirm(batch)
    assert [len(rows) for rows in carried.values()] == [8] * 6
    assert all(rows == sorted(rows) for rows in carried.values())
    assert queue(house, "status", "status <> 'completed'") == []
