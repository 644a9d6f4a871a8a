"""Lists come by the page, and the CRM says where the next one is: it may not lead us round and round."""

from __future__ import annotations

from providers.errors import Unexpected

MAX_PAGES = 10_000


class Pages:
    """The pages of one list that were read."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._seen: set[int] = set()

    def turn_to(self, name: object) -> None:
        """To the page of this name; raises `Unexpected` for one that was read before, and for one too many."""
        mark = hash(str(name))
        if mark in self._seen or len(self._seen) >= MAX_PAGES:
            raise Unexpected(f"the pages of {self._provider}'s answer do not come to an end", provider=self._provider)
        self._seen.add(mark)
