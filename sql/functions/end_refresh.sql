create or replace function crm_sync.end_refresh(p_integration_id bigint) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update crm_sync.lanes as l set refresh_until = null where l.integration_id = p_integration_id and crm_sync.caller_may_manage(l.organization_id)
$$;
comment on function crm_sync.end_refresh(bigint) is 'Worker: gives back the right to refresh a token that could not be refreshed.';
