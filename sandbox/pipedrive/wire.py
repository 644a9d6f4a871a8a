"""Reading what clients send as strictly as Pipedrive does, and writing times, cursors and answers as it does."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from starlette.responses import Response

from sandbox.pipedrive.errors import ApiError, InvalidValueError

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


@lru_cache(maxsize=4096)
def iso(moment: float) -> str:
    """A Unix time as v2 writes it: RFC 3339, UTC, whole seconds."""
    return datetime.fromtimestamp(int(moment), UTC).isoformat().replace("+00:00", "Z")


def v1_time(moment: float) -> str:
    """A Unix time as v1 writes it: `YYYY-MM-DD HH:MM:SS`, UTC."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%d %H:%M:%S")


def unix(name: str, value: object) -> float:
    """An RFC 3339 time, in whole seconds, as Unix time; raises InvalidValueError."""
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise InvalidValueError(name, f"{value!r} is not a valid datetime: use RFC3339, e.g. 2025-01-01T10:20:00Z")
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        raise InvalidValueError(name, f"{value!r} is not a valid datetime") from None


def day(name: str, value: object) -> str:
    """A date `YYYY-MM-DD` that exists; raises InvalidValueError."""
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value).isoformat()
    except ValueError:
        pass
    raise InvalidValueError(name, f"{value!r} is not a valid date: use YYYY-MM-DD")


def json_object(raw: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object of a request; raises ApiError (415, 400)."""
    if content_type.split(";", maxsplit=1)[0].strip().lower() != "application/json":
        raise ApiError(415, "Unsupported Media Type: send application/json", "ERR_UNSUPPORTED_MEDIA_TYPE")
    try:
        document = json.loads(raw.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ApiError(400, "Bad request: the body is not valid JSON", "ERR_BAD_REQUEST") from None
    if not isinstance(document, dict):
        raise ApiError(400, "Bad request: the body is not a JSON object", "ERR_BAD_REQUEST")
    return document


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def respond(status: int, document: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(body, status, headers, media_type="application/json; charset=utf-8")


def data(value: Any, additional: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The envelope of every good answer."""
    return {"success": True, "data": value, "additional_data": additional}


def to_cursor(position: Mapping[str, Any]) -> str:
    """An opaque marker of a place in a list."""
    return base64.urlsafe_b64encode(json.dumps(position, sort_keys=True).encode()).decode()


def from_cursor(cursor: str) -> dict[str, Any]:
    """What a cursor marks; raises InvalidValueError for one that was not given out."""
    try:
        position = json.loads(base64.urlsafe_b64decode(cursor.encode()))
    except ValueError:
        position = None
    if not isinstance(position, dict):
        raise InvalidValueError("cursor", "the cursor is not valid")
    return position
