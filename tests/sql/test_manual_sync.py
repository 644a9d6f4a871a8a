from __future__ import annotations

from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, assert_books_balance, queue

CALL = "select contact_id, integration_id, queue_id is not null, outcome, reason from crm_sync.manual_sync(%s, %s)"


@pytest.fixture
def member(house: House, organization: UUID) -> UUID:
    return house.user(organization)


def test_a_member_syncs_contacts_now_on_every_connection_and_hears_what_became_of_each(
    house: House, daemon: Daemon, organization: UUID, member: UUID
) -> None:
    first, second = house.integration(organization), house.integration(organization, "pipedrive")
    house.integration(organization, "salesforce", status="disconnected")
    fine, mute = house.contact(organization), house.contact(organization, " ")
    stranger = house.contact(house.organization("Other"))
    unknown = uuid4()
    with house.as_role("authenticated", member) as connection:
        answer = connection.execute(CALL, [organization, [fine, mute, stranger, unknown, fine]]).fetchall()
    nobody = "the organization has no such contact"
    assert answer == [
        (fine, first, True, "enqueued", None),
        (fine, second, True, "enqueued", None),
        (mute, first, False, "not enqueued", "the contact has no e-mail address"),
        (mute, second, False, "not enqueued", "the contact has no e-mail address"),
        (stranger, None, False, "not enqueued", nobody),
        (unknown, None, False, "not enqueued", nobody),
    ]
    assert (
        queue(house, "contact_id, queue_type, priority, payload")
        == [(fine, "contact_sync", 2, {"requested_by": str(member)})] * 2
    )
    assert daemon.confirm(daemon.claim(integration=first)) == 1
    assert_books_balance(house)


def test_a_contact_that_waits_already_is_not_enqueued_again(
    house: House, organization: UUID, integration: int, member: UUID
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "x")
    with house.as_role("authenticated", member) as connection:
        answer = connection.execute(CALL, [organization, [contact]]).fetchall()
    assert answer == [(contact, integration, False, "not enqueued", "it is waiting already")]
    assert len(queue(house)) == 1


def test_a_connection_in_error_says_what_is_wrong(house: House, organization: UUID, member: UUID) -> None:
    house.integration(organization, status="error", last_error="the token was revoked")
    contact = house.contact(organization)
    with house.as_role("authenticated", member) as connection:
        ((*_, reason),) = connection.execute(CALL, [organization, [contact]]).fetchall()
    assert reason == "the connection needs a person first: the token was revoked"


def test_without_a_connected_crm_it_says_so(house: House, organization: UUID, member: UUID) -> None:
    contact = house.contact(organization)
    with house.as_role("authenticated", member) as connection:
        answer = connection.execute(CALL, [organization, [contact]]).fetchall()
    assert answer == [(contact, None, False, "not enqueued", "the organization has no connected CRM")]


def test_the_newest_classification_comes_along(
    house: House, daemon: Daemon, organization: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.reply(organization, contact, "question")
    newest = house.reply(organization, contact, "interested")
    house.connection.execute("update public.sync_queue set status = 'skipped', last_error = 'x', completed_at = now()")
    daemon.call("select count(*) from crm_sync.manual_sync(%s, %s)", organization, [contact])
    assert queue(house, "message_id", "status = 'pending'") == [(newest,)]
    assert daemon.claim()["contacts"][0]["echo"]["status"] == "qualified"


def test_no_contacts_are_refused(house: House, daemon: Daemon, organization: UUID) -> None:
    choices: tuple[list[UUID] | None, ...] = ([], None)
    for nothing in choices:
        with pytest.raises(psycopg.Error, match="no contacts were given") as error:
            daemon.call("select * from crm_sync.manual_sync(%s, %s::uuid[])", organization, nothing)
        assert error.value.sqlstate == "CS020"


def test_another_organization_cannot_be_synced(house: House, organization: UUID, member: UUID) -> None:
    other = house.organization("Other")
    house.integration(other)
    contact = house.contact(other)
    for user in (member, uuid4(), None):
        with house.as_role("authenticated", user) as connection, pytest.raises(psycopg.Error) as error:
            connection.execute(CALL, [other, [contact]])
        assert error.value.sqlstate == "CS021"
    for role in ("anon", "crm_sync_producer", "crm_sync_reader"):
        with house.as_role(role, member) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(CALL, [organization, [contact]])
    assert queue(house) == []
