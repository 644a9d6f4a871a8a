"""Services that classify replies while everything else goes wrong, each in a thread with a connection of its own.

They reach Postgres directly. Each has contacts that are nobody else's, so what was said of a contact last is no matter
of opinion. What each statement took is measured.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import psycopg

from sandbox.demo.scenario import new_id

NAME = "prove producer"
INTENTS = ("interested", "question", "objection", "not_interested", "out_of_office", "Interested", None)
COMPANIES = ("Northwind", "Bäckerei Grünwald", "O'Reilly & Sons", None)
PHONES = ("+49 30 901820", "+1 415 555 0132")
STATEMENT_SECONDS = 20.0
RECONNECT_SECONDS = 15.0
TRIES = 3
"""Of a transaction whose connection was lost."""


@dataclass
class Person:
    """A contact as its producer knows it; `version` is in the last name, and grows with each change."""

    id: UUID
    organization: UUID
    number: int
    version: int = 0
    messages: list[UUID] = field(default_factory=list)

    @property
    def email(self) -> str:
        return f"p{self.number}@prove.example.com"


@dataclass(frozen=True)
class Trouble:
    """A statement that failed, or took long; times are of `time.monotonic`, `backend` is the server's process."""

    began: float
    ended: float
    statement: str
    error: str | None
    sqlstate: str | None = None
    backend: int | None = None


class _RolledBack(Exception):
    """Nothing of it may ever be seen."""


