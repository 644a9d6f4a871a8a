-- Whoever changes a connection is waited for, as long as a change of ours takes, and not until somebody's forgotten transaction
-- ends: one tenant would hold up all others.
create or replace function crm_sync.lock_lane(p_integration_id bigint) returns boolean
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '100ms'
as $$
begin
  perform from public.user_integrations as i where i.id = p_integration_id for key share;
  perform from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  return found;
exception when lock_not_available then
  return false;
end;
$$;
comment on function crm_sync.lock_lane(bigint) is 'Worker: locks a connection and its lane, in this order; false where somebody else holds one of them for a tenth of a second.';
