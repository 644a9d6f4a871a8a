"""A member who holds a transaction open, or asks for far too much, stands in the way of nobody else."""

from __future__ import annotations

import hashlib
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, connect, documents, failed, people, queue
from tests.sql.test_pauses import spend
from tests.sql.test_tallies import fill, tally

HELD = {
    "deletes the connection": "select crm_sync.delete_connection(%(id)s)",
    "changes the connection": "update public.user_integrations set name = 'x' where id = %(id)s",
    "acknowledges an alert": "select crm_sync.acknowledge(id) from crm_sync.alerts where integration_id = %(id)s",
    "syncs now": "select crm_sync.sync_now(%(id)s)",
    "pauses": "select crm_sync.pause_all('organization', %(organization)s)",
    "resets the counters": "select crm_sync.reset_counters(%(id)s)",
    "erases a person": "select count(*) from crm_sync.erase_contact((select min(id::text)::uuid from public.contacts "
    "where organization_id = %(organization)s), true, null, '{before,connection}')",
    "changes a rule": "select crm_sync.set_alert_rule('failures_per_hour', 3, p_organization_id => %(organization)s)",
}
CHORES = (
    "select crm_sync.check_alerts()",
    "select crm_sync.take_tallies()",
    "select crm_sync.take_samples()",
    "select crm_sync.advance_slots()",
    "select crm_sync.heal_pauses()",
    "select * from crm_sync.headline()",
    "select crm_sync.purge()",
    "select crm_sync.purge_remains(100)",
    "select crm_sync.delete_disconnected(10)",
    "select crm_sync.pause_all('everything')",
    "select crm_sync.resume_all('everything')",
    "select crm_sync.purge_now('1 day')",
    "select crm_sync.reset_counters()",
)


@pytest.mark.parametrize("deed", HELD)
@pytest.mark.parametrize("is_first", [True, False])
def test_an_open_transaction_of_a_member_holds_up_no_other_organization(
    house: House, daemon: Daemon, database: str, deed: str, is_first: bool
) -> None:
    names = ["Hostile", "Good"] if is_first else ["Good", "Hostile"]
    owners = {name: house.organization(name) for name in names}
    ids = {name: house.integration(owners[name]) for name in names}
    for name in names:
        people(house, owners[name], 2)
        batch = daemon.claim(integration=ids[name])
        daemon.finish(batch, [failed(d, "rejected", code="E") for d in documents(batch)])
        fill(house, owners[name], ids[name], lost=1_100)
        house.connection.execute(
            "insert into public.sync_queue "
            "(organization_id, integration_id, contact_id, queue_type, status, last_error, completed_at) "
            "values (%s, %s, gen_random_uuid(), 'contact_sync', 'skipped', 'no', now() - interval '100 days')",
            [owners[name], ids[name]],
        )
    house.connection.execute("update crm_sync.alert_rules set for_at_least = '0'")
    daemon.call("select crm_sync.check_alerts()")
    daemon.call("select crm_sync.take_tallies()")
    house.connection.execute("update crm_sync.alerts set value = value - 1, words = 'before'")
    house.connection.execute("update crm_sync.tally_clock set look_after = '-infinity', count_after = '-infinity'")
    house.connection.execute("select crm_sync.recount(id) from public.user_integrations")
    house.connection.execute("set statement_timeout = '3s'")
    with connect(database) as other, other.transaction(force_rollback=True):
        hostile = House(other)
        with hostile.as_role("authenticated", house.user(owners["Hostile"])):
            other.execute(HELD[deed].encode(), {"id": ids["Hostile"], "organization": str(owners["Hostile"])})
        stuck = []
        for chore in CHORES:
            try:
                daemon.call(chore)
            except psycopg.errors.QueryCanceled:
                stuck.append(chore)
        assert stuck == []
        assert house.value("select words <> 'before' from crm_sync.alerts where integration_id = %s", ids["Good"])
        assert daemon.call("select crm_sync.retry_failed(p_cause => 'E')") >= 2
        assert len(queue(house, where=f"status = 'retry' and integration_id = {ids['Good']}")) == 2
        assert daemon.try_claim(integration=ids["Good"]) is not None
    assert_books_balance(house)


