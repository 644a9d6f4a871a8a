"""How it stands, in numbers."""

from __future__ import annotations

import json
from typing import Any

from listener.documents import Headline
from listener.pool import Pool


class FigureCalls(Pool):
    """What metrics and the status line tell."""

    async def queue_depths(self, most: int) -> list[dict[str, Any]]:
        """`crm_sync.queue_depths` as objects of its columns."""
        return _objects(await self._value("select json_agg(d)::text from crm_sync.queue_depths($1) as d", most))

    async def connection_counts(self) -> list[dict[str, Any]]:
        """`crm_sync.connection_counts` as objects of its columns."""
        return _objects(await self._value("select json_agg(c)::text from crm_sync.connection_counts() as c"))

    async def day_budgets(self, most: int) -> list[dict[str, Any]]:
        """`crm_sync.day_budgets` as objects of its columns."""
        return _objects(await self._value("select json_agg(b)::text from crm_sync.day_budgets($1) as b", most))

    async def headline(self, most: int) -> Headline:
        """How it stands; open rows are counted up to one more than `most`."""
        row = await self._row("select * from crm_sync.headline($1)", most)
        return Headline(*row.values())


def _objects(text: str | None) -> list[dict[str, Any]]:
    objects: list[dict[str, Any]] = json.loads(text or "[]")
    return objects
