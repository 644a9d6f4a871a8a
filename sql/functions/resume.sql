create or replace function crm_sync.resume(p_integration_id bigint) returns boolean
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_integration public.user_integrations := crm_sync.require_integration(p_integration_id);
begin
  update crm_sync.lanes as l
  set paused_at = null, paused_by = null
  where l.integration_id = p_integration_id and l.paused_at is not null;
  if found then
    insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
    values (v_integration.organization_id, p_integration_id, 'connection', 'info', 'Resumed', 'Resumed by ' || crm_sync.caller_name());
    perform crm_sync.ring();
    return true;
  end if;
  return false;
end;
$$;
comment on function crm_sync.resume(bigint) is 'Operator: goes on with a paused connection at once. False: it was not paused.';
