create or replace function crm_sync.caller_may_see(p_organization_id uuid) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  v_caller text := crm_sync.caller_role();
begin
  return case
    when v_caller in ('authenticated', 'anon', 'crm_sync_console') then p_organization_id = any (array(select crm_sync.member_organizations()))
    else pg_catalog.pg_has_role(v_caller, 'crm_sync_reader', 'member') or pg_catalog.pg_has_role(v_caller, 'crm_sync_daemon', 'member')
      or pg_catalog.pg_has_role(v_caller, 'crm_sync_owner', 'member')
  end;
end;
$$;
comment on function crm_sync.caller_may_see(uuid) is 'Reader: whether the caller is a member of the organization, or looks at all of them as a DBA.';
