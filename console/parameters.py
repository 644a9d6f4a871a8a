"""What comes in a query or a form, read with suspicion: what makes no sense counts as not given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from urllib.parse import parse_qs
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request

LARGEST_ID = 2**63 - 1


def number(given: str | None) -> int | None:
    """An id of ours; None where it is none."""
    if given is None or not given.isascii() or not given.isdecimal() or len(given) > 19:
        return None
    value = int(given)
    return value if 0 < value <= LARGEST_ID else None


def uuid(given: str | None) -> UUID | None:
    """A uuid as we write it; None where it is none."""
    if given is None or len(given) != 36:
        return None
    try:
        return UUID(given)
    except ValueError:
        return None


def choice(given: str | None, allowed: Collection[str]) -> str | None:
    """One of the allowed words; None where it is none of them."""
    return given if given in allowed else None


def text(given: str | None, longest: int = 200) -> str:
    """Without what Postgres and people cannot read; as long as it may be."""
    return "".join(letter for letter in (given or "") if letter.isprintable())[:longest].strip()


def moment(given: str | None) -> datetime | None:
    """A time with its zone, as isoformat() writes it."""
    if given is None or len(given) > 40:
        return None
    try:
        value = datetime.fromisoformat(given)
    except ValueError:
        return None
    return value if value.tzinfo is not None and 1970 < value.year < 9999 else None


def path_number(request: Request, name: str) -> int:
    """An id in the path; raises 404 where it is none."""
    value = number(request.path_params.get(name))
    if value is None:
        raise HTTPException(404)
    return value


async def form(request: Request) -> Mapping[str, list[str]]:
    """What a form holds: the values of each name, empty ones as well."""
    try:
        return parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=2000)
    except ValueError:
        raise HTTPException(400, "That form cannot be read.") from None
