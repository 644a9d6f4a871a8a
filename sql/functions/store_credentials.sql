create or replace function crm_sync.store_credentials(p_integration_id bigint, p_seen_version bigint, p_credentials text) returns bigint
language plpgsql
security definer
set search_path = ''
set crm_sync.keeps_account = 'on' -- for user_integrations__follow
as $$
declare
  v_new jsonb;
  v_version bigint;
begin
  begin
    v_new := p_credentials::jsonb;
  exception when others then
    v_new := null; -- the parser's own message would repeat the secret
  end;
  if jsonb_typeof(v_new) is distinct from 'object' then
    raise exception using errcode = 'CS003', message = 'refreshed credentials must be a JSON object',
      hint = 'The value is not shown here on purpose.';
  end if;
  perform from public.user_integrations as i where i.id = p_integration_id for no key update; -- connection before lane
  perform from crm_sync.lanes as l where l.integration_id = p_integration_id for no key update;
  update public.user_integrations as i
  set credentials = (crm_sync.open_sealed(i.organization_id, i.id, i.credentials) || jsonb_strip_nulls(v_new))::text
  where i.id = p_integration_id and i.credentials is not null and i.credentials_version = p_seen_version and crm_sync.caller_may_manage(i.organization_id)
  returning i.credentials_version into v_version;
  update crm_sync.lanes as l set refresh_until = null where l.integration_id = p_integration_id and crm_sync.caller_may_manage(l.organization_id);
  return v_version;
end;
$$;
comment on function crm_sync.store_credentials(bigint, bigint, text) is
  'Worker: adds refreshed tokens to a connection''s credentials, sealed, and ends the refresh; returns their version, or null when somebody stored newer ones.';
