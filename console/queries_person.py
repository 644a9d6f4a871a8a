"""One person: what is held of them, and erasing them."""

from __future__ import annotations

from uuid import UUID

from console.db import Row, Session

ERASURE = """
select e.erased_at, crm_sync.who_words(e.erased_by) as erased_by, e.reason, e.removed, e.lifted_at,
  crm_sync.who_words(e.lifted_by) as lifted_by
from crm_sync.erasures as e
where e.organization_id = $1 and e.contact_id = $2
"""

PROGRESS = """
select p.integration_id, p.state, q.status, (p.integration_id = any (e.reached)) is true as is_done,
  case when p.integration_id is not null then coalesce(p.provider, 'A CRM') end as provider,
  i.status as connection_status, m.remedy, m.who_must_act
from crm_sync.erasure_progress as p
join crm_sync.erasures as e on e.organization_id = p.organization_id and e.contact_id = p.contact_id
left join public.user_integrations as i on i.organization_id = p.organization_id and i.id = p.integration_id
left join public.integration_providers as v on v.id = i.provider_id
left join public.sync_queue as q on q.organization_id = p.organization_id and q.id = p.queue_id
left join lateral crm_sync.failure_meaning(v.name, coalesce(q.failure ->> 'kind', 'other'), q.failure ->> 'code') as m
  on q.status in ('failed', 'retry') and q.failure is not null
where p.organization_id = $1 and p.contact_id = $2
order by p.integration_id
"""

CONNECTIONS = """
select i.id as integration_id, i.status, p.name as provider, p.display_name
from public.user_integrations as i
join public.integration_providers as p on p.id = i.provider_id
where i.organization_id = $1
order by p.id, i.id
"""


async def rights(session: Session, contact_id: UUID) -> Row | None:
    """Whose contact it is, and whether the caller may sync and erase it; None where there is none to be seen."""
    return await session.row("select * from crm_sync.contact_rights($1)", contact_id)


async def erasure(session: Session, organization_id: UUID, contact_id: UUID) -> Row | None:
    """When, by whom and why they were erased, also where that was lifted; None where they never were."""
    return await session.row(ERASURE, organization_id, contact_id)


async def erased_of(session: Session, contact_ids: list[UUID]) -> set[UUID]:
    """Those of them who are erased."""
    rows = await session.rows(
        "select e.contact_id from crm_sync.erasures as e where e.contact_id = any ($1) and e.lifted_at is null "
        "and e.organization_id = any (array(select crm_sync.member_organizations()))",
        contact_ids,
    )
    return {row["contact_id"] for row in rows}


async def progress(session: Session, organization_id: UUID, contact_id: UUID) -> list[Row]:
    """How far each CRM that was asked is."""
    return await session.rows(PROGRESS, organization_id, contact_id)


async def held(session: Session, contact_id: UUID) -> list[Row]:
    """What is kept of them, where and until when."""
    return await session.rows("select * from crm_sync.personal_data($1)", contact_id)


async def connections(session: Session, organization_id: UUID) -> list[Row]:
    """The CRMs of an organization, with those that are disconnected."""
    return await session.rows(CONNECTIONS, organization_id)


async def erase(session: Session, contact_id: UUID, *, in_crm: bool, reason: str | None, words: list[str]) -> list[Row]:
    """What was done, and what is left to do; raises `NotYours` and `InvalidSettings`."""
    return await session.rows("select * from crm_sync.erase_contact($1, $2, $3, $4)", contact_id, in_crm, reason, words)


async def lift(session: Session, contact_id: UUID) -> None:
    """Raises as `erase` does."""
    await session.value("select crm_sync.lift_erasure($1)", contact_id)
