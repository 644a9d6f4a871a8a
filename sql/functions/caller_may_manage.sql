create or replace function crm_sync.caller_may_manage(p_organization_id uuid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select case
    -- the console asks for somebody: it may what that user may
    when v.caller in ('authenticated', 'anon', 'crm_sync_console') then p_organization_id in (select crm_sync.member_organizations())
    else pg_catalog.pg_has_role(v.caller, 'crm_sync_owner', 'member') or pg_catalog.pg_has_role(v.caller, 'crm_sync_daemon', 'member')
  end
  from (select crm_sync.caller_role() as caller) as v
$$;
comment on function crm_sync.caller_may_manage(uuid) is 'Operator: whether the caller is a member of the organization, or an operator.';
