"""The short way of an insert leads where the long way does, whatever happened to an organization's connections."""

from __future__ import annotations

import json
import random
import threading
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House, eventually
from tests.sql.daemon import connect, queue, somebody_waits

INTERESTED = {"all": [{"field": "intent", "op": "=", "value": "interested"}]}
ROUTE = "select integration_id from crm_sync.routes where organization_id = %s"
WRITTEN = (
    "organization_id, integration_id, contact_id, message_id, classification_id, queue_type, priority, status, "
    "attempts, next_attempt_at, scheduled_at, last_error, completed_at, payload"
)
CHANGES = (
    "update public.user_integrations set status = 'disconnected' where id = %(one)s",
    "update public.user_integrations set status = 'connected' where id = %(one)s",
    "update public.user_integrations set status = 'error' where id = %(one)s",
    'update public.user_integrations set credentials = \'{"access_token": "new"}\' where id = %(one)s',
    "update public.user_integrations set sync_frequency = 'hourly' where id = %(one)s",
    "update public.user_integrations set sync_frequency = 'realtime' where id = %(one)s",
    "update public.user_integrations set sync_filters = %(filters)s where id = %(one)s",
    "update public.user_integrations set sync_filters = '{}' where id = %(one)s",
    "update public.user_integrations set sync_settings = sync_settings || '{\"auto_sync_contacts\": false}' "
    "where id = %(one)s",
    "update public.user_integrations set sync_settings = sync_settings || '{\"auto_sync_contacts\": true}' "
    "where id = %(one)s",
    "update public.integration_providers set is_active = not is_active where name = 'hubspot'",
    "delete from public.user_integrations where id = %(one)s",
)


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize("seed", range(6))
def test_the_short_way_and_the_long_way_write_the_same(house: House, organization: UUID, seed: int) -> None:
    chance = random.Random(seed)
    connections: list[int] = []
    messages = [house.message(organization, house.contact(organization)), house.message(organization, None), uuid4()]
    seen: set[bool] = set()
    for _ in range(25):
        if not connections or (len(connections) < 3 and chance.random() < 0.2):
            name = chance.choice(["hubspot", "pipedrive"])
            connections.append(house.integration(organization, name, name=f"{name} {uuid4()}"))
        else:
            change = chance.choice(CHANGES)
            one = chance.choice(connections)
            house.connection.execute(change.encode(), {"one": one, "filters": json.dumps(INTERESTED)})
            if change.startswith("delete"):
                connections.remove(one)
        seen.add(house.value(ROUTE, organization) is not None)
        assert written(house, messages, shortly=True) == written(house, messages, shortly=False)
    assert seen == {True, False}


