create or replace function crm_sync.refuse_credentials(p_integration_id bigint, p_seen_version bigint, p_reason text) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_integration public.user_integrations;
begin
  select * into v_integration from public.user_integrations as i where i.id = p_integration_id for no key update; -- connection before lane
  perform from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  if v_integration.id is null or v_integration.credentials_version <> p_seen_version or v_integration.status not in ('connected', 'syncing') then
    return false;
  end if;
  perform crm_sync.lose_connection(v_integration.organization_id, p_integration_id, p_reason);
  return true;
end;
$$;
comment on function crm_sync.refuse_credentials(bigint, bigint, text) is
  'Worker: a CRM has refused these credentials for good; false, and nothing happens, where there are newer ones or the connection has ended.';
