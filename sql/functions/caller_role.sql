-- Inside a security definer function current_user is the owner; what the caller has set with SET ROLE, or logged in as, is not.
create or replace function crm_sync.caller_role() returns text
language sql stable
return coalesce(nullif(nullif(current_setting('role', true), 'none'), ''), session_user::text);
comment on function crm_sync.caller_role() is 'Operator: the role that the caller took with SET ROLE, else the one that logged in.';
