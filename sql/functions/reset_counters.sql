create or replace function crm_sync.reset_counters(p_integration_id bigint default null) returns integer
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_integration record;
  v_count integer := 0;
begin
  if p_integration_id is not null then
    perform crm_sync.require_integration(p_integration_id);
  end if;
  for v_integration in
    select i.organization_id, i.id
    from public.user_integrations as i
    where (p_integration_id is null or i.id = p_integration_id) and crm_sync.caller_may_manage(i.organization_id)
    order by i.id
    for key share skip locked
  loop
    if p_integration_id is null then
      -- of many, one that somebody is just changing is left alone
      perform from crm_sync.lanes as l where l.organization_id = v_integration.organization_id and l.integration_id = v_integration.id for no key update skip locked;
      continue when not found;
    else
      perform crm_sync.begin_action(p_integration_id);
    end if;
    insert into crm_sync.counter_baselines as b (organization_id, integration_id, counters, counted_since, set_by)
    select l.organization_id, l.integration_id, crm_sync.raw_counters(l), now(), crm_sync.caller_name()
    from crm_sync.lanes as l
    where l.organization_id = v_integration.organization_id and l.integration_id = v_integration.id
    on conflict (organization_id, integration_id) do update
    set counters = excluded.counters, counted_since = excluded.counted_since, set_by = excluded.set_by;
    insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
    values (v_integration.organization_id, v_integration.id, 'connection', 'info', 'Counters reset', 'crm_sync.counters begins at nothing again, as ' || crm_sync.caller_name() || ' asked');
    v_count := v_count + 1;
  end loop;
  return v_count;
end;
$$;
comment on function crm_sync.reset_counters(bigint) is
  'Operator: lets crm_sync.counters begin at nothing again, for one connection or for all that the caller may manage and nobody is just changing; returns how many. What is synced, waits or failed stays as it is.';
