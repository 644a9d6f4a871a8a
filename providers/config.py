"""How a CRM is spoken to, as the database has it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class ProviderConfig(BaseModel):
    """`integration_providers.config`, as far as Python needs it: every URL a provider speaks to comes from here."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_base_url: str
    api_version: str
    auth_url: str
    token_url: str
    revoke_url: str | None = None
    scopes: tuple[str, ...] = ()
    api_hosts: tuple[str, ...] = ()
    """Where a connection's own API host may lie: a name, or `*.name` for all below it."""
    account_hosts: tuple[str, ...] = ()
    """Where people open an account, where that is not in `api_hosts`; no token goes there."""
    client_auth: Literal["body", "basic"] = "body"
    """How an app proves itself at the token endpoint."""
    scope_in_url: bool = True
    """Whether the consent page is told which scopes; otherwise the app's registration says."""
    pkce: bool = False
    """Whether the code is bound to a verifier (RFC 7636, S256)."""
    login_hosts: tuple[str, ...] = ()
    """Where people may log in, where that is not `auth_url` for all: a Salesforce sandbox or My Domain."""
    timeout_seconds: float = 20.0
