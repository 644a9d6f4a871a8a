create or replace function crm_sync.caller_name() returns text
language sql stable
set search_path = ''
return coalesce((select auth.uid())::text, nullif(nullif(current_setting('role', true), 'none'), ''), session_user::text);
comment on function crm_sync.caller_name() is 'Operator: who is asking, for the log: the user''s id, else the role.';
