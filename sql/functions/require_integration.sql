create or replace function crm_sync.require_integration(p_integration_id bigint) returns public.user_integrations
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_integration public.user_integrations;
begin
  select * into v_integration from public.user_integrations as i where i.id = p_integration_id for key share; -- connection before lane
  -- the same answer for what does not exist and for what is not yours
  if v_integration.id is null or not crm_sync.caller_may_manage(v_integration.organization_id) then
    raise exception using errcode = 'CS021', message = format('there is no connection %s that you may manage', coalesce(p_integration_id::text, 'null')),
      hint = 'The connections you may manage: select id, name, status from public.user_integrations.';
  end if;
  v_integration.credentials := null;
  return v_integration;
end;
$$;
comment on function crm_sync.require_integration(bigint) is 'Operator: the connection, without its credentials; raises CS021 where there is none or the caller may not manage it.';
