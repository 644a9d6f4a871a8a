"""The keys that the host application publishes (JWKS), fetched now and then."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.request import HTTPRedirectHandler, build_opener

import jwt

FRESH_SECONDS = 300.0
AGAIN_SECONDS = 10.0
"""So far apart are fetches for keys that nobody knows: any token may name one."""
TIMEOUT_SECONDS = 5
LONGEST_SET = 1024 * 1024


class _Straight(HTTPRedirectHandler):
    """Keys come from the address that the operator gave: who leads elsewhere decides who may sign in."""

    def redirect_request(self, *_given: Any) -> None:
        return None


class _Fetching(jwt.PyJWKClient):
    """Reads no more than a key set can be, and no longer than that may take."""

    def fetch_data(self) -> Any:
        ends_at = time.monotonic() + 2 * self.timeout
        body = bytearray()
        # the settings have seen to it that it is https, or this machine
        with build_opener(_Straight).open(self.uri, timeout=self.timeout) as response:
            while chunk := response.read1(65_536):
                body += chunk
                if len(body) > LONGEST_SET or time.monotonic() > ends_at:
                    raise jwt.PyJWKClientConnectionError("too long to be keys")
        return json.loads(body)


class PublishedKeys:
    """Keys by their id; those that were known go on counting while the application does not answer."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = _Fetching(url, cache_keys=False, cache_jwk_set=False, timeout=TIMEOUT_SECONDS)
        self._clock = clock
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key_of(self, token: str) -> jwt.PyJWK:
        """The key that the token names; raises `jwt.PyJWTError`, among them `PyJWKClientConnectionError`."""
        kid = jwt.get_unverified_header(token).get("kid")
        if kid not in self._keys or self._clock() > self._fetched_at + FRESH_SECONDS:
            async with self._lock:
                if self._is_due(kid):
                    await self._fetch()
        key = self._keys.get(kid)
        if key is None:
            raise jwt.InvalidKeyError("the application publishes no such key")
        return key

    def _is_due(self, kid: str | None) -> bool:
        now = self._clock()
        is_wanted = kid not in self._keys or now > self._fetched_at + FRESH_SECONDS
        return is_wanted and now > self._tried_at + AGAIN_SECONDS

    async def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            keys = await asyncio.to_thread(self._client.get_signing_keys)
        except Exception:  # noqa: BLE001 - a connection cut off and a page of maintenance are no key set either
            if not self._keys:
                raise jwt.PyJWKClientConnectionError("no keys can be fetched") from None
            return
        self._keys = {key.key_id: key for key in keys}
        self._fetched_at = self._clock()
