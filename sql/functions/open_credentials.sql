create or replace function crm_sync.open_credentials(p_integration_id bigint)
returns table (credentials jsonb, version bigint, connected_version bigint)
language sql stable
security definer
set search_path = pg_catalog, pg_temp
as $$
  select crm_sync.open_sealed(i.organization_id, i.id, i.credentials), i.credentials_version, l.connected_version
  from public.user_integrations as i
  join crm_sync.lanes as l on l.organization_id = i.organization_id and l.integration_id = i.id
  where i.id = p_integration_id and i.credentials is not null and crm_sync.caller_may_manage(i.organization_id)
$$;
comment on function crm_sync.open_credentials(bigint) is 'Worker: the opened credentials of a connection, their version, and the one with which it was connected last; no row when it has none.';
