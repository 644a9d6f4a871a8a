"""The codes that we give a failure where the CRM gives none, or none that tells what to do.

Each has a row in `crm_sync.errors` (sql/errors.sql) that says what it means and who must act.
"""

from __future__ import annotations

import socket
import ssl
from enum import StrEnum

import httpx


class OwnCode(StrEnum):
    """Ours; an HTTP status that came without a code is `HTTP_` and the number."""

    # the way to a CRM
    NO_SUCH_HOST = "NO_SUCH_HOST"
    UNREACHABLE = "UNREACHABLE"
    TLS_FAILED = "TLS_FAILED"
    TIMEOUT = "TIMEOUT"
    CUT_OFF = "CUT_OFF"
    # what came back is no answer of the CRM's API
    NOT_JSON = "NOT_JSON"
    NOT_THE_API = "NOT_THE_API"
    NO_SUCH_PATH = "NO_SUCH_PATH"
    TOO_LARGE = "TOO_LARGE"
    UNEXPECTED_ANSWER = "UNEXPECTED_ANSWER"
    NO_OUTCOME = "NO_OUTCOME"
    CLOUDFLARE_403 = "CLOUDFLARE_403"
    FIREWALL_403 = "FIREWALL_403"
    # named by a CRM in words only
    BURST_LIMIT = "BURST_LIMIT"
    DAILY_BUDGET = "DAILY_BUDGET"
    CONCURRENT_LIMIT = "CONCURRENT_LIMIT"
    SCOPE_MISMATCH = "SCOPE_MISMATCH"
    DUPLICATE_IDS = "DUPLICATE_IDS"
    NON_UNIQUE_KEY = "NON_UNIQUE_KEY"
    TOO_MANY_INPUTS = "TOO_MANY_INPUTS"
    ACCOUNT_MOVED = "ACCOUNT_MOVED"
    # the token endpoint
    ALREADY_EXCHANGED = "ALREADY_EXCHANGED"
    CODE_EXPIRED = "CODE_EXPIRED"
    AUTHENTICATION_FAILURE = "AUTHENTICATION_FAILURE"
    NO_ACCESS_TOKEN = "NO_ACCESS_TOKEN"  # noqa: S105 - a code
    # records
    CONTACT_GONE = "CONTACT_GONE"
    ADDRESS_TAKEN = "ADDRESS_TAKEN"
    NO_OPEN_STAGE = "NO_OPEN_STAGE"
    INVALID_VALUE = "INVALID_VALUE"
    LEAD_TAKES_NO_OPPORTUNITY = "LEAD_TAKES_NO_OPPORTUNITY"
    ERASURE_FORBIDDEN = "ERASURE_FORBIDDEN"
    # an account that is not set up
    FIELDS_MISSING = "FIELDS_MISSING"
    PROPERTY_NOT_UNIQUE = "PROPERTY_NOT_UNIQUE"
    # a connection of ours
    NO_CREDENTIALS = "NO_CREDENTIALS"
    CREDENTIALS_DAMAGED = "CREDENTIALS_DAMAGED"
    NOT_REFRESHABLE = "NOT_REFRESHABLE"
    NO_APP = "NO_APP"
    FOREIGN_HOST = "FOREIGN_HOST"
    NO_SUCH_PROVIDER = "NO_SUCH_PROVIDER"
    REFRESH_UNDER_WAY = "REFRESH_UNDER_WAY"
    # this installation
    OWN_BUDGET = "OWN_BUDGET"
    OWN_DATABASE = "OWN_DATABASE"
    OWN_KEY = "OWN_KEY"
    OWN_FAULT = "OWN_FAULT"
    # nothing but the kind is known
    RATE_LIMITED = "RATE_LIMITED"
    UNAVAILABLE = "UNAVAILABLE"
    UNAUTHORIZED = "UNAUTHORIZED"
    REJECTED = "REJECTED"
    CONTENDED = "CONTENDED"


PAGES_OF_OTHERS = frozenset({400, 404, 405, 422})
"""Statuses that speak of what was asked for: without a body of the API's, somebody else has answered."""


def of_status(status: int) -> str:
    """The code of an answer that has none: `HTTP_503`."""
    return f"HTTP_{status}"


def of_network(error: BaseException) -> OwnCode:
    """Why no answer came, from what httpx raised."""
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return OwnCode.UNREACHABLE
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return OwnCode.TIMEOUT
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return OwnCode.TLS_FAILED
        if isinstance(cause, socket.gaierror):
            return OwnCode.NO_SUCH_HOST
        cause = cause.__cause__ or cause.__context__
    return OwnCode.UNREACHABLE if isinstance(error, httpx.ConnectError) else OwnCode.CUT_OFF
