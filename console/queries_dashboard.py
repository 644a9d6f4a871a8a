"""How it goes: what the dashboard asks."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.db import Row, Session

CONNECTIONS = """
select s.integration_id, p.display_name || case when s.name = 'default' then '' else ' · ' || s.name end as label,
  s.state, s.waiting + s.running + s.retrying as open, s.running, s.failed, s.oldest_wait, s.last_success, s.resumes_at,
  i.account_id, i.account_name, i.sync_frequency, i.credentials_version > 0 as was_connected, l.other_account
from crm_sync.status as s
join public.user_integrations as i on i.organization_id = s.organization_id and i.id = s.integration_id
join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
join public.integration_providers as p on p.id = i.provider_id
order by i.status = 'disconnected', p.display_name, s.name, s.integration_id
"""

SERIES = """
with ends as materialized (
  select e.at from generate_series($1::timestamptz, $2::timestamptz, $3::interval) as e (at)
),
connections as materialized (
  select i.organization_id, i.id, i.created_at, l.synced, f.sampled_at as first_at, f.synced as first_synced
  from public.user_integrations as i
  join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  left join lateral (
    select s.sampled_at, s.synced from crm_sync.samples as s
    where s.organization_id = i.organization_id and s.integration_id = i.id
    order by s.sampled_at
    limit 1
  ) as f on true
  where $4::bigint is null or i.id = $4
),
stood as (
  -- a minute without a sample is like the one before; before the first one nothing is known, unless there was nothing
  select e.at, c.id, coalesce(s.waiting, 0) as waiting, coalesce(s.failed, 0) as failed,
    case
      when e.at >= now() then c.synced
      when s.synced is not null then s.synced
      when coalesce(c.first_at, now()) <= c.created_at + interval '2 minutes' then 0
      else coalesce(c.first_synced, c.synced)
    end as synced
  from ends as e
  cross join connections as c
  left join lateral (
    select s.synced, s.waiting, s.failed from crm_sync.samples as s
    where s.organization_id = c.organization_id and s.integration_id = c.id and s.sampled_at <= e.at
    order by s.sampled_at desc
    limit 1
  ) as s on true
)
select v.at, sum(v.waiting)::bigint as waiting, sum(v.failed)::bigint as failed,
  sum(greatest(v.synced - v.before, 0))::bigint as synced
from (select d.*, lag(d.synced) over (partition by d.id order by d.at) as before from stood as d) as v
where v.before is not null
group by v.at
order by v.at
"""

BUDGETS = """
select b.integration_id, b.name,
  (l.value ->> 'calls')::bigint as calls, (l.value ->> 'seconds')::double precision as seconds,
  (coalesce((l.value ->> 'share')::double precision, 0.8) * (l.value ->> 'calls')::bigint)::bigint as ours,
  case when b.today = (now() at time zone 'UTC')::date then b.spent_today else 0 end as spent_today,
  b.observed_used, b.observed_maximum, b.observed_at
from crm_sync.budgets as b
join public.user_integrations as i on i.organization_id = b.organization_id and i.id = b.integration_id
join public.integration_providers as p on p.id = i.provider_id
cross join lateral (select p.config -> 'limits' -> b.name as value) as l
where (l.value ->> 'calls')::bigint > 0 and i.status <> 'disconnected'
order by b.integration_id, (l.value ->> 'seconds')::double precision desc, b.name
"""

ALERTS = """
select a.id, a.severity, a.words, a.remedy, a.raised_at, a.integration_id, a.condition,
  a.acknowledged_at is not null as is_acknowledged,
  exists (
    select from crm_sync.alert_rules as r where r.organization_id = a.organization_id and r.name = a.rule
  ) as is_own_rule
from crm_sync.alerts as a
where a.cleared_at is null
order by a.acknowledged_at is not null, array_position('{critical,warning,info}', a.severity), a.raised_at desc
limit 20
"""


async def alerts(session: Session) -> list[Row]:
    """What is raised for the organization, the worst first."""
    return await session.rows(ALERTS)


async def connections(session: Session) -> list[Row]:
    """Each connection with how it stands."""
    return await session.rows(CONNECTIONS)


async def series(
    session: Session, since: datetime, until: datetime, step: timedelta, integration_id: int | None
) -> list[Row]:
    """For the end of each step: what was synced in it, and what waited and had failed then."""
    return await session.rows(SERIES, since, until, step, integration_id)


async def budgets(session: Session) -> list[Row]:
    """What each connection has used of its rate limits."""
    return await session.rows(BUDGETS)


async def is_running(session: Session) -> bool:
    """Whether any daemon works."""
    return bool(await session.value("select crm_sync.is_running()"))


async def pulse(session: Session) -> str | None:
    """Another text whenever something changed; None for who is a member of nothing."""
    found: str | None = await session.value("select crm_sync.pulse()")
    return found
