"""How long a CRM asks us to wait."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

DAY = 86_400.0
LONGEST_WAIT = DAY
UNNAMED_POLICY = 10.0
"""Seconds to wait when the CRM neither says how long nor which of its limits was met."""


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds from the `Retry-After` header, given as seconds or as an HTTP date; None when it is absent or unreadable.

    Never negative and never more than a day: no header can park a connection for good.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.replace(".", "", 1).isdigit():
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        # "-0000" says that the zone is unknown and parses to a naive time: HTTP dates are UTC.
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        seconds = moment.timestamp() - (time.time() if now is None else now)
    return min(max(seconds, 0.0), LONGEST_WAIT)


def policy_wait(policy: str | None, *, now: float | None = None) -> float:
    """Seconds until the named limit has room again.

    `TEN_SECONDLY…` and `SECONDLY…` are rolling windows; `DAILY…` lasts until midnight UTC at least (the CRM counts in
    the account's own time zone, which its answer does not tell, so it may refuse once more).
    """
    name = (policy or "").upper()
    if name.startswith("DAILY"):
        moment = time.time() if now is None else now
        return DAY - moment % DAY
    if name.startswith("TEN_SECONDLY"):
        return 10.0
    if name.startswith("SECONDLY"):
        return 1.0
    return UNNAMED_POLICY
