"""The daemon's database: one method is one SQL function is one transaction; no other SQL text is in the daemon."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import SecretStr

from listener.documents import (
    Claim,
    Deletion,
    Delivery,
    Headline,
    IdleConnection,
    Revocation,
    Seals,
    claim_of,
    json_of,
)
from listener.pool import Pool
from providers.credentials import Credentials
from providers.models import Batch, Outcome, ProviderConfig


@dataclass(frozen=True)
class Grant:
    """Answer to a request for room in the CRM's rate limits.

    Attributes:
        is_granted: the call may be made, in `wait_seconds`; otherwise there is no room before that.
        limit: the limit that makes it wait, if one does.
        is_lost: the batch that the call is for belongs to somebody else now.
        is_paused: an operator has paused the connection.
    """

    is_granted: bool
    wait_seconds: float
    limit: str | None
    is_lost: bool
    is_paused: bool = False


@dataclass(frozen=True)
class Authorization:
    """What somebody had asked for who was sent to a CRM; all but `outcome` is None unless that is `ok`.

    Attributes:
        outcome: `ok`, `unknown`, `used`, `expired`, `other_session` or `other_provider`.
    """

    outcome: str
    organization_id: UUID | None = None
    user_id: str | None = None
    name: str | None = None
    verifier: SecretStr | None = None
    redirect_uri: str | None = None
    login_url: str | None = None


EXACT_ROUND_TRIP = timedelta(seconds=1)


class Beat(NamedTuple):
    """What a sign of life brought back: whether the database knows us, and by how much our clock is ahead of its.

    `clock_offset` is None where the round trip took too long to say.
    """

    is_known: bool
    clock_offset: timedelta | None


class Database(Pool):
    """The worker's functions, and the console's: what they raise is a `Refusal` of ours or `DatabaseTrouble`."""

    async def schema_version(self) -> int | None:
        answer: int | None = await self._value("select crm_sync.schema_version()")
        return answer

    async def verify_key(self) -> str:
        """The key's id; raises `KeyWrong` when stored credentials were sealed with another one."""
        answer: str = await self._value("select crm_sync.verify_key()")
        return answer

    async def register(
        self, worker_id: UUID, host: str, pid: int, version: str, listening: bool, schema_version: int
    ) -> None:
        await self._value(
            "select crm_sync.register_worker($1, $2, $3, $4, $5, $6)",
            *(worker_id, host, pid, version, listening, schema_version),
        )

    async def unregister(self, worker_id: UUID) -> None:
        await self._value("select crm_sync.unregister_worker($1)", worker_id)

    async def beat(self, worker_id: UUID, clock_offset: timedelta | None = None) -> Beat:
        """Give a sign of life, with the offset that the beat before has measured, and measure it anew."""
        sent = datetime.now(UTC)
        row = await self._row(
            "select crm_sync.beat($1, $2) as is_known, clock_timestamp() as at", worker_id, clock_offset
        )
        took = datetime.now(UTC) - sent
        # the database looked at its clock somewhere between: the middle is wrong by half of the way at most
        is_exact = timedelta(0) <= took <= EXACT_ROUND_TRIP
        return Beat(row["is_known"], sent + took / 2 - row["at"] if is_exact else None)

    async def arm(self, worker_id: UUID) -> None:
        await self._value("select crm_sync.arm_worker($1)", worker_id)

    async def disarm(self, worker_id: UUID) -> None:
        await self._value("select crm_sync.disarm_worker($1)", worker_id)

    async def current_xmax(self) -> str:
        answer: str = await self._value("select crm_sync.current_xmax()")
        return answer

    async def older_transactions_run(self, xid: str) -> bool:
        answer: bool = await self._value("select crm_sync.older_transactions_run($1)", xid)
        return answer

    async def claim(
        self,
        worker_id: UUID,
        limit: int,
        lease_seconds: float,
        integration_ids: Iterable[int] | None = None,
        opening: Mapping[str, int] | None = None,
        claim_id: UUID | None = None,
    ) -> Claim:
        """Claim a batch: of the first of the given integrations, or of the one that waited longest.

        `opening` is what its first call will cost of which limits; it is taken along if there is room at once.
        `claim_id` is a name for the claim, for `release_claim`.
        """
        row = await self._row(
            "select *, clock_timestamp() as now from crm_sync.claim_batch($1, $2, $3, $4, $5, $6)",
            worker_id,
            limit,
            None if integration_ids is None else list(integration_ids),
            timedelta(seconds=lease_seconds),
            None if opening is None else json.dumps(dict(opening)),
            claim_id,
        )
        return claim_of(
            row["batch"],
            due=tuple(row["due"] or ()),
            # by our clock, which may be another one than the database's
            next_due_at=None if row["next_due_at"] is None else datetime.now(UTC) + (row["next_due_at"] - row["now"]),
            look_seconds=row["look_seconds"],
            is_prepaid=row["is_prepaid"],
        )

    async def release_claim(self, worker_id: UUID, claim_ids: list[UUID]) -> UUID | None:
        """Hand back what one of these claims, never answered, has taken; returns which, None when none has (yet)."""
        answer: UUID | None = await self._value("select crm_sync.release_claim($1, $2)", worker_id, claim_ids)
        return answer

    async def read_batch(self, batch_id: int) -> Batch | None:
        """A batch of ours, composed from what is true now; None when the claim was lost."""
        text: str | None = await self._value("select crm_sync.read_batch($1)", batch_id)
        return None if text is None else Batch.model_validate_json(text)

    async def finish(self, batch_id: int, outcomes: list[Outcome]) -> int:
        """Settle a batch; returns how many rows, 0 when the claim had been lost."""
        answer: int = await self._value("select crm_sync.finish_batch($1, $2)", batch_id, json_of(outcomes))
        return answer

    async def extend_leases(self, worker_id: UUID, batch_ids: list[int], lease_seconds: float) -> set[int]:
        """Renew leases; returns the batches that are still ours."""
        held = await self._value(
            "select crm_sync.extend_leases($1, $2, $3)", worker_id, batch_ids, timedelta(seconds=lease_seconds)
        )
        return set(held)

    async def spend_budget(
        self,
        integration_id: int,
        costs: dict[str, int],
        max_wait_seconds: float,
        batch_id: int | None,
        observed: dict[str, dict[str, float]] | None,
    ) -> Grant:
        """Take what a call costs of each limit: all of it or nothing; `batch_id` is whose call it is, if anybody's.

        `observed` tells what the CRM has said: `{limit: {"used": units, "maximum": units, "age": seconds}}`.
        """
        row = await self._row(
            "select * from crm_sync.spend_budget($1, $2, $3, $4, $5)",
            integration_id,
            json.dumps(costs),
            timedelta(seconds=max_wait_seconds),
            batch_id,
            None if observed is None else json.dumps(observed),
        )
        return Grant(row["granted"], row["wait_seconds"], row["limit_name"], row["is_lost"], row["is_paused"])

    async def mark_schema_ready(self, integration_id: int, account: str, connected_version: int) -> None:
        """The CRM has the fields that hold our keys; `account` is what else is known of it (JSON text)."""
        await self._value(
            "select crm_sync.mark_schema_ready($1, true, $2, $3)", integration_id, account, connected_version
        )

    async def store_crm_fields(self, integration_id: int, fields: str) -> int:
        """Store what the CRM says its fields are (JSON text, a list); returns how many are not what they were."""
        answer: int = await self._value("select crm_sync.store_crm_fields($1, $2)", integration_id, fields)
        return answer

    async def open_credentials(self, integration_id: int) -> Credentials | None:
        """The opened credentials of an integration, or None when it has none."""
        row = await self._row("select * from crm_sync.open_credentials($1)", integration_id)
        if row is None:
            return None
        versions = {"version": row["version"], "connected_version": row["connected_version"]}
        return Credentials.model_validate_json(row["credentials"]).model_copy(update=versions)

    async def begin_refresh(self, integration_id: int, seen_version: int) -> str:
        """`yours`, `busy` or `newer`."""
        answer: str = await self._value("select crm_sync.begin_refresh($1, $2)", integration_id, seen_version)
        return answer

    async def end_refresh(self, integration_id: int) -> None:
        await self._value("select crm_sync.end_refresh($1)", integration_id)

    async def store_credentials(self, integration_id: int, seen_version: int, credentials: str) -> int | None:
        """Store refreshed credentials (JSON text); returns their version, None when newer ones were there."""
        row = await self._row_with(
            credentials,
            "select crm_sync.store_credentials($1, $2, current_setting('crm_sync.letter')) as version",
            *(integration_id, seen_version),
        )
        version: int | None = row["version"]
        return version

    async def idle_connections(self) -> list[IdleConnection]:
        """Connections whose token nobody has refreshed for long; they are ours for two minutes."""
        rows = await self._rows("select * from crm_sync.idle_connections()")
        return [IdleConnection(*row.values()) for row in rows]

    async def note_not_refreshable(self, integration_id: int, seen_version: int) -> None:
        await self._value("select crm_sync.note_not_refreshable($1, $2)", integration_id, seen_version)

    async def refuse_credentials(self, integration_id: int, seen_version: int, reason: str) -> bool:
        """Park a connection whose credentials the CRM has refused; False when there are newer ones."""
        answer: bool = await self._value(
            "select crm_sync.refuse_credentials($1, $2, $3)", integration_id, seen_version, reason
        )
        return answer

    async def claim_revocation(self) -> Revocation | None:
        """The next credentials to be revoked; they are ours for two minutes."""
        row = await self._row("select * from crm_sync.claim_revocation()")
        return None if row is None else Revocation(*row.values())

    async def finish_revocation(
        self, revocation: Revocation, outcome: str, reason: str | None = None, retry_after: float | None = None
    ) -> None:
        """Say what became of it: `revoked`, `unknown`, `impossible` or `later`, the last two with a reason."""
        await self._value(
            "select crm_sync.finish_revocation($1, $2, $3, $4, $5, $6)",
            revocation.organization_id,
            revocation.id,
            revocation.attempts,
            outcome,
            reason,
            retry_after,
        )

    async def check_alerts(self, unless_within_seconds: float) -> int:
        """Look at all conditions, unless somebody has just done so; how many alerts were raised or cleared."""
        answer: int = await self._value("select crm_sync.check_alerts($1)", timedelta(seconds=unless_within_seconds))
        return answer

    async def claim_delivery(self, endpoint: str) -> Delivery | None:
        """The next message for the webhook, which is ours for some twenty seconds; None: nothing is due."""
        row = await self._row("select * from crm_sync.claim_delivery($1)", endpoint)
        return None if row is None else Delivery(*row.values())

    async def finish_delivery(
        self,
        endpoint: str,
        delivery: Delivery,
        outcome: str,
        status: int | None,
        reason: str | None,
        retry_after: float | None,
    ) -> None:
        await self._value(
            "select crm_sync.finish_delivery($1, $2, $3, $4, $5, $6, $7)",
            *(endpoint, delivery.id, delivery.attempts, outcome, status, reason, retry_after),
        )

    async def delete_disconnected(self) -> Deletion | None:
        """Delete a piece of what has been disconnected for too long; None when there is nothing (more)."""
        row = await self._row("select * from crm_sync.delete_disconnected()")
        return None if row is None else Deletion(*row.values())

    async def check_fence(self, generation: int | None) -> int:
        """The generation of the claim on this database; raises `Fenced` where we must not work."""
        answer: int = await self._value("select crm_sync.check_fence($1)", generation)
        return answer

    async def reseal(self, after: int) -> tuple[int | None, int]:
        """Seal a batch of credentials anew; returns where to go on (None: that was all), and how many it were."""
        row = await self._row("select * from crm_sync.reseal($1)", after)
        return row["reached"], row["resealed"]

    async def count_seals(self) -> list[Seals]:
        rows = await self._rows("select * from crm_sync.count_seals()")
        return [Seals(*row.values()) for row in rows]

    async def oauth_provider(self, name: str) -> tuple[str, ProviderConfig] | None:
        """What people call a CRM, and its config; None when there is none that can be connected."""
        text: str | None = await self._value("select crm_sync.oauth_provider($1)", name)
        if text is None:
            return None
        return json.loads(text)["display_name"], ProviderConfig.model_validate_json(text)

    async def begin_authorization(
        self,
        organization_id: UUID,
        provider: str,
        name: str,
        *,
        state_hash: bytes,
        session_hash: bytes,
        verifier: str,
        redirect_uri: str,
        login_url: str | None,
    ) -> None:
        """Remember who is sent to consent; raises `NotYours`, and `InvalidSettings` in words for the user."""
        await self._row_with(
            verifier,
            "select crm_sync.begin_authorization($1, $2, $3, $4, $5, current_setting('crm_sync.letter'), $6, $7)",
            *(organization_id, provider, name, state_hash, session_hash, redirect_uri, login_url),
        )

    async def take_authorization(self, state_hash: bytes, session_hash: bytes, provider: str) -> Authorization:
        """What somebody who comes back had asked for; it is used up, whatever the outcome."""
        row = await self._row(
            "select * from crm_sync.take_authorization($1, $2, $3)", state_hash, session_hash, provider
        )
        verifier = None if row["verifier"] is None else SecretStr(row["verifier"])
        return Authorization(**{**row, "verifier": verifier})

    async def connect_integration(
        self, organization_id: UUID, provider: str, name: str, credentials: str, account: str | None
    ) -> tuple[int, bool, bool]:
        """Make or renew a connection (JSON texts): its id, whether it is new, whether it leads to another account."""
        row = await self._row_with(
            credentials,
            "select * from crm_sync.connect_integration($1, $2, $3, current_setting('crm_sync.letter'), $4)",
            *(organization_id, provider, name, account),
        )
        return row["integration_id"], row["is_new"], row["is_other_account"]

    async def note_account(self, integration_id: int, account: str | None, connected_version: int) -> bool | None:
        """Note the account (JSON text) behind the credentials; see `crm_sync.note_account`."""
        answer: bool | None = await self._value(
            "select crm_sync.note_account($1, $2, $3)", integration_id, account, connected_version
        )
        return answer

    async def disconnect(self, integration_id: int) -> bool:
        """End a connection; False when it was disconnected. Raises `NotYours`."""
        answer: bool = await self._value("select crm_sync.disconnect($1)", integration_id)
        return answer

    async def adopt_orphans(self) -> int:
        answer: int = await self._value("select crm_sync.adopt_orphans()")
        return answer

    async def make_log_partitions(self) -> int:
        answer: int = await self._value("select crm_sync.make_log_partitions()")
        return answer

    async def heal_pauses(self) -> None:
        await self._value("select crm_sync.heal_pauses()")

    async def advance_slots(self) -> None:
        await self._value("select crm_sync.advance_slots()")

    async def take_samples(self) -> None:
        await self._value("select crm_sync.take_samples()")

    async def take_tallies(self) -> None:
        await self._value("select crm_sync.take_tallies()")

    async def drop_log_partitions(self) -> int:
        answer: int = await self._value("select crm_sync.drop_log_partitions()")
        return answer

    async def purge(self, since: datetime | None) -> datetime | None:
        """Purge a batch of finished rows; returns where to go on, None when there are no more."""
        answer: datetime | None = await self._value("select crm_sync.purge($1)", since)
        return answer

    async def purge_remains(self) -> int:
        answer: int = await self._value("select crm_sync.purge_remains()")
        return answer

    async def queue_depths(self, most: int) -> list[dict[str, Any]]:
        """`crm_sync.queue_depths` as objects of its columns."""
        return _objects(await self._value("select json_agg(d)::text from crm_sync.queue_depths($1) as d", most))

    async def connection_counts(self) -> list[dict[str, Any]]:
        """`crm_sync.connection_counts` as objects of its columns."""
        return _objects(await self._value("select json_agg(c)::text from crm_sync.connection_counts() as c"))

    async def day_budgets(self, most: int) -> list[dict[str, Any]]:
        """`crm_sync.day_budgets` as objects of its columns."""
        return _objects(await self._value("select json_agg(b)::text from crm_sync.day_budgets($1) as b", most))

    async def headline(self, most: int) -> Headline:
        """How it stands; open rows are counted up to one more than `most`."""
        row = await self._row("select * from crm_sync.headline($1)", most)
        return Headline(*row.values())

    async def ring_worker(self, worker_id: UUID) -> None:
        await self._value("select crm_sync.ring_worker($1)", worker_id)


def _objects(text: str | None) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = json.loads(text or "[]")
    return objects
