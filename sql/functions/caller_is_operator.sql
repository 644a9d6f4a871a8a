create or replace function crm_sync.caller_is_operator() returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select v.caller not in ('authenticated', 'anon', 'crm_sync_console')
    and (pg_catalog.pg_has_role(v.caller, 'crm_sync_owner', 'member') or pg_catalog.pg_has_role(v.caller, 'crm_sync_daemon', 'member'))
  from (select crm_sync.caller_role() as caller) as v
$$;
comment on function crm_sync.caller_is_operator() is 'Operator: whether the caller may manage every organization.';
