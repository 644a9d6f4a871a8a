"""What proves a connection: its tokens, how they are renewed, and where they may be sent."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from providers.errors import Unauthorized
from providers.models import ProviderConfig

LATEST_SECONDS = 100_000_000_000.0
"""A later Unix time (the year 5138) is one in milliseconds."""
REFUSAL_SECONDS = 2.0
"""How long the calls that were under way together share one refused refresh."""


class Credentials(BaseModel):
    """An opened connection, as `user_integrations.credentials` held it before it was sealed, with what else was there.

    Attributes:
        expires_at: Unix time; None where the CRM does not tell.
        instance_url: Salesforce: where this organization's API lives.
        api_domain: Pipedrive: the same.
        token_url: where this connection refreshes its token, where that is not the provider's `token_url`.
        version: rises with each write.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    expires_at: float | None = None
    instance_url: str | None = None
    api_domain: str | None = None
    token_url: str | None = None
    version: int = 0

    @field_validator("expires_at", mode="before")
    @classmethod
    def _as_unix_time(cls, value: object) -> object:
        """Host applications also write ISO 8601, or milliseconds as JavaScript has them."""
        if isinstance(value, str) and not value.replace(".", "", 1).isdigit():
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, int | float) and value > LATEST_SECONDS:
            return value / 1000
        return value


class Tokens(Protocol):
    """Where a client's access token comes from; the daemon's own refreshes once for all daemons."""

    async def current(self) -> Credentials:
        """The credentials to use now, refreshed beforehand if they are about to expire."""
        ...

    async def refresh(self, stale: Credentials) -> Credentials:
        """Newer credentials than `stale`; raises `Unauthorized` when there are none to be had."""
        ...


class SharedTokens:
    """An integration's tokens, refreshed once for all calls that were under way when the token expired."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._refreshing = asyncio.Lock()
        self._refused: tuple[float, Credentials, Unauthorized] | None = None

    async def current(self) -> Credentials:
        """See `Tokens`."""
        return await self._tokens.current()

    async def refresh(self, stale: Credentials) -> Credentials:
        """See `Tokens`; whoever comes second gets what the first one got, were it a refusal."""
        async with self._refreshing:
            current = await self._tokens.current()
            if current.access_token != stale.access_token:
                return current
            if self._refused is not None:
                refused_at, refused, error = self._refused
                if refused.access_token == stale.access_token and time.monotonic() < refused_at + REFUSAL_SECONDS:
                    raise error
            try:
                return await self._tokens.refresh(stale)
            except Unauthorized as error:
                self._refused = (time.monotonic(), stale, error)
                raise


def host_of(url: str, config: ProviderConfig, provider: str) -> str:
    """A connection's own API host, as the CRM named it when it was connected; without a slash at the end.

    A token goes only to where the provider's config points: a host of `api_hosts` by https, the host of one of its own
    URLs, or this machine. Raises `Unauthorized` for any other.
    """
    try:
        parts = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        parts = httpx.URL("")
    host = parts.host.lower()
    own = {httpx.URL(each).netloc for each in (config.api_base_url, config.token_url)}
    is_allowed = parts.scheme == "https" and any(
        host.endswith(each[1:]) if each.startswith("*.") else host == each for each in config.api_hosts
    )
    is_ours = parts.scheme in ("http", "https") and (parts.netloc in own or host in ("127.0.0.1", "localhost", "::1"))
    if not (is_allowed or is_ours) or parts.userinfo:
        raise Unauthorized(
            f"this connection names {host or 'no host'} as the place of its API, which is not one of {provider}'s: "
            "connect it again, or add the host to api_hosts in the provider's config",
            provider=provider,
        )
    return str(parts.copy_with(query=None, fragment=None)).rstrip("/")
