-- For those who have mended the cause in the CRM (a right, a plan): the credentials may be as good as before.
create or replace function crm_sync.try_again(p_integration_id bigint) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_integration public.user_integrations := crm_sync.require_integration(p_integration_id);
begin
  perform from public.user_integrations as i where i.id = p_integration_id for no key update; -- connection before lane
  if exists (select from crm_sync.lanes as l where l.integration_id = p_integration_id and l.other_account is not null) then
    raise exception using errcode = 'CS020', message = 'these credentials are for another account than before',
      hint = 'Connect the former account again, or say what is to become of its ids: crm_sync.adopt_account().';
  end if;
  update public.user_integrations as i
  set status = 'connected'
  where i.organization_id = v_integration.organization_id and i.id = p_integration_id and i.status = 'error' and i.credentials is not null;
  if not found then
    return false;
  end if;
  insert into public.sync_activity_logs (organization_id, integration_id, activity_type, status, title, description)
  values (v_integration.organization_id, p_integration_id, 'connection', 'info', 'Tried again',
    'Tried again by ' || crm_sync.caller_name() || ', with the credentials it has');
  return true;
end;
$$;
comment on function crm_sync.try_again(bigint) is
  'Operator: lets a connection in error go on with the credentials it has, after its cause was mended in the CRM. False: it is not in error, or has none.';