def test_two_daemons_of_one_process_number_alarm_once(house: House, daemon: Daemon) -> None:
    for _ in range(2):
        daemon.call("select crm_sync.register_worker(gen_random_uuid(), 'container', 1, '1', false)")
    house.connection.execute("update crm_sync.alert_rules set for_at_least = '0'")
    assert daemon.call("select crm_sync.check_alerts()") >= 1
    assert house.rows("select subject from crm_sync.alerts where rule = 'worker_cannot_listen'") == [
        ("worker:container:1",)
    ]


def test_an_organization_makes_no_rules_without_end(house: House, organization: UUID, integration: int) -> None:
    make = (
        "insert into crm_sync.alert_rules (organization_id, name, condition, threshold, severity, remedy) "
        "select %s, 'r' || n, 'queue_depth', 1, 'info', 'x' from generate_series(1, %s) as n"
    )
    with house.as_role("authenticated", house.user(organization)) as connection:
        with pytest.raises(psycopg.Error) as error:
            connection.execute(make, [organization, 51])
        assert error.value.sqlstate == "CS072"
        connection.execute(make, [organization, 50])
        connection.execute("select crm_sync.set_alert_rule('r7', 5, p_organization_id => %s)", [organization])


def test_an_operators_pause_holds_at_once_while_a_member_holds_the_lane(
    house: House, daemon: Daemon, organization: UUID, integration: int, database: str
) -> None:
    people(house, organization, 1)
    batch = daemon.claim()
    with connect(database) as other, other.transaction(force_rollback=True):
        with House(other).as_role("authenticated", house.user(organization)):
            other.execute("select crm_sync.sync_now(%s)", [integration])
        daemon.call("select crm_sync.pause_all('integration', %s)", str(integration))
        assert spend(house, integration, batch=batch["id"]) == (False, True, True)
    assert spend(house, integration, batch=batch["id"]) == (False, True, True)


