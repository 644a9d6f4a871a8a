create or replace function crm_sync.caller_name() returns text
language sql stable
set search_path = ''
as $$
  select coalesce((select auth.uid())::text, crm_sync.caller_role())
$$;
comment on function crm_sync.caller_name() is 'Operator: who is asking, for the log: the user''s id, else the role.';
