"""Messages to an operator's own receiver, signed as https://www.standardwebhooks.com specifies."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import NamedTuple

import httpx

from providers.ratelimit import retry_after

TIMEOUT_SECONDS = 15.0
"""For all of a call. The answer's body is never read, and redirects are not followed."""


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: of HTTP; None where there was no answer.
        problem: why the receiver has not taken the message, in words without its URL; None where it has.
        wait: in how many seconds it wants to be asked again, where it said so.
    """

    status: int | None
    problem: str | None
    wait: float | None = None

    @property
    def is_gone(self) -> bool:
        """The receiver wants no more messages, ever."""
        return self.status == httpx.codes.GONE


def signatures(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature`: one for each key, so that a receiver may know the old or the new one."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


async def send(url: str, keys: Sequence[bytes], message_id: str, body: bytes, http: httpx.AsyncClient) -> Answer:
    """Post one message; whatever happens is an `Answer`."""
    timestamp = int(time.time())
    headers = {
        "content-type": "application/json",
        "user-agent": "pg-crm-sync",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures(keys, message_id, timestamp, body),
    }
    try:
        async with (
            asyncio.timeout(TIMEOUT_SECONDS),
            http.stream(
                "POST", url, content=body, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=False
            ) as response,
        ):
            return _answer(response)
    except (httpx.TimeoutException, TimeoutError) as error:
        return Answer(None, f"the receiver did not answer within {TIMEOUT_SECONDS:g} s ({type(error).__name__})")
    except (httpx.HTTPError, httpx.InvalidURL) as error:  # its words may quote the URL
        return Answer(None, f"the receiver cannot be reached ({type(error).__name__})")


def _answer(response: httpx.Response) -> Answer:
    status = response.status_code
    if response.is_success:
        return Answer(status, None)
    if response.is_redirect:
        return Answer(status, f"the receiver redirects (HTTP {status}), which is not followed")
    if status == httpx.codes.GONE:
        return Answer(status, "the receiver says that it is gone (HTTP 410)")
    return Answer(status, f"the receiver answered HTTP {status}", retry_after(response.headers))
