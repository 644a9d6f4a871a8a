"""One emulator of a CRM with a clock of its own, accounts in it, and what our client makes of what they say."""

from __future__ import annotations

import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import httpx
from pydantic import SecretStr

from providers import client_for, oauth
from providers.credentials import Credentials
from providers.errors import ProviderError
from providers.models import ActivityDocument, AnyDocument, ContactDocument, DealDocument, Failure, Field, Fields
from tests.providers.contract import Account, Budget, Sample, Tokens, new_account, push
from tests.providers.samples_salesforce import SalesforceAccount

Met = ProviderError | Failure
A = TypeVar("A", bound=Account)
_numbers = itertools.count(1001)


class Ahead:
    """The time of this machine, and so many seconds more."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._still: float | None = None

    def __call__(self) -> float:
        return self._still or time.time() + self.seconds

    @contextmanager
    def still(self) -> Iterator[None]:
        """No time passes inside, however slow this machine is."""
        self._still = self()
        try:
            yield
        finally:
            self._still = None


class Refreshed(Tokens):
    """An account's tokens, none of which is good: each is spoilt as soon as it is there."""

    def __init__(self, account: Account, http: httpx.AsyncClient, spoil: Callable[[Credentials], None]) -> None:
        super().__init__(account, http)
        self._spoil = spoil
        spoil(self.credentials)

    async def refresh(self, stale: Credentials) -> Credentials:
        fresh = await super().refresh(stale)
        self._spoil(fresh)
        return fresh


