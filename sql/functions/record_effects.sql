create or replace function crm_sync.record_effects(p_batch crm_sync.batches, p_outcomes jsonb) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_custom_plan -- an update cannot say where to start: a plan made for an empty table would read it all
as $$
begin
  if not p_outcomes @? '$[*].echo.key' then
    return;
  end if;
  if p_outcomes @? '$[*].echo.erased' then
    perform crm_sync.end_erasures(p_batch, p_outcomes);
  end if;
  with confirmed as materialized (
    select p_batch.organization_id as organization_id, p_batch.integration_id as integration_id, o.external_id, o.echo ->> 'key' as key,
      case split_part(o.echo ->> 'key', ':', 1) when 'deal' then 'deal' when 'task' then 'task' else 'activity' end as object_type
    from jsonb_to_recordset(p_outcomes) as o (status text, external_id text, echo jsonb)
    where o.status = 'synced' and o.echo ? 'key'
  ),
  effects as (
    update crm_sync.effects as e
    set external_id = c.external_id, confirmed_at = now()
    from confirmed as c
    where e.organization_id = c.organization_id and e.integration_id = c.integration_id and e.object_type = c.object_type and e.key = c.key
    returning e.organization_id, e.integration_id, e.object_type, e.contact_id, e.external_id
  )
  update public.contact_sync_mappings as m
  set external_deal_id = e.external_id
  from effects as e
  where e.object_type = 'deal' and m.contact_id = e.contact_id
    and (m.integration_id = e.integration_id) is true and (m.organization_id = e.organization_id) is true; -- as in contact_of
end;
$$;
comment on function crm_sync.record_effects(crm_sync.batches, jsonb) is 'Worker: remembers the CRM''s ids of the deals, activities and tasks that it confirmed.';
