"""What an answer of a stranger's holds, read so that it can cost no more than it is worth."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic_core import from_json

MAX_RESPONSE_BYTES = 16 * 1024 * 1024
MAX_VALUES = 1_000_000
"""So many values a body may hold at most: small ones take many times their length in memory."""
ENCODING = "gzip"
"""What we ask for. zlib unpacks it piece by piece, which httpx does not: there, 64 KB become 64 MB at once."""
ABOUT_THE_WAY = frozenset({"content-encoding", "content-length", "transfer-encoding"})
GZIP = 16 + zlib.MAX_WBITS
LIKELY_ODD = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u0000|u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
UNKNOWN_CHARACTER = b"\\ufffd"


AN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")


class TooLargeError(Exception):
    """A body of more bytes, or of more values, than any answer has."""


async def read_bounded(response: httpx.Response, most: int = MAX_RESPONSE_BYTES) -> httpx.Response:
    """The same answer with its whole body, unpacked: never more than `most` bytes of it are in memory.

    Raises `TooLargeError`, and `httpx.DecodingError` for what is packed otherwise than we asked or is cut off.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if response.is_stream_consumed:  # made in this process, and whole
        return response
    if encoding not in ("", "identity", ENCODING):
        raise httpx.DecodingError("packed in a way that was not asked for")
    unpacker = zlib.decompressobj(GZIP) if encoding == ENCODING else None
    body, packed = bytearray(), 0
    async for chunk in response.aiter_raw():
        packed += len(chunk)
        try:
            body += chunk if unpacker is None else unpacker.decompress(chunk, most + 1 - len(body))
        except zlib.error as error:
            raise httpx.DecodingError(str(error)) from None
        if max(len(body), packed) > most:
            raise TooLargeError
    if unpacker is not None and packed and not unpacker.eof:
        raise httpx.DecodingError("cut off")
    return with_body(response, bytes(body))


def with_body(response: httpx.Response, body: bytes) -> httpx.Response:
    """The same answer with this body, which is not packed."""
    headers = [(name, value) for name, value in response.headers.multi_items() if name not in ABOUT_THE_WAY]
    return httpx.Response(response.status_code, headers=headers, content=body, request=response.request)


def decode_json(body: bytes) -> Any:
    """The value of a JSON text, bounded in size, depth (200) and digits; raises `ValueError` for what is none.

    What Postgres stores in no text goes: NUL is left out, one half of a pair becomes U+FFFD. CRMs cut texts in the
    middle of an emoji, and one such name must hold up nobody. Raises `TooLargeError` for too many values.
    """
    if len(body) > MAX_VALUES and body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_VALUES:
        raise TooLargeError
    if LIKELY_ODD.search(body):
        body = ESCAPES.sub(_storable, body)
    return from_json(body.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False, cache_strings="keys")


def _storable(escape: re.Match[bytes]) -> bytes:
    if escape[1] is None:
        return escape[0]
    return b"" if escape[1] == b"u0000" else UNKNOWN_CHARACTER


def id_in(value: object) -> str | None:
    """The id that a CRM gave, as text; None for what can be none, such as a truth value, a list or a path."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**30:
        return str(value)
    return value if isinstance(value, str) and AN_ID.fullmatch(value) else None


def moment_in(value: object) -> datetime | None:
    """A point in time as a CRM writes it (ISO 8601, UTC where it names no zone); None for anything else."""
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def entries_of(value: object) -> list[Any]:
    """The entries of a list; none of what is no list."""
    return value if isinstance(value, list) else []


def inner(value: object, *names: str) -> Any:
    """What lies in objects below these names; None where one of them is missing, or is no object."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def order_of(value: object) -> float:
    """A place in an order; the first of what names none."""
    return float(value) if isinstance(value, int | float) and abs(value) < 10**12 else 0.0


def json_object(response: httpx.Response) -> dict[str, Any] | None:
    """The answer's body, if that is a JSON object; None for a page, an array, garbage or nothing."""
    body = json_value(response)
    return body if isinstance(body, dict) else None


def json_value(response: httpx.Response) -> Any:
    """The answer's body, if that is JSON; None for anything else."""
    try:
        return decode_json(response.content)
    except (ValueError, TooLargeError):
        return None
