create or replace function crm_sync.mark_schema_ready(
  p_integration_id bigint, p_is_ready boolean default true, p_account jsonb default null, p_connected_version bigint default null
) returns void
language sql
security definer
set search_path = pg_catalog, pg_temp
as $$
  update crm_sync.lanes as l
  set schema_ready_at = case when p_is_ready then clock_timestamp() end,
    account = case when jsonb_typeof(p_account) = 'object' then p_account else l.account end
  where l.integration_id = p_integration_id and (p_connected_version is null or l.connected_version = p_connected_version)
$$;
comment on function crm_sync.mark_schema_ready(bigint, boolean, jsonb, bigint) is
  'Worker: remembers that the CRM has the fields that hold our keys, and what was learned of the account on the way; not of one that was connected anew meanwhile.';
