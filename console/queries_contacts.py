"""People, and where they stand in each CRM."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from console.db import Row, Session

SEARCH_MILLISECONDS = 4000

FIND = "select * from crm_sync.find_contacts($1, $2, $3, $4)"

LABELS = """
select i.id as integration_id, i.organization_id, p.name as provider, i.status,
  p.display_name || case when i.name = 'default' then '' else ' · ' || i.name end as label
from public.user_integrations as i
join public.integration_providers as p on p.id = i.provider_id
order by i.status = 'disconnected', p.display_name, i.name, i.id
"""

STANDING = """
select c.*, crm_sync.record_url(c.integration_id, 'contact', c.external_contact_id) as contact_url,
  crm_sync.record_url(c.integration_id, 'company', c.external_company_id) as company_url,
  crm_sync.record_url(c.integration_id, 'deal', c.external_deal_id) as deal_url
from crm_sync.contact_standing($1) as c
order by c.contact_id, c.integration_id
"""


async def labels(session: Session) -> dict[int, Row]:
    """The connections by their ids, with what to call them."""
    return {row["integration_id"]: row for row in await session.rows(LABELS)}


async def find(session: Session, text: str, state: str | None, integration_id: int | None, limit: int) -> list[Row]:
    """Contacts by words, or else by what happened last; raises `DatabaseTrouble` when that takes too long."""
    await session.value("select set_config('statement_timeout', $1, true)", str(SEARCH_MILLISECONDS))
    return await session.rows(
        "select * from crm_sync.find_contacts($1, $2, $3, $4)", text, state, integration_id, limit
    )


async def by_id(session: Session, contact_ids: Iterable[UUID]) -> dict[UUID, Row]:
    """Who they are."""
    found = await session.rows("select * from crm_sync.contacts_by_id($1)", list(contact_ids))
    return {row["contact_id"]: row for row in found}


async def standing(session: Session, contact_ids: Iterable[UUID]) -> list[Row]:
    """Where each of them stands in each CRM, and why."""
    return await session.rows(STANDING, list(contact_ids))


async def timeline(session: Session, contact_id: UUID, limit: int) -> list[Row]:
    """What happened to one of them, newest first."""
    return await session.rows("select * from crm_sync.contact_timeline($1, $2)", contact_id, limit)
