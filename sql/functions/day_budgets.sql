create or replace function crm_sync.day_budgets(p_most integer default 200)
returns table (integration_id bigint, provider text, limit_name text, used double precision)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select b.integration_id, p.name, b.name, u.used
  from crm_sync.budgets as b
  join public.user_integrations as i on i.organization_id = b.organization_id and i.id = b.integration_id
  join public.integration_providers as p on p.id = i.provider_id
  cross join lateral (select p.config -> 'limits' -> b.name as of_day) as l
  cross join lateral (select crm_sync.day_use(b, l.of_day) as used) as u
  where (l.of_day ->> 'seconds')::double precision >= 86400 and u.used > 0
  order by u.used desc, b.integration_id, b.name
  limit p_most
$$;
comment on function crm_sync.day_budgets(integer) is
  'Worker: for the metrics: how much of our share of each limit of a day is used, 1 being all of it; the connections that have used most.';
