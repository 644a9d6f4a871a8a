create or replace function crm_sync.begin_action(p_integration_id bigint) returns public.user_integrations
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  v_integration public.user_integrations := crm_sync.require_integration(p_integration_id); -- connection before lane
begin
  perform from crm_sync.lanes as l where l.organization_id = v_integration.organization_id and l.integration_id = p_integration_id for no key update;
  return v_integration;
end;
$$;
comment on function crm_sync.begin_action(bigint) is
  'Operator: the connection an action is about, with its lane locked; raises CS021 where there is none or the caller may not manage it.';
