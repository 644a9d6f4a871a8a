"""A daemon without a network: it claims as the daemon's role, and answers what a test wants the CRM to have said."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID, uuid4

import psycopg

from tests.house import KEY, House

Document = dict[str, Any]
Outcome = dict[str, Any]
Batch = dict[str, Any]
STATE = "status, attempts, uncertain, last_error, next_attempt_at is not null, completed_at is not null"
KINDS = ("contacts", "deals", "activities", "tasks")


def documents(batch: Batch) -> list[Document]:
    return [document for kind in KINDS for document in batch[kind]]


def synced(document: Document, external_id: str | None = None, **more: Any) -> Outcome:
    """The CRM has it; by default under an id made from our key or contact."""
    company = document.get("company")
    return {
        "rows": document["rows"],
        "echo": document.get("echo", {}),
        "status": "synced",
        "external_id": external_id or "crm-" + str(document.get("key") or document["contact_id"]),
        "company_external_id": "crm-" + company["key"] if company else None,
        "created": True,
        "duration_ms": 12,
        **more,
    }


def failed(document: Document, kind: str, message: str = "no", uncertain: bool = False, **failure: Any) -> Outcome:
    return {
        "rows": document["rows"],
        "echo": document.get("echo", {}),
        "status": "failed",
        "uncertain": uncertain,
        "failure": {"kind": kind, "message": message, **failure},
    }


def released(document: Document, uncertain: bool = False) -> Outcome:
    return {"rows": document["rows"], "echo": {}, "status": "released", "uncertain": uncertain}


class Daemon:
    """One worker id on one connection; every call is made as `crm_sync_daemon`."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.id: UUID = uuid4()

    def be_alive(self) -> None:
        """Give a sign of life, as one that has registered itself does every few seconds."""
        self.house.connection.execute(
            "insert into crm_sync.daemons (id, host, pid, version) values (%s, 'here', 1, '1') "
            "on conflict (id) do update set last_seen_at = clock_timestamp()",
            [self.id],
        )

    def call(self, query: str, *arguments: Any) -> Any:
        with self.house.as_role("crm_sync_daemon") as connection:
            row = connection.execute(query.encode(), arguments).fetchone()
        return None if row is None else row[0]

    def answer(
        self, limit: int = 100, integrations: list[int] | None = None, lease: str = "60 seconds"
    ) -> tuple[Batch | None, list[int], Any]:
        """The whole answer to a claim: batch, other due integrations, time of the next work."""
        with self.house.as_role("crm_sync_daemon") as connection:
            row = connection.execute(
                "select batch, due, next_due_at from crm_sync.claim_batch(%s, %s, %s, %s::interval)",
                [self.id, limit, integrations, lease],
            ).fetchone()
        assert row is not None
        return row

    def try_claim(self, limit: int = 100, integration: int | None = None, lease: str = "60 seconds") -> Batch | None:
        return self.answer(limit, None if integration is None else [integration], lease)[0]

    def claim(self, limit: int = 100, integration: int | None = None, lease: str = "60 seconds") -> Batch:
        batch = self.try_claim(limit, integration, lease)
        assert batch is not None, "there was nothing to claim"
        return batch

    def finish(self, batch: Batch, outcomes: Iterable[Outcome]) -> int:
        count: int = self.call("select crm_sync.finish_batch(%s, %s)", batch["id"], json.dumps(list(outcomes)))
        return count

    def confirm(self, batch: Batch) -> int:
        return self.finish(batch, map(synced, documents(batch)))

    def fail(self, batch: Batch, kind: str, message: str = "no", uncertain: bool = False, **failure: Any) -> int:
        return self.finish(batch, [failed(d, kind, message, uncertain, **failure) for d in documents(batch)])

    def work(self) -> list[Batch]:
        """Claim and confirm until nothing is left; returns the batches."""
        batches: list[Batch] = []
        while (batch := self.try_claim()) is not None:
            self.confirm(batch)
            batches.append(batch)
        return batches


def connect(database: str) -> psycopg.Connection:
    """One more session that knows the key, as a superuser, in autocommit."""
    connection = psycopg.connect(database, autocommit=True)
    connection.execute("select set_config('crm_sync.encryption_key', %s, false)", [KEY])
    return connection


def elapse(house: House, what: str = "60 seconds") -> None:
    """Let so much time pass for the queue, the lanes and the leases: time is moved by moving rows."""
    house.connection.execute(
        "update public.sync_queue set created_at = created_at - %(d)s::interval, "
        "scheduled_at = scheduled_at - %(d)s::interval, next_attempt_at = next_attempt_at - %(d)s::interval, "
        "stumbled_at = stumbled_at - %(d)s::interval, completed_at = completed_at - %(d)s::interval",
        {"d": what},
    )
    house.connection.execute(
        "update crm_sync.lanes set parked_until = parked_until - %(d)s::interval, "
        "look_behind_at = look_behind_at - %(d)s::interval, last_success_at = last_success_at - %(d)s::interval, "
        "last_failure_at = last_failure_at - %(d)s::interval, last_claimed_at = last_claimed_at - %(d)s::interval",
        {"d": what},
    )
    house.connection.execute("update crm_sync.batches set lease_until = lease_until - %s::interval", [what])


def queue(house: House, columns: str = "status, attempts", where: str = "true") -> list[tuple[Any, ...]]:
    """Columns of the queue, in its order."""
    query = f"select {columns} from public.sync_queue where {where} order by id"
    return house.connection.execute(query.encode()).fetchall()


def assert_books_balance(house: House) -> None:
    """In no state may work be lost or counted twice."""
    assert house.rows("select * from crm_sync.accounting where difference <> 0") == []


def people(house: House, organization: UUID, count: int) -> list[UUID]:
    """So many contacts, each of whom has replied once."""
    contacts = [house.contact(organization, f"c{n}@example.com") for n in range(count)]
    for contact in contacts:
        house.reply(organization, contact, "x")
    return contacts


def wait_for_lanes_without_end(house: House) -> None:
    """In this test's database: a tenth of a second is not enough to see on a busy machine that somebody waits."""
    house.connection.execute("alter function crm_sync.lock_lane(bigint) reset lock_timeout")


def somebody_waits(house: House) -> bool:
    """Whether a session of this database waits for a lock, seen from inside a transaction as well."""
    house.connection.execute("select pg_stat_clear_snapshot()")
    query = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    return bool(house.value(query))
