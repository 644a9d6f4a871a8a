"""A new key seals what an old one sealed, and nobody notices but the old key."""

from __future__ import annotations

import json
from uuid import UUID

import psycopg
import pytest

from tests.house import KEY, House
from tests.sql.daemon import Daemon, people

NEW_KEY = "the-new-key-that-is-long-enough-0123456789-abcdef"
OAUTH = {"access_token": "a", "refresh_token": "r", "hub": {"id": 7}}
WRITE = "update public.user_integrations set credentials = %s where id = %s"
OPEN = "select credentials from crm_sync.open_credentials(%s)"
EVERYTHING = (
    "select i.id, i.status, i.credentials_version, i.credentials_at, i.disconnected_at, i.is_refreshable, "
    "i.last_error, i.error_count, l.schema_ready_at, l.described_at, l.connected_at, l.parked_until::text, "
    "l.parked_kind, l.refresh_until "
    "from public.user_integrations as i join crm_sync.lanes as l on l.integration_id = i.id order by i.id"
)


def use_keys(house: House, key: str, *old: str) -> None:
    house.connection.execute(
        "select set_config('crm_sync.encryption_key', %s, false), "
        "set_config('crm_sync.old_encryption_keys', %s, false)",
        [key, "\n".join(old)],
    )


def rotate(daemon: Daemon, limit: int = 100) -> int:
    after, total = 0, 0
    while after is not None:
        with daemon.house.as_role("crm_sync_daemon") as connection:
            row = connection.execute("select * from crm_sync.reseal(%s, %s)", [after, limit]).fetchone()
        assert row is not None
        after, count = row
        total += count
    return total


def seals(daemon: Daemon) -> list[tuple[object, ...]]:
    with daemon.house.as_role("crm_sync_daemon") as connection:
        return connection.execute("select * from crm_sync.count_seals() order by is_current desc, key_id").fetchall()


def sqlstate_of(daemon: Daemon, query: str, *arguments: object) -> str | None:
    with pytest.raises(psycopg.Error) as error:
        daemon.call(query, *arguments)
    assert not {KEY, NEW_KEY} & set(str(error.value).split())
    return error.value.sqlstate


def test_everything_is_sealed_anew_and_nothing_else_changes(house: House, daemon: Daemon) -> None:
    organizations = [house.organization(f"o{n}") for n in range(7)]
    made = [house.integration(each, credentials=OAUTH) for each in organizations]
    house.connection.execute(
        "update public.user_integrations set status = 'error', last_error = 'x' where id = %s", made[:1]
    )
    house.connection.execute("update crm_sync.lanes set schema_ready_at = now(), described_at = now()")
    house.connection.execute(
        "update crm_sync.lanes set parked_until = 'infinity', parked_kind = 'unauthorized' where integration_id = %s",
        made[:1],
    )
    house.value("select crm_sync.disconnect(%s)", made[-1])
    before = house.rows(EVERYTHING)
    use_keys(house, NEW_KEY, KEY)
    new = house.value("select crm_sync.key_id(%s)", NEW_KEY)
    assert house.value("select crm_sync.verify_key()") == new
    assert rotate(daemon, limit=2) == 7
    assert house.rows(EVERYTHING) == before
    assert seals(daemon) == [(new, True, True, 6, 1)]
    assert rotate(daemon) == 0
    assert [daemon.call(OPEN, each) for each in made[:-1]] == [OAUTH] * 6
    use_keys(house, NEW_KEY)
    assert house.value("select crm_sync.verify_key()") == new
    assert daemon.call(OPEN, made[1]) == OAUTH
    use_keys(house, KEY)
    assert sqlstate_of(daemon, OPEN, made[1]) == "CS004"
    assert sqlstate_of(daemon, "select crm_sync.verify_key()") == "CS004"


