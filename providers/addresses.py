"""Addresses that strangers name: read only where everybody reads them alike.

httpx takes a backslash for a letter of the host, a browser for a slash: `https://evil.example\\.salesforce.com` is one
host here and another there. So nothing but plain names, no user, and no port but the usual is an address at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import httpx

from providers.config import ProviderConfig

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PLAIN = re.compile(
    r"https?://(?:[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*|\[::1\])(?::[0-9]{1,5})?(?:[/?#][!#-;=?-\[\]_a-z~%{|}]*)?",
    re.IGNORECASE | re.ASCII,
)
NOWHERE = httpx.URL("")


def parts_of(url: object) -> httpx.URL:
    """The parts of an address that is read alike everywhere; of any other, those of an empty one."""
    if not isinstance(url, str) or PLAIN.fullmatch(url) is None:
        return NOWHERE
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return NOWHERE


def origin_of(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = parts_of(url)
    return f"{parts.scheme}://{parts.netloc.decode()}"


def is_at(parts: httpx.URL, hosts: Iterable[str], config: ProviderConfig, *, is_loopback_ours: bool) -> bool:
    """Whether an address is of one of these hosts by https, or as the provider's config itself has it.

    `hosts`: `name`, `*.name` for all below it, each with `:port` behind it where that is not the usual one.
    """
    own = [parts_of(each) for each in (config.api_base_url, config.token_url, config.auth_url)]
    place = parts.netloc.decode()
    is_allowed = parts.scheme == "https" and any(
        place.endswith(each[1:]) if each.startswith("*.") else place == each for each in map(str.lower, hosts)
    )
    is_own = any((parts.scheme, parts.netloc) == (each.scheme, each.netloc) for each in own)
    is_local = is_loopback_ours and parts.host in LOOPBACK and any(each.host in LOOPBACK for each in own)
    return parts.scheme in ("http", "https") and (is_allowed or is_own or is_local)
