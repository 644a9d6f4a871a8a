"""What can go wrong with a CRM, in the words that SQL decides by.

The five kinds and what they cost a row are decided in ``crm_sync.finish_batch``; Python only names them.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import ClassVar

from providers.codes import OwnCode, of_status

CONTACT_GONE: str = OwnCode.CONTACT_GONE.value
"""The code of a rejection that is about the contact a deal, activity or task hangs on: it is no longer in the CRM.
The database then has the contact synced again, and this row after it."""


NAME = re.compile(r"[A-Za-z0-9_.:*-]{1,100}")


class FailureKind(StrEnum):
    """Why a row did not arrive; the database decides what follows from it."""

    RATE_LIMITED = "rate_limited"
    """The CRM asked us to wait: the whole integration pauses, no attempt is lost."""
    UNAVAILABLE = "unavailable"
    """The CRM (or the way to it) is down: the integration backs off, no attempt is lost."""
    UNAUTHORIZED = "unauthorized"
    """The connection needs a human: the integration waits in `error`, its rows lose no attempt."""
    REJECTED = "rejected"
    """The CRM understood this row and will not take it: it fails at once, in the CRM's own words."""
    CONTENDED = "contended"
    """Somebody else holds this record just now (423, 409, a row lock): tried again, at the cost of an attempt."""
    BUG = "bug"
    """An answer nobody expected: tried again a few times, at the cost of an attempt, then failed for a human."""


class ProviderError(Exception):
    """A call to a CRM that did not succeed.

    Carries what a human needs at night and nothing else: never a token, never a person's data.

    Attributes:
        kind: what the database should make of it.
        provider: the CRM's name (`hubspot`, …).
        status: the HTTP status, or None when no answer came.
        code: the CRM's own code (`INVALID_OPTION`, `TEN_SECONDLY_ROLLING`, …), else one of ours: what `crm_sync.errors`
            explains. An error is never without.
        correlation_id: what the CRM's support asks for.
        field: the CRM's name of the field it complains about.
        retry_after: seconds the CRM asks us to wait, if it said so.
        uncertain: the effect may have happened all the same (a lost answer): look before sending again.
    """

    kind = FailureKind.BUG
    unnamed: ClassVar[str] = OwnCode.UNEXPECTED_ANSWER
    """The code where nothing but the kind is known."""

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        status: int | None = None,
        code: str | None = None,
        correlation_id: str | None = None,
        field: str | None = None,
        retry_after: float | None = None,
        uncertain: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.status = status
        self.code = str(_as_name(code) or (self.unnamed if status is None else of_status(status)))
        self.correlation_id = _as_name(correlation_id)
        self.field = field
        self.retry_after = retry_after
        self.uncertain = uncertain


class RateLimited(ProviderError):
    """The CRM, or our own budget for it, has no room before `retry_after`."""

    kind = FailureKind.RATE_LIMITED
    unnamed = OwnCode.RATE_LIMITED


class Unavailable(ProviderError):
    """No usable answer: a refused or cut connection, a timeout, a 5xx, a page instead of JSON."""

    kind = FailureKind.UNAVAILABLE
    unnamed = OwnCode.UNAVAILABLE


class Unauthorized(ProviderError):
    """The CRM does not accept this connection any more, or it lacks a scope."""

    kind = FailureKind.UNAUTHORIZED
    unnamed = OwnCode.UNAUTHORIZED


class Rejected(ProviderError):
    """The CRM refused what was sent, and would refuse it again."""

    kind = FailureKind.REJECTED
    unnamed = OwnCode.REJECTED


class Contended(ProviderError):
    """The CRM could not write this record at this moment."""

    kind = FailureKind.CONTENDED
    unnamed = OwnCode.CONTENDED


class Unexpected(ProviderError):
    """An answer that fits no documented shape."""

    kind = FailureKind.BUG


class Stopping(Exception):
    """Raised instead of a call when the daemon is shutting down; what was not sent is handed back."""


class Paused(Stopping):
    """An operator has paused the connection: no call is made, and what was not sent is handed back."""


def _as_name(said: str | None) -> str | None:
    """A code or an id of the CRM's; None for what can only be words, which may be about a person: these are logged."""
    return said if said is not None and NAME.fullmatch(said) else None
