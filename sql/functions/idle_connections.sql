-- Each CRM by itself: one that is down must not keep the tokens of the others waiting. What is given out is not given to anybody
-- else for a while, and that while grows with each attempt that comes to nothing: storing a token ends it.
create or replace function crm_sync.idle_connections(p_limit integer default 20)
returns table (integration_id bigint, provider text, config jsonb)
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return query
  with idle as (
    select l.integration_id, p.name, p.config
    from public.integration_providers as p
    cross join lateral (
      select l.integration_id
      from public.user_integrations as i
      join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
      where i.provider_id = p.id and i.is_refreshable and i.status in ('connected', 'syncing')
        and i.credentials_at < now() - greatest((select c.refresh_idle_after from crm_sync.config as c), interval '10 minutes')
        and (l.refresh_after is null or l.refresh_after < now())
      order by i.credentials_at
      limit p_limit
      for no key update of l skip locked
    ) as l
    where p.is_active
  ),
  taken as (
    update crm_sync.lanes as l
    set refresh_failures = l.refresh_failures + 1,
      refresh_after = now() + crm_sync.retry_delay(l.refresh_failures + 1, '2 minutes', '2 hours')
    from idle as d
    where l.integration_id = d.integration_id
    returning l.integration_id
  )
  select d.integration_id, d.name, d.config from idle as d join taken as t on t.integration_id = d.integration_id;
end;
$$;
comment on function crm_sync.idle_connections(integer) is 'Worker: connections whose token nobody has refreshed for a day, so many of each CRM; they are the caller''s for two minutes.';