class Producer:
    """Carries out a number of seeded transactions, `pause` seconds apart on average.

    Attributes:
        acknowledged: classifications whose commit was confirmed.
        voided: last names that were rolled back.
        troubles: statements that failed or took longer than `patience`.
    """

    def __init__(
        self, url: str, seed: str, place: int, organizations: Sequence[UUID], count: int, pause: float, patience: float
    ) -> None:
        self.random = Random(f"{seed} producer {place}")
        self.acknowledged: set[UUID] = set()
        self.voided: set[str] = set()
        self.troubles: list[Trouble] = []
        self.transactions = 0
        self.error: BaseException | None = None
        self.is_done = False
        self._url, self._organizations = url, organizations
        self._count, self._pause, self._patience = count, pause, patience
        self._people: list[Person] = []
        self._numbers = iter(range(1000 * (place + 1), 1000 * (place + 2)))
        self._received = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=5, minutes=place)
        self._stop = threading.Event()
        self._connection: psycopg.Connection | None = None
        self._inserted: list[UUID] = []
        self._heard_at = time.monotonic()
        self._backend: int | None = None
        self._thread = threading.Thread(target=self._work, name=f"producer {place}", daemon=True)
        self._acts: tuple[tuple[int, Callable[[], None]], ...] = (
            (5, self._reply),
            (3, self._reply_of_known),
            (3, self._reclassify),
            (3, self._rename),
            (2, self._move_phone),
            (2, self._many),
            (2, self._copy),
            (2, self._roll_back),
            (2, self._savepoint),
            (1, self._stay_long),
            (1, self._classify_early),
            (1, self._reply_without_address),
        )

    def start(self) -> None:
        self._thread.start()

    @property
    def is_at_work(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()

    def _work(self) -> None:
        try:
            weights, acts = zip(*self._acts, strict=True)
            for act in self.random.choices(acts, weights, k=self._count):
                if self._stop.is_set():
                    break
                for _ in range(TRIES):
                    if self._transact(act):
                        break
                self._stop.wait(self.random.uniform(0, 2 * self._pause))
            self.is_done = True
        except BaseException as error:  # noqa: BLE001 - handed to the thread that asks
            self.error = error
        finally:
            if self._connection is not None:
                self._connection.close()

    def _transact(self, act: Callable[[], None]) -> bool:
        """One transaction, forgotten where it failed; False where it had better try again."""
        known = [(person, person.version, list(person.messages)) for person in self._people]
        self._inserted = []
        try:
            connection = self._connected()
            with connection.transaction():
                act()
                began = time.monotonic()
            self._look_at(began, "commit", None)
            self.acknowledged.update(self._inserted)
        except _RolledBack:
            self.voided.update(
                f"{person.number}v{version}"
                for person, old, _ in known
                for version in range(old + 1, person.version + 1)
            )
            self._forget(known)
        except psycopg.Error as error:
            # a connection that nobody used may have been lost at any time since
            words = f"{error.sqlstate} {str(error).splitlines()[0]}"
            self._look_at(self._heard_at, "transaction", words, error.sqlstate)
            self._forget(known)
            if self._connection is not None and self._connection.closed:
                self._connection = None
                return False
        self.transactions += 1
        return True

    def _forget(self, known: list[tuple[Person, int, list[UUID]]]) -> None:
        """What a transaction that did not come through, or perhaps did, has made; numbers are not used again."""
        self._people = [person for person, _, _ in known]
        for person, _, messages in known:
            person.messages = messages

    def _connected(self) -> psycopg.Connection:
        deadline = time.monotonic() + RECONNECT_SECONDS
        while self._connection is None or self._connection.closed:
            try:
                self._connection = psycopg.connect(self._url, application_name=NAME, connect_timeout=5, autocommit=True)
                self._backend = self._connection.info.backend_pid
                self._connection.execute(f"set statement_timeout = {int(STATEMENT_SECONDS * 1000)}")
            except psycopg.OperationalError as error:
                self._look_at(time.monotonic(), "connect", str(error).splitlines()[0])
                if time.monotonic() > deadline:
                    raise
                self._stop.wait(0.02)
        return self._connection

    def _look_at(self, began: float, statement: str, error: str | None, sqlstate: str | None = None) -> None:
        ended = self._heard_at = time.monotonic()
        if error is not None or ended - began > self._patience:
            words = " ".join(statement.split())[:80]
            self.troubles.append(Trouble(began, ended, words, error, sqlstate, self._backend))

    def _run(self, statement: str, *arguments: object) -> None:
        connection, began = self._connected(), time.monotonic()
        connection.execute(statement.encode(), arguments)
        self._look_at(began, statement, None)

    # -- what there is to insert

    def _new_person(self, email: str | None = "", company: str | None = "") -> Person:
        number = next(self._numbers)
        person = Person(new_id(self.random), self.random.choice(self._organizations), number)
        self._run(
            "insert into public.contacts (id, organization_id, email, first_name, last_name, company, phone) "
            "values (%s, %s, %s, %s, %s, %s, %s)",
            *(person.id, person.organization, person.email if email == "" else email),
            *(f"First{number}", f"{number}v0", self.random.choice(COMPANIES) if company == "" else company),
            self.random.choice(PHONES),
        )
        self._people.append(person)
        return person

    def _any_person(self) -> Person:
        known = [person for person in self._people if person.messages]
        return self.random.choice(known) if known else self._new_person()

    def _new_message(self, person: Person, id_: UUID | None = None) -> UUID:
        message = id_ or new_id(self.random)
        self._received += timedelta(seconds=1)
        number = len(person.messages) + 1
        self._run(
            "insert into public.inbox_messages (id, organization_id, contact_id, subject, body, received_at) "
            "values (%s, %s, %s, %s, %s, %s)",
            *(message, person.organization, person.id, f"Re: hello {message.hex[:12]}"),
            f"body {number} of {person.number}, {message.hex}.",
            self._received,
        )
        person.messages.append(message)
        return message

    def _row(self, message: UUID) -> tuple[object, ...]:
        id_ = new_id(self.random)
        self._inserted.append(id_)
        return (
            *(id_, message, self.random.choice(INTENTS), self.random.choice((None, "urgent", "high", "low"))),
            *(self.random.random() < 0.3, datetime.now(UTC)),
        )

    def _classify(self, *messages: UUID) -> None:
        """All of them in one statement, as a service does that may do nothing else."""
        rows = [self._row(message) for message in messages]
        self._run("set local role crm_sync_producer")
        self._run(
            "insert into public.message_classifications "
            "(id, message_id, intent, priority, requires_human_attention, created_at) values "
            + ", ".join(["(%s, %s, %s, %s, %s, %s)"] * len(rows)),
            *(value for row in rows for value in row),
        )
        self._run("reset role")

    # -- transactions

    def _reply(self) -> None:
        self._classify(self._new_message(self._new_person()))

    def _reply_of_known(self) -> None:
        self._classify(self._new_message(self._any_person()))

    def _reclassify(self) -> None:
        """The same message several times, in one statement and in several."""
        person = self._any_person()
        message = self.random.choice(person.messages or [self._new_message(person)])
        self._classify(*[message] * self.random.randint(1, 3))
        if self.random.random() < 0.5:
            self._classify(message)

    def _rename(self) -> None:
        person = self._any_person()
        person.version += 1
        self._run(
            "update public.contacts set last_name = %s where id = %s", f"{person.number}v{person.version}", person.id
        )
        self._classify(self._new_message(person))

    def _move_phone(self) -> None:
        """There and back again, sooner or later."""
        person = self._any_person()
        self._run("update public.contacts set phone = %s where id = %s", self.random.choice(PHONES), person.id)
        self._classify(self.random.choice(person.messages or [self._new_message(person)]))

    def _many(self) -> None:
        people = [self._new_person() for _ in range(self.random.randint(2, 5))]
        self._classify(*(self._new_message(person) for person in (*people, self._any_person())))

    def _copy(self) -> None:
        people = [self._new_person() for _ in range(self.random.randint(1, 3))]
        people += [self._any_person()]
        rows = [self._row(self._new_message(person)) for person in people]
        began = time.monotonic()
        with (
            self._connected()
            .cursor()
            .copy(
                "copy public.message_classifications "
                "(id, message_id, intent, priority, requires_human_attention, created_at) from stdin"
            ) as copy
        ):
            for row in rows:
                copy.write_row(row)
        self._look_at(began, "copy", None)

    def _roll_back(self) -> None:
        """As if it had never been."""
        if self.random.random() < 0.5:
            self._new_person()
        self._rename()
        self._reply()
        raise _RolledBack

    def _savepoint(self) -> None:
        person = self._any_person()
        kept, messages, people = list(self._inserted), list(person.messages), list(self._people)
        self._run("savepoint here")
        self._classify(self._new_message(person))
        self._classify(self._new_message(self._new_person()))
        self._run("rollback to savepoint here")
        self._inserted, person.messages, self._people = kept, messages, people
        self._run("savepoint there")
        self._classify(self._new_message(person))
        self._run("release savepoint there")

    def _stay_long(self) -> None:
        self._reply()
        self._stop.wait(self.random.uniform(0.2, 0.8))
        self._reply_of_known()

    def _classify_early(self) -> None:
        """Before the message is there; that comes in a transaction of its own, perhaps never."""
        message = new_id(self.random)
        self._classify(message)
        connection = self._connected()
        connection.execute("commit")
        self.acknowledged.update(self._inserted)
        connection.execute("begin")
        person = self._new_person()
        self._new_message(person, message)
        person.messages = []  # when it is taken up is nobody's promise: nothing else is said of this contact

    def _reply_without_address(self) -> None:
        person = self._new_person(self.random.choice((None, "", "not-an-address")))
        self._classify(self._new_message(person))
        person.messages = []
