"""What the database keeps of a token's life: whether it can be refreshed, since when, and how it ends."""

from __future__ import annotations

import json
import threading
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, connect, documents, failed, people

OAUTH = {"access_token": "a", "refresh_token": "r"}
WRITE = "update public.user_integrations set credentials = %s where id = %s"
STATE = (
    "select is_refreshable, credentials_at is not null, disconnected_at is not null "
    "from public.user_integrations where id = %s"
)
STORE = "select crm_sync.store_credentials(%s, %s, %s)"
REVOCATIONS = "select integration_id, account_id, attempts from crm_sync.revocations order by id"


@pytest.fixture
def alive(house: House, organization: UUID) -> int:
    """A connection that holds a refresh token."""
    return house.integration(organization, credentials=OAUTH)


def idle(daemon: Daemon) -> list[int]:
    with daemon.house.as_role("crm_sync_daemon") as connection:
        rows = connection.execute("select integration_id from crm_sync.idle_connections() order by 1").fetchall()
    return [integration for (integration,) in rows]


def forget(house: House, integration: int, what: str = "25 hours") -> None:
    """Nobody has refreshed it for so long."""
    house.connection.execute(
        "update public.user_integrations set credentials_at = now() - %s::interval where id = %s", [what, integration]
    )


def claimed(daemon: Daemon) -> dict[str, Any] | None:
    with daemon.house.as_role("crm_sync_daemon") as connection:
        cursor = connection.execute("select * from crm_sync.claim_revocation()")
        row = cursor.fetchone()
        assert cursor.description is not None
        return None if row is None else dict(zip([each.name for each in cursor.description], row, strict=True))


def finish(daemon: Daemon, revocation: dict[str, Any], outcome: str, reason: str | None = None) -> None:
    daemon.call(
        "select crm_sync.finish_revocation(%s, %s, %s, %s, %s)",
        revocation["organization_id"],
        revocation["id"],
        revocation["attempts"],
        outcome,
        reason,
    )


def titles(house: House) -> list[tuple[Any, ...]]:
    return house.rows(
        "select status, title from public.sync_activity_logs where activity_type = 'connection' order by id"
    )


def test_a_connection_knows_whether_it_can_be_refreshed_and_since_when(house: House, organization: UUID) -> None:
    integration = house.integration(organization)
    assert house.rows(STATE, integration) == [(False, True, False)]
    forget(house, integration)
    house.connection.execute(WRITE, [json.dumps(OAUTH), integration])
    assert house.rows(STATE, integration) == [(True, True, False)]
    assert house.value("select credentials_at > now() - interval '1 minute' from public.user_integrations")
    house.connection.execute(WRITE, [json.dumps({**OAUTH, "refresh_token": ""}), integration])
    assert house.rows(STATE, integration) == [(False, True, False)]
    house.value("select crm_sync.disconnect(%s)", integration)
    assert house.rows(STATE, integration) == [(False, False, True)]
    house.connection.execute(WRITE, [json.dumps(OAUTH), integration])
    assert house.rows(STATE, integration) == [(True, True, False)]


def test_disconnecting_again_does_not_begin_the_time_anew(house: House, alive: int) -> None:
    house.value("select crm_sync.disconnect(%s)", alive)
    house.connection.execute("update public.user_integrations set disconnected_at = now() - interval '80 days'")
    house.connection.execute("update public.user_integrations set status = 'disconnected', name = 'x'")
    assert house.value("select disconnected_at < now() - interval '79 days' from public.user_integrations")


def test_idle_tokens_are_given_to_one_daemon_at_a_time(house: House, daemon: Daemon, organization: UUID) -> None:
    old, fresh = (
        house.integration(organization, provider, credentials=OAUTH, name=name)
        for provider, name in (("hubspot", "old"), ("pipedrive", "fresh"))
    )
    static = house.integration(organization, name="static")
    for integration in (old, static):
        forget(house, integration)
    assert idle(daemon) == [old]
    assert idle(Daemon(house)) == [], "it is somebody's"
    house.connection.execute(
        "update crm_sync.lanes set refresh_after = now() - interval '1 s' where refresh_failures > 0"
    )
    assert idle(daemon) == [old], "whoever had it came to nothing"
    assert house.value(
        "select refresh_after > now() + interval '2 minutes' from crm_sync.lanes where refresh_failures = 2"
    )
    assert daemon.call(STORE, old, 1, json.dumps({"access_token": "b"})) == 2
    assert (
        house.value("select count(*) from crm_sync.lanes where refresh_failures > 0 or refresh_after is not null") == 0
    )
    assert idle(daemon) == []
    forget(house, fresh, "23 hours")
    assert idle(daemon) == []


def test_a_setting_of_nothing_does_not_refresh_without_end(house: House, daemon: Daemon, alive: int) -> None:
    house.connection.execute("update crm_sync.config set refresh_idle_after = '0'")
    assert idle(daemon) == []


