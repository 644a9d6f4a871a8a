create or replace function crm_sync.pause(p_integration_id bigint) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform crm_sync.require_integration(p_integration_id);
  return crm_sync.pause_all('integration', p_integration_id::text) > 0;
end;
$$;
comment on function crm_sync.pause(bigint) is 'Operator: stops work on a connection before the next request; its rows wait. False: it was paused already.';
