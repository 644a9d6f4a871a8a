"""How often somebody may ask: enough for people, too little for guessing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import NamedTuple

from starlette.requests import HTTPConnection

MOST_CALLERS = 10_000


class Rate(NamedTuple):
    """So many requests in so many seconds."""

    requests: int
    seconds: float


class RateLimit:
    """A bucket for each caller, in this process; the callers that were silent longest are forgotten first."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, caller: str) -> float:
        """0 when this request is within the rate, else how many seconds are to be waited."""
        now = self._clock()
        refill = self._rate.requests / self._rate.seconds
        left, since = self._buckets.pop(caller, (float(self._rate.requests), now))
        left = min(self._rate.requests, left + (now - since) * refill)
        wait = 0.0 if left >= 1 else (1 - left) / refill
        self._buckets[caller] = (left - 1 if left >= 1 else left, now)
        if len(self._buckets) > MOST_CALLERS:
            self._buckets.popitem(last=False)
        return max(1.0, wait) if wait else 0.0


def caller_of(request: HTTPConnection) -> str:
    """Whose bucket a request is counted in: an IPv4 address, or the network that one IPv6 customer has."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or (int(address) >> 64))
