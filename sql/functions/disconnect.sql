create or replace function crm_sync.disconnect(p_integration_id bigint) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_integration public.user_integrations := crm_sync.require_integration(p_integration_id);
begin
  update public.user_integrations as i
  set status = 'disconnected'
  where i.organization_id = v_integration.organization_id and i.id = p_integration_id and i.status <> 'disconnected';
  if found then
    insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
    values (v_integration.organization_id, p_integration_id, 'connection', 'info', 'Disconnected',
      'Disconnected by ' || crm_sync.caller_name() || '; its credentials were wiped, its rows wait');
    return true;
  end if;
  return false;
end;
$$;
comment on function crm_sync.disconnect(bigint) is
  'Operator: disconnects a CRM: the credentials are wiped, settings, mappings and waiting rows stay for the next connection. False: it was disconnected already.';