@pytest.mark.parametrize("state", ["disconnected", "error", "inactive"])
def test_what_is_not_connected_is_not_refreshed(house: House, daemon: Daemon, alive: int, state: str) -> None:
    if state == "inactive":
        house.connection.execute("update public.integration_providers set is_active = false")
    else:
        house.connection.execute("update public.user_integrations set status = %s", [state])
    forget(house, alive)
    assert idle(daemon) == []


def test_many_idle_tokens_of_one_crm_leave_room_for_those_of_another(house: House, daemon: Daemon) -> None:
    many = [house.integration(house.organization(f"o{n}"), credentials=OAUTH) for n in range(25)]
    one = house.integration(house.organization("one"), "pipedrive", credentials=OAUTH)
    for integration in many:
        forget(house, integration, "30 hours")
    forget(house, one)
    found = idle(daemon)
    assert len(found) == 21
    assert one in found


def test_a_refusal_parks_the_connection_whose_credentials_were_refused(
    house: House, daemon: Daemon, organization: UUID, alive: int
) -> None:
    refuse = "select crm_sync.refuse_credentials(%s, %s, 'it is over')"
    house.connection.execute(WRITE, [json.dumps({**OAUTH, "access_token": "new"}), alive])
    assert daemon.call(refuse, alive, 1) is False, "connected again meanwhile"
    assert house.value("select status from public.user_integrations") == "connected"
    house.connection.execute("listen crm_sync_events")
    assert daemon.call(refuse, alive, 2) is True
    assert daemon.call(refuse, alive, 2) is False, "said already"
    assert house.rows("select status, last_error, error_count from public.user_integrations") == [
        ("error", "it is over", 1)
    ]
    assert house.rows("select parked_kind, parked_until = 'infinity' from crm_sync.lanes") == [("unauthorized", True)]
    assert titles(house) == [("error", "Connection needs a person")]
    (event,) = list(house.connection.notifies(timeout=5, stop_after=1))
    assert json.loads(event.payload) == {"event": "connection_error", "integration_id": alive}
    house.connection.execute(WRITE, [json.dumps(OAUTH), alive])
    assert house.rows("select parked_kind, parked_until from crm_sync.lanes") == [(None, None)]


def test_a_refusal_of_old_credentials_does_not_undo_a_reconnect(
    house: House, daemon: Daemon, organization: UUID, alive: int
) -> None:
    people(house, organization, 2)
    batch = daemon.claim()
    house.connection.execute(WRITE, [json.dumps({"access_token": "new"}), alive])
    daemon.fail(batch, "unauthorized", "invalid_grant")
    assert house.value("select status from public.user_integrations") == "connected"
    assert house.rows("select parked_kind, parked_until < now() + interval '2 s' from crm_sync.lanes") == [
        ("unavailable", True)
    ]
    assert house.rows("select distinct status, attempts from public.sync_queue") == [("retry", 0)]
    house.connection.execute("update crm_sync.lanes set parked_until = null")
    again = daemon.claim()
    daemon.finish(again, [failed(document, "unauthorized", "refused as well") for document in documents(again)])
    assert house.value("select status from public.user_integrations") == "error"


def test_a_refresh_under_way_does_not_pass_a_reconnect_off_as_a_refresh(
    house: House, daemon: Daemon, alive: int
) -> None:
    house.connection.execute("update crm_sync.lanes set schema_ready_at = now()")
    assert daemon.call("select crm_sync.begin_refresh(%s, 1)", alive) == "yours"
    house.connection.execute(WRITE, [json.dumps({"access_token": "of another account"}), alive])
    assert house.value("select schema_ready_at from crm_sync.lanes") is None
    house.connection.execute("update crm_sync.lanes set schema_ready_at = now()")
    daemon.call("select crm_sync.end_refresh(%s)", alive)
    assert daemon.call("select crm_sync.begin_refresh(%s, 2)", alive) == "yours"
    assert daemon.call(STORE, alive, 2, json.dumps(OAUTH)) == 3
    assert house.value("select schema_ready_at from crm_sync.lanes") is not None


