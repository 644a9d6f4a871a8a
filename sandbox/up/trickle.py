"""New replies, a few at a time, for as long as somebody watches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from random import Random
from uuid import UUID

import psycopg

from sandbox.demo.people import Contact, people_of
from sandbox.demo.producer import INSERT
from sandbox.demo.scenario import Message, Scenario, any_meaning, classified, new_id, text_of

NEWCOMERS = 0.6
"""Share of the replies that come from contacts who have not answered before."""


class Trickle:
    """Writes what the host application writes, each part as who does it there: messages, then what they mean.

    `owner` and `producer` are connections that commit by themselves.
    """

    def __init__(
        self, owner: psycopg.Connection, producer: psycopg.Connection, scenario: Scenario, random: Random
    ) -> None:
        self._owner = owner
        self._producer = producer
        self._random = random
        self._organizations: Sequence[UUID] = list(scenario.organizations)
        self._contacts = {
            each: [contact for contact in scenario.contacts if contact.organization_id == each]
            for each in self._organizations
        }
        self._number = len(scenario.contacts)
        self.replies = 0

    def drip(self, replies: int) -> None:
        """So many more; the first organization, which has something to watch, gets every other one."""
        for place in range(replies):
            organization = self._organizations[0] if place % 2 == 0 else self._random.choice(self._organizations)
            self._reply(self._contact(organization))
            self.replies += 1

    def _contact(self, organization: UUID) -> Contact:
        known = self._contacts[organization]
        if known and self._random.random() > NEWCOMERS:
            return self._random.choice(known)
        self._number += 1
        (contact,) = people_of(self._random, organization, 1, self._number)
        self._owner.execute(
            "insert into contacts (id, organization_id, email, first_name, last_name, company, phone) values "
            "(%(id)s, %(organization_id)s, %(email)s, %(first_name)s, %(last_name)s, %(company)s, %(phone)s)",
            asdict(contact),
        )
        known.append(contact)
        return contact

    def _reply(self, contact: Contact) -> None:
        meaning = any_meaning(self._random)
        subject, body = text_of(self._random, meaning, contact)
        message = Message(new_id(self._random), contact.organization_id, contact.id, subject, body, datetime.now(UTC))
        self._owner.execute(
            "insert into inbox_messages (id, organization_id, contact_id, subject, body, received_at) values "
            "(%(id)s, %(organization_id)s, %(contact_id)s, %(subject)s, %(body)s, %(received_at)s)",
            asdict(message),
        )
        self._producer.execute(INSERT, asdict(classified(self._random, message.id, meaning)))
