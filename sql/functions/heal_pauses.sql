create or replace function crm_sync.heal_pauses() returns integer
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  select cardinality(crm_sync.settle_pauses(array(
    select l.integration_id
    from crm_sync.lanes as l
    join public.user_integrations as i on i.organization_id = l.organization_id and i.id = l.integration_id
    left join lateral crm_sync.find_pause(i.organization_id, i.id, i.provider_id) as p on true
    where l.paused_scope is distinct from p.scope -- a lane that somebody has paused by hand has none
    order by l.integration_id
    limit 1000
  )))
$$;
comment on function crm_sync.heal_pauses() is
  'Worker: brings lanes in line with the pauses there are that were busy, or being made, when those were made or lifted; returns how many stopped or go on with it.';
