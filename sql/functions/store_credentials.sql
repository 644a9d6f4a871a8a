create or replace function crm_sync.store_credentials(p_integration_id bigint, p_seen_version bigint, p_credentials text) returns bigint
language plpgsql
security definer
set search_path = ''
as $$
declare
  v_version bigint;
begin
  perform from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  update public.user_integrations as i
  set credentials = (crm_sync.open_sealed(i.organization_id, i.id, i.credentials) || jsonb_strip_nulls(p_credentials::jsonb))::text
  where i.id = p_integration_id and i.credentials is not null and i.credentials_version = p_seen_version
  returning i.credentials_version into v_version;
  update crm_sync.lanes as l set refresh_until = null where l.integration_id = p_integration_id;
  return v_version;
end;
$$;
comment on function crm_sync.store_credentials(bigint, bigint, text) is
  'Worker: adds refreshed tokens to a connection''s credentials, sealed, and ends the refresh; returns their version, or null when somebody stored newer ones.';
