"""Query parameters, read as strictly as bodies: an unknown name, a wrong type or a repeated one is refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, TypeVar

from starlette.datastructures import QueryParams

from sandbox.pipedrive.errors import InvalidValueError, invalid, not_allowed
from sandbox.pipedrive.wire import from_cursor, to_cursor, unix

T = TypeVar("T")

MOST_ROWS = 500
DEFAULT_ROWS = 100


class Query:
    """The parameters of one request; every reader raises ApiError (400)."""

    def __init__(self, params: QueryParams, allowed: Collection[str]) -> None:
        names = [name for name, _ in params.multi_items()]
        problems = [not_allowed(name) for name in dict.fromkeys(names) if name not in allowed]
        problems += [
            InvalidValueError(name, "the parameter must be given once") for name in allowed if names.count(name) > 1
        ]
        if problems:
            raise invalid(problems)
        self._params = params

    def text(self, name: str) -> str | None:
        return self._params.get(name)

    def integer(self, name: str) -> int | None:
        given = self._params.get(name)
        if given is None:
            return None
        if not given.isdecimal():
            raise invalid([InvalidValueError(name, f"{given!r} is not an integer")])
        return int(given)

    def boolean(self, name: str) -> bool:
        given = self._params.get(name, "false")
        if given not in ("true", "false"):
            raise invalid([InvalidValueError(name, f"{given!r} is not a boolean: use true or false")])
        return given == "true"

    def choice(self, name: str, allowed: Sequence[str]) -> str:
        """One of a few words, the first by default."""
        given = self._params.get(name, allowed[0])
        if given not in allowed:
            raise invalid([InvalidValueError(name, f"{given!r} is not one of {', '.join(allowed)}")])
        return given

    def words(self, name: str, allowed: Collection[str] | None = None, most: int | None = None) -> list[str]:
        """A list separated by commas."""
        given = self._params.get(name)
        if given is None:
            return []
        found = given.split(",")
        if unknown := [each for each in found if not each or (allowed is not None and each not in allowed)]:
            raise invalid([InvalidValueError(name, f"{unknown[0]!r} is not one of {', '.join(allowed or ())}")])
        if most is not None and len(found) > most:
            raise invalid([InvalidValueError(name, f"at most {most} values are allowed")])
        return found

    def time(self, name: str) -> float | None:
        given = self._params.get(name)
        try:
            return None if given is None else unix(name, given)
        except InvalidValueError as error:
            raise invalid([error]) from None

    def limit(self) -> int:
        """Rows of a page."""
        given = self.integer("limit")
        if given is not None and not 1 <= given <= MOST_ROWS:
            raise invalid([InvalidValueError("limit", f"the limit must be between 1 and {MOST_ROWS}")])
        return given or DEFAULT_ROWS

    def page(
        self, rows: Sequence[T], limit: int, order: str, key: Callable[[T], Sequence[Any]], *, descending: bool = False
    ) -> tuple[Sequence[T], dict[str, Any]]:
        """The rows (sorted by `key`) after the one that `cursor` marks, and `{"next_cursor": …}`.

        The cursor names a row, not a place, so rows that come and go move nothing; it is good for one order only.
        """
        given = self._params.get("cursor")
        if given is not None:
            after = self._after(given, order)
            try:
                rows = [each for each in rows if (list(key(each)) < after if descending else list(key(each)) > after)]
            except TypeError:
                raise invalid([InvalidValueError("cursor", "the cursor is not valid")]) from None
        shown = rows[:limit]
        if len(rows) <= limit:
            return shown, {"next_cursor": None}
        return shown, {"next_cursor": to_cursor({"order": order, "after": list(key(shown[-1]))})}

    def numbered(self, rows: Sequence[T], limit: int, order: str) -> tuple[Sequence[T], dict[str, Any]]:
        """`page` for rows whose order does not change."""
        places = {id(each): place for place, each in enumerate(rows)}
        return self.page(rows, limit, order, lambda each: (places[id(each)],))

    @staticmethod
    def _after(cursor: str, order: str) -> list[Any]:
        try:
            position = from_cursor(cursor)
        except InvalidValueError as error:
            raise invalid([error]) from None
        after = position.get("after")
        if position.get("order") != order or not isinstance(after, list):
            raise invalid([InvalidValueError("cursor", "the cursor is not valid for this request")])
        return after


def ids_of(words: Iterable[str], name: str = "ids") -> list[int]:
    """Record ids as numbers; raises ApiError (400)."""
    found = list(words)
    if bad := [each for each in found if not each.isdecimal()]:
        raise invalid([InvalidValueError(name, f"{bad[0]!r} is not an id")])
    return [int(each) for each in found]
