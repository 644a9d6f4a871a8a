"""What every CRM client shares: one way to call, one way to name what happened, one way to report.

A provider is one module with one `Client`. It knows how its CRM wants to be spoken to and nothing about Postgres:
tokens and budget reach it through the two protocols below, and it answers through a `Report`.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from providers.errors import ProviderError, Unauthorized, Unavailable, Unexpected
from providers.models import AnyDocument, Batch, ContactDocument, CrmField, Failure, Outcome, ProviderConfig

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
LATEST_SECONDS = 100_000_000_000.0
"""A later Unix time (the year 5138) is one in milliseconds."""

Http = httpx.AsyncClient
"""What carries the calls of all clients of a process."""


def open_http(connections: int) -> Http:
    """A pool of at most so many connections. It follows no redirects and no proxy settings: a token goes only where
    the provider's config points."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(limits=limits, follow_redirects=False, trust_env=False)


ENCODING_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})


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


class Budget(Protocol):
    """The integration's share of the CRM's rate limits, kept for all daemons together."""

    async def spend(self, costs: Mapping[str, int]) -> None:
        """Wait for room for one call that costs so much of each named limit.

        Raises `RateLimited` when that is too far away, `Stopping` on shutdown, and when the claim this is for was lost.
        """
        ...

    def observe(self, limit: str, used: int, maximum: int) -> None:
        """The CRM said how much of a day's limit its account has used, by all of its apps."""
        ...


class Report:
    """Collects one outcome for each document of a batch while it is being pushed.

    Whatever the push has not spoken of when it ends, by an exception or by a shutdown, is settled by `close`.
    """

    def __init__(self, batch: Batch) -> None:
        self._open: dict[tuple[int, ...], AnyDocument] = {document.rows: document for document in batch.documents}
        self._sent: set[tuple[int, ...]] = set()
        self._started = time.monotonic()
        self.outcomes: list[Outcome] = []
        self.contact_ids: dict[UUID, str] = {}
        """The CRM's ids of the contacts that this push has confirmed: newer than those in the other documents."""

    def is_open(self, document: AnyDocument) -> bool:
        """Whether nothing was said of this document yet."""
        return document.rows in self._open

    def sending(self, documents: Iterable[AnyDocument]) -> None:
        """From here on the CRM may have these, even if no answer comes back."""
        self._sent.update(document.rows for document in documents)

    def refused(self, documents: Iterable[AnyDocument]) -> None:
        """The CRM said that it did not take what was sent for these: no effect of it can be hidden there."""
        self._sent.difference_update(document.rows for document in documents)

    def synced(
        self,
        document: AnyDocument,
        external_id: str,
        *,
        company_external_id: str | None = None,
        created: bool = False,
        takes_deals: bool = True,
        remark: str | None = None,
    ) -> None:
        """The CRM has confirmed this document under `external_id`."""
        if isinstance(document, ContactDocument):
            self.contact_ids[document.contact_id] = external_id
        self._settle(
            Outcome(
                rows=document.rows,
                echo=document.echo,
                status="synced",
                external_id=external_id,
                company_external_id=company_external_id,
                created=created,
                takes_deals=takes_deals,
                remark=remark,
                duration_ms=self._elapsed_ms(),
            )
        )

    def failed(self, document: AnyDocument, error: ProviderError) -> None:
        """This document did not arrive, and why."""
        self._fail(document, error, uncertain=error.uncertain)

    def close(self, error: ProviderError | None = None) -> list[Outcome]:
        """Settle what is still open: failed by `error`, or released when there is none; return all outcomes."""
        for document in list(self._open.values()):
            if error is not None:
                # Only what was sent can be uncertain: a lost answer about one document says nothing of the others.
                self._fail(document, error, uncertain=False)
            else:
                self._settle(
                    Outcome(
                        rows=document.rows,
                        echo=document.echo,
                        status="released",
                        uncertain=document.uncertain or document.rows in self._sent,
                        duration_ms=self._elapsed_ms(),
                    )
                )
        return self.outcomes

    def _fail(self, document: AnyDocument, error: ProviderError, *, uncertain: bool) -> None:
        self._settle(
            Outcome(
                rows=document.rows,
                echo=document.echo,
                status="failed",
                failure=Failure.of(error),
                uncertain=document.uncertain or uncertain or document.rows in self._sent,
                duration_ms=self._elapsed_ms(),
            )
        )

    def _settle(self, outcome: Outcome) -> None:
        if self._open.pop(outcome.rows, None) is not None:
            self.outcomes.append(outcome)

    def _elapsed_ms(self) -> int:
        return round((time.monotonic() - self._started) * 1000)