def written(
    house: House, messages: list[UUID], *, shortly: bool
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What one statement that classifies the messages leaves in the queue and among the orphans; it is undone."""
    with house.connection.transaction(force_rollback=True):
        house.connection.execute("delete from public.sync_queue")
        if not shortly:
            house.connection.execute("update crm_sync.routes set integration_id = null")
        house.connection.execute(
            "insert into public.message_classifications (id, message_id, intent) "
            "select md5(m::text)::uuid, m, 'question' from unnest(%s::uuid[]) as u (m)",
            [messages],
        )
        return (
            sorted(queue(house, WRITTEN), key=repr),
            house.rows("select classification_id, message_id, reason from crm_sync.orphans order by 1"),
        )


def test_one_statement_may_go_both_ways(house: House, organization: UUID, integration: int) -> None:
    filtered = house.organization("Filtered")
    other = house.integration(filtered, sync_filters=INTERESTED)
    messages = [
        house.message(organization, house.contact(organization)),
        house.message(filtered, house.contact(filtered)),
        house.message(organization, None),
        uuid4(),
    ]
    house.connection.execute(
        "insert into public.message_classifications (message_id, intent) "
        "select m, 'question' from unnest(%s::uuid[]) as u (m)",
        [[*messages, messages[0]]],
    )
    assert sorted(queue(house, "integration_id, status, contact_id is null"), key=repr) == sorted(
        [
            (integration, "pending", False),
            (integration, "pending", False),
            (other, "skipped", False),
            (integration, "skipped", True),
        ],
        key=repr,
    )
    assert house.rows("select message_id from crm_sync.orphans") == [(messages[3],)]


def test_connections_made_at_the_same_time_both_get_their_rows(house: House, database: str, organization: UUID) -> None:
    with connect(database) as first, connect(database) as second:
        first.execute("begin")
        House(first).integration(organization)
        waiting = threading.Thread(target=House(second).integration, args=(organization, "pipedrive"))
        waiting.start()
        waiting.join(0.3)
        first.execute("commit")
        waiting.join(10)
    assert house.value(ROUTE, organization) is None
    house.reply(organization, house.contact(organization))
    assert len(queue(house, "id")) == 2


def test_an_old_snapshot_does_not_make_a_route(house: House, database: str, organization: UUID) -> None:
    with connect(database) as old:
        old.execute("begin isolation level repeatable read")
        old.execute("select 1 from public.user_integrations")
        house.integration(organization)
        with pytest.raises(psycopg.errors.SerializationFailure):
            House(old).integration(organization, "pipedrive")
        old.execute("rollback")
        old.execute("begin isolation level repeatable read")
        House(old).integration(organization, "pipedrive")
        old.execute("commit")
    house.reply(organization, house.contact(organization))
    assert len(queue(house, "id")) == 2


def test_a_connection_that_is_given_new_credentials_is_reckoned_with_again(house: House, organization: UUID) -> None:
    house.integration(organization)
    other = house.integration(organization, "pipedrive")
    house.connection.execute("update public.user_integrations set status = 'disconnected' where id = %s", [other])
    assert house.value(ROUTE, organization) is not None
    house.connection.execute(
        "update public.user_integrations set credentials = %s where id = %s",
        [json.dumps({"access_token": "new"}), other],
    )
    assert house.value("select status from public.user_integrations where id = %s", other) == "connected"
    assert house.value(ROUTE, organization) is None


def test_connecting_and_switching_a_provider_do_not_wait_for_each_other(
    house: House, organization: UUID, database: str
) -> None:
    house.integration(organization)
    with connect(database) as switching, connect(database) as connecting:
        switching.execute("begin")
        switching.execute("update public.integration_providers set description = '' where name = 'hubspot'")
        thread = threading.Thread(target=House(connecting).integration, args=[organization, "pipedrive"])
        thread.start()
        eventually(lambda: somebody_waits(house), "one that connects and waits for the provider")
        switching.execute("update public.integration_providers set is_active = false where name = 'hubspot'")
        switching.execute("commit")
        thread.join()
    pipedrive = house.value("select max(id) from public.user_integrations")
    assert house.value(ROUTE, organization) == pipedrive


CHANGE = "update public.user_integrations set sync_frequency = 'hourly' where id = %s"
LEAVE = "update public.user_integrations set status = 'disconnected' where id = %s"
ROUTE = "select integration_id from crm_sync.routes where organization_id = %s"


def test_two_that_change_two_connections_of_an_organization_do_not_wait_for_each_other(
    house: House, database: str, organization: UUID
) -> None:
    """Or the first, who comes to the second's connection then, and the second would be a deadlock."""
    first, second = house.integration(organization), house.integration(organization, "pipedrive")
    with connect(database) as one, connect(database) as two, one.transaction():
        one.execute(CHANGE, [first])
        with two.transaction():
            two.execute("set local lock_timeout = '5s'")
            two.execute(CHANGE, [second])
        one.execute("update public.user_integrations set name = 'renamed' where id = %s", [second])
    assert house.value(ROUTE, organization) is None


@pytest.mark.parametrize("comes_first", ["who changes", "who disconnects"])
@pytest.mark.parametrize("is_simple", [True, False])
def test_who_changes_one_connection_and_who_disconnects_the_other_find_the_right_route(
    house: House, database: str, organization: UUID, comes_first: str, is_simple: bool
) -> None:
    first, second = house.integration(organization), house.integration(organization, "pipedrive")
    if is_simple:
        house.connection.execute(CHANGE, [first])
    change = CHANGE.replace("hourly", "realtime") if is_simple else CHANGE
    steps = [(change, first), (LEAVE, second)]
    (early, late) = steps if comes_first == "who changes" else steps[::-1]

    def come_late() -> None:
        with connect(database) as other:
            other.execute(late[0].encode(), [late[1]])

    thread = threading.Thread(target=come_late)
    with house.connection.transaction():
        house.connection.execute(early[0].encode(), [early[1]])
        thread.start()
        eventually(lambda: somebody_waits(house), "the second waits")
    thread.join(15)
    assert house.value(ROUTE, organization) == (first if is_simple else None)
