"""The log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from console.db import Row, Session

COLUMNS = """
  a.id, a.organization_id, a.integration_id, a.activity_type, a.status, a.contact_id, a.title, a.description,
  a.external_id, a.duration_ms, a.created_at
"""

# a loop over the connections: each has its entries in the order of time in an index, all together have not
ENTRIES = f"""
select e.*
from public.user_integrations as i
cross join lateral (
  select {COLUMNS}
  from public.sync_activity_logs as a
  where a.organization_id = i.organization_id and a.integration_id = i.id
    and a.created_at >= $1 and ($2::timestamptz is null or (a.created_at, a.id) < ($2, $3))
    and ($4::text is null or a.activity_type = $4) and ($5::text is null or a.status = $5)
    and ($7::uuid is null or a.contact_id = $7)
  order by a.created_at desc, a.id desc
  limit $8
) as e
where $6::bigint is null or i.id = $6
order by e.created_at desc, e.id desc
limit $8
"""  # noqa: S608 - nothing of anybody's is in it

ENTRY = f"""
select {COLUMNS}, a.message_id, a.request_data, a.response_data, a.error_details
from public.sync_activity_logs as a
where a.id = $1 and a.organization_id = any (array(select crm_sync.member_organizations()))
limit 1
"""  # noqa: S608 - nothing of anybody's is in it


@dataclass(frozen=True)
class Filter:
    """Which entries; `before` and `before_id` are those of the last entry of the page before."""

    since: datetime
    before: datetime | None = None
    before_id: int | None = None
    activity_type: str | None = None
    status: str | None = None
    integration_id: int | None = None
    contact_id: UUID | None = None


async def entries(session: Session, wanted: Filter, limit: int) -> list[Row]:
    """Newest first."""
    return await session.rows(
        ENTRIES,
        wanted.since,
        wanted.before,
        wanted.before_id,
        wanted.activity_type,
        wanted.status,
        wanted.integration_id,
        wanted.contact_id,
        limit,
    )


async def entry(session: Session, entry_id: int) -> Row | None:
    """One of them with what was sent and answered."""
    return await session.row(ENTRY, entry_id)
