"""What does not arrive, and why."""

from __future__ import annotations

from console.db import Row, Session

FAILURES = """
select f.*, p.display_name || case when i.name = 'default' then '' else ' · ' || i.name end as label
from crm_sync.failures as f
join public.user_integrations as i on i.organization_id = f.organization_id and i.id = f.integration_id
join public.integration_providers as p on p.id = i.provider_id
order by f.kind = 'connection' desc, f.kind = 'mapping' desc, f.count desc, f.last_at desc nulls last, f.integration_id
limit $1
"""


async def causes(session: Session, limit: int) -> list[Row]:
    """The lines of crm_sync.failures: those that wait for a person first, then those that stop most."""
    return await session.rows(FAILURES, limit)
