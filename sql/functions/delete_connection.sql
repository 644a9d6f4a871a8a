-- A function, and no right to DELETE: whoever has that may LOCK the table, in any mode, and with it everybody.
create or replace function crm_sync.delete_connection(p_integration_id bigint) returns boolean
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  -- looked at without a lock: two who delete it would each hold what the other waits for
  v_organization_id uuid := (select i.organization_id from public.user_integrations as i where i.id = p_integration_id);
begin
  if v_organization_id is null or crm_sync.caller_may_manage(v_organization_id) is not true then
    perform crm_sync.require_integration(p_integration_id); -- says so
  end if;
  delete from public.user_integrations as i where i.organization_id = v_organization_id and i.id = p_integration_id;
  return found;
end;
$$;
comment on function crm_sync.delete_connection(bigint) is
  'Operator: deletes a connection with its rows, mappings and settings, and has its credentials revoked; disconnect keeps all but the credentials. False: it was just deleted.';