class Scene:
    """A CRM, and one account for all causes that leave it as it was."""

    def __init__(self, sample: Sample, clock: Ahead, client_id: str, client_secret: str) -> None:
        self.sample = sample
        self.clock = clock
        self.client_id = client_id
        self.client_secret = client_secret
        self._shared: Account | None = None

    async def shared(self, kind: type[A]) -> A:
        """The account of all; past calls are out of its limits' windows."""
        self.clock.seconds += 11
        if self._shared is None:
            self._shared = await new_account(self.sample)
        assert isinstance(self._shared, kind)
        return self._shared

    async def fresh(self, kind: type[A]) -> A:
        """An account that may be spoilt; our fields are there already."""
        if kind is SalesforceAccount:  # an administrator makes them, and one org is told from another by nothing
            learned = (await self.shared(kind)).learned
            opened = self.sample.open_account()
            opened.learned = learned
        else:
            opened = await new_account(self.sample)
        assert isinstance(opened, kind)
        return opened

    def contact(self, fields: Fields | None = None, **more: Any) -> ContactDocument:
        """Somebody new, with one field or another that is not as usual."""
        number = next(_numbers)
        email = more.pop("email", f"person-{number}@example.com")
        usual = self.sample.contact_fields(email, "Ada", "Lovelace")
        return ContactDocument(
            rows=(number,),
            contact_id=UUID(int=number),
            email=email,
            fields={**usual, **(fields or {})},
            queued_at=datetime.now(UTC),
            **more,
        )

    def deal(self, contact_external_id: str, fields: Fields | None = None) -> DealDocument:
        number = next(_numbers)
        return DealDocument(
            rows=(number,),
            contact_id=UUID(int=number),
            key=f"deal-{number}",
            contact_external_id=contact_external_id,
            fields={**self.sample.deal_fields(f"Deal {number}"), **(fields or {})},
            queued_at=datetime.now(UTC),
        )

    def activity(self, contact_external_id: str) -> ActivityDocument:
        number = next(_numbers)
        return ActivityDocument(
            rows=(number,),
            contact_id=UUID(int=number),
            key=f"activity-{number}",
            contact_external_id=contact_external_id,
            occurred_at=datetime.now(UTC),
            subject="Re: offer",
            body="Tell me more",
            queued_at=datetime.now(UTC),
        )

    async def push(self, account: Account, document: AnyDocument | None = None) -> Met:
        """What one document, or a new contact, meets."""
        document = document or self.contact()
        failure = (await push(self.sample, account, document)).of(document).failure
        assert failure is not None, "it arrived"
        return failure

    async def arrived(self, account: Account, document: AnyDocument | None = None) -> str:
        """The CRM's id of a document, or of a new contact, that was taken."""
        document = document or self.contact()
        outcome = (await push(self.sample, account, document)).of(document)
        assert outcome.external_id is not None, outcome
        return outcome.external_id

    async def push_value(self, account: Account, name: str, value: str) -> Met:
        """What a new contact meets whose one field has this value."""
        return await self.push(account, self.contact({name: Field(value=value)}))

    async def call(self, account: Account, method: str, path: str, **given: Any) -> Met:
        """What a call meets that no push makes."""
        return await refusal(self.ask(account, method, path, **given))

    async def ask(self, account: Account, method: str, path: str, tokens: Any = None, **given: Any) -> Any:
        """The answer to a call, by our client."""
        async with httpx.AsyncClient() as http:
            client = client_for(self.sample.name)(account.config, tokens or Tokens(account, http), Budget(), http)
            return await client.call(method, path, limit="core", **given)

    async def make_schema(self, account: Account) -> Met:
        """What making our fields in an account meets."""
        async with httpx.AsyncClient() as http:
            client = client_for(self.sample.name)(account.config, Tokens(account, http), Budget(), http)
            return await refusal(client.ensure_schema())

    async def with_spoilt_tokens(self, account: Account, path: str, spoil: Callable[[Credentials], None]) -> Met:
        """What a call meets whose tokens are never good, refreshed or not."""
        async with httpx.AsyncClient() as http:
            return await self.call(account, "GET", path, tokens=Refreshed(account, http, spoil))

    async def refresh(self, account: Account, **changed: str) -> Met:
        """What a refresh meets; `changed` may be client_id and client_secret."""
        client_id, secret = self._app(changed)
        token = account.credentials().refresh_token
        assert token is not None
        async with httpx.AsyncClient() as http:
            return await refusal(
                oauth.refresh(
                    account.config,
                    client_id,
                    secret,
                    token,
                    http,
                    client_auth=account.config.client_auth,
                    provider=self.sample.name,
                )
            )

    async def exchange(self, account: Account, code: str, redirect_uri: str, verifier: str | None = None) -> Met:
        """What the exchange of a code for tokens meets."""
        client_id, secret = self._app({})
        async with httpx.AsyncClient() as http:
            return await refusal(
                oauth.exchange_code(
                    account.config,
                    client_id,
                    secret,
                    SecretStr(code),
                    http,
                    redirect_uri=redirect_uri,
                    code_verifier=SecretStr(verifier) if verifier else None,
                    client_auth=account.config.client_auth,
                    provider=self.sample.name,
                )
            )

    async def post_form(self, account: Account, url: str, form: dict[str, str]) -> Met:
        """What a form meets at an endpoint of OAuth that no flow of ours sends."""
        client_id, secret = self._app({})
        config = account.config
        async with httpx.AsyncClient() as http:
            post = oauth._post
            return await refusal(post(url, form, config, client_id, secret, http, config.client_auth, self.sample.name))

    def _app(self, changed: dict[str, str]) -> tuple[str, SecretStr]:
        return (
            changed.get("client_id", self.client_id),
            SecretStr(changed.get("client_secret", self.client_secret)),
        )


Cause = Callable[[Scene], Awaitable[Met]]


async def refusal(asking: Awaitable[object]) -> ProviderError:
    """What an undertaking is refused with."""
    try:
        await asking
    except ProviderError as error:
        return error
    raise AssertionError("it was not refused")


def dead_grant(kind: type[Account]) -> Cause:
    """The refresh token is taken no more."""

    async def meet(scene: Scene) -> Met:
        account = await scene.fresh(kind)
        account.kill()
        return await scene.refresh(account)

    return meet


def refreshed_as(kind: type[Account], **client: str) -> Cause:
    """Another client than ours asks for tokens: with another `client_id`, or another `client_secret`."""

    async def meet(scene: Scene) -> Met:
        return await scene.refresh(await scene.shared(kind), **client)

    return meet
