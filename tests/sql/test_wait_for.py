"""A barrier for tests and services: until everything of a message has come to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from tests.house import House
from tests.sql.daemon import Daemon, connect


def wait_for(house: House, message: UUID | None, timeout: str | None = "0 s", user: UUID | None = None) -> bool:
    with house.as_role("authenticated" if user else "crm_sync_reader", user) as connection, connection.transaction():
        row = connection.execute("select crm_sync.wait_for(%s, %s)", [message, timeout]).fetchone()
    assert row is not None
    return bool(row[0])


@contextmanager
def meanwhile(work: Callable[[], Any]) -> Iterator[None]:
    """Do it in a thread, a moment after the wait has begun."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    timer = threading.Timer(0.2, run)
    timer.start()
    yield
    timer.join(30)
    assert failures == []


def test_it_returns_when_the_last_of_the_follow_ups_has_ended(
    house: House, daemon: Daemon, organization: UUID, integration: int, database: str
) -> None:
    message = house.reply(organization, house.contact(organization), "interested", attention=True)
    assert wait_for(house, message) is False
    daemon.confirm(daemon.claim())
    batch = daemon.claim()
    assert [len(batch[kind]) for kind in ("deals", "activities", "tasks")] == [1, 1, 1]
    assert wait_for(house, message, "100 ms") is False
    with connect(database) as other:
        elsewhere = Daemon(House(other))
        elsewhere.id = daemon.id
        with meanwhile(lambda: elsewhere.confirm(batch)):
            started = time.monotonic()
            assert wait_for(house, message, "60 s") is True
    assert 0.15 < time.monotonic() - started < 30
    assert wait_for(house, message) is True
    assert integration


@pytest.mark.usefixtures("rolled_back")
class TestWithoutWaiting:
    """What is answered at once."""

    def test_failed_and_skipped_are_ends_as_well(
        self, house: House, daemon: Daemon, organization: UUID, integration: int
    ) -> None:
        failing = house.reply(organization, house.contact(organization), "x")
        daemon.fail(daemon.claim(), "rejected")
        nameless = house.reply(organization, house.contact(organization, None), "x")
        with pytest.raises(psycopg.Error, match="by this very transaction"):
            wait_for(house, nameless)
        daemon.work()
        assert [wait_for(house, each) for each in (failing, nameless)] == [True, True]
        assert integration

    def test_a_message_that_nobody_knows_is_refused_and_one_of_others_too(
        self, house: House, organization: UUID
    ) -> None:
        message = house.reply(organization, house.contact(organization), "x")
        stranger = house.user(house.organization("Other"))
        for asked, user in ((uuid4(), None), (message, stranger), (uuid4(), stranger), (None, None)):
            with pytest.raises(psycopg.Error, match="nobody knows the message") as refused:
                wait_for(house, asked, user=user)
            assert refused.value.sqlstate == "CS040"

    def test_what_has_not_been_classified_or_waits_for_its_message_has_not_ended(
        self, house: House, organization: UUID
    ) -> None:
        assert wait_for(house, house.message(organization, house.contact(organization))) is False
        orphan = uuid4()
        house.classify(orphan, "x")
        assert wait_for(house, orphan) is False

    @pytest.mark.parametrize("timeout", ["-1 s", None, "1 hour 1 second", "10 years"])
    def test_a_timeout_that_makes_no_sense_is_refused(
        self, house: House, organization: UUID, timeout: str | None
    ) -> None:
        message = house.reply(organization, house.contact(organization), "x")
        with pytest.raises(psycopg.Error, match="makes no sense") as refused:
            wait_for(house, message, timeout)
        assert refused.value.sqlstate == "CS042"
        assert "from zero to an hour" in (refused.value.diag.message_hint or "")


def test_a_transaction_that_sees_no_change_is_refused(
    house: House, organization: UUID, integration: int, database: str
) -> None:
    message = house.reply(organization, house.contact(organization), "x")
    with connect(database) as other:
        other.autocommit = False
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.Error, match="sees no change that others make") as refused:
            other.execute("select crm_sync.wait_for(%s)", [message])
        other.rollback()
    assert refused.value.sqlstate == "CS041"
    with connect(database) as other:
        other.autocommit = False
        own = House(other)
        enqueued = own.reply(organization, own.contact(organization, "b@example.com"), "x")
        with pytest.raises(psycopg.Error, match="by this very transaction") as refused:
            own.value("select crm_sync.wait_for(%s)", enqueued)
        other.rollback()
    assert refused.value.sqlstate == "CS041"
    assert integration


def test_it_can_be_cancelled_and_timed_out_and_locks_nothing(
    house: House, daemon: Daemon, organization: UUID, integration: int, database: str
) -> None:
    message = house.reply(organization, house.contact(organization), "x")
    with connect(database) as other:
        other.execute("set statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            other.execute("select crm_sync.wait_for(%s, '20 s')", [message])
        other.execute("reset statement_timeout")
        other.autocommit = False
        waiting = other.execute("select pg_backend_pid()").fetchone()
        assert waiting is not None
        locks: list[tuple[Any, ...]] = []

        def look_and_work() -> None:
            with connect(database) as third:
                locks.extend(
                    third.execute(
                        "select mode, relation::regclass::text from pg_locks "
                        "where pid = %s and mode <> 'AccessShareLock' and locktype <> 'virtualxid'",
                        [waiting[0]],
                    ).fetchall()
                )
                elsewhere = Daemon(House(third))
                elsewhere.work()

        with meanwhile(look_and_work):
            row = other.execute("select crm_sync.wait_for(%s, '60 s')", [message]).fetchone()
        assert row == (True,)
    assert locks == []
    assert integration
    assert daemon