@pytest.mark.parametrize("how", ["disconnect", "status", "wipe", "delete", "organization"])
def test_whatever_ends_a_connection_has_its_tokens_revoked(
    house: House, daemon: Daemon, organization: UUID, alive: int, how: str
) -> None:
    house.connection.execute("update public.user_integrations set account_id = '77'")
    house.connection.execute("listen crm_sync")
    house.connection.execute("reset crm_sync.encryption_key")  # whoever disconnects needs no key
    statement = {
        "disconnect": f"select crm_sync.disconnect({alive})",
        "status": "update public.user_integrations set status = 'disconnected'",
        "wipe": "update public.user_integrations set credentials = null",
        "delete": "delete from public.user_integrations",
        "organization": "delete from public.organizations",
    }[how]
    house.connection.execute(statement.encode())
    assert house.value("select count(*) from public.user_integrations where credentials is not null") == 0
    assert house.rows(REVOCATIONS) == [(alive, "77", 0)]
    assert any(each.payload == "revocations" for each in house.connection.notifies(timeout=15))
    House(house.connection)
    revocation = claimed(daemon)
    assert revocation is not None
    assert revocation["credentials"] == OAUTH
    assert revocation["provider"] == "hubspot"
    assert claimed(daemon) is None, "it is somebody's"
    finish(daemon, revocation, "revoked")
    assert house.rows(REVOCATIONS) == []
    assert ("success", "Revoked at the CRM") in titles(house) or how in ("delete", "organization")


def test_a_static_token_is_wiped_and_that_is_all(house: House, organization: UUID, integration: int) -> None:
    house.value("select crm_sync.disconnect(%s)", integration)
    assert house.rows(REVOCATIONS) == []


def test_a_revocation_is_tried_again_later_each_time(house: House, daemon: Daemon, alive: int) -> None:
    house.value("select crm_sync.disconnect(%s)", alive)
    for attempt in (1, 2, 3):
        revocation = claimed(daemon)
        assert revocation is not None
        assert revocation["attempts"] == attempt
        late = {**revocation, "attempts": attempt - 1}
        finish(daemon, revocation, "later", "the CRM is down")
        assert claimed(daemon) is None
        least = house.value(
            "select next_attempt_at > now() + %s * interval '1 minute' from crm_sync.revocations", attempt
        )
        assert least is True
        house.connection.execute("update crm_sync.revocations set next_attempt_at = now()")
    finish(daemon, late, "revoked")
    assert len(house.rows(REVOCATIONS)) == 1, "whoever was too slow has nothing to say"
    house.connection.execute("update crm_sync.revocations set created_at = now() - interval '8 days'")
    assert claimed(daemon) is None
    assert house.rows(REVOCATIONS) == []
    assert titles(house)[-1] == ("warning", "Not revoked at the CRM")
    assert "the CRM is down" in house.value(
        "select description from public.sync_activity_logs order by id desc limit 1"
    )


def test_two_daemons_never_hold_the_same_revocation(house: House, database: str) -> None:
    for number in range(8):
        house.value(
            "select crm_sync.disconnect(%s)", house.integration(house.organization(f"o{number}"), credentials=OAUTH)
        )
    seen: list[int] = []

    def work() -> None:
        with connect(database) as connection:
            while (revocation := claimed(Daemon(House(connection)))) is not None:
                seen.append(revocation["integration_id"])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == len(set(seen)) == 8


@pytest.mark.parametrize("case", ["same account", "unknown account", "pending account"])
def test_nothing_is_revoked_while_another_connection_to_the_account_is_alive(
    house: House, daemon: Daemon, organization: UUID, alive: int, case: str
) -> None:
    house.connection.execute("update public.user_integrations set account_id = '77'")
    elsewhere = house.organization("Other")
    if case == "same account":
        house.integration(elsewhere, credentials=OAUTH, account_id="77")
    elif case == "unknown account":
        house.integration(organization, credentials=OAUTH, name="again")
    else:
        other = house.integration(elsewhere, credentials=OAUTH, account_id="1")
        house.connection.execute(
            'update crm_sync.lanes set other_account = \'{"id": "77"}\' where integration_id = %s', [other]
        )
    house.value("select crm_sync.disconnect(%s)", alive)
    assert claimed(daemon) is None
    assert house.rows(REVOCATIONS) == []
    assert titles(house)[-1] == ("info", "Not revoked at the CRM")


def test_another_account_or_another_tenant_of_unknown_account_is_no_reason_to_spare_a_token(
    house: House, daemon: Daemon, organization: UUID, alive: int
) -> None:
    house.connection.execute("update public.user_integrations set account_id = '77'")
    house.integration(organization, credentials=OAUTH, name="second", account_id="78")
    house.integration(organization, "pipedrive", credentials=OAUTH, account_id="77")
    house.integration(house.organization("Other"), credentials=OAUTH)
    house.value("select crm_sync.disconnect(%s)", alive)
    revocation = claimed(daemon)
    assert revocation is not None
    assert revocation["integration_id"] == alive


def test_connecting_again_before_a_daemon_has_revoked_keeps_the_access(
    house: House, daemon: Daemon, alive: int
) -> None:
    house.value("select crm_sync.disconnect(%s)", alive)
    house.connection.execute(WRITE, [json.dumps(OAUTH), alive])
    assert claimed(daemon) is None
    assert house.rows(REVOCATIONS) == []


