"""What an answer outside the expected holds, if it holds anything."""

from __future__ import annotations

from typing import Any

import httpx


def json_object(response: httpx.Response) -> dict[str, Any] | None:
    """The answer's body, if that is a JSON object; None for a page, an array, garbage or nothing."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
