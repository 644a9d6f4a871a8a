create or replace function crm_sync.fold_counters(p_organization_id uuid, p_integration_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  -- whoever changes the connection at this moment may be waiting for the lane that we hold: the next fold will do
  perform from public.user_integrations as i where i.organization_id = p_organization_id and i.id = p_integration_id for no key update skip locked;
  if not found then
    return;
  end if;
  update crm_sync.lanes as l set folded_at = now()
  where l.organization_id = p_organization_id and l.integration_id = p_integration_id;
  update public.user_integrations as i
  set total_synced_contacts = l.synced_contacts, total_synced_deals = l.synced_deals,
    last_sync_at = l.last_success_at, next_sync_at = null,
    last_error = case when i.status = 'error' then i.last_error when l.last_failure_at >= l.last_success_at or l.last_success_at is null then l.last_error end,
    error_count = l.errors
  from crm_sync.lanes as l
  where l.organization_id = p_organization_id and l.integration_id = p_integration_id
    and i.organization_id = p_organization_id and i.id = p_integration_id;
end;
$$;
comment on function crm_sync.fold_counters(uuid, bigint) is 'Worker: carries the counters of a connection to its row in user_integrations.';
