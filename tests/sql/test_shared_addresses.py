"""Contacts of ours that share an e-mail address are one record of the CRM."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

from tests.house import House


def test_a_contact_waits_while_another_with_its_address_is_under_way(house: House) -> None:
    organization = house.organization()
    house.integration(organization)
    first = house.contact(organization, "ada@example.com")
    second = house.contact(organization, " Ada@Example.COM ")
    other = house.contact(organization, "grace@example.com")
    house.reply(organization, first, "interested")
    assert claimed(house) == {first}

    house.reply(organization, second, "question")
    house.reply(organization, other, "question")
    assert claimed(house) == {other}
    assert claimed(house) == set()

    for (batch,) in house.rows("select id from crm_sync.batches order by id"):
        house.value("select crm_sync.release_batch(%s)", batch)
    assert claimed(house) == {first, second, other}


def test_a_contact_under_way_keeps_no_other_organization_waiting(house: House) -> None:
    organizations = [house.organization(name) for name in ("One", "Two")]
    contacts = set()
    for organization in organizations:
        house.integration(organization)
        contact = house.contact(organization, "ada@example.com")
        house.reply(organization, contact)
        contacts.add(contact)
    assert claimed(house) | claimed(house) == contacts


def claimed(house: House) -> set[UUID]:
    """Contacts of the batch that a daemon gets now."""
    house.connection.execute("update crm_sync.lanes set look_behind_at = '-infinity'")
    batch = house.value("select batch from crm_sync.claim_batch(%s)", uuid4())
    document = json.loads(batch) if isinstance(batch, str) else batch
    return {UUID(each["contact_id"]) for each in document["contacts"]} if document else set()
