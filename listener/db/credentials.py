"""The life of tokens, and of the key that seals them."""

from __future__ import annotations

from listener.documents import IdleConnection, Revocation, Seals
from listener.pool import Pool
from providers.credentials import Credentials


class CredentialCalls(Pool):
    """Tokens, their refresh and revocation, and keys."""

    async def verify_key(self) -> str:
        """The key's id; raises `KeyWrong` when stored credentials were sealed with another one."""
        answer: str = await self._value("select crm_sync.verify_key()")
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

    async def reseal(self, after: int) -> tuple[int | None, int]:
        """Seal a batch of credentials anew; returns where to go on (None: that was all), and how many it were."""
        row = await self._row("select * from crm_sync.reseal($1)", after)
        return row["reached"], row["resealed"]

    async def count_seals(self) -> list[Seals]:
        rows = await self._rows("select * from crm_sync.count_seals()")
        return [Seals(*row.values()) for row in rows]
