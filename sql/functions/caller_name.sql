create or replace function crm_sync.caller_name() returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((select auth.uid())::text, crm_sync.caller_role())
$$;
comment on function crm_sync.caller_name() is 'Operator: who is asking, for the log: the user''s id, else the role.';
