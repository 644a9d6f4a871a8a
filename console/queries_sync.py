"""What people set going."""

from __future__ import annotations

from uuid import UUID

from console.db import Row, Session


async def sync_contacts(session: Session, organization_id: UUID, contact_ids: list[UUID]) -> list[Row]:
    """One row for each contact and connection: its `outcome`, and the `reason` where nothing was enqueued."""
    return await session.rows("select * from crm_sync.manual_sync($1, $2)", organization_id, contact_ids)


async def resync(session: Session, contact_id: UUID, integration_id: int | None) -> int:
    """Send somebody again although nothing changed, to one connection or (None) all; returns how many syncs that is."""
    count: int = await session.value("select crm_sync.resync($1, $2)", contact_id, integration_id)
    return count


async def retry_cause(
    session: Session,
    integration_id: int,
    *,
    kind: str,
    queue_type: str,
    code: str | None,
    field: str | None,
    message: str | None,
) -> int:
    """Put the rows of one line of the failures back; returns how many."""
    count: int = await session.value(
        "select crm_sync.retry_cause($1, $2, $3, $4, $5, $6)", integration_id, kind, queue_type, code, field, message
    )
    return count
