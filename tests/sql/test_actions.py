"""retry_failed, cancel, reprioritize, backfill, resync, purge_now: what they do, to what, and what they refuse."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, documents, elapse, failed, people, queue, synced

pytestmark = pytest.mark.usefixtures("rolled_back")

LOG = "select title, description from public.sync_activity_logs where activity_type = 'connection' order by id"


def notices(house: House) -> list[str]:
    """What the server says from now on, beside its answers."""
    said: list[str] = []
    house.connection.add_notice_handler(lambda diagnostic: said.append(diagnostic.message_primary or ""))
    return said


def refused(house: House, sqlstate: str, query: str, *arguments: Any, user: UUID | None = None) -> None:
    """The call is refused with this SQLSTATE and a hint: an operator's, or a user's."""
    with (
        house.as_role("authenticated" if user else "crm_sync_daemon", user),
        pytest.raises(psycopg.Error) as error,
        house.connection.transaction(),
    ):
        house.connection.execute(query.encode(), arguments)
    assert (error.value.sqlstate, bool(error.value.diag.message_hint)) == (sqlstate, sqlstate[:2] == "CS"), error.value


def few_at_once(house: House, rows: int) -> None:
    house.connection.execute(
        "create or replace function crm_sync.rows_at_once() returns integer language sql immutable parallel safe "
        f"set search_path = '' return {rows}".encode()
    )


def fail_all(daemon: Daemon, message: str = "no", **failure: Any) -> None:
    batch = daemon.claim()
    daemon.finish(batch, [failed(d, "rejected", message, **failure) for d in documents(batch)])


# retry_failed


def test_failed_rows_of_all_connections_are_put_back_by_code_or_by_words(house: House, daemon: Daemon) -> None:
    for n in range(2):
        organization = house.organization(f"Organization {n}")
        house.integration(organization)
        people(house, organization, 1)
        fail_all(daemon, "100 % wrong", code="E_100")
    assert daemon.call("select crm_sync.retry_failed(p_cause => 'E_10')") == 0
    assert daemon.call("select crm_sync.retry_failed(p_cause => '100 _')") == 0
    assert daemon.call("select crm_sync.retry_failed(p_cause => 'E_100')") == 2
    assert {status for (status,) in queue(house, "status")} == {"retry"}
    assert [description for _, description in house.rows(LOG)] == ["1 row(s) put back by crm_sync_daemon"] * 2
    assert daemon.claim()["contacts"], "it is found at once although it lies behind the cursors"
    assert_books_balance(house)


def test_a_member_retries_the_connections_of_the_own_organization_only(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 1)
    other = house.organization("Other")
    house.integration(other)
    people(house, other, 1)
    fail_all(daemon)
    fail_all(daemon)
    with house.as_role("authenticated", house.user(organization)) as connection:
        row = connection.execute("select crm_sync.retry_failed()").fetchone()
    assert row == (1,)
    assert sorted(queue(house, "status, integration_id = " + str(integration))) == [("failed", False), ("retry", True)]


def test_rows_that_wait_for_a_later_attempt_are_brought_forward(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    batch = daemon.claim()
    first, second = documents(batch)
    daemon.finish(batch, [failed(first, "contended", "locked"), failed(second, "contended", "busy")])
    assert daemon.call("select crm_sync.retry_failed(%s, 'LOCK')", integration) == 1
    found = queue(house, "last_error, attempts, next_attempt_at is null")
    assert sorted(found) == [("busy", 1, False), ("locked", 1, True)]


def test_one_call_puts_back_so_many_rows_and_says_that_there_are_more(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 5)
    fail_all(daemon)
    few_at_once(house, 3)
    said = notices(house)
    started = house.value("select clock_timestamp()")
    retry = "select crm_sync.retry_failed(p_failed_before => %s)"
    assert [daemon.call(retry, started) for _ in range(3)] == [3, 2, 0]
    assert said == ["3 row(s) put back, as many as one call takes; there are more: call it again"]
    fail_all(daemon)
    # again, after the first call: a loop over retry_failed must come to its end
    house.connection.execute("update public.sync_queue set completed_at = clock_timestamp()")
    assert daemon.call(retry, started) == 0


def test_retry_failed_refuses_what_makes_no_sense(house: House, integration: int) -> None:
    refused(house, "CS054", "select crm_sync.retry_failed(%s, ' ')", integration)
    refused(house, "CS054", "select crm_sync.retry_failed(%s, null, '-1 hour')", integration)
    refused(house, "CS021", "select crm_sync.retry_failed(999999)")
    refused(
        house, "CS021", "select crm_sync.retry_failed(%s)", integration, user=house.user(house.organization("Other"))
    )


# cancel


def test_what_waits_for_a_contact_is_skipped_with_who_and_why(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact, _ = people(house, organization, 2)
    house.reply(organization, contact, "y")
    member = house.user(organization)
    with house.as_role("authenticated", member) as connection:
        row = connection.execute(
            "select crm_sync.cancel(%s, %s, p_reason => 'wrong person')", [integration, contact]
        ).fetchone()
    assert row == (2,)
    reason = f"cancelled by {member}: wrong person"
    assert queue(house, "status, last_error") == [("skipped", reason), ("pending", None), ("skipped", reason)]
    assert house.rows(LOG) == [("Rows cancelled", f"2 row(s) cancelled by {member}: wrong person")]
    assert len(daemon.claim()["contacts"]) == 1
    assert_books_balance(house)


def test_failed_rows_are_cancelled_by_id_and_no_others(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    fail_all(daemon)
    first, second = (number for (number,) in queue(house, "id"))
    assert daemon.call("select crm_sync.cancel(%s, p_all => true)", integration) == 0
    assert daemon.call("select crm_sync.cancel(%s, p_queue_ids => %s)", integration, [first, first, 0]) == 1
    assert queue(house, "id, status, failure is null") == [(first, "skipped", True), (second, "failed", False)]
    assert house.rows("select failed, skipped, difference from crm_sync.accounting") == [(1, 1, 0)]


def test_what_is_under_way_is_told_and_left_alone(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 3)
    batch = daemon.claim(limit=1)
    said = notices(house)
    assert daemon.call("select crm_sync.cancel(%s, p_all => true)", integration) == 2
    assert said == ["1 row(s) are under way and were left alone: pause the connection first if they must not be sent"]
    assert daemon.confirm(batch) == 1
    assert_books_balance(house)


def test_a_deal_that_was_cancelled_before_it_was_made_can_be_asked_for_again(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    daemon.confirm(daemon.claim())
    assert [kind for (kind,) in queue(house, "queue_type", "status = 'pending'")] == ["deal_sync", "activity_sync"]
    assert daemon.call("select crm_sync.cancel(%s, %s)", integration, contact) == 2
    assert house.rows("select object_type from crm_sync.effects where external_id is null") == []
    house.reply(organization, contact, "interested")
    daemon.confirm(daemon.claim())
    assert "deal_sync" in [kind for (kind,) in queue(house, "queue_type", "status = 'pending'")]


def test_cancel_goes_piece_by_piece(house: House, daemon: Daemon, organization: UUID, integration: int) -> None:
    people(house, organization, 5)
    few_at_once(house, 3)
    said = notices(house)
    assert [daemon.call("select crm_sync.cancel(%s, p_all => true)", integration) for _ in range(3)] == [3, 2, 0]
    assert said == ["3 row(s) cancelled, as many as one call takes; there are more: call it again"]
    assert_books_balance(house)


@pytest.mark.parametrize(
    ("sqlstate", "arguments"),
    [
        ("CS054", "%s"),
        ("CS054", "%s, p_all => null"),
        ("CS054", "%s, p_queue_ids => '{}'"),
        ("CS054", "%s, p_queue_ids => '{1,null}'"),
        ("CS054", "%s, gen_random_uuid(), p_all => true"),
        ("CS021", "%s + 999, p_all => true"),
        ("CS021", "nullif(%s, %s), p_all => true"),
    ],
)
def test_cancel_refuses_what_makes_no_sense(house: House, integration: int, sqlstate: str, arguments: str) -> None:
    query = f"select crm_sync.cancel({arguments})"
    refused(house, sqlstate, query, *[integration] * query.count("%s"))


# reprioritize


def test_rows_with_another_priority_are_claimed_at_once_in_their_new_order(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contacts = people(house, organization, 4)
    assert daemon.confirm(daemon.claim(limit=1)) == 1  # the cursors have moved on
    last = contacts[-1]
    assert daemon.call("select crm_sync.reprioritize(1, p_contact_id => %s)", last) == 1
    assert [d["contact_id"] for d in documents(daemon.claim(limit=1))] == [str(last)]
    assert daemon.call("select crm_sync.reprioritize(10, %s)", integration) == 3  # two contacts, and an activity
    waiting = [number for (number,) in queue(house, "id", "status = 'pending'")]
    assert daemon.call("select crm_sync.reprioritize(2, p_queue_ids => %s)", waiting[1:]) == 2
    assert queue(house, "priority", "status = 'pending'") == [(10,), (2,), (2,)]
    # a row that goes back among those that the cursors have passed
    assert daemon.call("select crm_sync.reprioritize(1, p_queue_ids => %s)", waiting[:1]) == 1
    assert [d["rows"] for d in documents(daemon.claim(limit=1))] == [waiting[:1]]
    assert [title for title, _ in house.rows(LOG)] == ["Priority changed"] * 4
    assert_books_balance(house)


def test_reprioritize_refuses_what_makes_no_sense(house: House, organization: UUID, integration: int) -> None:
    for priority in (0, 11, None):
        refused(house, "CS056", "select crm_sync.reprioritize(%s::integer, %s)", priority, integration)
    refused(house, "CS054", "select crm_sync.reprioritize(1)")
    refused(house, "CS054", "select crm_sync.reprioritize(1, %s, p_queue_ids => '{}')", integration)
    refused(house, "CS021", "select crm_sync.reprioritize(1, 999999)")
    refused(house, "CS021", "select crm_sync.reprioritize(1, p_contact_id => gen_random_uuid())")


# backfill


BACKFILL = "select * from crm_sync.backfill(%s, %s, %s, %s)"


def backfill(
    house: House, integration: int, filters: dict[str, Any] | None = None, limit: int = 100, after: UUID | None = None
) -> tuple[int, int, UUID | None, bool]:
    with house.as_role("crm_sync_daemon") as connection:
        row = connection.execute(BACKFILL, [integration, json.dumps(filters or {}), limit, after]).fetchone()
    assert row is not None
    return row


def test_contacts_from_before_the_connection_are_enqueued_page_by_page_and_never_twice(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    contacts = sorted(people(house, organization, 5))
    house.contact(organization, "silent@example.com")  # never said anything
    nameless = house.contact(organization, None)
    house.reply(organization, nameless)
    integration = house.integration(organization)
    seen: list[int] = []
    after, is_complete = None, False
    while not is_complete:
        enqueued, skipped, after, is_complete = backfill(house, integration, limit=3, after=after)
        seen += [enqueued, skipped]
    assert sum(seen[::2]) == 5
    assert sum(seen[1::2]) == 2
    found = queue(house, "contact_id, priority, status, queue_type", f"integration_id = {integration}")
    assert sorted(found) == [(contact, 9, "pending", "contact_sync") for contact in contacts]
    assert backfill(house, integration)[0] == 0
    daemon.work()
    assert backfill(house, integration)[0] == 0
    assert (
        house.value(
            "select count(*) from public.sync_queue where integration_id is not null and queue_type = 'contact_sync'"
        )
        == 5
    )
    assert house.rows(LOG)[0][0] == "Backfilled"
    assert_books_balance(house)


def test_a_backfill_takes_what_meets_its_filter_and_that_of_the_connection(house: House, organization: UUID) -> None:
    for name, intent in (("a@one.com", "interested"), ("b@one.com", "question"), ("c@two.com", "interested")):
        house.reply(organization, house.contact(organization, name), intent)
    own = {"all": [{"field": "email_domain", "op": "=", "value": "one.com"}]}
    integration = house.integration(organization, sync_filters=own)
    wanted = {"any": [{"field": "intent", "op": "in", "value": ["interested"]}]}
    assert backfill(house, integration, wanted)[:2] == (1, 2)
    assert backfill(house, integration)[:2] == (1, 2)
    assert house.value("select count(*) from public.sync_queue where integration_id is not null") == 2


def test_the_newest_classification_decides_and_a_slow_connection_waits_for_its_slot(
    house: House, organization: UUID
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "interested")
    message = house.message(organization, contact)
    house.connection.execute(
        "insert into public.message_classifications (message_id, intent, created_at) "
        "values (%s, 'not_interested', now() + interval '1 minute')",
        [message],
    )
    integration = house.integration(organization, sync_frequency="daily")
    wanted = {"all": [{"field": "intent", "op": "=", "value": "interested"}]}
    assert backfill(house, integration, wanted)[:2] == (0, 1)
    assert backfill(house, integration)[:2] == (1, 0)
    assert queue(house, "message_id, next_attempt_at > now()", "integration_id is not null") == [(message, True)]


def test_backfill_refuses_what_makes_no_sense(house: House, organization: UUID, integration: int) -> None:
    for limit in (0, 100_001, None):
        refused(house, "CS057", "select * from crm_sync.backfill(%s, '{}', %s::integer)", integration, limit)
    for filters in ('{"some": []}', "[]", '{"all": [{"field": "contact.nothing", "op": "=", "value": 1}]}', None):
        refused(house, "CS057", "select * from crm_sync.backfill(%s, %s)", integration, filters)
    refused(house, "CS021", "select * from crm_sync.backfill(null)")
    house.connection.execute("update public.user_integrations set status = 'disconnected'")
    refused(house, "CS057", "select * from crm_sync.backfill(%s)", integration)


# resync


def test_a_contact_is_sent_again_in_full_although_nothing_has_changed(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization, first_name="Ada")
    house.reply(organization, contact, "x")
    daemon.work()
    house.reply(organization, contact, "x")
    unchanged = daemon.claim()
    assert documents(unchanged)[0]["unchanged"]
    daemon.confirm(unchanged)
    daemon.work()
    with house.as_role("authenticated", house.user(organization)) as connection:
        assert connection.execute("select crm_sync.resync(%s)", [contact]).fetchone() == (1,)
    (document,) = documents(daemon.claim())
    assert (document.get("unchanged"), document["uncertain"]) == (None, True)
    assert document["fields"]["firstname"]["value"] == "Ada"
    assert house.rows(LOG)[-1][0] == "Contact synced again"
    assert_books_balance(house)


def test_a_contact_that_waits_is_brought_forward_and_not_doubled(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    second = house.integration(organization, "pipedrive")
    (contact,) = people(house, organization, 1)
    assert daemon.call("select crm_sync.resync(%s, %s)", contact, integration) == 1
    assert len(queue(house)) == 2
    assert daemon.call("select crm_sync.resync(%s)", contact) == 2
    assert queue(house, "integration_id, uncertain") == [(integration, True), (second, True)]


def test_resync_refuses_what_makes_no_sense(house: House, organization: UUID, integration: int) -> None:
    contact = house.contact(organization)
    other = house.organization("Other")
    elsewhere = house.integration(other)
    refused(house, "CS021", "select crm_sync.resync(null)")
    refused(house, "CS021", "select crm_sync.resync(gen_random_uuid())")
    refused(house, "CS059", "select crm_sync.resync(%s, %s)", contact, elsewhere)
    refused(house, "CS059", "select crm_sync.resync(%s)", house.contact(organization, " "))
    refused(house, "CS059", "select crm_sync.resync(%s)", house.contact(house.organization("Third")))
    refused(house, "CS021", "select crm_sync.resync(%s)", contact, user=house.user(other))


# purge_now


def test_finished_rows_are_deleted_before_their_time_and_the_books_balance(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    other = house.organization("Other")
    second = house.integration(other)
    people(house, organization, 3)
    batch = daemon.claim()
    first, *rest = documents(batch)
    daemon.finish(batch, [failed(first, "rejected"), *map(synced, rest)])
    people(house, other, 2)
    daemon.confirm(daemon.claim())
    elapse(house, "2 days")
    people(house, organization, 1)
    purge = "select crm_sync.purge_now(%s::interval, %s, %s)"
    assert daemon.call(purge, "3 days", None, 100) == 0
    assert daemon.call(purge, "1 day", second, 100) == 2
    assert [daemon.call(purge, "1 day", None, 2) for _ in range(3)] == [2, 1, 0]
    assert all(status != "completed" for (status,) in queue(house, "status"))
    assert_books_balance(house)
    assert [title for title, _ in house.rows(LOG)] == ["Finished rows deleted"] * 3


def test_purge_now_refuses_what_makes_no_sense(house: House, integration: int) -> None:
    for age in (None, "-1 day"):
        refused(house, "CS058", "select crm_sync.purge_now(%s::interval)", age)
    refused(house, "CS058", "select crm_sync.purge_now('1 day', p_limit => 0)")
    refused(house, "CS021", "select crm_sync.purge_now('1 day', 999999)")
    refused(house, "42501", "select crm_sync.purge_now('1 day')", user=uuid4())
