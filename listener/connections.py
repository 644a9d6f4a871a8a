"""A connection being made: which account its credentials lead to, and how it is stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from listener.db import Database
from listener.documents import storable
from listener.errors import DatabaseTrouble, InvalidSettings, NotYours, Refusal
from providers import client_for
from providers.account import AccountFacts, one_line
from providers.base import Http
from providers.codes import OwnCode
from providers.config import ProviderConfig
from providers.credentials import Credentials, account_url, host_of
from providers.errors import ProviderError, Unauthorized

STORE_TRIES = 5
LONGEST_WORDS = 600
UNAUTHORIZED = 401

WORDS = {
    "access_denied": "Consent was refused in the CRM, so nothing was connected.",
    "missing_parameters": "The CRM sent the browser back without what is needed. Please begin again.",
    "invalid_state": "This answer does not belong to a connection that this browser has begun, or it was used already. "
    "Please begin again.",
    "expired": "Ten minutes have passed since the connection was begun. Please begin again.",
    "unknown_provider": "There is no such CRM, or it is switched off.",
    "unavailable": "Our own database did not answer. Please begin again in a moment.",
}

log = structlog.get_logger()


class NotConnected(Exception):
    """Nothing was connected.

    Attributes:
        code: `access_denied`, `missing_parameters`, `invalid_state`, `expired`, `connection_failed`, `not_configured`,
            `unknown_provider`, `not_allowed`, `invalid_request` or `unavailable`.
        words: what to tell the user; they hold nothing that came with the browser.
    """

    def __init__(self, code: str, words: str | None = None) -> None:
        self.code = code
        self.words = sentence(words or WORDS[code])
        super().__init__(self.words)

    @classmethod
    def because(cls, refusal: Refusal | DatabaseTrouble) -> NotConnected:
        """What a call to our own database that did not succeed means for the user."""
        match refusal:
            case NotYours():
                return cls("not_allowed", str(refusal).splitlines()[0])
            case InvalidSettings():
                return cls("invalid_request", str(refusal).splitlines()[0])
        log.error("database_refused_connection", error=type(refusal).__name__, words=str(refusal))
        return cls("unavailable")


@dataclass(frozen=True)
class Connected:
    """A connection that was made, or renewed.

    Attributes:
        account: None when the CRM did not say it just now: the daemon asks again before it sends anything.
        is_other_account: the ids that we hold are of another account; nothing is sent until a person has decided.
    """

    integration_id: int
    organization_id: UUID
    provider: str
    display_name: str
    name: str
    is_new: bool
    is_other_account: bool
    account: AccountFacts | None


class _Given:
    """Credentials of this moment, which nobody refreshes."""

    def __init__(self, credentials: Credentials, provider: str) -> None:
        self._credentials = credentials
        self._provider = provider

    async def current(self) -> Credentials:
        return self._credentials

    async def refresh(self, stale: Credentials) -> Credentials:
        raise Unauthorized(
            f"{self._provider} does not accept this token",
            provider=self._provider,
            status=UNAUTHORIZED,
            code=OwnCode.NOT_REFRESHABLE,
        )


class _Unlimited:
    """For a call or two before there is a connection, which would have a budget."""

    async def confirm(self) -> None:
        """Nobody else works on this."""

    async def spend(self, costs: Mapping[str, int]) -> None:
        return

    def observe(self, limit: str, used: int, maximum: int) -> None:
        return


async def find_provider(database: Database, name: str) -> tuple[str, ProviderConfig]:
    """What people call a CRM, and its config; raises `NotConnected`."""
    try:
        found = await database.oauth_provider(name)
    except (Refusal, DatabaseTrouble) as trouble:
        raise NotConnected.because(trouble) from None
    except ValidationError:
        raise NotConnected("not_configured", "The config of this CRM lacks an address; see the documentation") from None
    if found is None:
        raise NotConnected("unknown_provider")
    return found


async def identify(provider: str, config: ProviderConfig, given: Mapping[str, Any], http: Http) -> AccountFacts:
    """The account that credentials lead to.

    Raises `ProviderError`: `Unauthorized` for credentials that the CRM does not accept, or that would be sent to a
    place that is none of the CRM's.
    """
    try:
        credentials = Credentials.model_validate(given)
    except ValidationError:
        raise Unauthorized(
            "the CRM's tokens make no sense", provider=provider, code=OwnCode.CREDENTIALS_DAMAGED
        ) from None
    for url in (credentials.instance_url, credentials.api_domain):
        if url is not None:
            host_of(url, config, provider)
    try:
        make = client_for(provider)
    except LookupError:
        raise Unauthorized(
            "this version cannot speak to that CRM", provider=provider, code=OwnCode.NO_SUCH_PROVIDER
        ) from None
    found = await make(config, _Given(credentials, provider), _Unlimited(), http).identify()
    return found.model_copy(update={"url": account_url(found.url, config, provider)})


async def identify_if_told(
    provider: str, config: ProviderConfig, given: Mapping[str, Any], http: Http, known_id: str | None
) -> AccountFacts | None:
    """As `identify`; by `known_id` alone, or None, where the CRM does not say it just now.

    Raises `Unauthorized` for credentials that the CRM does not accept.
    """
    try:
        return await identify(provider, config, given, http)
    except ProviderError as error:
        if isinstance(error, Unauthorized) and error.status in (None, UNAUTHORIZED):
            raise
        log.info("account_not_named", provider=provider, kind=error.kind.value, status=error.status, code=error.code)
    try:
        return None if known_id is None else AccountFacts(id=known_id)
    except ValidationError:
        return None


async def store(
    database: Database,
    organization_id: UUID,
    provider: str,
    display_name: str,
    name: str,
    given: Mapping[str, Any],
    account: AccountFacts | None,
) -> Connected:
    """Make or renew a connection with these credentials; raises `NotConnected`.

    A database that goes away meanwhile is tried again: a code cannot be exchanged twice.
    """
    known = None if account is None else json.dumps(storable(account.model_dump()))
    for attempt in range(1, STORE_TRIES + 1):
        try:
            integration_id, is_new, is_other = await database.connect_integration(
                organization_id, provider, name, json.dumps(storable(dict(given))), known
            )
            break
        except Refusal as refusal:
            raise NotConnected.because(refusal) from None
        except DatabaseTrouble as trouble:
            if attempt == STORE_TRIES or not trouble.is_lost:
                raise NotConnected.because(trouble) from None
            log.warning("storing_connection_again", provider=provider, error=str(trouble))
            await asyncio.sleep(0.1 * 2**attempt)
    log.info("connected", provider=provider, integration_id=integration_id, is_new=is_new, is_other_account=is_other)
    return Connected(integration_id, organization_id, provider, display_name, name, is_new, is_other, account)


def sentence(words: str) -> str:
    """With a capital and a full stop, on one line: some of it may be a CRM's."""
    words = one_line(words, LONGEST_WORDS)
    return words[:1].upper() + words[1:].rstrip(".") + "."