def test_two_keys_open_what_either_has_sealed_and_the_first_seals(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    old = house.integration(organization, credentials=OAUTH)
    use_keys(house, NEW_KEY, "x" * 40, KEY)
    new = house.integration(organization, name="new", credentials=OAUTH)
    assert daemon.call(OPEN, old) == daemon.call(OPEN, new) == OAUTH
    use_keys(house, NEW_KEY)
    assert daemon.call(OPEN, new) == OAUTH
    assert sqlstate_of(daemon, OPEN, old) == "CS004"


@pytest.mark.parametrize(
    "passphrase", ["a pass phrase with spaces in it, long enough", "two\nlines of a key that is long enough"]
)
def test_an_old_key_may_hold_white_space(house: House, daemon: Daemon, organization: UUID, passphrase: str) -> None:
    use_keys(house, passphrase)
    integration = house.integration(organization, credentials=OAUTH)
    use_keys(house, NEW_KEY, passphrase)
    assert daemon.call(OPEN, integration) == OAUTH
    if "\n" not in passphrase:
        use_keys(house, NEW_KEY, "y" * 40, passphrase)
        assert daemon.call(OPEN, integration) == OAUTH


def test_what_cannot_be_opened_is_counted_and_stops_nothing(house: House, daemon: Daemon, organization: UUID) -> None:
    use_keys(house, "lost-" * 10)
    lost = house.integration(organization, credentials=OAUTH)
    house.connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])
    damaged = house.integration(organization, name="damaged", credentials=OAUTH)
    good = house.integration(organization, name="good", credentials=OAUTH)
    house.connection.execute("set session_replication_role = replica")
    house.connection.execute(
        "update public.user_integrations set credentials = left(credentials, -12) || 'AAAAAAAAAAAA' where id = %s",
        [damaged],
    )
    house.connection.execute("reset session_replication_role")
    use_keys(house, NEW_KEY, KEY)
    assert rotate(daemon, limit=1) == 1
    assert daemon.call(OPEN, good) == OAUTH
    current, *rest = seals(daemon)
    assert current[1:] == (True, True, 1, 0)
    assert sorted(each[1:] for each in rest) == [(False, False, 1, 0), (False, True, 1, 0)]
    assert sqlstate_of(daemon, OPEN, lost) == "CS004"


def test_a_value_sealed_anew_by_hand_is_no_new_connection_and_another_value_is(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = house.integration(organization, credentials=OAUTH)
    version = "select credentials_version from public.user_integrations"
    seal = "select crm_sync.seal_credentials(%s, %s, %s)"
    house.connection.execute(WRITE, [house.value(seal, organization, integration, json.dumps(OAUTH)), integration])
    assert house.value(version) == 1
    other = json.dumps({**OAUTH, "access_token": "b"})
    house.connection.execute(WRITE, [house.value(seal, organization, integration, other), integration])
    assert house.value(version) == 2


def test_a_daemon_without_the_key_begins_no_refresh(house: House, daemon: Daemon, organization: UUID) -> None:
    integration = house.integration(organization, credentials=OAUTH)
    use_keys(house, NEW_KEY)
    assert sqlstate_of(daemon, "select crm_sync.begin_refresh(%s, 1)", integration) == "CS004"
    assert house.value("select refresh_until from crm_sync.lanes") is None


def test_a_token_that_was_refreshed_while_its_row_was_sealed_anew_is_not_lost(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    integration = house.integration(organization, credentials=OAUTH)
    assert daemon.call("select crm_sync.begin_refresh(%s, 1)", integration) == "yours"
    use_keys(house, NEW_KEY, KEY)
    assert rotate(daemon) == 1
    use_keys(house, KEY)  # the daemon that was not restarted yet
    fresh = {**OAUTH, "access_token": "b", "refresh_token": "rotated"}
    assert daemon.call("select crm_sync.store_credentials(%s, 1, %s)", integration, json.dumps(fresh)) == 2
    use_keys(house, NEW_KEY, KEY)
    assert daemon.call(OPEN, integration) == fresh
    assert [each[1:] for each in seals(daemon)] == [(False, True, 1, 0)], "and whoever looks is told"
    assert rotate(daemon) == 1


def test_a_claim_goes_on_while_keys_are_rotated(house: House, daemon: Daemon, organization: UUID) -> None:
    house.integration(organization, credentials=OAUTH)
    people(house, organization, 3)
    batch = daemon.claim()
    use_keys(house, NEW_KEY, KEY)
    rotate(daemon)
    assert daemon.confirm(batch) == 3
    assert batch["credentials_version"] == house.value("select credentials_version from public.user_integrations")
