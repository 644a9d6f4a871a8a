"""Connections as people make and end them, and what is learned of the account behind one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from pydantic import SecretStr

from listener.pool import Pool
from providers.config import ProviderConfig


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


class ConnectionCalls(Pool):
    """Consent, connections and the accounts behind them."""

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

    async def mark_schema_ready(self, integration_id: int, account: str, connected_version: int) -> None:
        """The CRM has the fields that hold our keys; `account` is what else is known of it (JSON text)."""
        await self._value(
            "select crm_sync.mark_schema_ready($1, true, $2, $3)", integration_id, account, connected_version
        )

    async def store_crm_fields(self, integration_id: int, fields: str) -> int:
        """Store what the CRM says its fields are (JSON text, a list); returns how many are not what they were."""
        answer: int = await self._value("select crm_sync.store_crm_fields($1, $2)", integration_id, fields)
        return answer

    async def disconnect(self, integration_id: int) -> bool:
        """End a connection; False when it was disconnected. Raises `NotYours`."""
        answer: bool = await self._value("select crm_sync.disconnect($1)", integration_id)
        return answer
