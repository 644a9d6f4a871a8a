create or replace function crm_sync.connection_counts()
returns table (provider text, connection_state text, connections bigint)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select p.name, s.state, count(*)
  from public.user_integrations as i
  join public.integration_providers as p on p.id = i.provider_id
  join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  cross join lateral (select crm_sync.connection_state(i.status, l) as state) as s
  group by p.name, s.state
$$;
comment on function crm_sync.connection_counts() is 'Worker: for the metrics: how many connections of each provider are in which state.';
