"""A physical read replica answers every question with its primary's numbers: nothing that answers writes or locks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from docs.questions import questions
from sandbox.postgres import EmbeddedPostgres, NoPostgresError, embedded
from sql.migrate import migrate
from tests.house import House, eventually
from tests.replica import replica_of
from tests.sql.daemon import Daemon, connect, failed, people, synced
from tests.sql.test_tallies import MANY, fill, tally

SAME = {
    "status": "integration_id, state, waiting, running, retrying, failed, skipped, last_success, last_error",
    "failures": "integration_id, kind, code, field, message, meaning, count, retrying, first_at, last_at, is_rest",
    "accounting": "*",
    "contact_status": "contact_id, integration_id, state, external_contact_id, last_error",
    "workers": "id, host, batches",
    "throughput": "*",
    "lag": "*",
    "oldest_unsent": "integration_id, queue_id, oldest_at, reason",
    "budget_use": "integration_id, limit_name, allowed, unit, waits",
    "sizes": "object, kind, parts",
    "counters": "*",
}
"""What of each view is the same at any moment."""


def furnish(house: House) -> None:
    """Something of everything: rows in every state, a tally, samples, a daemon, budgets."""
    daemon = Daemon(house)
    organization = house.organization()
    integration = house.integration(organization)
    daemon.be_alive()
    people(house, organization, 12)
    batch = daemon.claim(limit=8)
    contacts = batch["contacts"]
    answers = [failed(each, "contended", "locked", code="BUSY", field="id") for each in contacts[:3]]
    daemon.finish(batch, [*answers, *map(synced, contacts[3:])])
    daemon.claim(limit=2)
    large = house.organization("Large")
    fill(house, large, house.integration(large, "salesforce"), MANY, MANY, MANY)
    tally(house)
    daemon.call("select crm_sync.take_samples()")
    daemon.call("select crm_sync.spend_budget(%s, '{\"core\": 3}')", integration)


@pytest.fixture
def primary() -> Iterator[EmbeddedPostgres]:
    """One of this test's own: a copy of the session's would hold all its databases."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(embedded(fast=True))
        except NoPostgresError as error:
            pytest.skip(str(error))
        yield running


def test_a_physical_replica_answers_every_question_with_the_same_numbers(primary: EmbeddedPostgres) -> None:
    migrate(primary.url)
    with (
        connect(primary.url) as connection,
        replica_of(primary) as standby,
        psycopg.connect(standby.url, autocommit=True) as replica,
    ):
        furnish(House(connection))
        assert replica.execute("select pg_is_in_recovery()").fetchone() == (True,)
        written = connection.execute("select pg_current_wal_insert_lsn()").fetchone()
        assert written is not None
        replayed = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
        eventually(lambda: replica.execute(replayed, written).fetchone() == (True,), "what was written is replayed")
        given = _given(replica)
        for session in (connection, replica):
            session.execute("set role crm_sync_reader")
        for view, columns in SAME.items():
            query = f"select {columns} from crm_sync.{view} as v order by v::text".encode()
            assert replica.execute(query).fetchall() == connection.execute(query).fetchall(), view
        assert replica.execute("select sum(waiting), sum(failed) from crm_sync.status").fetchone() == (
            MANY + 2 + 5,  # five contacts have arrived: what follows waits
            MANY,
        )
        for question in questions():
            found = replica.execute(question.statement.encode(), given if question.parameters else None)
            assert found.description, question.title


def _given(session: psycopg.Connection) -> dict[str, Any]:
    """One of the messages that there are, and what else the questions ask about."""
    found = session.execute(
        "select i.id as integration_id, i.organization_id, now() as at, now() - interval '1 hour' as since, "
        "m.contact_id, m.id as message_id from public.inbox_messages as m "
        "join public.user_integrations as i on i.organization_id = m.organization_id order by m.id limit 1"
    )
    assert found.description is not None
    row = found.fetchone()
    assert row is not None
    return dict(zip((column.name for column in found.description), row, strict=True))
