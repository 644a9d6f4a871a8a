"""A connection in error goes on with the credentials it has, when somebody says so."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.house import House

pytestmark = pytest.mark.usefixtures("rolled_back")


@pytest.fixture
def parked(house: House, integration: int) -> int:
    house.connection.execute(
        "update public.user_integrations set status = 'error', last_error = 'a right is missing' where id = %s",
        [integration],
    )
    house.connection.execute(
        "update crm_sync.lanes set parked_until = 'infinity', parked_kind = 'unauthorized' where integration_id = %s",
        [integration],
    )
    return integration


def test_a_member_lets_it_go_on_and_the_log_says_who(house: House, organization: UUID, parked: int) -> None:
    user = house.user(organization)
    with house.as_role("authenticated", user):
        assert house.value("select crm_sync.try_again(%s)", parked) is True
        assert house.value("select crm_sync.try_again(%s)", parked) is False
    assert house.rows("select status, last_error from public.user_integrations") == [("connected", None)]
    assert house.value("select parked_kind from crm_sync.lanes") is None
    assert str(user) in house.value("select description from public.sync_activity_logs where title = 'Tried again'")


def test_it_does_not_go_on_with_another_account(house: House, parked: int) -> None:
    house.connection.execute("update crm_sync.lanes set other_account = %s", [Jsonb({"id": "2"})])
    with pytest.raises(psycopg.Error, match="another account") as refusal, house.connection.transaction():
        house.value("select crm_sync.try_again(%s)", parked)
    assert refusal.value.sqlstate == "CS020"


def test_what_has_no_credentials_does_not_go_on(house: House, integration: int) -> None:
    house.value("select crm_sync.disconnect(%s)", integration)
    assert house.value("select crm_sync.try_again(%s)", integration) is False


def test_a_stranger_cannot(house: House, parked: int) -> None:
    stranger = house.user(house.organization("Evil"), "eve@example.com")
    with (
        house.as_role("authenticated", stranger),
        pytest.raises(psycopg.Error) as refusal,
        house.connection.transaction(),
    ):
        house.value("select crm_sync.try_again(%s)", parked)
    assert refusal.value.sqlstate == "CS021"
