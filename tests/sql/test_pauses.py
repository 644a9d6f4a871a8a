"""pause_all and resume_all: four scopes, who may, and what claims and calls make of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, connect, documents, people, queue, released
from tests.sql.test_actions import refused

PAUSE = "select crm_sync.pause_all(%s, %s, %s)"
RESUME = "select crm_sync.resume_all(%s, %s)"
SPEND = "select granted, is_lost, is_paused from crm_sync.spend_budget(%s, %s, '5 s', %s)"
PAUSED = (
    "select integration_id, paused_scope, paused_by, paused_reason from "
    "crm_sync.lanes where paused_at is not null order by 1"
)


def spend(house: House, integration: int, costs: str = '{"core": 1}', batch: int | None = None) -> Any:
    with house.as_role("crm_sync_daemon") as connection:
        return connection.execute(SPEND, [integration, costs, batch]).fetchone()


@pytest.fixture
def two(house: House, organization: UUID) -> list[int]:
    """Two connections of `organization` to two CRMs, and one of another organization."""
    other = house.organization("Other")
    return [house.integration(organization), house.integration(organization, "pipedrive"), house.integration(other)]


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    ("scope", "key", "places"),
    [
        ("integration", "{0}", [0]),
        ("organization", "{organization}", [0, 1]),
        ("provider", "hubspot", [0, 2]),
        ("everything", None, [0, 1, 2]),
    ],
)
def test_a_pause_concerns_its_connections_until_it_is_lifted(
    house: House, daemon: Daemon, organization: UUID, two: list[int], scope: str, key: str | None, places: list[int]
) -> None:
    people(house, organization, 1)
    key = key and key.format(two[0], organization=organization)
    concerned = [two[place] for place in places]
    assert daemon.call(PAUSE, scope, key, " too many notes ") == len(concerned)
    assert house.rows(PAUSED) == [(each, scope, "crm_sync_daemon", "too many notes") for each in concerned]
    assert house.value("select count(*) from crm_sync.status where state = 'paused'") == len(concerned)
    for each in two:
        assert spend(house, each) == ((False, True, True) if each in concerned else (True, False, False))
        assert spend(house, each, "{}") == ((False, True, True) if each in concerned else (True, False, False))
    assert {batch["integration_id"] for batch in daemon.work()}.isdisjoint(concerned)
    assert daemon.call(PAUSE, scope, key, None) == 0
    assert daemon.call(RESUME, scope, key) == len(concerned)
    assert daemon.call(RESUME, scope, key) == 0
    assert house.rows(PAUSED) == []
    assert all(spend(house, each)[0] for each in two)
    daemon.work()
    assert queue(house, "status", "completed_at is null") == []
    words = house.rows(
        "select integration_id, title, status from public.sync_activity_logs where title ~ '(aus|sum)ed' order by id"
    )
    assert words == [(each, title, "info") for title in ("Paused", "Resumed") for each in concerned]


@pytest.mark.usefixtures("rolled_back")
def test_what_two_pauses_hold_goes_on_when_both_are_lifted(
    house: House, daemon: Daemon, organization: UUID, two: list[int]
) -> None:
    member = house.user(organization)
    with house.as_role("authenticated", member) as connection:
        assert connection.execute("select crm_sync.pause(%s)", [two[0]]).fetchone() == (True,)
    assert daemon.call(PAUSE, "everything", None, None) == 3
    assert house.rows(PAUSED)[0][1:3] == ("everything", "crm_sync_daemon")
    for own in two[:2]:
        refused(house, "CS055", "select crm_sync.resume(%s)", own, user=member)
    with pytest.raises(psycopg.Error) as wider, house.connection.transaction():
        house.connection.execute("select crm_sync.resume(%s)", [two[0]])
    assert wider.value.diag.message_hint == "Whoever may lift that: select crm_sync.resume_all('everything')."
    assert daemon.call(RESUME, "everything", None) == 2
    assert house.rows(PAUSED) == [(two[0], "integration", str(member), None)]
    with house.as_role("authenticated", member) as connection:
        assert connection.execute("select crm_sync.resume(%s)", [two[0]]).fetchone() == (True,)
    assert house.rows(PAUSED) == []


@pytest.mark.usefixtures("rolled_back")
def test_a_connection_that_is_made_meanwhile_is_paused_as_well(
    house: House, daemon: Daemon, organization: UUID
) -> None:
    daemon.call(PAUSE, "provider", "pipedrive", None)
    daemon.call(PAUSE, "organization", str(organization), None)
    first = house.integration(organization)
    second = house.integration(house.organization("Other"), "pipedrive")
    third = house.integration(house.organization("Third"))
    assert [row[:2] for row in house.rows(PAUSED)] == [(first, "organization"), (second, "provider")]
    assert spend(house, third)[0]
    daemon.call("select crm_sync.pause(%s)", third)
    house.connection.execute("delete from public.organizations where name in ('Acme', 'Third')")
    assert house.rows("select scope, key from crm_sync.pauses") == [("provider", "pipedrive")]


def test_no_open_transaction_of_a_tenant_keeps_an_operator_from_pausing_everything(
    house: House, daemon: Daemon, organization: UUID, integration: int, database: str
) -> None:
    people(house, organization, 2)
    batch = daemon.claim()
    with connect(database) as other, other.transaction():
        stranger = House(other).integration(organization, "pipedrive")  # it is being made
        with connect(database) as third, third.transaction():
            third.execute("select from crm_sync.lanes where integration_id = %s for update", [integration])
            daemon.call("select crm_sync.pause_all('everything')")
            assert spend(house, integration, batch=batch["id"]) == (False, True, True)
    people(house, organization, 1)
    assert house.rows(PAUSED) == []
    assert daemon.try_claim() is None
    assert house.rows("select * from crm_sync.due_lanes()") == []
    assert daemon.call("select crm_sync.heal_pauses()") == 2
    assert [row[:2] for row in house.rows(PAUSED)] == [(integration, "everything"), (stranger, "everything")]
    with connect(database) as third, third.transaction():
        third.execute("select from crm_sync.lanes where integration_id = %s for update", [integration])
        assert daemon.call("select crm_sync.resume_all('everything')") == 1
    assert [row[:2] for row in house.rows(PAUSED)] == [(integration, "everything")]
    assert daemon.call("select crm_sync.heal_pauses()") == 1
    assert house.rows(PAUSED) == []


@pytest.mark.usefixtures("rolled_back")
def test_a_lane_that_was_paused_by_hand_stays_so(house: House, daemon: Daemon, integration: int) -> None:
    house.connection.execute("update crm_sync.lanes set paused_at = now(), paused_by = 'me'")
    assert daemon.call("select crm_sync.heal_pauses()") == 0
    assert house.rows(PAUSED) == [(integration, None, "me", None)]


@pytest.mark.usefixtures("rolled_back")
def test_the_rest_of_a_batch_that_is_under_way_goes_back_unharmed(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 2)
    batch = daemon.claim()
    assert spend(house, integration, batch=batch["id"])[0]
    daemon.call("select crm_sync.pause(%s)", integration)
    assert spend(house, integration, batch=batch["id"]) == (False, True, True)
    daemon.finish(batch, map(released, documents(batch)))
    assert queue(house) == [("pending", 0)] * 2
    assert_books_balance(house)


def test_a_call_that_was_paid_with_its_claim_is_over_when_a_pause_returns(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    people(house, organization, 1)
    daemon.claim()
    daemon.call("select crm_sync.pause(%s)", integration)
    assert house.value("select clock_timestamp() - max(claimed_at) >= interval '0.2 seconds' from crm_sync.batches")


@pytest.mark.usefixtures("rolled_back")
def test_members_pause_what_is_theirs_and_see_what_holds_it(
    house: House, daemon: Daemon, organization: UUID, two: list[int]
) -> None:
    member = house.user(organization)
    stranger = house.user(house.organization("Stranger"))
    for scope, key in (
        ("integration", two[2]),
        ("organization", stranger),
        ("provider", "hubspot"),
        ("everything", None),
    ):
        refused(house, "CS021", PAUSE, scope, None if key is None else str(key), None, user=member)
        refused(house, "CS021", RESUME, scope, None if key is None else str(key), user=member)
    with house.as_role("authenticated", member) as connection:
        assert connection.execute(PAUSE, ["organization", str(organization).upper(), None]).fetchone() == (2,)
        assert connection.execute(PAUSE, ["integration", f" {two[0]}", None]).fetchone() == (1,)
    daemon.call("select crm_sync.pause(%s)", two[2])
    daemon.call(PAUSE, "provider", "salesforce", "their outage")
    for user, seen in ((member, {"organization", "integration", "provider"}), (stranger, {"provider"})):
        with house.as_role("authenticated", user) as connection:
            found = connection.execute("select scope, key from crm_sync.pauses").fetchall()
        assert {scope for scope, _ in found} == seen
        assert ("integration", str(two[2])) not in found


@pytest.mark.usefixtures("rolled_back")
@pytest.mark.parametrize(
    ("scope", "key"),
    [
        (None, None),
        ("tenant", "1"),
        ("everything", "all"),
        ("provider", None),
        ("provider", "hubspott"),
        ("integration", "first"),
        ("organization", "Acme"),
        ("organization", " "),
    ],
)
def test_a_pause_of_nothing_is_refused(house: House, integration: int, scope: str | None, key: str | None) -> None:
    refused(house, "CS055", PAUSE, scope, key, None)
    refused(house, "CS055", RESUME, scope, key)


@pytest.mark.usefixtures("rolled_back")
def test_a_lane_that_was_paused_by_hand_is_resumed(house: House, daemon: Daemon, integration: int) -> None:
    house.connection.execute("update crm_sync.lanes set paused_at = now()")
    assert daemon.call("select crm_sync.resume(%s)", integration) is True
    assert house.rows(PAUSED) == []


@pytest.mark.usefixtures("rolled_back")
def test_pauses_do_not_lie(house: House) -> None:
    for scope, key in (("everything", "x"), ("provider", ""), ("nothing", "")):
        with pytest.raises(psycopg.errors.CheckViolation), house.connection.transaction():
            house.connection.execute(
                "insert into crm_sync.pauses (scope, key, paused_by) values (%s, %s, 'me')", [scope, key]
            )


def test_who_paused_what_is_said_by_names(house: House, organization: UUID, integration: int) -> None:
    member = house.user(organization)
    said = "select description from public.sync_activity_logs order by id desc limit 1"
    reason = "select reason from crm_sync.standstill(%s, %s)"
    with house.as_role("authenticated", member):
        house.connection.execute("select crm_sync.pause_all('organization', %s, 'we move')", [str(organization)])
        assert house.value(reason, organization, integration) == (
            f"the organization is paused by a member ({member}): we move"
        )
    assert house.value(said) == f"Organization Acme: paused by a member ({member}): we move"
    with pytest.raises(psycopg.Error) as refusal, house.connection.transaction():
        house.value("select crm_sync.resume(%s)", integration)
    assert refusal.value.diag.message_primary == (
        f"the connection stays paused: a member ({member}) paused organization Acme: we move"
    )
    house.connection.execute("select crm_sync.pause_all('provider', 'hubspot')")
    assert house.value(said) == "HubSpot: paused by postgres"
    house.connection.execute("select crm_sync.resume_all('provider', 'hubspot')")
    assert house.value(said) == "HubSpot: resumed by postgres; another pause holds it"
    assert house.value("select crm_sync.scope_words('integration', %s)", str(integration)) == (
        f'connection {integration} (HubSpot "default")'
    )
    gone = str(UUID(int=0))
    assert house.value("select crm_sync.scope_words('organization', %s)", gone) == f"organization {gone}"