def test_what_has_become_few_is_counted_again_at_once(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    fill(house, organization, integration, waiting=1_100)
    assert tally(house) == 1
    house.connection.execute("delete from public.sync_queue")  # as if it had been sent
    house.connection.execute("update crm_sync.tally_clock set look_after = '-infinity', count_after = now() + '1 hour'")
    daemon.call("select crm_sync.take_tallies()")
    assert house.rows("select waiting from crm_sync.status") == [(0,)]


def test_a_code_without_end_is_no_end_of_all_alarms(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    house.connection.execute("update crm_sync.alert_rules set for_at_least = '0'")
    code = "X" * 300 + "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(400))
    batch = daemon.claim()
    daemon.finish(batch, [failed(d, "rejected", code=f"{code}{n}") for n, d in enumerate(documents(batch))])
    assert daemon.call("select crm_sync.check_alerts()") >= 1


def test_a_pause_that_a_member_is_just_making_is_not_waited_for_without_end(
    house: House, daemon: Daemon, organization: UUID, integration: int, database: str
) -> None:
    house.connection.execute("set statement_timeout = '12s'")
    with connect(database) as other, other.transaction(force_rollback=True):
        with House(other).as_role("authenticated", house.user(organization)):
            other.execute("select crm_sync.pause_all('organization', %s)", [str(organization)])
        with pytest.raises(psycopg.errors.LockNotAvailable):
            daemon.call("select crm_sync.pause_all('organization', %s)", str(organization))
        assert daemon.call("select crm_sync.pause_all('provider', 'hubspot')") == 1


@pytest.mark.parametrize(
    ("name", "value", "is_secret"),
    [
        ("accessToken", '"x"', True),
        ("clientSecret", '"x"', True),
        ("hubspotApiKey", '"x"', True),
        ("aws_access_key", '"x"', True),
        ("Authorization", '"x"', True),
        ("header", '"Bearer 0123456789"', True),
        ("hook", '{"deep": ["https://me:word@example.com"]}', True),
        ("tokens_per_day", "5", False),
        ("secretary", '"Ada"', False),
        ("deal_stage", '"Basic plan"', False),
    ],
)
def test_secrets_are_known_however_they_are_spelled(house: House, name: str, value: str, is_secret: bool) -> None:
    assert house.value("select crm_sync.holds_secret(%s, %s)", name, value) is is_secret


def test_the_advice_of_an_organizations_own_rule_says_whose_it_is(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    with house.as_role("authenticated", house.user(organization)) as connection:
        connection.execute(
            "insert into crm_sync.alert_rules (organization_id, name, condition, threshold, severity, remedy) "
            "values (%s, 'mine', 'oldest_wait', 1, 'critical', 'Run this as root.')",
            [organization],
        )
        connection.execute(
            "select crm_sync.set_alert_rule('oldest_wait', 1, '0', p_organization_id => %s)", [organization]
        )
    people(house, organization, 1)
    house.connection.execute("update public.sync_queue set scheduled_at = now() - interval '1 hour'")
    daemon.call("select crm_sync.check_alerts()")
    remedies = dict(house.rows("select rule, remedy from crm_sync.alerts where integration_id = %s", integration))
    assert remedies["mine"] == "By a rule of the organization's own: Run this as root."
    assert not remedies["oldest_wait"].startswith("By a rule")


def test_without_a_daemon_nothing_long_is_counted_before_that_is_told(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    house.connection.execute("update crm_sync.alert_rules set for_at_least = '0'")
    raised = "select rule from crm_sync.alerts where cleared_at is null and rule ~ '^unknown|^no_worker' order by 1"
    people(house, organization, 1)
    batch = daemon.claim()
    daemon.finish(batch, [failed(d, "rejected", code="NEW") for d in documents(batch)])
    daemon.call("select crm_sync.register_worker(gen_random_uuid(), 'host', 1, '1', true)")
    daemon.call("select crm_sync.check_alerts()")
    assert house.rows(raised) == [("unknown_error",)]
    house.connection.execute("update crm_sync.daemons set last_seen_at = now() - interval '1 hour'")
    daemon.call("select crm_sync.check_alerts()")
    assert house.rows(raised) == [("no_worker_alive",), ("unknown_error",)]
    house.connection.execute("update crm_sync.daemons set last_seen_at = now()")
    house.connection.execute("delete from public.sync_queue")
    house.connection.execute("update crm_sync.alert_rules set clear_after = '0'")
    daemon.call("select crm_sync.check_alerts()")
    assert house.rows(raised) == []


@pytest.mark.parametrize("deed", ["erases a person", "deletes the connection"])
def test_the_leases_of_others_are_renewed_while_a_member_holds_a_batch(
    house: House, daemon: Daemon, database: str, deed: str
) -> None:
    owners = [house.organization(name) for name in ("Hostile", "Good")]
    ids = [house.integration(owner) for owner in owners]
    for owner in owners:
        people(house, owner, 1)
    batches = [daemon.claim(integration=each)["id"] for each in ids]
    renew = "select crm_sync.extend_leases(%s, %s, interval '60 seconds')"
    until = "select lease_until from crm_sync.batches where id = %s"
    before = [house.value(until, batch) for batch in batches]
    house.connection.execute("set statement_timeout = '3s'")
    with connect(database) as other, other.transaction(force_rollback=True):
        with House(other).as_role("authenticated", house.user(owners[0])):
            other.execute(HELD[deed].encode(), {"id": ids[0], "organization": str(owners[0])})
        assert sorted(daemon.call(renew, daemon.id, batches)) == batches
        assert [house.value(until, batch) > was for batch, was in zip(batches, before, strict=True)] == [False, True]
        house.connection.execute("set statement_timeout = 0")
    assert sorted(daemon.call(renew, daemon.id, batches)) == batches
    assert house.value(until, batches[0]) > before[0]


def test_messages_are_sent_while_a_member_erases_what_old_ones_say(
    house: House, daemon: Daemon, organization: UUID, integration: int, database: str
) -> None:
    people(house, organization, 1)
    house.connection.execute(
        "with alert as (insert into crm_sync.alerts (organization_id, rule, condition, subject, severity, threshold, "
        "unit, words, remedy) values (%s, 'r', 'c', 's', 'info', 1, 'rows', 'before', 'x') returning id) "
        "insert into crm_sync.deliveries (alert_id, type, payload, created_at, next_attempt_at) "
        """select id, 'alert.raised', '{"words": "before"}', now() - interval '4 days', now() - interval '4 days' """
        "from alert",
        [organization],
    )
    house.connection.execute("set statement_timeout = '3s'")
    with connect(database) as other, other.transaction(force_rollback=True):
        with House(other).as_role("authenticated", house.user(organization)):
            other.execute(HELD["erases a person"].encode(), {"id": integration, "organization": str(organization)})
        assert daemon.call("select count(*) from crm_sync.claim_delivery(%s)", "0" * 64) == 0
    assert daemon.call("select count(*) from crm_sync.claim_delivery(%s)", "0" * 64) == 0
    assert house.value("select count(*) from crm_sync.deliveries where given_up_at is not null") == 1
