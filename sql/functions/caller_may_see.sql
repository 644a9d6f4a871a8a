create or replace function crm_sync.caller_may_see(p_organization_id uuid) returns boolean
language sql stable
set search_path = ''
as $$
  select case
    when v.caller in ('authenticated', 'anon', 'crm_sync_console') then p_organization_id = any (array(select crm_sync.member_organizations()))
    else pg_catalog.pg_has_role(v.caller, 'crm_sync_reader', 'member') or pg_catalog.pg_has_role(v.caller, 'crm_sync_daemon', 'member')
      or pg_catalog.pg_has_role(v.caller, 'crm_sync_owner', 'member')
  end
  from (select crm_sync.caller_role() as caller) as v
$$;
comment on function crm_sync.caller_may_see(uuid) is 'Reader: whether the caller is a member of the organization, or looks at all of them as a DBA.';