class Client(ABC):
    """One connection to one CRM.

    `http` is shared by all clients of the process; `tokens` and `budget` belong to this integration.
    """

    name: ClassVar[str]

    def __init__(self, config: ProviderConfig, tokens: Tokens, budget: Budget, http: httpx.AsyncClient) -> None:
        self.config = config
        self._tokens = tokens
        self._budget = budget
        self._http = http

    @abstractmethod
    async def ensure_schema(self) -> dict[str, Any]:
        """Make the fields that hold our keys, where the CRM has none yet.

        Returns what a push needs to know of this account, as JSON; it comes back as `Batch.account`.
        Raises `Unauthorized`, in words for an administrator, if it may not.
        """

    @abstractmethod
    async def describe(self) -> list[CrmField]:
        """The fields that mappings can lead to, with their options; raises `ProviderError`."""

    @abstractmethod
    async def push(self, batch: Batch, report: Report) -> None:
        """Carry a batch to the CRM, and say in `report` what became of each document.

        Raises `ProviderError` for what concerns the whole connection; the caller closes the report with it.
        """

    @abstractmethod
    async def check(self) -> str:
        """The name of the account behind the connection; raises `ProviderError` when it does not work."""

    @abstractmethod
    def base_url(self, credentials: Credentials) -> str:
        """Where this connection's API lives."""

    @abstractmethod
    def error_of(self, response: httpx.Response) -> ProviderError:
        """Name what an answer outside 2xx means, in this CRM's terms."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        limit: str,
        cost: int = 1,
        json: Any = None,
        params: Mapping[str, str] | None = None,
    ) -> Any:
        """One API call: budget, token, request; after a 401 one refresh and one more try.

        Returns the decoded JSON body (None when the CRM sent none).
        Raises a `ProviderError` for every other answer, with `uncertain` set where the effect may have happened.
        """
        credentials = await self._tokens.current()
        for is_last in (False, True):
            await self._budget.spend(self.costs_of(limit, cost, credentials))
            response = await self._send(method, path, credentials, json, params)
            self.observe(response)
            if response.is_success:
                return self._decode(response)
            error = self._redacted(self.error_of(response), credentials)
            if is_last or response.status_code != httpx.codes.UNAUTHORIZED:
                raise error
            credentials = await self._tokens.refresh(credentials)
        raise AssertionError("unreachable")

    def costs_of(self, limit: str, cost: int, credentials: Credentials) -> Mapping[str, int]:
        """What a call takes of which of the CRM's rate limits."""
        return {limit: cost}

    def observe(self, response: httpx.Response) -> None:  # noqa: B027 - most CRMs say nothing
        """Tell the budget what an answer says of the account's limits, where it says anything."""

    def authorize(self, credentials: Credentials) -> dict[str, str]:
        """The headers that carry the token."""
        return {"authorization": f"Bearer {credentials.access_token.get_secret_value()}"}

    async def _send(
        self, method: str, path: str, credentials: Credentials, json: Any, params: Mapping[str, str] | None
    ) -> httpx.Response:
        request = self._http.build_request(
            method,
            self.base_url(credentials).rstrip("/") + path,
            json=json,
            params=params,
            headers={"accept": "application/json", **self.authorize(credentials)},
            timeout=self.config.timeout_seconds,
        )
        try:
            # httpx bounds each read; a body that drips in is bounded here.
            async with asyncio.timeout(2 * self.config.timeout_seconds):
                response = await self._http.send(request, stream=True)
                try:
                    return await self._read_bounded(response)
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unavailable(f"{self.name} cannot be reached ({type(error).__name__})", provider=self.name) from None
        except (httpx.TimeoutException, TimeoutError) as error:
            raise Unavailable(
                f"{self.name} did not answer within {self.config.timeout_seconds:g} s ({type(error).__name__})",
                provider=self.name,
                uncertain=True,
            ) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise Unavailable(
                f"the connection to {self.name} was cut before the answer was complete ({type(error).__name__})",
                provider=self.name,
                uncertain=True,
            ) from None

    async def _read_bounded(self, response: httpx.Response) -> httpx.Response:
        """The same answer with its whole body, decoded; raises `Unexpected` when that is too large to be one."""
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_RESPONSE_BYTES:
                raise Unexpected(
                    f"{self.name} answered with more than {MAX_RESPONSE_BYTES} bytes",
                    provider=self.name,
                    status=response.status_code,
                    uncertain=True,
                )
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in ENCODING_HEADERS]
        return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)

    def _redacted(self, error: ProviderError, credentials: Credentials) -> ProviderError:
        """An answer may repeat the request; the token must not travel on in its words."""
        error.message = error.message.replace(credentials.access_token.get_secret_value(), "[token]")
        error.args = (error.message,)
        return error

    def _decode(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return response.json()
        except (ValueError, RecursionError):
            raise Unavailable(
                f"{self.name} answered with something other than JSON (HTTP {response.status_code}, "
                f"{response.headers.get('content-type', 'no content type')})",
                provider=self.name,
                status=response.status_code,
                uncertain=True,
            ) from None


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


__all__ = ["Budget", "Client", "Credentials", "Report", "Tokens", "Unauthorized", "host_of"]
