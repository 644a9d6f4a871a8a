"""What happens in the demo: organizations, their contacts, the replies they got and what a classifier says of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

from sandbox.demo.people import Contact, people_of
from sandbox.demo.texts import BODIES, DAYS, INTENTS, ORGANIZATIONS, OTHER_PRIORITIES, PRIORITIES, SUBJECTS

REPLIES_PER_CONTACT = 2.2
HISTORY = timedelta(days=2)
LONG_BODY = 30_000


@dataclass(frozen=True)
class Message:
    """A row of `inbox_messages`."""

    id: UUID
    organization_id: UUID
    contact_id: UUID | None
    subject: str | None
    body: str | None
    received_at: datetime


@dataclass(frozen=True)
class Classification:
    """A row that the producer inserts into `message_classifications`."""

    id: UUID
    message_id: UUID
    intent: str | None
    sentiment: str | None
    priority: str | None
    requires_human_attention: bool
    next_action: str | None
    confidence: float | None


@dataclass(frozen=True)
class Scenario:
    """Everything that is inserted; `classifications` in the order in which the producer does it."""

    organizations: dict[UUID, str]
    contacts: list[Contact]
    messages: list[Message]
    classifications: list[Classification]


def make_scenario(replies: int, organizations: int, seed: int, now: datetime) -> Scenario:
    """The same for the same arguments; `now` is when the newest reply came in."""
    random = Random(seed)
    names = {new_id(random): _organization_name(number) for number in range(organizations)}
    contacts: list[Contact] = []
    wanted: list[Contact] = []
    for organization_id, share in zip(names, _shares(replies, organizations), strict=True):
        people = people_of(random, organization_id, max(1, round(share / REPLIES_PER_CONTACT)), len(contacts))
        contacts += people
        # everybody answers once, some again and again
        wanted += [*people, *random.choices(people, weights=_zipf(len(people), 0.7), k=share - len(people))]
    random.shuffle(wanted)
    messages = _messages(random, wanted, now)
    return Scenario(names, contacts, [message for message, _ in messages], _classifications(random, messages))


def _messages(random: Random, wanted: list[Contact], now: datetime) -> list[tuple[Message, str]]:
    """The messages, oldest first, each with what it means; every one came in at a moment of its own."""
    step = HISTORY / (len(wanted) + 1)
    start = (now - HISTORY).replace(microsecond=0)
    messages: list[tuple[Message, str]] = []
    for place, contact in enumerate(wanted):
        meaning = any_meaning(random)
        received_at = start + step * place
        subject, body = text_of(random, meaning, contact)
        if place % 151 == 50:
            body = (body + "\n> quoted again and again" * 2_000)[:LONG_BODY]
        message = Message(
            id=new_id(random),
            organization_id=contact.organization_id,
            contact_id=None if place % 97 == 31 else contact.id,
            subject=None if place % 61 == 17 else subject,
            body=None if place % 89 == 40 else body,
            received_at=received_at.replace(microsecond=received_at.microsecond // 1000 * 1000),
        )
        messages.append((message, meaning))
    return messages


def any_meaning(random: Random) -> str:
    """What a reply means, as often as replies mean it."""
    return random.choices(list(INTENTS), weights=[entry[0] for entry in INTENTS.values()])[0]


def text_of(random: Random, meaning: str, contact: Contact) -> tuple[str, str]:
    """Subject and body of a reply that means this."""
    words = {
        "name": (contact.first_name or "").strip() or "Best regards",
        "company": (contact.company or "").strip() or "our company",
        "day": random.choice(DAYS),
    }
    return random.choice(SUBJECTS[meaning]).format(**words), random.choice(BODIES[meaning]).format(**words)


def _classifications(random: Random, messages: list[tuple[Message, str]]) -> list[Classification]:
    """One for each message, but a few messages are classified again later, and one that is not there is."""
    classifications: list[Classification] = []
    for place, (message, meaning) in enumerate(messages):
        if place % 50 == 49:
            earlier, _ = random.choice(messages[:place])
            classifications.append(classified(random, earlier.id, random.choice(list(INTENTS))))
        elif place % 500 == 7:
            classifications.append(classified(random, new_id(random), meaning))
        classifications.append(classified(random, message.id, meaning))
    # as many as were asked for: the last replies wait for a classifier that has not come to them yet
    return classifications[: len(messages)]


def classified(random: Random, message_id: UUID, meaning: str) -> Classification:
    """What a classifier says of a message that means this."""
    _, words, sentiments, next_action = INTENTS[meaning]
    return Classification(
        id=new_id(random),
        message_id=message_id,
        intent=random.choice(words),
        sentiment=random.choice(sentiments),
        priority=random.choice(PRIORITIES.get(meaning, OTHER_PRIORITIES)),
        requires_human_attention=meaning in ("objection", "unclear") and random.random() < 0.5,
        next_action=next_action,
        confidence=None if meaning == "unclear" else round(random.uniform(0.55, 0.99), 2),
    )


def _shares(replies: int, organizations: int) -> list[int]:
    """How many replies each organization has: one big, several tiny, each at least one."""
    weights = _zipf(organizations, 0.8)
    for tiny in range(max(1, organizations - 4), organizations):
        weights[tiny] = min(weights) / 10
    spare = replies - organizations
    shares = [1 + int(spare * weight / sum(weights)) for weight in weights]
    shares[0] += replies - sum(shares)
    return shares


def _zipf(number: int, exponent: float) -> list[float]:
    return [1 / (place + 1) ** exponent for place in range(number)]


def _organization_name(number: int) -> str:
    return ORGANIZATIONS[number] if number < len(ORGANIZATIONS) else f"Solo Consulting {number - 17}"


def new_id(random: Random) -> UUID:
    return UUID(bytes=hashlib.blake2b(random.randbytes(16), digest_size=16).digest(), version=4)