@pytest.mark.parametrize("how", ["disconnect", "delete"])
def test_a_token_that_comes_while_its_connection_ends_is_the_one_that_is_revoked(
    house: House, daemon: Daemon, alive: int, how: str
) -> None:
    assert daemon.call("select crm_sync.begin_refresh(%s, 1)", alive) == "yours"
    if how == "disconnect":
        house.value("select crm_sync.disconnect(%s)", alive)
    else:
        house.connection.execute("delete from public.user_integrations")
    assert claimed(daemon) is None, "a daemon is getting another token for this one"
    assert daemon.call(STORE, alive, 1, json.dumps({"access_token": "b", "refresh_token": "rotated"})) is None
    revocation = claimed(daemon)
    assert revocation is not None
    assert revocation["credentials"]["refresh_token"] == "rotated"
    finish(daemon, revocation, "revoked")
    if how == "disconnect":
        daemon.call(STORE, alive, 1, json.dumps({"access_token": "c", "refresh_token": "later still"}))
        revocation = claimed(daemon)
        assert revocation is not None
        assert revocation["credentials"]["refresh_token"] == "later still"
        assert house.value("select credentials from public.user_integrations") is None


def test_a_damaged_or_foreign_token_is_given_up_with_words_or_waits_for_its_key(
    house: House, daemon: Daemon, alive: int
) -> None:
    house.value("select crm_sync.disconnect(%s)", alive)
    house.connection.execute("select set_config('crm_sync.encryption_key', %s, false)", ["another-key-" * 4])
    assert claimed(daemon) is None
    assert house.rows(REVOCATIONS) == [(alive, None, 1)]
    assert "encryption key" in house.value("select last_error from crm_sync.revocations")
    House(house.connection)
    house.connection.execute(
        "update crm_sync.revocations set next_attempt_at = now(), "
        "sealed_credentials = left(sealed_credentials, -8) || 'AAAAAAAA'"
    )
    assert claimed(daemon) is None
    assert house.rows(REVOCATIONS) == []
    assert titles(house)[-1] == ("warning", "Not revoked at the CRM")


@pytest.mark.parametrize("role", ["authenticated", "crm_sync_producer", "crm_sync_reader", "anon", "crm_sync_console"])
@pytest.mark.parametrize(
    "statement",
    [
        "select * from crm_sync.revocations",
        "delete from crm_sync.revocations",
        "insert into crm_sync.revocations (organization_id, integration_id, provider_id, credentials_version, "
        "sealed_credentials) values (gen_random_uuid(), 1, 1, 1, 'x')",
        "select crm_sync.claim_revocation()",
        "select crm_sync.finish_revocation(gen_random_uuid(), 1, 1, 'revoked')",
        "select crm_sync.idle_connections()",
        "select crm_sync.refuse_credentials(1, 1, 'x')",
        "select crm_sync.note_not_refreshable(1, 1)",
        "select crm_sync.delete_disconnected()",
        "select crm_sync.revoke_later(null, 1, 1)",
        "select crm_sync.schedule_revocation(null)",
        "select crm_sync.lose_connection(null, 1, 'x')",
        "select crm_sync.reseal()",
        "select crm_sync.count_seals()",
        "select crm_sync.session_keys()",
        "update public.user_integrations set is_refreshable = true",
        "update public.user_integrations set disconnected_at = now() - interval '1 year'",
        "update public.user_integrations set account_id = 'stolen'",
    ],
)
@pytest.mark.usefixtures("rolled_back")
def test_only_daemons_touch_the_life_of_tokens(house: House, role: str, statement: str) -> None:
    member = house.user(house.organization())
    refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
    with house.as_role(role, member) as connection, refused, connection.transaction():
        connection.execute(statement.encode())


def test_what_was_disconnected_long_ago_is_deleted_piece_by_piece(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    doomed, other = house.integration(organization), house.integration(organization, name="other")
    people(house, organization, 7)
    daemon.work()
    for integration in (doomed, other):
        house.value("select crm_sync.disconnect(%s)", integration)
    delete = "select is_gone from crm_sync.delete_disconnected(3)"
    assert daemon.call(delete) is None
    house.connection.execute(
        "update public.user_integrations set disconnected_at = now() - interval '91 days' where id = %s", [doomed]
    )
    answers = []
    while (answer := daemon.call(delete)) is not None:
        answers.append(answer)
        assert len(answers) < 100
    assert len(answers) > 5
    assert answers.index(True) == len(answers) - 1
    assert house.rows("select id from public.user_integrations") == [(other,)]
    assert house.value("select count(*) from public.contact_sync_mappings where integration_id = %s", other) == 7
    house.connection.execute(
        "update public.user_integrations set disconnected_at = now() - interval '91 days', credentials = %s",
        [json.dumps(OAUTH)],
    )
    assert daemon.call(delete) is None, "connected again at the last moment"
