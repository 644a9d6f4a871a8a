"""What the pages ask, as a member: one function is one question; row-level security decides what there is."""

from __future__ import annotations

from console.db import Row, Session


async def connections(session: Session) -> list[Row]:
    """Each connection with how it stands."""
    return await session.rows("select * from crm_sync.status order by provider, name")
