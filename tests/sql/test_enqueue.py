"""From INSERT INTO message_classifications to the queue; whatever is inserted, the producer's INSERT succeeds."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, connect, queue


def test_a_classification_becomes_one_row_for_each_connected_crm(house: House, organization: UUID) -> None:
    first = house.integration(organization)
    second = house.integration(organization, "pipedrive")
    house.integration(house.organization("Other"))
    contact = house.contact(organization)
    message = house.message(organization, contact)
    classification = house.classify(message, "interested", "urgent")
    assert queue(
        house,
        "integration_id, organization_id, contact_id, message_id, classification_id, queue_type, status, priority, "
        "attempts, max_attempts, next_attempt_at, last_error",
    ) == [
        (i, organization, contact, message, classification, "contact_sync", "pending", 1, 0, 3, None, None)
        for i in (first, second)
    ]


@pytest.mark.usefixtures("rolled_back")
def test_every_row_of_a_multi_row_insert_is_enqueued_in_its_order(
    house: House, organization: UUID, integration: int
) -> None:
    messages = [house.message(organization, house.contact(organization, f"c{n}@example.com")) for n in range(5)]
    with house.as_role("crm_sync_producer") as producer:
        producer.execute(
            "insert into public.message_classifications (message_id, intent) "
            "select m, 'question' from unnest(%s::uuid[]) with ordinality as u (m, n) order by n",
            [messages],
        )
    found = queue(house, "message_id")
    assert sorted(found) == sorted((message,) for message in messages)


def test_copy_enqueues_like_insert(house: House, organization: UUID, integration: int) -> None:
    message = house.message(organization, house.contact(organization))
    # as a role that passes row-level security, which Postgres has no COPY through
    copy_in = "copy public.message_classifications (message_id, intent) from stdin"
    with house.connection.cursor() as cursor, cursor.copy(copy_in) as copy:
        for intent in ("interested", "question"):
            copy.write_row((message, intent))
    assert queue(house, "message_id, priority") == [(message, 3), (message, 5)]


def test_what_a_producer_rolls_back_is_not_enqueued(house: House, organization: UUID, integration: int) -> None:
    kept = house.message(organization, house.contact(organization))
    undone = house.message(organization, house.contact(organization, "b@example.com"))
    insert = "insert into public.message_classifications (message_id, intent) values (%s, 'question')"
    with house.connection.transaction():
        house.connection.execute(insert, [kept])
        with house.connection.transaction(force_rollback=True):
            house.connection.execute(insert, [undone])
    assert queue(house, "message_id") == [(kept,)]
    with house.connection.transaction(force_rollback=True):
        house.connection.execute(insert, [undone])
    assert queue(house, "message_id") == [(kept,)]


def test_a_message_classified_twice_is_enqueued_twice(house: House, organization: UUID, integration: int) -> None:
    message = house.message(organization, house.contact(organization))
    house.classify(message, "question")
    house.classify(message, "interested")
    assert queue(house, "message_id, status, priority") == [(message, "pending", 5), (message, "pending", 3)]


def test_a_conflicting_insert_enqueues_only_what_was_inserted(
    house: House, organization: UUID, integration: int
) -> None:
    message = house.message(organization, house.contact(organization))
    classification = house.classify(message)
    house.connection.execute(
        "insert into public.message_classifications (id, message_id, intent) values (%s, %s, 'x') "
        "on conflict (id) do update set intent = excluded.intent",
        [classification, message],
    )
    assert len(queue(house)) == 1


def test_a_classification_of_an_unknown_message_is_kept_and_adopted_when_the_message_arrives(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact, message = house.contact(organization), uuid4()
    classification = house.classify(message, "interested")
    assert queue(house) == []
    assert house.rows("select classification_id, message_id, reason from crm_sync.orphans") == [
        (classification, message, "the message does not exist (yet)")
    ]
    assert daemon.call("select crm_sync.adopt_orphans()") == 0
    house.connection.execute(
        "insert into public.inbox_messages (id, organization_id, contact_id) values (%s, %s, %s)",
        [message, organization, contact],
    )
    assert daemon.call("select crm_sync.adopt_orphans()") == 1
    assert daemon.call("select crm_sync.adopt_orphans()") == 0
    assert queue(house, "classification_id, status, priority") == [(classification, "pending", 3)]
    assert house.value("select count(*) from crm_sync.orphans") == 0


@pytest.mark.usefixtures("rolled_back")
def test_without_a_connected_crm_the_row_is_skipped_with_its_reason(house: House, organization: UUID) -> None:
    house.reply(organization, house.contact(organization))
    assert queue(house, "integration_id, status, last_error, completed_at is not null") == [
        (None, "skipped", "the organization has no connected CRM", True)
    ]


@pytest.mark.usefixtures("rolled_back")
def test_a_message_without_a_contact_is_skipped_with_its_reason(
    house: House, organization: UUID, integration: int
) -> None:
    house.classify(house.message(organization, None))
    assert queue(house, "integration_id, status, last_error") == [
        (integration, "skipped", "the message belongs to no contact")
    ]


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize("intent", [None, "", "   ", "Ünïcode ☃ \n", "x" * 100_000, "'; drop table x; --"])
def test_an_odd_intent_is_enqueued_with_the_middle_priority(
    house: House, organization: UUID, integration: int, intent: str | None
) -> None:
    house.classify(house.message(organization, house.contact(organization)), intent)
    assert queue(house, "status, priority") == [("pending", 6)]


@pytest.mark.usefixtures("rolled_back")
def test_a_body_of_a_megabyte_does_not_reach_the_queue(house: House, organization: UUID, integration: int) -> None:
    house.classify(house.message(organization, house.contact(organization), body="ä" * 500_000))
    assert queue(house, "status, pg_column_size(sync_queue.*) < 500") == [("pending", True)]


@pytest.mark.usefixtures("rolled_back")
def test_a_confidence_that_is_no_number_does_not_fail_the_producer(house: House, organization: UUID) -> None:
    house.integration(
        organization, sync_filters={"all": [{"field": "confidence", "op": ">=", "value": 0.5}]}, name="filtered"
    )
    message = house.message(organization, house.contact(organization))
    house.connection.execute(
        "insert into public.message_classifications (message_id, confidence) values (%s, 'NaN'), (%s, 'Infinity')",
        [message, message],
    )
    assert [status for (status,) in queue(house, "status")] == ["skipped", "skipped"]


@pytest.mark.usefixtures("rolled_back")
def test_a_disconnected_crm_gets_no_row_and_one_in_error_keeps_its_work(house: House, organization: UUID) -> None:
    house.integration(organization, status="disconnected")
    broken = house.integration(organization, "pipedrive", status="error")
    house.reply(organization, house.contact(organization))
    assert queue(house, "integration_id, status") == [(broken, "pending")]


@pytest.mark.usefixtures("rolled_back")
def test_an_inactive_provider_gets_no_row(house: House, organization: UUID, integration: int) -> None:
    house.connection.execute("update public.integration_providers set is_active = false")
    house.reply(organization, house.contact(organization))
    assert queue(house, "integration_id, last_error") == [(None, "the organization has no connected CRM")]


@pytest.mark.usefixtures("rolled_back")
def test_with_auto_sync_off_the_row_is_skipped_with_its_reason(house: House, organization: UUID) -> None:
    integration = house.integration(organization, sync_settings={"auto_sync_contacts": False})
    house.reply(organization, house.contact(organization))
    assert queue(house, "integration_id, status, last_error") == [
        (integration, "skipped", "auto_sync_contacts is switched off for this connection")
    ]


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    ("frequency", "slot"),
    [
        ("hourly", "date_trunc('hour', created_at, 'UTC') + interval '1 hour'"),
        ("daily", "date_trunc('day', created_at, 'UTC') + interval '1 day'"),
    ],
)
def test_a_slow_connection_waits_for_its_slot(house: House, organization: UUID, frequency: str, slot: str) -> None:
    house.integration(organization, sync_frequency=frequency)
    house.reply(organization, house.contact(organization))
    assert queue(house, f"status, next_attempt_at = {slot}, scheduled_at = next_attempt_at") == [
        ("pending", True, True)
    ]


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    ("intent", "priority", "place"),
    [
        ("interested", "urgent", 1),
        ("Interested!", "High", 2),
        ("interested", None, 3),
        ("question", " critical ", 3),
        ("objection", None, 5),
        ("something", None, 6),
        ("not interested", None, 7),
        ("Not-Interested", "low", 8),
        ("unsubscribe", None, 9),
        ("out of office", "low", 10),
        ("auto-reply: interested", "urgent", 7),
    ],
)
def test_interested_and_urgent_replies_go_first_and_machines_last(
    house: House, intent: str, priority: str | None, place: int
) -> None:
    assert house.value("select crm_sync.queue_priority(%s, %s)", intent, priority) == place


def test_a_producer_can_insert_classifications_and_nothing_else(house: House, organization: UUID) -> None:
    message = house.message(organization, house.contact(organization))
    house.classify(message)
    statements = [
        "select * from public.message_classifications",
        "insert into public.message_classifications (message_id) values (gen_random_uuid()) returning id",
        "update public.message_classifications set intent = 'x'",
        "delete from public.message_classifications",
        "insert into public.sync_queue (organization_id, queue_type) values (gen_random_uuid(), 'deal_sync')",
        "select * from public.contacts",
        "select * from public.sync_queue",
        "select * from public.user_integrations",
        "select * from crm_sync.status",
        "select crm_sync.enqueue_classifications('{}')",
        "select crm_sync.ring()",
        "select * from crm_sync.claim_batch(gen_random_uuid())",
    ]
    with house.as_role("crm_sync_producer") as producer:
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                producer.execute(statement.encode())


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_producers_of_stricter_isolation_enqueue_as_well(
    house: House, organization: UUID, integration: int, level: str
) -> None:
    message = house.message(organization, house.contact(organization))
    with house.connection.transaction():
        house.connection.execute(f"set transaction isolation level {level}".encode())
        house.connection.execute("insert into public.message_classifications (message_id) values (%s)", [message])
    assert queue(house, "status") == [("pending",)]


def test_a_connection_deleted_in_the_middle_never_fails_the_producer(
    house: House, daemon: Daemon, database: str, organization: UUID, integration: int
) -> None:
    message = house.message(organization, house.contact(organization))
    with connect(database) as producer:
        producer.execute("begin")
        producer.execute("insert into public.message_classifications (message_id) values (%s)", [message])
        house.connection.execute("set lock_timeout = '10s'")
        house.connection.execute("delete from public.user_integrations where id = %s", [integration])
        producer.execute("commit")
    assert daemon.answer() == (None, [], None)
    assert house.rows("select * from crm_sync.status") == []


def test_a_message_without_an_organization_does_not_fail_the_producer(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    """The host application's column may be nullable."""
    house.connection.execute("alter table public.inbox_messages alter column organization_id drop not null")
    message = house.value("insert into public.inbox_messages (subject) values ('x') returning id")
    house.classify(message)
    assert house.rows("select message_id, reason from crm_sync.orphans") == [
        (message, "the message belongs to no organization (yet)")
    ]
    assert daemon.call("select crm_sync.adopt_orphans()") == 0
    house.connection.execute("update public.inbox_messages set organization_id = %s", [organization])
    assert daemon.call("select crm_sync.adopt_orphans()") == 1
    assert queue(house, "status, last_error") == [("skipped", "the message belongs to no contact")]


@pytest.mark.usefixtures("rolled_back")
def test_deleting_a_connection_clears_its_queue_and_nothing_else(house: House, organization: UUID) -> None:
    gone, kept = house.integration(organization), house.integration(organization, "pipedrive")
    house.reply(organization, house.contact(organization))
    house.connection.execute("delete from public.user_integrations where id = %s", [gone])
    assert queue(house, "integration_id") == [(kept,)]
    assert house.rows("select integration_id from crm_sync.lanes") == [(kept,)]
