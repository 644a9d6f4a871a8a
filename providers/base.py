"""What every CRM client shares: one way to call, one way to name what happened, one way to report.

A provider is one module with one `Client`. It knows how its CRM wants to be spoken to and nothing about Postgres:
tokens and budget reach it through the two protocols below, and it answers through a `Report`.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Protocol

import httpx

from providers.account import AccountFacts, CrmField
from providers.answers import ENCODING, MAX_RESPONSE_BYTES, TooLargeError, decode_json, read_bounded, with_body
from providers.codes import OwnCode, of_network
from providers.config import ProviderConfig
from providers.credentials import Credentials, SharedTokens, Tokens, is_sendable
from providers.errors import ProviderError, Unauthorized, Unavailable, Unexpected
from providers.models import Batch
from providers.report import Report

Http = httpx.AsyncClient
"""What carries the calls of all clients of a process."""


def open_http(connections: int) -> Http:
    """A pool of at most so many connections. It follows no redirects and no proxy settings: a token goes only where
    the provider's config points."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    return httpx.AsyncClient(limits=limits, follow_redirects=False, trust_env=False)


SHORTEST_TOKEN = 8
"""What is shorter is no CRM's token, and might be a word of its answers."""


STALE_SECONDS = 1.0
"""A grant that was asked for longer ago is confirmed before the call: a process that stood still, or heard of the grant
late, may have lost its work to another one meanwhile. A last word: what is on the wire cannot be taken back."""
HEADERS_EVENT = "http11.send_request_headers.started"


class Budget(Protocol):
    """The integration's share of the CRM's rate limits, kept for all daemons together."""

    async def spend(self, costs: Mapping[str, int]) -> None:
        """Wait for room for one call that costs so much of each named limit.

        Raises `RateLimited` when that is too far away, `Stopping` on shutdown, and when the claim this is for was lost.
        """
        ...

    async def confirm(self) -> None:
        """Ask once more whether a call that was granted a while ago may still be made, at no cost.

        Raises `Stopping` where it may not.
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
        shown = [credentials]
        for is_last in (False, True):
            asked_at = time.monotonic()
            spending = asyncio.create_task(self._budget.spend(self.costs_of(limit, cost, credentials)))
            try:
                await asyncio.sleep(0)  # the budget is being asked; the request is made meanwhile
                request = self._request(method, path, credentials, json, params)
                await spending
            finally:
                spending.cancel()
            response = _without_tokens(await self._send(request, asked_at), shown)
            self.observe(response)
            if response.is_success:
                return self._decode(response)
            error = self.error_of(response)
            if is_last or response.status_code != httpx.codes.UNAUTHORIZED:
                raise error
            credentials = await self._tokens.refresh(credentials)
            shown.append(credentials)
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
        if not is_sendable(credentials.access_token.get_secret_value()):
            raise Unauthorized(
                "this connection's token holds characters that no header can: connect it again",
                provider=self.name,
                code=OwnCode.CREDENTIALS_DAMAGED,
            )
        try:
            return self._http.build_request(
                method,
                self.base_url(credentials).rstrip("/") + path,
                json=json,
                params=params,
                headers={"accept": "application/json", "accept-encoding": ENCODING, **self.authorize(credentials)},
                timeout=self.config.timeout_seconds,
            )
        except (httpx.InvalidURL, UnicodeError):  # its words may quote what was asked for
            raise Unexpected(f"what was to be asked of {self.name} makes no address", provider=self.name) from None

    async def _send(self, request: httpx.Request, asked_at: float) -> httpx.Response:
        """Send what was granted after `asked_at`, by `time.monotonic`."""

        async def confirm_late(event: str, _details: object) -> None:
            if event == HEADERS_EVENT and time.monotonic() > asked_at + STALE_SECONDS:
                await self._budget.confirm()

        started = time.monotonic()
        answer = "Cancelled"
        request.extensions["trace"] = confirm_late
        try:
            # httpx bounds each read; a body that drips in is bounded here.
            async with asyncio.timeout(2 * self.config.timeout_seconds):
                response = await self._http.send(request, stream=True)
                answer = str(response.status_code)
                try:
                    return await read_bounded(response)
                except TooLargeError:
                    raise self._too_large(response) from None
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

    def _too_large(self, response: httpx.Response) -> Unexpected:
        return Unexpected(
            f"{self.name} answered with more than {MAX_RESPONSE_BYTES} bytes, or more values than can be worked on",
            provider=self.name,
            status=response.status_code,
            code=OwnCode.TOO_LARGE,
            uncertain=True,
        )

    def _decode(self, response: httpx.Response) -> Any:
        if not response.content:
            return None
        try:
            return decode_json(response.content)
        except TooLargeError:
            raise self._too_large(response) from None
        except ValueError:
            raise Unavailable(
                f"{self.name} answered with something other than JSON (HTTP {response.status_code}, "
                f"{response.headers.get('content-type', 'no content type')})",
                provider=self.name,
                status=response.status_code,
                code=OwnCode.NOT_JSON,
                uncertain=True,
            ) from None


def _without_tokens(response: httpx.Response, shown: Iterable[Credentials]) -> httpx.Response:
    """The same answer without our tokens, should it repeat them: its words travel on, into logs and tables."""
    held = [token for each in shown for token in (each.access_token, each.refresh_token) if token is not None]
    tokens = [token.get_secret_value().encode() for token in held if len(token) >= SHORTEST_TOKEN]
    if not any(token in response.content for token in tokens):
        return response
    content = response.content
    for token in tokens:
        content = content.replace(token, b"[token]")
    return with_body(response, content)
