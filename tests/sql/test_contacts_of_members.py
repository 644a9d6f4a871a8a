"""What members are told of their contacts: who is found, where they stand, what happened; and the pulse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.house import House
from tests.sql.daemon import Daemon, documents, failed, synced

pytestmark = pytest.mark.usefixtures("rolled_back")


@pytest.fixture
def member(house: House, organization: UUID) -> UUID:
    return house.user(organization)


@contextmanager
def asking(house: House, user: UUID) -> Iterator[None]:
    with house.as_role("authenticated", user):
        yield


def found(house: House, user: UUID, text: str | None = None, state: str | None = None) -> list[UUID]:
    with asking(house, user):
        rows = house.rows("select contact_id from crm_sync.find_contacts(%s, %s)", text, state)
    return [row[0] for row in rows]


def standing(house: House, user: UUID, contact: UUID) -> dict[int, tuple[Any, ...]]:
    with asking(house, user):
        rows = house.rows(
            "select integration_id, state, reason, external_contact_id from crm_sync.contact_standing(%s)", [contact]
        )
    return {row[0]: row[1:] for row in rows}


def test_contacts_are_found_by_parts_of_address_name_and_company(
    house: House, organization: UUID, member: UUID
) -> None:
    ada = house.contact(organization, "ada@example.com", first_name="Ada", last_name="Lovelace", company="Engines")
    grace = house.contact(organization, "grace@example.org", first_name="Grace", last_name="Hopper", company=None)
    for text in ("ada@EXAMPLE.com", "lovel", "engines", "ada lovelace", "Lovelace  Ada", "engines ada@"):
        assert found(house, member, text) == [ada], text
    assert set(found(house, member, "example")) == {ada, grace}
    assert found(house, member, "ada hopper") == []


@pytest.mark.parametrize("text", ["%", "_", "\\", "%%%", "' or true --", "a" * 5000, "a b c d e f g h i j"])
def test_what_is_special_to_the_database_is_a_letter_like_others(
    house: House, organization: UUID, member: UUID, text: str
) -> None:
    house.contact(organization, "ada@example.com")
    assert found(house, member, text) == []


def test_a_percent_sign_is_found(house: House, organization: UUID, member: UUID) -> None:
    odd = house.contact(organization, "a@example.com", company="100 % Fun_ltd \\o/")
    house.contact(organization, "b@example.com", company="100 Fun")
    for text in ("0 %", "fun_", "\\o"):
        assert found(house, member, text) == [odd], text


def test_without_words_come_those_that_something_happened_to_last(
    house: House, daemon: Daemon, organization: UUID, member: UUID, integration: int
) -> None:
    first, second, third = (house.contact(organization, f"c{n}@example.com") for n in range(3))
    house.contact(organization, "silent@example.com")
    for contact in (first, second, third, first):
        house.reply(organization, contact, "x")
    assert found(house, member) == [first, third, second]
    batch = daemon.claim(integration=integration)
    by_contact = {UUID(document["contact_id"]): document for document in documents(batch)}
    daemon.finish(
        batch,
        [synced(by_contact[first]), failed(by_contact[second], "rejected"), failed(by_contact[third], "contended")],
    )
    house.connection.execute("delete from public.sync_queue where queue_type <> 'contact_sync'")
    assert found(house, member, state="failed") == [second]
    assert found(house, member, state="synced") == [first]
    assert found(house, member, state="waiting") == [third]
    assert found(house, member, state="nonsense") == []


def test_nobody_finds_or_opens_the_contacts_of_others(house: House, organization: UUID, integration: int) -> None:
    contact = house.contact(organization, "ada@example.com", first_name="Ada")
    house.reply(organization, contact, "x")
    for user in (house.user(house.organization("Other")), uuid4()):
        assert found(house, user) == found(house, user, "ada") == found(house, user, None, "waiting") == []
        assert standing(house, user, contact) == {}
        with asking(house, user):
            assert house.rows("select * from crm_sync.contact_timeline(%s)", contact) == []
            assert house.rows("select * from crm_sync.contacts_by_id(%s)", [contact]) == []
            assert house.rows("select * from crm_sync.contact_rights(%s)", contact) == []
    assert integration


def test_a_dba_is_told_of_everybodys_contacts(house: House, organization: UUID, integration: int) -> None:
    contact = house.contact(organization)
    message = house.reply(organization, contact, "x")
    with house.as_role("crm_sync_reader"):
        assert house.rows("select integration_id, state from crm_sync.contact_standing(%s)", [contact]) == [
            (integration, "waiting")
        ]
        timeline = house.rows("select kind, message_id from crm_sync.contact_timeline(%s)", contact)
        # a DBA looks, and manages nobody
        assert house.rows("select * from crm_sync.contact_rights(%s)", contact) == [(organization, False)]
    assert {kind for kind, _ in timeline} == {"message", "classification", "queue"}
    assert {each for _, each in timeline} == {message}


def test_a_member_may_manage_who_is_gone_as_well_as_long_as_anything_tells_whose_it_was(
    house: House, daemon: Daemon, organization: UUID, integration: int, member: UUID
) -> None:
    contact, unknown = house.contact(organization), house.contact(organization)
    house.reply(organization, contact, "x")
    daemon.confirm(daemon.claim(integration=integration))
    house.connection.execute("delete from public.contacts")
    with asking(house, member):
        assert house.rows("select * from crm_sync.contact_rights(%s)", contact) == [(organization, True)]
        assert house.rows("select * from crm_sync.contact_rights(%s)", unknown) == []
    with house.as_role("crm_sync_daemon"):
        assert house.rows("select * from crm_sync.contact_rights(%s)", contact) == [(organization, True)]


def test_each_state_says_why(house: House, daemon: Daemon, organization: UUID, member: UUID) -> None:
    hubspot = house.integration(organization)
    hourly = house.integration(organization, "pipedrive", sync_frequency="hourly")
    picky = house.integration(
        organization, "salesforce", sync_filters={"all": [{"field": "intent", "op": "=", "value": "interested"}]}
    )
    contact, mute = house.contact(organization), house.contact(organization, None)
    assert {row[1] for row in standing(house, member, contact).values()} == {
        "no reply of this contact has been classified"
    }
    assert {row[1] for row in standing(house, member, mute).values()} == {
        "the contact has no e-mail address, by which a CRM would know it"
    }
    house.reply(organization, contact, "x")
    assert standing(house, member, contact)[hubspot][:2] == ("waiting", "no daemon is running")
    daemon.be_alive()
    now = standing(house, member, contact)
    assert now[hubspot][:2] == ("waiting", None)
    assert now[hourly][:2] == ("waiting", "this connection works hourly")
    assert now[picky][:2] == ("skipped", 'filtered out: not intent = "interested"')
    batch = daemon.claim(integration=hubspot)
    assert standing(house, member, contact)[hubspot][0] == "running"
    daemon.fail(batch, "rejected", "the CRM says no")
    assert standing(house, member, contact)[hubspot][:2] == ("failed", "the CRM says no")
    daemon.call("select crm_sync.retry_failed(%s)", hubspot)
    assert standing(house, member, contact)[hubspot][0] == "retrying"
    daemon.call("select crm_sync.pause(%s)", hubspot)
    state, reason, _ = standing(house, member, contact)[hubspot]
    assert (state, reason.partition(" by ")[0]) == ("retrying", "the connection is paused")
    daemon.call("select crm_sync.resume(%s)", hubspot)
    daemon.finish(batch := daemon.claim(integration=hubspot), [synced(d, "77") for d in documents(batch)])
    house.connection.execute("delete from public.sync_queue where queue_type <> 'contact_sync'")
    assert standing(house, member, contact)[hubspot] == ("synced", None, "77")


def test_the_timeline_tells_replies_what_they_were_taken_for_what_waits_and_what_was_answered(
    house: House, daemon: Daemon, organization: UUID, member: UUID, integration: int
) -> None:
    contact = house.contact(organization)
    house.connection.execute("select 1")
    house.integration(
        organization, "salesforce", sync_filters={"all": [{"field": "intent", "op": "=", "value": "other"}]}
    )
    house.reply(organization, contact, "not_interested")
    batch = daemon.claim(integration=integration)
    daemon.fail(batch, "rejected", "the CRM says no", code="ODD")
    house.reply(organization, contact, "interested")
    with asking(house, member):
        rows = house.rows("select kind, status, title, detail from crm_sync.contact_timeline(%s)", contact)
    kinds = [row[0] for row in rows]
    assert sorted(kinds) == ["classification"] * 2 + ["log"] + ["message"] * 2 + ["queue"] * 3
    assert ("log", "error", "Contact failed", "the CRM says no") in rows
    assert ("queue", "info", "The contact waits to be sent", None) in rows
    assert ("queue", "warning", "The contact was not sent", 'filtered out: not intent = "other"') in rows
    assert ("message", "info", "Reply received: Re: hello", "Hi!") in rows
    assert "Classified as not interested" in [row[2] for row in rows]


def pulse(house: House, user: UUID) -> str | None:
    with asking(house, user):
        text: str | None = house.value("select crm_sync.pulse()")
    return text


def test_the_pulse_changes_with_everything_that_happens_and_with_nothing_else(
    house: House, daemon: Daemon, organization: UUID, member: UUID
) -> None:
    seen = [pulse(house, member)]
    assert seen[0] is not None

    def changed() -> bool:
        seen.append(pulse(house, member))
        return seen[-1] not in seen[:-1]

    assert not changed()
    integration = house.integration(organization)
    assert changed()
    contact = house.contact(organization)
    house.reply(organization, contact, "x")
    assert changed()
    batch = daemon.claim()
    daemon.confirm(batch)
    assert changed()
    daemon.call("select crm_sync.pause(%s)", integration)
    assert changed()
    other = house.organization("Other")
    house.integration(other)
    house.reply(other, house.contact(other), "x")
    assert pulse(house, member) == seen[-1]


def test_who_is_a_member_of_nothing_has_no_pulse(house: House) -> None:
    assert pulse(house, uuid4()) is None
