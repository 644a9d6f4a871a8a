"""What every CRM client shares: one way to call, one way to name what happened, one way to report.

A provider is one module with one `Client`. It knows how its CRM wants to be spoken to and nothing about Postgres:
tokens and budget reach it through the two protocols below, and it answers through a `Report`.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import httpx

from providers.codes import OwnCode, of_network
from providers.credentials import Credentials, SharedTokens, Tokens
from providers.errors import ProviderError, Unavailable, Unexpected
from providers.models import AccountFacts, Batch, CrmField, ProviderConfig
from providers.report import Report

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
Http = httpx.AsyncClient
"""What carries the calls of all clients of a process."""


def open_http(connections: int) -> Http:
    """A pool of at most so many connections. It follows no redirects and no proxy settings: a token goes only where
    the provider's config points."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(limits=limits, follow_redirects=False, trust_env=False)


ENCODING_HEADERS = frozenset({"content-encoding", "content-length", "transfer-encoding"})


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


class CallObserver:
    """Told of each request to a CRM once it is over. This one is for where nobody counts."""

    def called(self, provider: str, answer: str, seconds: float) -> None:
        """`answer` is the HTTP status, or the kind of error where there was no answer."""


UNOBSERVED = CallObserver()


class Client(ABC):
    """One connection to one CRM.

    `http` is shared by all clients of the process; `tokens` and `budget` belong to this integration.
    """

    name: ClassVar[str]
    observer: CallObserver = UNOBSERVED

    def __init__(self, config: ProviderConfig, tokens: Tokens, budget: Budget, http: httpx.AsyncClient) -> None:
        self.config = config
        self._tokens = SharedTokens(tokens)
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
    async def identify(self) -> AccountFacts:
        """The account behind the connection.

        Raises `ProviderError`: `Unauthorized` when the connection does not work, `Unexpected` when it does not
        say.
        """

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
            spending = asyncio.create_task(self._budget.spend(self.costs_of(limit, cost, credentials)))
            try:
                await asyncio.sleep(0)  # the budget is being asked; the request is made meanwhile
                request = self._request(method, path, credentials, json, params)
                await spending
            finally:
                spending.cancel()
            response = await self._send(request)
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

    def _request(
        self, method: str, path: str, credentials: Credentials, json: Any, params: Mapping[str, str] | None
    ) -> httpx.Request:
        return self._http.build_request(
            method,
            self.base_url(credentials).rstrip("/") + path,
            json=json,
            params=params,
            headers={"accept": "application/json", **self.authorize(credentials)},
            timeout=self.config.timeout_seconds,
        )

    async def _send(self, request: httpx.Request) -> httpx.Response:
        started = time.monotonic()
        answer = "Cancelled"
        try:
            # httpx bounds each read; a body that drips in is bounded here.
            async with asyncio.timeout(2 * self.config.timeout_seconds):
                response = await self._http.send(request, stream=True)
                answer = str(response.status_code)
                try:
                    return await self._read_bounded(response)
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            answer = type(error).__name__
            raise Unavailable(
                f"{self.name} cannot be reached ({type(error).__name__})", provider=self.name, code=of_network(error)
            ) from None
        except (httpx.TimeoutException, TimeoutError) as error:
            answer = type(error).__name__
            raise Unavailable(
                f"{self.name} did not answer within {self.config.timeout_seconds:g} s ({type(error).__name__})",
                provider=self.name,
                code=OwnCode.TIMEOUT,
                uncertain=True,
            ) from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            answer = type(error).__name__
            raise Unavailable(
                f"the connection to {self.name} was cut before the answer was complete ({type(error).__name__})",
                provider=self.name,
                code=of_network(error),
                uncertain=True,
            ) from None
        finally:
            self.observer.called(self.name, answer, time.monotonic() - started)

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
                    code=OwnCode.TOO_LARGE,
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
                code=OwnCode.NOT_JSON,
                uncertain=True,
            ) from None
