"""What proves a connection: its tokens, how they are renewed, and where they may be sent."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from providers.addresses import is_at, origin_of, parts_of
from providers.codes import OwnCode
from providers.config import ProviderConfig
from providers.errors import Unauthorized

LATEST_SECONDS = 100_000_000_000.0
"""A later Unix time (the year 5138) is one in milliseconds."""
LONGEST_URL = 500
PAGES_HOST = ".lightning.force.com"
ACCOUNT_HOST = ".my.salesforce.com"
"""Where a Salesforce org is worked in, which people copy from the address bar, and where it gives tokens."""
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
        connected_version: the one with which somebody connected it last; refreshes keep it.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    expires_at: float | None = None
    instance_url: str | None = None
    api_domain: str | None = None
    token_url: str | None = None
    version: int = 0
    connected_version: int = 0

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


def is_sendable(token: str) -> bool:
    """Whether a token can stand in a header at all."""
    return token != "" and token.isascii() and token.isprintable() and " " not in token


def host_of(url: str, config: ProviderConfig, provider: str) -> str:
    """A connection's own API host, as the CRM named it when it was connected; without a slash at the end.

    A token goes only to where the provider's config points: a host of `api_hosts` by https, the host of one of its own
    URLs, or, where the config itself is of this machine, this machine. Raises `Unauthorized` for any other.
    """
    parts = parts_of(url)
    if not is_at(parts, config.api_hosts, config, is_loopback_ours=True):
        raise Unauthorized(
            f"this connection names {parts.host.lower() or 'no host'} as the place of its API, which is not one of "
            f"{provider}'s: connect it again, or add the host to api_hosts in the provider's config",
            provider=provider,
            code=OwnCode.FOREIGN_HOST,
        )
    return str(parts.copy_with(query=None, fragment=None)).rstrip("/")


def account_url(url: object, config: ProviderConfig, provider: str) -> str | None:
    """Where people open an account, as the CRM says; None for what is no place of this CRM's."""
    if not isinstance(url, str) or not url:
        return None
    try:
        found = host_of(
            url, config.model_copy(update={"api_hosts": (*config.api_hosts, *config.account_hosts)}), provider
        )
    except Unauthorized:
        return None
    return found if len(found) <= LONGEST_URL else None


def login_at(config: ProviderConfig, login_url: str | None, provider: str) -> ProviderConfig:
    """The config with all of OAuth at the host that a user named; the same where none was named.

    `login_url` may be a host alone, or any page of the account. Raises `Unauthorized` for a host that is none of the
    CRM's: consent, code and secret must not go there.
    """
    if login_url is None or not login_url.strip():
        return config
    given = login_url.strip()
    parts = parts_of(given if "://" in given else f"https://{given}")
    if parts.host.endswith(PAGES_HOST):
        parts = parts.copy_with(host=parts.host.removesuffix(PAGES_HOST) + ACCOUNT_HOST)
    is_allowed = bool(config.login_hosts) and is_at(parts, config.login_hosts, config, is_loopback_ours=False)
    if not is_allowed or len(given) > LONGEST_URL:
        raise Unauthorized(
            f"{provider} has no login at {parts.host.lower() or 'this address'}: give the host that the address bar "
            "shows after logging in",
            provider=provider,
            code=OwnCode.FOREIGN_HOST,
        )
    moved = {
        name: origin_of(str(parts)) + parts_of(url).path
        for name in ("auth_url", "token_url", "revoke_url")
        if (url := getattr(config, name)) is not None
    }
    return config.model_copy(update=moved)
